"""The fare of a trip: plain functions on plain tables."""

from __future__ import annotations

import pandas as pd
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.metrics import root_mean_squared_error
from sklearn.model_selection import train_test_split

TARGET = "fare_amount"
FEATURES = ["pickup_zip", "dropoff_zip", "trip_distance", "hour"]


def split(trips: pd.DataFrame) -> dict[str, pd.DataFrame]:
    train, test = train_test_split(trips, test_size=0.25, random_state=0)
    return {"train": train, "test": test}


def train(train: pd.DataFrame, learning_rate: float) -> GradientBoostingRegressor:
    trees = GradientBoostingRegressor(learning_rate=learning_rate, random_state=0)
    return trees.fit(train[FEATURES], train[TARGET])


def validate(model: GradientBoostingRegressor, test: pd.DataFrame) -> dict[str, float]:
    predicted = model.predict(test[FEATURES])
    return {"rmse": float(root_mean_squared_error(test[TARGET], predicted)), "trips": len(test)}
