"""Groups held against each other; fairlearn judges the numbers."""

from __future__ import annotations

import json
import math

import numpy
import pandas
import pytest

from towpath.errors import Refused, StepFailed
from towpath.steps.bias_measures import (
    RATES,
    OutcomeCounts,
    Proportion,
    difference_interval,
    measure_bias,
    ratio_interval,
)

LIBRARIES = ("pandas", "sklearn.linear_model", "skops.io")
STEPS = """
    import pandas as pd
    from sklearn.linear_model import LogisticRegression

    def fit(table: pd.DataFrame):
        return LogisticRegression().fit(table[["score"]], table.hired)
"""
RANDOM = numpy.random.default_rng(3)
SEX = RANDOM.choice(["F", "M"], 600, p=[0.4, 0.6])
SCORE = RANDOM.normal(0, 1, 600) + (SEX == "M") * 0.6
TABLE = pandas.DataFrame(
    {
        "sex": SEX,
        "region": RANDOM.choice(["n", "s", "w"], 600),
        "score": SCORE.round(3),
        "hired": (SCORE + RANDOM.normal(0, 0.7, 600) > 0.4).astype(int),
        "said": (SCORE > 0.5).astype(int),
    }
)


@pytest.fixture
def project(warm_project):
    warm_project.lines.clear()
    return warm_project


def order(project, table=TABLE, arguments=None, **step):
    data = project.put("rows.csv", table.to_csv(index=False))
    declared = {"group": "sex", "label": "hired", "inputs": {"data": "rows"}, **step}
    return project.order(
        None, (), {"data": data, **(arguments or {})}, kind="bias_check", **declared
    )


def check(project, table=TABLE, arguments=None, **step):
    made = project.call(order(project, table, arguments, **step))
    return json.loads(project.read(made.outputs["result"]))


def test_the_numbers_are_those_of_fairlearn(project):
    from fairlearn import metrics

    result = check(project, prediction="said", group=["sex", "region"])
    for column in ("sex", "region"):
        by_name = {
            "positive_predictions": metrics.selection_rate,
            "recall": metrics.true_positive_rate,
            "specificity": metrics.true_negative_rate,
            "accuracy": lambda true, said: (true == said).mean(),
            "positive_labels": lambda true, said: (true + 0 * said).mean(),
        }
        frame = metrics.MetricFrame(
            metrics=by_name, y_true=TABLE.hired, y_pred=TABLE.said,
            sensitive_features=TABLE[column],
        )  # fmt: skip
        for group, rates in frame.by_group.iterrows():
            for name, value in rates.items():
                assert result["groups"][column][group][name]["value"] == pytest.approx(value)
    judged = {
        "positive_difference": metrics.demographic_parity_difference,
        "recall_difference": metrics.equal_opportunity_difference,
    }
    measures = result["measures"]["sex"]["F"]
    assert measures["against"] == "M"  # of two groups the larger is the reference
    for name, judge in judged.items():
        expected = judge(TABLE.hired, TABLE.said, sensitive_features=TABLE.sex)
        assert abs(measures[name]["value"]) == pytest.approx(expected)
        assert measures[name]["low"] < measures[name]["value"] < measures[name]["high"]
    ratio = metrics.demographic_parity_ratio(TABLE.hired, TABLE.said, sensitive_features=TABLE.sex)
    assert measures["disparate_impact"]["value"] == pytest.approx(ratio)
    assert result["worst"]["disparate_impact"] == pytest.approx(ratio)
    assert result["measures"]["region"]["n"]["against"] == "the others"


