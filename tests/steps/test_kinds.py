"""The kinds that do more than call a function: training, quality_check, batch_transform, and the
two that the run itself carries out."""

from __future__ import annotations

import importlib
import json

import pandas
import pytest
from msgspec.structs import replace
from pydantic import TypeAdapter

from towpath.config.expression import parse_condition, parse_message
from towpath.config.pipeline_declaration import AnyStep
from towpath.errors import Refused, StepFailed
from towpath.steps import kinds
from towpath.steps.model_io import fitted_signature

LIBRARIES = ("pandas", "pyarrow.parquet", "sklearn.linear_model", "skops.io")
STEPS = """
    import pandas as pd
    from sklearn.linear_model import LinearRegression, LogisticRegression

    def fit(table: pd.DataFrame):
        return LinearRegression().fit(table[["height", "size"]], table.rings)

    def classify(table: pd.DataFrame):
        return LogisticRegression().fit(table[["height", "size"]], table.sex)

    def bare(table: pd.DataFrame):
        return LinearRegression().fit(table[["height", "size"]].to_numpy(), table.rings)

    def encoded(table: pd.DataFrame):
        return LinearRegression().fit(pd.get_dummies(table[["height", "sex"]]), table.rings)
"""
RAW = "sex,height,rings\nF,0.1,9\nM,0.2,10\nI,0.0,3\nF,,7\n"
SUITE = """
    name: raw
    description: What the sea gives.
    expectations:
      - {type: expect_column_values_to_be_in_set, column: sex, value_set: [F, M, I]}
      - type: expect_column_values_to_be_between
        column: height
        min_value: 0
        strict_min: true
        meaning: No animal has a height of 0.
      - {type: expect_column_values_to_not_be_null, column: height, severity: warning}
      - {type: expect_column_to_exist, column: heigth}
"""


@pytest.fixture
def project(warm_project):
    """The project of all these tests; of each its own lines."""
    warm_project.lines.clear()
    return warm_project


def check(project, **step):
    project.write("flows/training/expectations/raw.yaml", SUITE)
    data = project.put("raw.csv", RAW)
    order = project.order(
        None, (), {"data": data}, kind="quality_check", inputs={"data": "raw"},
        expectations="expectations/raw.yaml", **step,
    )  # fmt: skip
    return data, order


def test_a_check_that_fails_says_column_rule_count_and_rows(project):
    _, order = check(project)
    with pytest.raises(Refused) as refused:
        project.call(order)
    assert refused.value.exit_code == 3
    first, second, last = map(str, refused.value.faults)
    assert first == (
        "flows/training/expectations/raw.yaml:5: expected that `height` is above 0, "
        "but 1 of 4 rows is not (33.3 %): row 2: height 0.0"
    )
    assert "there is no column `heigth` (did you mean `height`?)" in second
    assert last == f"the check's page is {order.directory.relative_to(project.root)}/page.html"
    assert (order.directory / "page.html").read_text().count("<article") == 4
    assert project.lines[0] == "held   `sex` is one of F, M, I"
    assert project.lines[1].startswith("FAILED expected that `height` is above 0")


def test_a_check_that_only_reports_hands_on_the_same_bytes(project):
    data, order = check(project, must_pass=False)
    made = project.call(order)
    assert made.outputs["data"] == data
    assert made.facts["check"] == {"passed": False, "held": 1, "failed": 2, "warned": 1}
    result = json.loads(project.read(made.outputs["result"]))
    assert result == made.values["result"]
    assert result["counts"] == {"expectations": 4, "held": 1, "failed": 2, "warned": 1}
    [sample] = result["expectations"][1]["samples"]
    assert sample == {"index": 2, "values": {"sex": "I", "height": 0.0, "rings": 3}}
    assert project.call(check(project, must_pass=False)[1]).outputs == made.outputs
    page = project.read(made.outputs["page"]).decode()
    for word in ("What the sea gives.", "No animal has a height of 0.", "heigth", "raw.yaml:5"):
        assert word in page
    assert "http" not in page.replace("http-equiv", "")  # it needs nothing from elsewhere


