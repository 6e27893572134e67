"""The steps of the training pipeline: plain functions on plain tables."""

from __future__ import annotations

import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import Ridge
from sklearn.metrics import mean_absolute_error
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

TARGET = "traffic_volume"
WEEK = 7 * 24  # hours
CALENDAR = ["hour_of_week"]
WEATHER = ["temp", "rain_1h", "clouds_all"]
WEEKS_BACK = 4


def features(raw: pd.DataFrame) -> pd.DataFrame:
    """One row an hour: its place in the week, the weather, and the traffic of the same hour in
    each of the four weeks before. Hours of which something is missing are left out."""
    hours = raw.set_index(pd.to_datetime(raw["datetime"]))
    table = hours[WEATHER].copy()
    table["hour_of_week"] = hours.index.day_of_week * 24 + hours.index.hour
    for weeks in range(1, WEEKS_BACK + 1):
        table[before(weeks)] = hours[TARGET].shift(weeks * WEEK)
    table[TARGET] = hours[TARGET]
    whole = table.dropna()
    print(f"{len(table) - len(whole)} of {len(table)} hours left out: something is missing")
    return whole


def before(weeks: int) -> str:
    """The column with the traffic of so many weeks before."""
    return f"weeks_before_{weeks}"


def prepare(raw: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The last week is kept for the evaluation, the one before it for the search."""
    table = features(raw)
    end = table.index.max()
    weeks_left = (end - table.index) // pd.Timedelta(weeks=1)
    return {
        "history": table[weeks_left >= 2].reset_index(),
        "valid": table[weeks_left == 1].reset_index(),
        "test": table[weeks_left == 0].reset_index(),
    }


def make_model(model: str, strength: float, weeks: int) -> Pipeline:
    """A model that is not fitted yet; ``strength`` is that of its regularisation, ``weeks`` how many
    of the weeks before it is shown."""
    lags = [before(week) for week in range(1, weeks + 1)]
    if model == "ridge":
        columns = make_column_transformer(
            (OneHotEncoder(handle_unknown="ignore"), CALENDAR), (StandardScaler(), WEATHER + lags)
        )
        return make_pipeline(columns, Ridge(alpha=strength))
    columns = make_column_transformer(("passthrough", CALENDAR + WEATHER + lags))
    boosted = HistGradientBoostingRegressor(l2_regularization=strength, random_state=0)
    return make_pipeline(columns, boosted)


def seen(table: pd.DataFrame) -> pd.DataFrame:
    """What a model may see of a table."""
    return table.drop(columns=[TARGET, "datetime"], errors="ignore")


def backtest(history: pd.DataFrame, model: str, window: int) -> dict[str, float]:
    """Fit on what lies before a week of the past, ``window`` weeks before the end, and forecast it."""
    end = history["datetime"].max() - pd.Timedelta(weeks=window - 1)
    begin = end - pd.Timedelta(weeks=1)
    train = history[history["datetime"] <= begin]
    week = history[(history["datetime"] > begin) & (history["datetime"] <= end)]
    fitted = make_model(model, 1.0, WEEKS_BACK).fit(seen(train), train[TARGET])
    return {"mae": float(mean_absolute_error(week[TARGET], fitted.predict(seen(week))))}


def choose(scores: list) -> dict[str, object]:
    """The model whose mean error over all windows is the least."""
    table = pd.DataFrame(
        {"model": cell["model"], "window": cell["window"], "mae": cell["value"]["mae"]}
        for cell in scores
    )
    means = table.groupby("model")["mae"].mean()
    print(means.to_string())
    winner = str(means.idxmin())
    return {"winner": {"model": winner, "mae": float(means[winner])}, "scores": table}


def tune(
    history: pd.DataFrame, valid: pd.DataFrame, winner: str, strength: float, weeks: int
) -> dict[str, object]:
    """One trial: fit the winner with other values, and forecast the week of the search."""
    fitted = make_model(winner, strength, weeks).fit(seen(history), history[TARGET])
    mae = float(mean_absolute_error(valid[TARGET], fitted.predict(seen(valid))))
    return {"model": fitted, "score": {"mae": mae}}


def evaluate(model: Pipeline, test: pd.DataFrame) -> dict[str, object]:
    """Measure the model on the last week, beside who says that all will be as the week before."""
    actual, forecast = test[TARGET], model.predict(seen(test))
    metrics = {
        "mae": float(mean_absolute_error(actual, forecast)),
        "naive_mae": float(mean_absolute_error(actual, test[before(1)])),
        "hours": len(test),
    }
    table = pd.DataFrame({"datetime": test["datetime"], "traffic": actual, "forecast": forecast})
    return {"metrics": metrics, "forecast": table}