def test_the_measures_are_what_clarify_says():
    group, reference = OutcomeCounts(20, 10, 5, 15), OutcomeCounts(60, 20, 10, 30)
    values = {
        name: measure.value
        for name, measure in measure_bias(group, reference, predicted=True).items()
    }
    assert values == pytest.approx(
        {
            "class_imbalance": 70 / 170,
            "label_difference": 70 / 120 - 25 / 50,
            "kl_divergence": 7 / 12 * math.log(7 / 6) + 5 / 12 * math.log(5 / 6),
            "js_divergence": 0.5 * (
                7 / 12 * math.log((7 / 12) / (13 / 24)) + 5 / 12 * math.log((5 / 12) / (11 / 24))
                + 0.5 * math.log(0.5 / (13 / 24)) + 0.5 * math.log(0.5 / (11 / 24))
            ),
            "total_variation": 70 / 120 - 25 / 50,
            "positive_difference": 80 / 120 - 30 / 50,
            "disparate_impact": (30 / 50) / (80 / 120),
            "recall_difference": 60 / 70 - 20 / 25,
            "specificity_difference": 15 / 25 - 30 / 50,
            "precision_difference": 60 / 80 - 20 / 30,
            "rejection_difference": 15 / 20 - 30 / 40,
            "accuracy_difference": 90 / 120 - 35 / 50,
            "conditional_acceptance": 70 / 80 - 25 / 30,
            "conditional_rejection": 25 / 20 - 50 / 40,
            "treatment_equality": 5 / 10 - 10 / 20,
        }
    )  # fmt: skip
    rests_on = measure_bias(OutcomeCounts(3, 1, 500, 600), reference, predicted=True)
    names = ("conditional_acceptance", "conditional_rejection", "treatment_equality")
    assert [rests_on[name].rows for name in names] == [4, 40, 1]
    nobody = measure_bias(OutcomeCounts(), reference, predicted=True)["recall_difference"]
    assert (nobody.value, nobody.interval, nobody.rows) == (None, None, 0)
    assert measure_bias(group, OutcomeCounts(0, 0, 3, 3), predicted=True)[
        "disparate_impact"
    ].value is None  # fmt: skip


def test_intervals_are_those_of_the_books():
    # Newcombe 1998, table II, method 10: 56/70 against 48/80, and 9/10 against 3/10.
    assert Proportion(81, 263).interval == pytest.approx((0.2553, 0.3662), abs=1e-4)
    found = difference_interval(Proportion(56, 70), Proportion(48, 80))
    assert found == pytest.approx((0.0524, 0.3339), abs=1e-4)
    found = difference_interval(Proportion(9, 10), Proportion(3, 10))
    assert found == pytest.approx((0.1705, 0.8090), abs=1e-4)
    assert Proportion(0, 0).interval is None
    from scipy.stats import binomtest

    wilson = binomtest(7, 50).proportion_ci(method="wilson")
    assert Proportion(7, 50).interval == pytest.approx((wilson.low, wilson.high))
    low, high = ratio_interval(Proportion(0, 40), Proportion(20, 40))
    assert 0 == low < high < 1
    assert set(RATES) >= {"recall", "precision"}


def test_bounds_are_held_and_a_small_group_is_told(project):
    bounds = {"disparate_impact": 0.8, "DPL": 0.5}
    refused_order = order(project, prediction="said", bounds=bounds)
    with pytest.raises(Refused) as refused:
        project.call(refused_order)
    assert refused.value.exit_code == 3
    first, last = map(str, refused.value.faults)
    rule = (
        "expected that `sex`, F against M: disparate impact (DI) is at least 0.8 and at most 1.25"
    )
    assert first.startswith(f"{rule}, but it is 0.")
    assert "with 95 % between" in first
    assert last.startswith("the page is .towpath/runs/")
    page = (refused_order.directory / "page.html").read_text()
    assert "F against M" in page and "recall difference (RD)" in page

    few = pandas.concat([TABLE, TABLE[:8].assign(region="e", said=0)])
    result = check(
        project, few, group="region", prediction="said", reference="n",
        bounds={"DI": {"at_least": 0.1}},
    )  # fmt: skip
    assert result["passed"]
    assert result["counts"] == {"passed": True, "held": 2, "failed": 0, "warned": 1}
    assert result["measures"]["region"]["e"]["disparate_impact"]["small"]
    assert any("it rests on 8 rows, too few to say" in line for line in project.lines)
    only_few = order(project, few[-8:].assign(sex=["F", "M"] * 4), bounds={"DPL": 1})
    with pytest.raises(Refused, match="what cannot be judged has not passed"):
        project.call(only_few)


