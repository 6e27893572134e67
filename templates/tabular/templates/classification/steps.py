"""The steps of the training pipeline: plain functions on plain tables."""

from __future__ import annotations

import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score, roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

TARGET = "species"
MEASURED = ["bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g"]


def clean(raw: pd.DataFrame) -> pd.DataFrame:
    """Keep the species and what was measured, and leave out animals that were not measured."""
    whole = raw[[TARGET, *MEASURED]].dropna()
    print(f"{len(raw) - len(whole)} of {len(raw)} rows left out: they were not measured")
    return whole


def prepare(raw: pd.DataFrame, test_size: float) -> dict[str, pd.DataFrame]:
    """Clean, then keep a part of each species back for the evaluation."""
    whole = clean(raw)
    train, test = train_test_split(
        whole, test_size=test_size, stratify=whole[TARGET], random_state=0
    )
    return {"train": train, "test": test}


def train(train: pd.DataFrame, strength: float) -> Pipeline:
    """Fit a logistic regression on scaled measurements."""
    model = Pipeline(
        [("scale", StandardScaler()), ("fit", LogisticRegression(C=strength, max_iter=1000))]
    )
    return model.fit(train[MEASURED], train[TARGET])


def evaluate(model: Pipeline, test: pd.DataFrame) -> dict[str, object]:
    """Measure the model on rows that it has not seen."""
    actual = test[TARGET]
    predicted = model.predict(test[MEASURED])
    chances = model.predict_proba(test[MEASURED])
    metrics = {
        "accuracy": float(accuracy_score(actual, predicted)),
        "f1": float(f1_score(actual, predicted, average="macro")),
        "roc_auc": float(roc_auc_score(actual, chances, multi_class="ovr", labels=model.classes_)),
        "rows": len(test),
    }
    return {
        "metrics": metrics,
        "predictions": pd.DataFrame({"actual": actual, "predicted": predicted}),
    }
