"""Steps with `each`: their cells in a run, what is reused of them, what the next step takes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from running import Project, reasons, states
from towpath.config.artifact import Artifact, Made
from towpath.config.pipeline_file import parse_pipeline
from towpath.errors import StepFailed
from towpath.execution.run_record import ExecutionState
from towpath.pipeline.compile_graph import compile_with_arguments
from towpath.pipeline.step_cells import make_cells
from towpath.pipeline.step_graph import FromOutput, Graph
from towpath.planning.cell_items import read_items
from towpath.planning.cell_results import gathering_ingredients
from towpath.planning.known_cells import grow_graph
from towpath.planning.run_state import RunState

PIPELINE = """
params: {models: [mean, median], windows: [2, 3], worst: 100}
inputs: {raw: data/raw.json}
steps:
  fit:
    run: fit
    each: {model: models, window: windows}
    inputs: [raw]
    params: [model, window]
    outputs: [fit.json, table.csv]
  score:
    kind: evaluation
    run: score
    each: {window: windows, model: models}
    inputs: [fit.fit]
    params: [window, worst]
    with: {title: "{model} of {window}"}
    outputs: [score.json]
    at_once: 1
  split: {run: split, inputs: [raw], outputs: [folds.json]}
  folded:
    run: folded
    each: {fold: split.folds.starts}
    params: {start: fold}
    outputs: [model.json]
    best_by: {minimize: checked.size.number}
  checked:
    run: checked
    each: {fold: split.folds.starts}
    inputs: [folded.model]
    outputs: [size.json]
  compare:
    run: compare
    inputs: [score.score, fit.table, folded.model, folded.best, folded.cells]
    outputs: [all.json]
"""

STEPS = """
import statistics
import pandas as pd


def fit(raw: list, model: str, window: int) -> dict:
    rows = raw[-window:]
    print("fitting", model, window)
    return {"fit": {"at": getattr(statistics, model)(rows)}, "table": pd.DataFrame({"x": rows})}


def score(fit: dict, window: int, title: str, worst: int) -> dict:
    if window > worst:
        raise ValueError(title)
    return {"mse": abs(fit["at"] - 2), "title": title}


def split(raw: list) -> dict:
    return {"starts": [n for n in raw if n != -3]}


def folded(start: int) -> dict:
    return {"size": start}


def checked(model: dict) -> dict:
    return {"number": abs(model["size"] - 3)}


def compare(score: list, table: list, model: dict, best: dict, cells: list) -> dict:
    tables = [[row["model"], row["window"], len(row["value"])] for row in table]
    return {"score": score, "tables": tables, "model": model, "best": best, "cells": cells}
