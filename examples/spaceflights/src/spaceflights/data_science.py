"""A linear model of the price."""

import pandas as pd
from sklearn.linear_model import LinearRegression
from sklearn.metrics import max_error, mean_absolute_error, r2_score
from sklearn.model_selection import train_test_split


def split_data(
    table: pd.DataFrame, test_size: float, random_state: int, features: list[str]
) -> dict[str, pd.DataFrame]:
    parts = train_test_split(
        table[features], table[["price"]], test_size=test_size, random_state=random_state
    )
    return dict(zip(("X_train", "X_test", "y_train", "y_test"), parts, strict=True))


def train_model(X_train: pd.DataFrame, y_train: pd.DataFrame) -> LinearRegression:  # noqa: N803
    return LinearRegression().fit(X_train, y_train["price"])


def evaluate_model(
    regressor: LinearRegression,
    X_test: pd.DataFrame,  # noqa: N803
    y_test: pd.DataFrame,
) -> dict[str, float]:
    price, predicted = y_test["price"], regressor.predict(X_test)
    return {
        "r2_score": float(r2_score(price, predicted)),
        "mae": float(mean_absolute_error(price, predicted)),
        "max_error": float(max_error(price, predicted)),
    }
