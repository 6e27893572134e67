"""Pipelines that carry out others: their steps as steps, twice under two names, and for each."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from running import FOLDER, PIPELINE, STEPS, Project, make, reasons, states
from towpath import documents
from towpath.audit.lineage import trace_lineage
from towpath.audit.reproduction import reproduce_version
from towpath.backends.prefect.flow_signature import flow_signature, split_arguments
from towpath.config.names_and_paths import is_output_reference
from towpath.execution import pipeline_run as running
from towpath.execution.run_folders import diff_runs
from towpath.planning.declared_pipelines import read_declared
from towpath.planning.run_request import RunRequest

TRIAL = """\
params: {rate: {default: 1.0, above: 0}, window: 3, clip: 100}
inputs: {raw: data/raw.json}
steps:
  load: {run: load, inputs: [raw], params: [clip], outputs: [rows.json]}
  split: {run: split, inputs: [load.rows], params: [window], outputs: [part.json]}
  fit: {kind: training, run: fit, inputs: [split.part], params: [rate], outputs: [model.json]}
  score: {kind: evaluation, run: score, inputs: [fit.model, split.part], outputs: [score.json]}
"""
TRIAL_STEPS = """\
import beside


def load(raw: list, clip: int) -> list:
    return [min(number, clip) for number in raw]


def split(rows: list, window: int) -> list:
    return rows[:window]


def fit(part: list, rate: float) -> dict:
    return {"mean": rate * beside.mean(part)}


def score(model: dict, part: list) -> dict:
    return {"mse": sum((number - model["mean"]) ** 2 for number in part)}
"""
BESIDE = """\
def mean(numbers):
    return sum(numbers) / len(numbers)
"""
WHOLE = """\
description: Everything.
params: {factor: 3, clip: 50}
inputs: {more: data/more.json}
for: {prod: {params: {late: {window: 4}}}}
steps:
  main: {kind: pipeline, pipeline: part, inputs: {raw: more}, params: [factor], with: {limit: 1e9}}
  early:
    kind: pipeline
    pipeline: trial
    after: main
    params: [clip]
    with: {window: 2, rate: 0.5}
  late: {kind: pipeline, pipeline: trial, params: [clip]}
  better:
    kind: condition
    if: early.score.score.mse < late.score.score.mse and main.score.metrics.error < 1e6
    then: told
  told: {run: told, inputs: {model: early.fit.model, rows: main.clean.rows}, outputs: [told.json]}
"""
TOLD = """\
def told(model: dict, rows: list) -> dict:
    return {"mean": model["mean"], "rows": len(rows)}