"""


@pytest.fixture
def cells(project: Project) -> Project:
    """A project with steps for each item: of parameters, and of a list that a step makes."""
    project.declare(PIPELINE, STEPS)
    project.commit()
    return project


def test_a_list_from_one_run_to_the_next(cells: Project) -> None:
    shown = cells.towpath("plan").out.splitlines()[2:]
    assert [line.split(maxsplit=2)[:2] for line in shown] == [
        *(["fit", "run"], ["score", "undecided"], ["split", "run"]),
        *(["folded", "undecided"], ["checked", "undecided"], ["compare", "undecided"]),
    ]
    assert "4 cells: never run here" in shown[0]
    assert "its cells are known after `split`" in shown[3]

    first = cells.run()
    assert first.exit_code == 0, first.error
    assert first.count_states()[ExecutionState.DONE] == 4 + 4 + 1 + 3 + 3 + 1
    assert set(reasons(first).values()) == {"never run here"}
    # What the next step takes: lists in declared order, and the best one's output.
    made = cells.output("compare/all.json")
    assert [list(row) for row in made["score"]] == [["window", "model", "value"]] * 4
    assert made["score"][1]["value"]["title"] == "median of 2"
    assert made["tables"] == [["mean", 2, 2], ["mean", 3, 3], ["median", 2, 2], ["median", 3, 3]]
    assert made["model"] == {"size": 2}  # of 2 and 4, which are as near, the first
    assert made["best"] == {"fold": 2, "value": 1}
    assert [row["value"] for row in made["cells"]] == [2, 1, 1]
    folder = cells.artifacts / "fit" / "table"
    assert sorted(path.name for path in folder.iterdir()) == [
        *("cells.json", "mean-2.csv", "mean-3.csv", "median-2.csv", "median-3.csv"),
    ]
    # Each cell has a log; together they have one line.
    assert "fitting mean 3" in cells.towpath("logs", "last", "fit@mean-3").out
    assert cells.towpath("logs", "last", "fit").out.count("fitting") == 4
    assert "evaluation x4" in cells.towpath("graph").out
    assert "fit@median-3" in cells.towpath("graph", "--cells").out

    # All of it is reused, without an engine; stock DVC sees a stage for each step.
    assert cells.plan()["compare"].startswith("reuse")
    again = cells.run()
    assert set(states(again).values()) == {"reused"}
    assert again.cells_of("folded").keys() == {f"folded@{n}" for n in (1, 2, 4)}
    lines = cells.towpath("run").err
    assert "4 reused" in lines and "fit@" not in lines
    stages = (cells.root / "dvc.yaml").read_text()
    assert "training-fit:" in stages and "training-folded:" not in stages

    # Who selects a step means its cells.
    only = cells.run(only=("score",))
    assert {n for n, s in states(only).items() if s == "reused"} >= {"score@2-mean", "fit@mean-2"}
    assert states(only)["folded"] == states(only)["compare"] == "skipped"
    assert cells.plan(end="split")["fit@mean-2"] == "skip: not selected"
    assert "no step `score@2-mean`" in str(cells.refused(only=("score@2-mean",)))

    # Without the first item nothing of the others runs; one more is one cell more.
    fewer = {"windows": [3]}
    assert cells.plan(params=fewer)["fit"] == "run: its cells are other ones"
    assert {n: w.partition(":")[0] for n, w in cells.plan(params=fewer).items()} == {
        **dict.fromkeys(["fit@mean-3", "fit@median-3", "score@3-mean", "score@3-median"], "reuse"),
        **dict.fromkeys(["split", "folded@1", "folded@2", "folded@4", "folded"], "reuse"),
        **dict.fromkeys(["checked@1", "checked@2", "checked@4", "checked"], "reuse"),
        "fit": "run",
        "score": "run",
        "compare": "undecided",
    }
    cells.write("data/raw.json", "[1, 2, -3, 4, 9]")
    plan = cells.plan(params={"windows": [2, 3, 4]})
    assert plan["fit@mean-4"] == "run: never run here"
    assert plan["fit@mean-3"] == "run: input `raw` changed"
    # The list has changed since the plan: it is as the run finds it.
    more = cells.run(params={"windows": [2, 3, 4]})
    assert more.exit_code == 0, more.error
    assert more.steps["folded@9"].state is ExecutionState.DONE
    assert more.steps["folded@2"].state is ExecutionState.REUSED
    assert more.steps["folded"].cells == 4
    document = cells.towpath("diff", first.id, more.id, "--json").json["diff"]
    names = {difference["name"] for difference in document["differences"]}
    assert {"fit@mean-2.fit.at", "score@2-mean.score.mse", "folded@9.model.size"} <= names


def test_cells_that_fail(cells: Project) -> None:
    failed = cells.run(params={"worst": 2})
    assert failed.exit_code == 1
    failures = ["score@3-mean", "score@3-median", "score"]
    assert [line.partition(":")[0] for line in failed.error] == failures
    assert reasons(failed)["score"] == "2 of 4 cells failed, first `score@3-mean`"
    assert states(failed)["score@2-mean"] == "done"  # the others went on
    assert states(failed)["compare"] == "skipped"
    # Where the step may do without them the rest is handed on.
    cells.edit("flows/training/pipeline.yaml", "    at_once: 1\n", "    may_fail: true\n")
    allowed = cells.run(params={"worst": 2})
    assert allowed.exit_code == 0, allowed.error
    assert states(allowed)["score@3-mean"] == "failed"
    document = allowed.steps["compare"].made.values["all"]
    assert isinstance(document, dict)
    assert [row["window"] for row in document["score"]] == [2, 2]
    none_left = cells.run(params={"worst": 0})
    assert reasons(none_left)["score"] == "none of its 4 cells ended well"
    assert none_left.exit_code == 1
    # A list that is empty, and none; a number that is none.
    cells.code('{"starts": [n for n in raw if n != -3]}', '{"starts": []}')
    empty = cells.run()
    assert reasons(empty)["folded"] == "a list in `split.folds` is empty"
    assert reasons(empty)["compare"] == "`folded` was skipped"
    cells.code('{"starts": []}', '{"starts": {"a": 1}}')
    wrong = cells.run()
    assert "folded: `fold` of step `folded` is a mapping, not a list" in wrong.error
    cells.code('{"starts": {"a": 1}}', '{"starts": [1, 2]}')
    cells.code('{"number": abs(model["size"] - 3)}', '{"number": float("nan")}')
    unknown = cells.run()
    assert unknown.error == (
        "folded: `checked@1.size.number` is NaN: no cell can be called the best",
    )
    assert "twice" in str(cells.refused(params={"windows": [2, 2]}))
    assert "is empty" in str(cells.refused(params={"windows": []}))


def test_stock_dvc_runs_the_cells_of_a_stage(cells: Project) -> None:
    assert cells.run().exit_code == 0
    before = cells.output("score/score.json")
    (cells.artifacts / "score" / "score.json").unlink()
    said = cells.towpath("step", "training", "score")
    assert said.code == 0, said.err
    assert cells.output("score/score.json") == before
    assert "folded" in cells.towpath("step", "training", "folded").err
    cells.towpath("step", "training", "compare")
    assert json.loads(Path(cells.artifacts / "compare" / "all.json").read_text())["score"] == before


TWO_CALLS = """
params: {models: [mean, median]}
steps:
  list: {run: make, outputs: [days.json]}
  train: {run: fit, each: {model: models}, params: [model], outputs: [model.json]}
  evaluate:
    run: score
    each: {model: models, day: list.days}
    inputs: [train.model]
    params: {day: day.date, kind: model}
    outputs: [score.json]
