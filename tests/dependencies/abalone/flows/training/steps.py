"""Steps of the training."""

from functools import wraps

import numpy as np
import pandas as pd
from shared import metrics, models
from shared.cleaning import clean
from shared.paths import target
from sklearn.ensemble import RandomForestRegressor
from sklearn.model_selection import train_test_split

SEED = 0
TARGET = "rings"
UNUSED = 1


def noted(function):
    @wraps(function)
    def wrapper(*args, **kwargs):
        result = function(*args, **kwargs)
        print(function.__name__, "done")
        return result

    return wrapper


@noted
def prepare(raw: pd.DataFrame, test_size: float) -> dict:
    whole = clean(raw)
    train, test = train_test_split(whole, test_size=test_size, random_state=SEED)
    return {"train": train, "test": test}


@noted
def train(train: pd.DataFrame, depth: int = 6) -> object:
    """Fit the model."""
    # seeds differ
    forest = RandomForestRegressor(max_depth=depth, random_state=SEED)
    return models.Model(forest.fit(train.drop(columns=TARGET), train[TARGET]))


def evaluate(model: models.Model, test: pd.DataFrame) -> dict:
    guess = model.predict(test.drop(columns=TARGET))
    return {"mse": float(np.sqrt(metrics.squared(test[TARGET], guess))), **summary(test, guess)}


def summary(test, guess):
    return {name: float(each(test[TARGET], guess)) for name, each in metrics.METRICS.items()}


def report(metrics_file: dict) -> str:
    names = ", ".join(metrics.METRICS)
    return f"{names}: {metrics_file} in {target('.')}"
