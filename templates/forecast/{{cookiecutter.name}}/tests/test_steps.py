"""The steps on a small table: what they leave out, split, learn and choose."""

import numpy as np
import pandas as pd
import pytest
from flows.training import steps


@pytest.fixture
def raw() -> pd.DataFrame:
    """Twelve weeks with a rush each morning, and one hour of which nothing is known."""
    hours = pd.date_range("2018-01-01", periods=12 * steps.WEEK, freq="h")
    noise = np.random.default_rng(0).normal(0, 50, len(hours))
    table = pd.DataFrame({
        "datetime": hours, "clouds_all": 20.0, "rain_1h": 0.0, "temp": 280.0,
        "traffic_volume": 1000.0 + 3000 * (hours.hour == 8) + noise,
    })  # fmt: skip
    table.loc[700, ["clouds_all", "rain_1h", "temp", "traffic_volume"]] = np.nan
    return table


def test_the_parts_follow_each_other(raw: pd.DataFrame) -> None:
    parts = steps.prepare(raw)
    assert (len(parts["valid"]), len(parts["test"])) == (steps.WEEK, steps.WEEK)
    assert parts["history"]["datetime"].max() < parts["valid"]["datetime"].min()
    assert parts["valid"]["datetime"].max() < parts["test"]["datetime"].min()
    assert not parts["history"].isna().any().any()


def test_a_window_is_forecast_from_what_lies_before_it(raw: pd.DataFrame) -> None:
    history = steps.prepare(raw)["history"]
    late = history["datetime"].max() - pd.Timedelta(weeks=1)
    changed = history.copy()
    changed.loc[changed["datetime"] > late, steps.TARGET] = 0
    assert steps.backtest(history, "ridge", 2) == steps.backtest(changed, "ridge", 2)


def test_the_model_with_the_least_mean_error_wins() -> None:
    cells = [
        {"model": model, "window": window, "value": {"mae": mae}}
        for model, window, mae in [("a", 1, 3.0), ("a", 2, 3.0), ("b", 1, 1.0), ("b", 2, 4.0)]
    ]
    assert steps.choose(cells)["winner"] == {"model": "b", "mae": 2.5}


@pytest.mark.parametrize("model", ["ridge", "boosted"])
def test_the_model_learns_and_is_measured(raw: pd.DataFrame, model: str) -> None:
    parts = steps.prepare(raw)
    tried = steps.tune(parts["history"], parts["valid"], model, strength=1.0, weeks=2)
    made = steps.evaluate(tried["model"], parts["test"])
    assert made["metrics"]["mae"] < 100
    assert len(made["forecast"]) == made["metrics"]["hours"] == steps.WEEK