def test_a_check_looks_at_tables_only(project):
    project.write("flows/training/expectations/raw.yaml", SUITE)
    order = project.order(
        None, (), {"data": project.put("a.txt", "x")}, kind="quality_check",
        inputs={"data": "raw"}, expectations="expectations/raw.yaml",
    )  # fmt: skip
    with pytest.raises(StepFailed, match=r"a\.txt is no table that a check can look at"):
        project.call(order)


TABLE = pandas.DataFrame(
    {
        "sex": ["F", "M", "F", "M", "F"],
        "height": [0.1, 0.2, 0.3, 0.4, 0.5],
        "size": [1, 2, 3, 4, 6],
        "rings": [3, 5, 7, 9, 11],
    }
)


@pytest.fixture
def trained(project, tmp_path):
    TABLE.to_parquet(tmp_path / "table.parquet")
    table = project.put("table.parquet", (tmp_path / "table.parquet").read_bytes())

    def train(function):
        made = project.carry_out(function, ["model.skops"], {"table": table}, kind="training")
        return made.outputs["model"], made.facts["signature"]["model"]

    return train


def test_a_training_leaves_what_the_model_takes_and_gives(trained):
    takes = [{"name": "height", "type": "number"}, {"name": "size", "type": "integer"}]
    assert trained("fit")[1] == {
        "model": "sklearn.LinearRegression",
        "inputs": takes,
        "outputs": [{"name": "prediction", "type": "number"}],
    }
    signature = trained("classify")[1]
    assert signature["inputs"] == takes
    assert signature["outputs"] == [{"name": "prediction", "type": "string"}]
    assert signature["classes"] == ["F", "M"]
    bare = trained("bare")[1]
    assert (bare["inputs"], bare["outputs"], bare["features"]) == ("unknown", "unknown", 2)
    names = [(c["name"], c["type"]) for c in trained("encoded")[1]["inputs"]]
    assert names == [("height", "unknown"), ("sex_F", "unknown"), ("sex_M", "unknown")]


def transform(project, model, data, output="scored.csv", **step):
    return project.order(
        None, [output], {"model": model, "data": data}, kind="batch_transform",
        inputs={"model": "train.model", "data": "new"}, **step,
    )  # fmt: skip


def test_scoring_puts_the_prediction_beside_the_rows(project, trained):
    new = project.put("new.csv", "id,size,height\na,1,0.1\nb,2,0.2\n")
    made = project.call(transform(project, trained("fit")[0], new))
    rows = project.read(made.outputs["scored"]).decode().splitlines()
    assert rows[0] == "id,size,height,prediction"
    assert [row.split(",")[0] for row in rows[1:]] == ["a", "b"]
    assert made.facts["rows"] == 2
    assert project.lines[-1] == "2 rows scored"


@pytest.mark.parametrize("name", ["new.csv", "new.parquet"])
def test_batches_give_what_the_whole_gives(project, trained, tmp_path, name):
    table = pandas.DataFrame({"size": range(1, 26), "height": [n / 10 for n in range(25)]})
    getattr(table, f"to_{name[4:]}")(tmp_path / name, index=False)
    new = project.put(name, (tmp_path / name).read_bytes())
    model = trained("classify")[0]
    for output in ("scored.csv", "scored.parquet", "scored.tsv"):
        whole, *parts = (
            scored(project, transform(project, model, new, output, **said))
            for said in ({}, {"batch_size": 7}, {"batch_size": 1000})
        )
        assert list(whole.columns) == ["size", "height", "probability_F", "probability_M"]
        for part in parts:
            pandas.testing.assert_frame_equal(part, whole, rtol=1e-12)


def scored(project, order):
    """The table that a transform made, which asks for probabilities."""
    order = replace(order, step=order.step.model_copy(update={"method": "predict_proba"}))
    made = project.call(order).outputs["scored"]
    path = project.store.path(made.digest)
    if made.name.endswith("parquet"):
        return pandas.read_parquet(path)
    return pandas.read_csv(path, sep="\t" if made.name.endswith("tsv") else ",")