"""


@pytest.fixture
def whole(tmp_path: Path) -> Project:
    project = make(
        tmp_path / "whole",
        {
            "flows/part/pipeline.yaml": PIPELINE,
            "flows/part/steps.py": STEPS,
            "flows/trial/pipeline.yaml": TRIAL,
            "flows/trial/steps.py": TRIAL_STEPS,
            "flows/trial/beside.py": BESIDE,
            "data/more.json": "[10, 20, 30]",
        },
    )
    project.declare(WHOLE, TOLD)
    project.git("init", "-q", "-b", "main")
    project.commit()
    return project


def test_the_steps_of_pipelines_are_steps(whole: Project) -> None:
    """Declared twice under two names, each with its own values, folder and code; registered from
    inside, drawn, planned, told to DVC, and taken by another pipeline."""
    assert whole.towpath("check").code == 0
    drawn = whole.towpath("graph", "training").out
    assert "● early        pipeline    trial, 4 steps  from early.raw, main" in drawn
    assert "early.fit" in whole.towpath("graph", "training", "--nested").out
    ended = whole.towpath("run", "training", "--json").json["run"]
    assert ended["state"] == "done"
    kinds = {name: step["state"] for name, step in ended["steps"].items()}
    assert kinds["main.reject"] == "skipped"
    assert kinds["main.register"] == "done"
    assert whole.tags() == ["mean@v1.0.0"]
    assert whole.output("early.split/part.json") == [1, 2]
    assert whole.output("late.split/part.json") == [1, 2, -3]
    assert whole.output("told/told.json") == {"mean": 0.75, "rows": 3}
    assert set(whole.plan().values()) >= {f"reuse: made by {ended['id']}"}
    log = whole.workspace.runs / ended["id"] / "early.fit" / "log.txt"
    assert log.parent.is_dir()
    said = whole.towpath("step", "training", "early.split")
    assert (said.code, "early.split: part.json" in said.err) == (0, True), said.err

    text = (whole.root / "dvc.yaml").read_text()
    stages = documents.plain_data(documents.parse_yaml(text, "").node)
    stage = stages["stages"]["training-early--load"]
    assert stage["cmd"] == "towpath step training early.load"
    assert stage["params"] == [
        {"flows/training/pipeline.yaml": ["params.clip", "steps.early"]},
        {"flows/trial/pipeline.yaml": ["steps.load"]},
    ]
    fit = stages["stages"]["training-late--fit"]
    assert "flows/trial/beside.py" in fit["deps"]
    assert {"flows/trial/pipeline.yaml": ["params.rate", "steps.fit"]} in fit["params"]

    sources = {data.name: data.path for data in trace_lineage(whole.workspace, "mean@v1.0.0").data}
    assert (sources["more"], sources["late.raw"]) == ("data/more.json", "data/raw.json")
    assert reproduce_version(whole.workspace, "mean@v1.0.0").verdict == "bytes"
    target = whole.root / "rows.json"
    shutil.rmtree(whole.workspace.runs)  # of which a clone has none
    said = whole.towpath("get", "mean@v1.0.0", "main.clean.rows", "-o", str(target))
    assert (said.code, target.is_file()) == (0, True), said.err
    whole.write("flows/after/pipeline.yaml", AFTER)
    whole.write("flows/after/steps.py", "def look(model: dict) -> dict:\n    return model\n")
    assert whole.towpath("check", "after").code == 0
    after = RunRequest("after")
    (link,) = running.prepare_run(whole.workspace, after).registering.upstream_links
    assert (link.path, link.stale) == ("artifacts/training/early.fit/model.json", "")
    assert link.steps == ("early.fit",)
    plans = whole.towpath("plan", "--all", "--json").json["plans"]
    assert [plan["pipeline"] for plan in plans] == ["training", "after"]


AFTER = """\
inputs: {model: training:early.fit.model}
steps: {look: {run: look, inputs: [model], outputs: [seen.json]}}
"""


def test_values_of_inner_pipelines_are_those_of_the_outer(whole: Project) -> None:
    first = whole.run()
    assert first.params["late.window"] == 3
    assert "early.window" not in first.params
    assert first.inputs.keys() == {"more", "early.raw", "late.raw"}
    trial = whole.run(params={"late.window": 1}, inputs={"early.raw": "data/more.json"})
    assert (trial.tried, states(trial)["main.fit"]) == (("late.window", "early.raw"), "reused")
    assert reasons(trial)["late.split"] == "`window` 3 -> 1"
    assert diff_runs(first, trial)
    prod = whole.run(environment="prod")
    assert (prod.params["late.window"], prod.tried) == (4, ())
    only = whole.run(only=("late",), force=True)
    assert {n for n, state in states(only).items() if state == "done"} == {
        "late.load", "late.split", "late.fit", "late.score",
    }  # fmt: skip
    # A version of a trial stands on a declaration that says its values.
    kept = whole.run(params={"late.rate": 2.0, "factor": 4}, register=True)
    assert states(kept)["main.register"] == "done", reasons(kept)
    text = whole.git("show", "mean@v1.1.0:flows/training/pipeline.yaml")
    assert "late:" in text.partition("steps:")[0]
    assert reproduce_version(whole.workspace, "mean@v1.1.0").verdict == "bytes"
    refused = whole.run(inputs={"late.raw": "data/more.json"}, params={"factor": 5}, register=True)
    assert "`late.raw` is an input of a pipeline in this one" in str(refused.error)

    declared = read_declared(whole.workspace, "training").pipeline
    signature = flow_signature(declared)
    assert list(signature.parameters) == ["factor", "clip", "late", "early", "more"]
    assert set(signature.parameters["late"].annotation.model_fields) == {"rate", "window", "raw"}
    params, inputs = split_arguments(declared, {"late": {"window": 9, "raw": "x"}, "more": "y"})
    assert (params, inputs) == ({"late.window": 9}, {"late.raw": "x", "more": "y"})
    assert is_output_reference("training:early.fit.model")


SWEEP = """\
params: {windows: [2, 3], rates: [0.5, 1.0]}
inputs: {raw: data/raw.json}
steps:
  back:
    kind: pipeline
    pipeline: trial
    each: {window: windows, rate: rates}
    inputs: [raw]
    params: [window, rate]
    at_once: 2
  best:
    kind: pipeline
    pipeline: trial
    each: {window: [2, 3]}
    inputs: [raw]
    params: [window]
    with: {rate: 0.7}
    best_by: {minimize: score.score.mse}
  rank:
    run: rank
    each: {window: windows, rate: rates}
    inputs: {score: back.score.score, part: back.split.part}
    params: [window]
    outputs: [rank.json]
  table:
    run: table
    inputs: {scores: back.score.score, rows: back.load.rows, best: best.score.best, rank: rank.rank}
    outputs: [table.json]
"""
TABLE = """\
def rank(score: dict, part: list, window: int) -> float:
    return score["mse"] / len(part)


def table(scores: list, rows: list, best: dict, rank: list) -> dict:
    return {"scores": scores, "rows": rows, "best": best, "rank": rank}
"""


def test_a_body_of_steps_for_each_item(whole: Project) -> None:
    """Each step is made for the items that it takes something of, and no more often: the loading
    once, the parts by window, the models by both."""
    whole.declare(SWEEP, TABLE)
    whole.commit()
    first = whole.run()
    assert first.state == "done", first.error
    cells = {name for name in first.steps if "@" in name and name.startswith("back.")}
    assert cells == {
        "back.split@2", "back.split@3",
        *(f"back.{s}@{w}-{r}" for s in ("fit", "score") for w in (2, 3) for r in (0.5, 1.0)),
    }  # fmt: skip
    table = whole.output("table/table.json")
    assert [(row["window"], row["rate"]) for row in table["scores"]] == [
        (2, 0.5), (2, 1.0), (3, 0.5), (3, 1.0),
    ]  # fmt: skip
    assert table["rows"] == [1, 2, -3, 4]
    assert table["best"]["window"] == 2
    assert [row["value"] for row in table["rank"]][1] == 0.25
    drawn = whole.towpath("graph", "training").out
    assert "● back   pipeline       trial, 4 steps for each window, rate" in drawn
    whole.edit(f"{FOLDER}/pipeline.yaml", "windows: [2, 3]", "windows: [2, 3, 4]")
    plan = whole.plan()
    assert plan["back.fit@3-1.0"].startswith("reuse")
    assert plan["back.split@4"] == "run: never run here"
    whole.edit(f"{FOLDER}/pipeline.yaml", "best: best.score.best", "best: best.load.best")
    (fault,) = whole.refused().faults
    assert fault.what == "`best.load` takes nothing of an item: no `best`"