def test_a_model_predicts_and_labels_alone_suffice(project):
    table = project.put("rows.csv", TABLE.to_csv(index=False))
    trained = project.carry_out("fit", ["model.skops"], {"table": table}, kind="training")
    arguments = {"model": trained.outputs["model"]}
    inputs = {"data": "rows", "model": "train.model"}
    result = check(project, arguments=arguments, inputs=inputs)
    assert 0.2 < result["worst"]["disparate_impact"] < 0.9
    before = check(project)
    assert list(before["worst"]) == [
        "class_imbalance", "label_difference", "kl_divergence", "js_divergence", "total_variation",
    ]  # fmt: skip
    assert before["groups"]["sex"]["F"].keys() == {"rows", "positive_labels"}
    words = TABLE.assign(hired=TABLE.hired.map({0: "no", 1: "yes"}))
    assert check(project, words, positive="yes")["worst"] == before["worst"]
    probable = TABLE.assign(said=TABLE.said * 0.6 + 0.2)
    with pytest.raises(
        StepFailed, match="the model's prediction holds 0, 1; `hired` holds no, yes"
    ):
        check(project, words, arguments, inputs=inputs, positive="yes")
    assert check(project, words.assign(said="no"), prediction="said", positive="yes")
    by_threshold = check(project, probable, prediction="said", threshold=0.5)
    assert by_threshold["worst"] == check(project, prediction="said")["worst"]


FAULTS = {
    "a group column that is missing": (TABLE, {"group": "sexx"}, r"`sexx`.*\(did you mean `sex`"),
    "one value": (TABLE[TABLE.sex == "F"], {}, "`sex` has one value, F: there are no groups"),
    "no rows": (TABLE[:0], {}, "the table has no rows"),
    "other labels": (
        TABLE.assign(hired=TABLE.hired + 1),
        {},
        r"`hired` holds 2, and not 0 and 1 alone \(say which .*`positive: 2`",
    ),
    "a label that is missing": (
        TABLE.assign(hired=TABLE.hired.where(TABLE.index > 3)),
        {},
        "`hired` has no value in 4 of 600 rows",
    ),
    "an all-null column": (TABLE.assign(said=None), {"prediction": "said"}, "`said` has no value"),
    "probabilities": (
        TABLE.assign(said=0.3),
        {"prediction": "said"},
        "if these are probabilities, say from which on they are positive",
    ),
    "a typo in positive": (
        TABLE.assign(hired=TABLE.hired.map({0: "no", 1: "yes"})),
        {"positive": "yess"},
        r"no row has `hired` yess \(did you mean `yes`",
    ),
    "predictions of another kind than the labels": (
        TABLE.assign(hired=TABLE.hired.map({0: "no", 1: "yes"})),
        {"positive": "yes", "prediction": "said"},
        "`said` holds 0, 1; `hired` holds no, yes",
    ),
    "no groups": (TABLE.assign(sex=range(600)), {}, "`sex` has more than 100 values"),
    "a reference that is none": (TABLE, {"reference": "m"}, r"no group `m` \(it has F, M"),
    "a threshold of text": (
        TABLE.assign(said="x"),
        {"prediction": "said", "threshold": 0.5},
        "`said` holds what is no number",
    ),
}


@pytest.mark.parametrize(("table", "step", "words"), FAULTS.values(), ids=FAULTS)
def test_bad_tables_are_told(project, table, step, words):
    with pytest.raises(StepFailed, match=words):
        project.call(order(project, table, **step))


def test_rows_without_a_group_are_a_group(project):
    table = TABLE.assign(sex=TABLE.sex.where(TABLE.index > 50), region=TABLE.region.astype("str"))
    assert check(project, table)["groups"]["sex"]["(none)"]["rows"] == 51