def test_what_a_model_cannot_score(project, trained):
    model = trained("fit")[0]
    new = project.put("new.csv", "heigth,sise\n1,2\n")
    with pytest.raises(StepFailed) as failure:
        project.call(transform(project, model, new))
    assert [str(fault) for fault in failure.value.faults] == [
        "the model takes `height`, which the table does not have (did you mean `heigth`?)",
        "the model takes `size`, which the table does not have (did you mean `sise`?)",
    ]
    taken = project.put("new.csv", "height,size,prediction\n1,2,3\n")
    without_rows = project.put("none.csv", "height,size,prediction\n")
    for table in (taken, without_rows):
        with pytest.raises(StepFailed, match="the table has a column `prediction` already"):
            project.call(transform(project, model, table))
    with pytest.raises(
        StepFailed, match="the model takes 2 columns without names, the table has 3"
    ):
        project.call(transform(project, trained("bare")[0], taken))
    with pytest.raises(StepFailed, match="a LinearRegression has no `predict_proba`"):
        project.call(transform(project, model, taken, method="predict_proba"))
    with pytest.raises(StepFailed, match=r"scored\.txt is no table"):
        project.call(transform(project, model, new, "scored.txt"))


def test_an_empty_table_scores_to_an_empty_table(project, trained, tmp_path):
    TABLE.head(0).to_parquet(tmp_path / "new.parquet")
    new = project.put("new.parquet", (tmp_path / "new.parquet").read_bytes())
    made = project.call(transform(project, trained("fit")[0], new, batch_size=10))
    assert project.read(made.outputs["scored"]) == b"sex,height,size,rings,prediction\n"


def step(**said):
    return TypeAdapter(AnyStep).validate_python(said)


def test_a_condition_and_a_failure_speak_of_what_was_made():
    data = {"evaluate.metrics": {"mse": 4.7}, "max_mse": 6.0}
    gate = step(**{"kind": "condition", "if": "evaluate.metrics.mse <= max_mse", "then": ["a"]})
    assert parse_condition(gate.expression).evaluate(data.__getitem__) is True
    message = step(kind="fail", message="mse {evaluate.metrics.mse:.1f} is above {max_mse}")
    assert parse_message(message.message).fill(data.__getitem__) == "mse 4.7 is above 6.0"
    data["evaluate.metrics"] = {"mse": float("nan")}
    with pytest.raises(StepFailed):
        parse_condition(gate.expression).evaluate(data.__getitem__)


def test_the_table_of_kinds_names_modules_that_are_there():
    for module in kinds.IN_A_PROCESS.values():
        assert callable(importlib.import_module(module).execute)


def test_a_booster_that_answers_by_methods_has_a_signature():
    lightgbm = pytest.importorskip("lightgbm")
    table = pandas.DataFrame({"size": range(40), "age": [n % 7 for n in range(40)]})
    target = table["size"] * 2.0
    options = {"verbose": -1, "min_data_in_leaf": 1, "num_threads": 1}
    booster = lightgbm.train(options, lightgbm.Dataset(table, target), 2)
    assert fitted_signature.signature_of_model(booster, [table]) == {
        "model": "lightgbm.Booster",
        "inputs": [{"name": "size", "type": "integer"}, {"name": "age", "type": "integer"}],
        "outputs": [{"name": "prediction", "type": "number"}],
    }
    unnamed = lightgbm.train(options, lightgbm.Dataset(table.to_numpy(), target), 2)
    assert fitted_signature.signature_of_model(unnamed)["inputs"] == "unknown"
    assert fitted_signature.signature_of_model(unnamed)["features"] == 2


def test_names_come_from_wherever_a_model_keeps_them():
    class Booster:
        def feature_name(self):
            return ["size", "age"]

        def num_feature(self):
            return 2

    class Unnamed(Booster):
        def feature_name(self):
            return ["Column_0", "Column_1"]

    assert fitted_signature.feature_names(Booster()) == ["size", "age"]
    assert (
        fitted_signature.feature_names(Unnamed()),
        fitted_signature.feature_count(Unnamed()),
    ) == ([], 2)
