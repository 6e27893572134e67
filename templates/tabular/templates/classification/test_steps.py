"""The steps on a small table: what they leave out, split, learn and measure."""

import numpy as np
import pandas as pd
import pytest
from flows.training import steps


@pytest.fixture
def raw() -> pd.DataFrame:
    """Two species of forty that differ in weight, and one animal that was not measured."""
    measured = {column: np.linspace(1.0, 2.0, 80) for column in steps.MEASURED}
    table = pd.DataFrame({"species": ["Adelie"] * 40 + ["Gentoo"] * 40, "sex": "male", **measured})
    return pd.concat([table, pd.DataFrame({"species": ["Adelie"], "sex": [None]})])


def test_animals_that_were_not_measured_are_left_out(raw: pd.DataFrame) -> None:
    whole = steps.clean(raw)
    assert len(whole) == len(raw) - 1
    assert not whole.isna().any(axis=None)


def test_each_species_is_split_alike(raw: pd.DataFrame) -> None:
    parts = steps.prepare(raw, test_size=0.25)
    assert parts["test"]["species"].value_counts().to_dict() == {"Adelie": 10, "Gentoo": 10}
    assert not set(parts["train"].index) & set(parts["test"].index)


def test_the_model_learns_and_is_measured(raw: pd.DataFrame) -> None:
    parts = steps.prepare(raw.replace("Chinstrap", "Gentoo"), test_size=0.25)
    model = steps.train(parts["train"], strength=1.0)
    predicted = model.predict(parts["test"][steps.MEASURED])
    assert (predicted == parts["test"]["species"]).mean() > 0.9


def test_three_species_are_measured(raw: pd.DataFrame) -> None:
    raw["species"] = ["Adelie", "Chinstrap", "Gentoo"] * 27
    parts = steps.prepare(raw, test_size=0.25)
    made = steps.evaluate(steps.train(parts["train"], strength=1.0), parts["test"])
    assert 0 <= made["metrics"]["accuracy"] <= 1
    assert len(made["predictions"]) == made["metrics"]["rows"] == len(parts["test"])
