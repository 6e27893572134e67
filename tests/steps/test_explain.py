"""A model explained: its importances, the effects on each row, the plot."""

from __future__ import annotations

import io
import xml.etree.ElementTree as ET

import numpy
import pandas
import pytest

from command_line import run_python
from towpath.errors import StepFailed
from towpath.steps.explanation import draw_bars, draw_rows

LIBRARIES = (
    "pandas", "pyarrow.parquet", "sklearn.ensemble", "sklearn.linear_model", "skops.io",
)  # fmt: skip
STEPS = """
    import pandas as pd
    from sklearn.compose import make_column_transformer
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LinearRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    def line(table: pd.DataFrame):
        return LinearRegression().fit(table[["near", "far", "none"]], table.y)

    def bare(table: pd.DataFrame):
        return LinearRegression().fit(table[["near", "far", "none"]].to_numpy(), table.y)

    def forest(table: pd.DataFrame):
        model = RandomForestClassifier(20, random_state=0)
        return model.fit(table[["near", "far", "none"]], table.kind)

    def mixed(table: pd.DataFrame):
        encoder = make_column_transformer((OneHotEncoder(), ["sex"]), remainder="passthrough")
        return make_pipeline(encoder, LinearRegression()).fit(table[["sex", "near"]], table.y)
"""
RANDOM = numpy.random.default_rng(1)
TABLE = pandas.DataFrame(RANDOM.normal(size=(300, 3)), columns=["near", "far", "none"])
TABLE["sex"] = RANDOM.choice(["F", "M"], 300)
TABLE["y"] = 3 * TABLE.near + TABLE.far + (TABLE.sex == "F")
TABLE["kind"] = numpy.select([TABLE.y > 1, TABLE.y > -1], ["a", "b"], "c")


@pytest.fixture
def project(warm_project):
    warm_project.lines.clear()
    return warm_project


@pytest.fixture
def explain(project):
    def carry_out(function, table=TABLE, **step):
        rows = project.put("rows.csv", TABLE.to_csv(index=False))
        model = project.carry_out(function, ["model.skops"], {"table": rows}, kind="training")
        arguments = {
            "model": model.outputs["model"],
            "data": project.put("data.csv", table.to_csv(index=False)),
        }
        inputs = {"model": "train.model", "data": "data"}
        order = project.order(None, (), arguments, kind="explain", inputs=inputs, **step)
        made = project.call(order)
        rows = pandas.read_parquet(io.BytesIO(project.read(made.outputs["rows"])))
        return made, made.values["importance"], rows

    return carry_out


def test_permutation_tells_what_the_model_goes_by(explain, project):
    made, document, rows = explain("line", target="y", rows=200)
    assert list(document["features"]) == ["near", "far", "none"]
    assert document["features"]["near"]["importance"] > 1
    assert document["features"]["none"]["importance"] == pytest.approx(0, abs=0.01)
    assert (document["rows"], document["of_rows"]) == (200, 300)
    assert document["scoring"] == "the model's own"
    assert list(rows) == ["row", "answer", "base", "effect_near", "effect_far", "effect_none"]
    assert len(rows) == 200 and rows.row.is_monotonic_increasing
    drawn = TABLE.iloc[rows.row].reset_index(drop=True)
    assert numpy.corrcoef(rows.effect_near, drawn.near)[0, 1] > 0.8  # of five draws
    plot = project.read(made.outputs["plot"])
    assert ET.fromstring(plot).tag.endswith("svg")
    assert explain("line", target="y", rows=200)[0].outputs == made.outputs
    assert any("near: " in line for line in project.lines)


def test_shap_adds_up_to_the_answer(explain):
    for function, count in (("forest", 40), ("mixed", 12)):
        made, document, rows = explain(function, method="shap", rows=count)
        effects = rows.filter(like="effect_").sum(axis=1)
        assert numpy.allclose(effects + rows.base, rows.answer, atol=1e-4)
        assert next(iter(document["features"])) == "near"
        assert "scoring" not in document
        if function == "forest":
            assert explain(function, method="shap", rows=40)[0].outputs == made.outputs


PLAIN = """
import numpy, pandas, sys
from sklearn.linear_model import LinearRegression
from towpath.steps.explanation import Features
from towpath.steps.shap_values import explain_by_shap

table = pandas.DataFrame(numpy.eye(4), columns=list("abcd"))
model = LinearRegression().fit(table, table.a)
explain_by_shap(model, Features(table, list(table)), 0)
import numba, shap
assert not hasattr(shap.links.identity, "py_func"), "compiled"
assert not numba.config.DISABLE_JIT and hasattr(numba.njit(lambda x: x), "py_func")
"""


def test_shap_is_not_compiled_and_what_a_model_compiles_is(tmp_path):
    done = run_python(tmp_path, PLAIN, imported="steps")
    assert done.returncode == 0, done.stderr


def test_any_kind_of_model_is_explained(explain):
    for function, target, scoring in (
        ("forest", "kind", "balanced_accuracy"),
        ("mixed", "y", None),
    ):
        _, document, rows = explain(function, target=target, scoring=scoring, repeats=2)
        assert next(iter(document["features"])) == "near"
        assert rows.answer.notna().all()
    numbers = TABLE[["near", "far", "none", "y"]]
    assert next(iter(explain("bare", numbers, target="y")[1]["features"])) == "near"


FAULTS = {
    "no rows": (TABLE[:0], {"target": "y"}, "the table has no rows"),
    "a column that is missing": (TABLE.drop(columns="far"), {"target": "y"}, "takes `far`"),
    "a target that is missing": (TABLE, {"target": "yy"}, r"column `yy` \(did you mean `y`"),
    "a target with gaps": (
        TABLE.assign(y=TABLE.y.where(TABLE.index > 2)),
        {"target": "y"},
        "`y` has no value in 3 of 300 rows",
    ),
    "a scorer that is none": (
        TABLE,
        {"target": "y", "scoring": "roc_auk"},
        r"`roc_auk` is no scorer of scikit-learn's \(did you mean `roc_auc`",
    ),
    "nulls that the model refuses": (
        TABLE.assign(near=None),
        {"target": "y"},
        "the model cannot be scored: Input X contains NaN",
    ),
}


@pytest.mark.parametrize(("table", "step", "words"), FAULTS.values(), ids=FAULTS)
def test_bad_input_is_told(explain, table, step, words):
    with pytest.raises(StepFailed, match=words):
        explain("line", table, **step)


def test_rows_are_drawn_alike_whatever_the_parts():
    frame = pandas.DataFrame({"a": range(1000)})
    parts = [frame[start : start + 90] for start in range(0, 1000, 90)]
    sample = draw_rows(parts, 50, seed=4)
    assert sample.table.equals(draw_rows([frame], 50, seed=4).table)
    assert (len(sample.table), sample.of_rows) == (50, 1000)
    assert (sample.table.a == sample.table.index).all()
    assert 300 < sample.table.a.mean() < 700
    assert ET.fromstring(draw_bars({"<a&b>": -1.0, "nothing": 0.0}, "x")) is not None
