"""The steps of the training pipeline: plain functions on plain tables."""

from __future__ import annotations

import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import average_precision_score, precision_score, recall_score, roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder

TARGET = "churned"
WORDS = ["plan", "international_plan", "voicemail"]
NUMBERS = [
    "months", "day_minutes", "evening_minutes", "night_minutes", "international_minutes",
    "calls", "service_calls", "monthly_charge",
]  # fmt: skip
FEATURES = WORDS + NUMBERS  # neither age nor region: by these customers are only held together
PARTS = 20


def clean(raw: pd.DataFrame) -> pd.DataFrame:
    """Leave out customers whose first bill is not written yet."""
    whole = raw.dropna()
    print(f"{len(raw) - len(whole)} of {len(raw)} customers left out: they have no bill yet")
    return whole


def prepare(raw: pd.DataFrame, test_size: float) -> dict[str, pd.DataFrame]:
    """Clean, then keep a part of those who left and of those who stayed for the evaluation."""
    whole = clean(raw)
    train, test = train_test_split(
        whole, test_size=test_size, stratify=whole[TARGET], random_state=0
    )
    return {"train": train, "test": test}


def train(train: pd.DataFrame, learning_rate: float) -> Pipeline:
    """Fit boosted trees."""
    columns = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore", sparse_output=False), WORDS),
        ("passthrough", NUMBERS),
    )
    trees = HistGradientBoostingClassifier(
        learning_rate=learning_rate, max_leaf_nodes=8, random_state=0
    )
    return make_pipeline(columns, trees).fit(train[FEATURES], train[TARGET])


def evaluate(model: Pipeline, test: pd.DataFrame, threshold: float) -> dict[str, object]:
    """Measure the model on customers that it has not seen, and tell who would get an offer."""
    chance = model.predict_proba(test[FEATURES])[:, 1]
    left, offer = test[TARGET], (chance >= threshold).astype(int)
    metrics = {
        "roc_auc": float(roc_auc_score(left, chance)),
        "average_precision": float(average_precision_score(left, chance)),
        "precision": float(precision_score(left, offer, zero_division=0)),
        "recall": float(recall_score(left, offer)),
        "churn_rate": float(left.mean()),
        "customers": len(test),
    }
    outcomes = pd.DataFrame({"actual": left, "predicted": offer})
    customers = test[["customer", "age_group", "region", TARGET]].assign(chance=chance, offer=offer)
    return {
        "metrics": metrics,
        "customers": customers,
        "confusion": outcomes.replace({0: "stayed", 1: "left"}),
        "gains": gains(customers),
    }


def gains(customers: pd.DataFrame) -> pd.DataFrame:
    """Which share of those who leave is reached by asking the likeliest so many percent."""
    likeliest_first = customers.sort_values("chance", ascending=False)[TARGET]
    shares = [part / PARTS for part in range(PARTS + 1)]
    reached = [likeliest_first.head(round(share * len(customers))).sum() for share in shares]
    return pd.DataFrame({"asked": shares, "reached": reached / likeliest_first.sum()})
