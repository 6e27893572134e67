"""The six steps, plain functions: the pipeline and the floor run the same ones."""

import pandas as pd
from sklearn.ensemble import RandomForestRegressor
from sklearn.metrics import mean_squared_error
from sklearn.model_selection import train_test_split


def ingest(raw: pd.DataFrame) -> pd.DataFrame:
    """The table as it came."""
    return raw


def check(table: pd.DataFrame) -> dict:
    """A plain check: no missing value, no negative length, two flat shells at most."""
    missing = int(table.isna().sum().sum())
    negative = int((table.length < 0).sum())
    flat = int((table.height == 0).sum())
    if missing or negative or flat > 2:
        raise ValueError(f"{missing} missing, {negative} negative, {flat} flat")
    return {"missing": missing, "negative": negative, "flat": flat}


def prepare(table: pd.DataFrame, report: dict, test_size: float) -> dict:
    """Clean and split."""
    whole = table[table.height > 0] if report["flat"] else table
    train, test = train_test_split(whole.drop(columns="sex"), test_size=test_size, random_state=0)
    return {"train": train, "test": test}


def train(train: pd.DataFrame, trees: int) -> RandomForestRegressor:
    """Fit a forest."""
    forest = RandomForestRegressor(n_estimators=int(trees), random_state=0, n_jobs=1)
    return forest.fit(train.drop(columns="rings"), train.rings)


def evaluate(model: RandomForestRegressor, test: pd.DataFrame) -> dict:
    """Measure it."""
    predicted = model.predict(test.drop(columns="rings"))
    return {"mse": float(mean_squared_error(test.rings, predicted))}