"""


NESTED = """
params: {regions: [north, south, west]}
inputs: {raw: data/raw.json}
steps:
  split:
    run: split
    each: {region: regions}
    inputs: [raw]
    params: [region]
    outputs: [folds.json]
  train:
    run: train
    each: {seed: [1], region: regions, fold: split.folds.numbers}
    inputs: [split.folds]
    params: [seed, fold]
    outputs: [model.json]
  judge:
    run: judge
    each: {seed: [1], region: regions, fold: split.folds.numbers}
    inputs: [train.model]
    outputs: [score.json]
"""


def compiled(text: str) -> Graph:
    return compile_with_arguments(parse_pipeline(text, "flows/training/pipeline.yaml"))


def test_cells_take_from_cells_that_were_made_before() -> None:
    items = [{"model": model, "day": {"date": 1}} for model in ("mean", "median")]
    graph = make_cells(compiled(TWO_CALLS), {"evaluate": items})
    assert graph.nodes["evaluate@median-1"].arguments["model"] == FromOutput(
        "train@median", "model"
    )
    # A step that was skipped before its list was known has no cells to take from.
    each = "each: {model: models}, params: [model]"
    skipped = compiled(TWO_CALLS.replace(each, "each: {day: list.days}, params: [day]"))
    cell = make_cells(skipped, {"evaluate": items}).nodes["evaluate@mean-1"]
    assert cell.arguments["model"] == FromOutput("train", "model")


def test_a_list_of_its_own_for_each_cell() -> None:
    graph = compiled(NESTED)
    node = graph.nodes["train"]
    assert node.loop and node.loop.cells is None
    made = {"split": Made()} | {
        f"split@{region}": Made(values={"folds": {"numbers": numbers}})
        for region, numbers in (("north", [1, 2]), ("south", []), ("west", [2]))
    }
    known = RunState(graph, {}, made=made)
    cells = ["train@1-north-1", "train@1-north-2", "train@1-west-2"]
    assert grow_graph(known)["train"] == tuple(cells)
    assert known.graph.nodes[cells[1]].arguments["folds"] == FromOutput("split@north", "folds")
    assert known.graph.nodes["judge@1-west-2"].arguments["model"] == FromOutput(cells[2], "model")
    # Of a cell that failed, and may, there are none; of one that holds no list it is said.
    del made["split@west"]
    fewer = RunState(graph, {}, made=made, failed={"split@west"}, forgiven={"split@west"})
    assert grow_graph(fewer)["train"] == tuple(cells[:2])
    made["split@west"] = Made(values={"folds": {"numbers": 3}})
    with pytest.raises(StepFailed, match="`fold` of step `train`, from `split@west`, is `3`, not"):
        read_items(RunState(graph, {}, made=made), node, node.loop)


def test_an_item_without_the_key_fails_its_own_step() -> None:
    graph = compiled(TWO_CALLS)
    days = [{"date": 1}, {"data": 2}]
    known = RunState(graph, {}, made={"list": Made(values={"days": days})})
    assert grow_graph(known) == {}
    node = graph.nodes["evaluate"]
    assert node.loop
    with pytest.raises(StepFailed, match=r"`day` has no key `date` \(did you mean `data`"):
        read_items(known, node, node.loop)


def test_what_is_gathered_depends_on_the_names_of_files() -> None:
    graph = compiled(TWO_CALLS)

    def gathered(name: str) -> dict[str, str]:
        cells = graph.nodes["train"].loop.cells or ()
        made = {cell: Made({"model": Artifact("0" * 32, 1, name)}) for cell in cells}
        return gathering_ingredients(graph.nodes["train"], RunState(graph, {}, made=made))

    assert gathered("model.json") == gathered("model.json") != gathered("model.txt")
