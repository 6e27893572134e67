"""The steps on a few customers: whom they leave out, and what they split, learn and measure."""

import numpy as np
import pandas as pd
import pytest
from flows.training import steps


@pytest.fixture
def raw() -> pd.DataFrame:
    """Two hundred customers, of whom those leave who call the service, and one without a bill."""
    numbers = {column: np.linspace(1.0, 2.0, 200) for column in steps.NUMBERS}
    table = pd.DataFrame({
        "customer": range(200), "region": "north", "age_group": ["under 30", "60 and over"] * 100,
        "plan": ["prepaid", "yearly"] * 100, "international_plan": "no", "voicemail": "no",
        **numbers, "churned": 0,
    })  # fmt: skip
    table.loc[table["customer"] % 5 == 0, ["service_calls", "churned"]] = [6.0, 1]
    return pd.concat([table, table.tail(1).assign(monthly_charge=None)], ignore_index=True)


def test_who_has_no_bill_is_left_out(raw: pd.DataFrame) -> None:
    whole = steps.clean(raw)
    assert len(whole) == len(raw) - 1
    assert not whole.isna().any(axis=None)


def test_the_parts_are_alike_and_share_nobody(raw: pd.DataFrame) -> None:
    parts = steps.prepare(raw, test_size=0.25)
    assert parts["test"]["churned"].mean() == parts["train"]["churned"].mean() == 0.2
    assert not set(parts["train"]["customer"]) & set(parts["test"]["customer"])


def test_the_model_learns_without_age_or_region_and_is_measured(raw: pd.DataFrame) -> None:
    parts = steps.prepare(raw, test_size=0.25)
    model = steps.train(parts["train"], learning_rate=0.1)
    assert not {"age_group", "region"} & set(model.feature_names_in_)
    made = steps.evaluate(model, parts["test"], threshold=0.5)
    assert made["metrics"]["roc_auc"] == made["metrics"]["recall"] == 1
    assert made["customers"]["offer"].sum() == 10
    assert set(made["confusion"]["predicted"]) == {"stayed", "left"}


def test_the_likeliest_are_asked_first() -> None:
    customers = pd.DataFrame({"chance": np.linspace(0, 1, 100), "churned": [0] * 90 + [1] * 10})
    reached = steps.gains(customers).set_index("asked")["reached"]
    assert (reached[0.0], reached[0.05], reached[0.1], reached[1.0]) == (0, 0.5, 1, 1)
