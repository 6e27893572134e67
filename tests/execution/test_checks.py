"""Baselines, bias and explanations in one pipeline: run, kept, registered, held against later."""

from __future__ import annotations

import numpy
import pandas

from running import FOLDER, Project, states

PIPELINE = """
inputs: {raw: data/raw.csv}
steps:
  check:
    kind: quality_check
    inputs: {data: raw}
    baseline: true
  train: {kind: training, run: train, inputs: {table: check.data}, outputs: [model.skops]}
  fair:
    kind: bias_check
    inputs: {data: check.data, model: train.model}
    group: sex
    label: left
    bounds: {DI: 0.5}
    must_pass: false
  why: {kind: explain, inputs: {model: train.model, data: check.data}, target: left}
  fair_enough:
    kind: condition
    if: fair.result.worst.disparate_impact >= 0.01 and why.importance.features.age.importance > 0
    then: [register]
  register:
    kind: register_model
    as: churn
    inputs: {model: train.model, baseline: check.baseline, bias: fair.result}
"""
STEPS = """
import pandas as pd
from sklearn.linear_model import LogisticRegression

def train(table: pd.DataFrame):
    return LogisticRegression().fit(table[["age"]], table.left)
"""


def _make_table(years: float) -> pandas.DataFrame:
    random = numpy.random.default_rng(0)
    sex = random.choice(["F", "M"], 400)
    age = random.normal(40, 10, 400) + 3 * (sex == "F")
    left = (age + random.normal(0, 5, 400) > 42).astype(int)
    return pandas.DataFrame({"sex": sex, "age": (age + years).round(1), "left": left})


def test_a_project_that_checks_its_data_its_model_and_explains_it(project: Project) -> None:
    project.declare(PIPELINE, STEPS)
    project.write("data/raw.csv", _make_table(0).to_csv(index=False))
    project.git("rm", "-q", "--cached", "--ignore-unmatch", "data/raw.json")
    project.commit()
    run = project.run()
    assert set(states(run).values()) == {"done"}, run.error
    baseline = project.output("check/baseline.json")
    assert list(baseline["columns"]) == ["sex", "age", "left"]
    assert project.output("fair/result.json")["measures"]["sex"]["F"]["against"] == "M"
    assert (project.artifacts / "why/plot.svg").is_file()
    plan = project.plan()
    assert plan.pop("fair_enough").startswith("run: ")  # to choose a branch is no work
    assert {verdict.partition(":")[0] for verdict in plan.values()} == {"reuse"}
    shown = project.towpath("show", "churn@v1.0.0", "--json").json
    # Of the checks the version's metrics are the worst groups', and no counts of rows.
    metrics = shown["version"]["metrics"]
    assert metrics["disparate_impact"] > 0
    assert not {"rows", "version"} & metrics.keys()

    # The next table is held against the counts that this one left.
    project.write("data/counts.json", (project.artifacts / "check/baseline.json").read_text())
    before = "inputs: {raw: data/raw.csv}"
    project.edit(f"{FOLDER}/pipeline.yaml", before, f"{before[:-1]}, counts: data/counts.json}}")
    project.edit(f"{FOLDER}/pipeline.yaml", "{data: raw}", "{data: raw, baseline: counts}")
    project.write("data/raw.csv", _make_table(9).to_csv(index=False))
    project.commit()
    refused = project.towpath("run")
    assert refused.code == 3
    words = " ".join(f"{refused.out} {refused.err}".split())
    assert "the distribution of `age` is at most" in words
    assert "let it be the `baseline` from now on" in words
    assert "bias check" in project.towpath("graph").out
    yaml = (project.root / "dvc.yaml").read_text()
    assert "artifacts/training/why/rows.parquet" in yaml
    assert "artifacts/training/check/baseline.json" in yaml
