"""The steps of the training pipeline: plain functions on plain tables."""

from __future__ import annotations

import pandas as pd
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score
from sklearn.model_selection import train_test_split

TARGET = "rings"


def clean(raw: pd.DataFrame) -> pd.DataFrame:
    """Leave out rows whose height is 0, which no animal has, and the sex, which is not measured."""
    whole = raw[raw["height"] > 0].drop(columns="sex")
    print(f"{len(raw) - len(whole)} of {len(raw)} rows left out: their height is 0")
    return whole


def prepare(raw: pd.DataFrame, test_size: float) -> dict[str, pd.DataFrame]:
    """Clean, then keep a part of the rows back for the evaluation."""
    train, test = train_test_split(clean(raw), test_size=test_size, random_state=0)
    return {"train": train, "test": test}


def train(train: pd.DataFrame, learning_rate: float) -> HistGradientBoostingRegressor:
    """Fit boosted trees; the seed is fixed, so the same data give the same model."""
    model = HistGradientBoostingRegressor(learning_rate=learning_rate, random_state=0)
    return model.fit(train.drop(columns=TARGET), train[TARGET])


def evaluate(model: HistGradientBoostingRegressor, test: pd.DataFrame) -> dict[str, object]:
    """Measure the model on rows that it has not seen."""
    actual = test[TARGET]
    predicted = model.predict(test.drop(columns=TARGET))
    metrics = {
        "mse": float(mean_squared_error(actual, predicted)),
        "mae": float(mean_absolute_error(actual, predicted)),
        "r2": float(r2_score(actual, predicted)),
        "rows": len(test),
    }
    residuals = pd.DataFrame(
        {"actual": actual, "predicted": predicted, "residual": actual - predicted}
    )
    return {"metrics": metrics, "residuals": residuals}
