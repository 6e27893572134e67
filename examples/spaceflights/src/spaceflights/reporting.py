"""What is shown of shuttles and prices."""

import pandas as pd
from matplotlib import pyplot
from matplotlib.figure import Figure
from sklearn.linear_model import LinearRegression


def compare_passenger_capacity(shuttles: pd.DataFrame) -> pd.DataFrame:
    """The mean capacity of each type."""
    return shuttles.groupby("shuttle_type")["passenger_capacity"].mean().reset_index()


def draw_passenger_capacity(capacity: pd.DataFrame) -> Figure:
    figure, axes = pyplot.subplots(layout="constrained")
    axes.barh(capacity["shuttle_type"], capacity["passenger_capacity"])
    axes.set(xlabel="Average passenger capacity", title="Shuttle passenger capacity")
    return figure


def draw_prices(
    regressor: LinearRegression,
    X_test: pd.DataFrame,  # noqa: N803
    y_test: pd.DataFrame,
) -> Figure:
    """Each price against the one that the model has for it."""
    figure, axes = pyplot.subplots(layout="constrained")
    axes.scatter(y_test["price"], regressor.predict(X_test))
    axes.set(xlabel="price", ylabel="predicted")
    return figure
