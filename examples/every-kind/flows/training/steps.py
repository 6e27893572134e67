"""Boats at a lock: plain functions on plain tables."""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_score, train_test_split
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

TARGET = "late"
FEATURES = ["length", "tonnes", "hour", "rain"]


def split(boats: pd.DataFrame, test_size: float) -> dict[str, object]:
    train, test = train_test_split(
        boats, test_size=test_size, stratify=boats[TARGET], random_state=0
    )
    return {"train": train, "test": test, "seen": {"boats": len(boats)}}


def make_model(strength: float) -> Pipeline:
    return make_pipeline(StandardScaler(), LogisticRegression(C=strength))


def try_strength(train: pd.DataFrame, strength: float) -> dict[str, float]:
    """One trial of the search."""
    scores = cross_val_score(
        make_model(strength), train[FEATURES], train[TARGET], cv=3, scoring="roc_auc"
    )
    return {"roc_auc": float(scores.mean())}


def train(train: pd.DataFrame, strength: float) -> Pipeline:
    return make_model(strength).fit(train[FEATURES], train[TARGET])


def evaluate(model: Pipeline, test: pd.DataFrame) -> dict[str, object]:
    chance = model.predict_proba(test[FEATURES])[:, 1]
    metrics = {"roc_auc": float(roc_auc_score(test[TARGET], chance))}
    answers = test[["boat", "canal", TARGET]].assign(told=(chance > 0.5).astype(int))
    return {"metrics": metrics, "answers": answers}


def in_words(answers: np.ndarray) -> np.ndarray:
    """The last link of the bundle's chain: what a lock keeper reads."""
    return np.where(answers == 1, "late", "in time")
