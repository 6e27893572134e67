"""The steps on a small table: what they leave out, split, learn and measure."""

import numpy as np
import pandas as pd
import pytest
from flows.training import steps


@pytest.fixture
def raw() -> pd.DataFrame:
    """A hundred animals whose rings follow their height, and one with a height of 0."""
    height = np.linspace(0.05, 0.25, 100)
    table = pd.DataFrame({"sex": "I", "height": height, "rings": (height * 80).round().astype(int)})
    return pd.concat([table, pd.DataFrame({"sex": ["I"], "height": [0.0], "rings": [8]})])


def test_rows_without_height_are_left_out(raw: pd.DataFrame) -> None:
    whole = steps.clean(raw)
    assert len(whole) == len(raw) - 1
    assert (whole["height"] > 0).all()


def test_the_parts_share_no_row(raw: pd.DataFrame) -> None:
    parts = steps.prepare(raw, test_size=0.25)
    assert (len(parts["train"]), len(parts["test"])) == (75, 25)
    assert not set(parts["train"].index) & set(parts["test"].index)


def test_the_model_learns_and_is_measured(raw: pd.DataFrame) -> None:
    parts = steps.prepare(raw, test_size=0.25)
    model = steps.train(parts["train"], learning_rate=0.1)
    made = steps.evaluate(model, parts["test"])
    guess = ((parts["test"]["rings"] - parts["train"]["rings"].mean()) ** 2).mean()
    assert made["metrics"]["mse"] < guess
    assert len(made["residuals"]) == made["metrics"]["rows"] == 25


def test_the_same_data_give_the_same_model(raw: pd.DataFrame) -> None:
    parts = steps.prepare(raw, test_size=0.25)
    first, second = (steps.train(parts["train"], learning_rate=0.1) for _ in range(2))
    seen = parts["test"].drop(columns="rings")
    assert (first.predict(seen) == second.predict(seen)).all()
