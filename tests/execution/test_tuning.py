"""Steps of kind `tuning`: what they try, what a search that was stopped goes on with, their end."""

from __future__ import annotations

import csv
import os
import signal
import time

import pytest

from running import Project, end, reasons, states
from towpath.config.artifact import Artifact, Made
from towpath.config.pipeline_file import parse_pipeline
from towpath.execution.run_record import ExecutionState, RecordedRun
from towpath.pipeline.compile_graph import compile_with_arguments
from towpath.pipeline.step_cells import add_trials
from towpath.planning.cell_results import FAILED, gathering_ingredients
from towpath.planning.run_state import RunState

PIPELINE = """
inputs: {raw: data/raw.json}
steps:
  tune:
    kind: tuning
    run: train
    inputs: [raw]
    ranges:
      rate: {at_least: 0.0001, at_most: 1, log: true}
      depth: {at_least: 1, at_most: 6}
      kind: {choices: [a, b]}
      fixed: {at_least: 3, at_most: 3}
    minimize: score.mse
    trials: 6
    at_once: 2
    timeout: 20
    outputs: [model.json, score.json]
  use: {run: use, inputs: [tune.model, tune.best, tune.trials], outputs: [used.json]}
"""

STEPS = """
import math
import pathlib
import time


def train(raw: list, rate: float, depth: int, kind: str, fixed: int) -> dict:
    mse = (math.log10(rate) + 2) ** 2 + (depth - 4) ** 2 + (kind == "a")
    return {"model": [rate, depth, kind, fixed], "score": {"mse": mse}}


def use(model: list, best: dict, trials) -> dict:
    return {"model": model, "best": best, "states": list(trials["state"])}
"""


@pytest.fixture
def search(project: Project) -> Project:
    """A project with a search."""
    project.declare(PIPELINE, STEPS)
    project.commit()
    return project


def trials_of(project: Project) -> list[dict[str, str]]:
    with (project.artifacts / "tune" / "trials.csv").open() as file:
        return list(csv.DictReader(file))


def trial_states(run: RecordedRun) -> list[str]:
    return [str(trial.state) for trial in run.cells_of("tune").values()]


def test_a_search_goes_on_where_it_was(search: Project) -> None:
    # As if the code were saved just now: what only hands on the best trial has none to ask for.
    os.utime(search.root / "flows" / "training" / "steps.py", (time.time() + 60,) * 2)
    first = search.run()
    assert first.exit_code == 0, first.error
    table = trials_of(search)
    assert [row["trial"] for row in table] == ["1", "2", "3", "4", "5", "6"]
    best = min(table, key=lambda row: float(row["value"]))
    used = search.output("use/used.json")
    assert used["best"] == {
        "rate": float(best["rate"]),
        "depth": int(best["depth"]),
        "kind": best["kind"],
        "fixed": 3,
        "value": float(best["value"]),
    }
    assert used["model"][0] == float(best["rate"])
    assert search.plan()["tune"].startswith("reuse")

    # More trials are the same ones, and further ones; which is in the plan.
    search.edit("flows/training/pipeline.yaml", "trials: 6", "trials: 10")
    assert search.plan() == {
        **{f"tune@{n}": f"reuse: made by {first.id}" for n in range(1, 7)},
        "tune@7": "run: never run here",
        "tune@8": "run: never run here",
        "tune": "undecided: 6 of 10 trials are known",
        "use": "undecided: after `tune`",
    }
    assert "6 of 10 trials are known" in search.towpath("plan").out
    more = search.run()
    assert trial_states(more) == ["reused"] * 6 + ["done"] * 4
    assert trials_of(search)[:6] == table
    whole = (search.artifacts / "tune" / "trials.csv").read_bytes()

    # Killed in the middle and begun again it ends as if nothing had been: bit for bit.
    search.edit("flows/training/pipeline.yaml", "timeout: 20", "timeout: 20\n    code: [other.txt]")
    search.write("flows/training/other.txt", "another key for each trial")
    search.code("    mse =", "    time.sleep(0.4)\n    mse =")
    going = search.begin("run")
    record = None
    for _ in range(600):
        time.sleep(0.1)
        events = sorted(search.workspace.runs.glob("*/events.jsonl"))
        record = events[-1].read_text() if len(events) > 2 else ""
        if record.count('"done"') >= 3:
            break
    os.kill(going.pid, signal.SIGKILL)
    end(going)
    resumed = search.run()
    assert resumed.exit_code == 0, resumed.error
    assert 3 <= trial_states(resumed).count("reused") < 10
    assert (search.artifacts / "tune" / "trials.csv").read_bytes() == whole

    # Stock DVC's stage makes the same.
    (search.artifacts / "tune" / "trials.csv").unlink()
    assert search.towpath("step", "training", "tune").code == 0
    assert (search.artifacts / "tune" / "trials.csv").read_bytes() == whole


def test_trials_that_end_badly(search: Project) -> None:
    search.edit("flows/training/pipeline.yaml", "timeout: 20", "timeout: 2")
    search.code("import math\n", "import math\nimport os\n")
    tight = search.root.parent / "tight"
    tight.touch()
    search.code(
        "    mse =",
        """\
    if kind == "b":
        raise ValueError("no b")
    if depth < 3 and pathlib.Path(TIGHT).exists():
        time.sleep(60) if depth == 1 else os.kill(os.getpid(), 9)
    if depth == 3:
        return {"model": 0, "score": {"mse": float("nan")}}
    mse =""".replace("TIGHT", repr(str(tight))),
    )
    search.edit("flows/training/pipeline.yaml", "trials: 6", "trials: 14")
    search.edit("flows/training/pipeline.yaml", "at_once: 2", "at_once: 4")
    run = search.run()
    assert run.exit_code == 0, run.error
    found = [row["state"] for row in trials_of(search)]
    assert {"done", "failed"} <= set(found)
    assert all((row["value"] == "") == (row["state"] != "done") for row in trials_of(search))
    assert states(run)["use"] == "done"
    failed = [c.reason for c in run.cells_of("tune").values() if c.state is ExecutionState.FAILED]
    assert any("no b" in reason for reason in failed)
    # What its own code failed is known to have failed; what was killed, ran too long or had no
    # memory left is tried again.
    passing = [reason for reason in failed if "no b" not in reason]
    assert [reason.split()[:3] for reason in passing] == [
        ["it", "ran", "longer"],
        ["its", "process", "was"],
    ]
    tight.unlink()
    plan = search.plan()
    assert (plan["tune@1"][:5], plan["tune@3"]) == ("reuse", "run: never run here")
    roomy = search.run()
    assert trial_states(roomy)[:6] == ["reused", "reused", "done", "reused", "reused", "reused"]
    assert search.plan()["tune"].startswith("reuse")
    assert set(trial_states(search.run())) == {"reused"}

    # Where no trial has a number the search gives up early, and says so.
    search.code('    if kind == "b":\n', "    if True:\n")
    none_left = search.run()
    assert none_left.exit_code == 1
    assert reasons(none_left)["tune"].endswith("trials ended well")
    assert len(none_left.cells_of("tune")) < 14
    # One that has found nothing better for long ends too.
    search.code("    if True:\n        raise", '    if kind == "c":\n        raise')
    search.edit("flows/training/pipeline.yaml", "at_once: 4", "at_once: 1\n    stop_early: 2")
    short = search.run()
    assert short.exit_code == 0, short.error
    assert len(short.cells_of("tune")) < 14


def test_a_table_of_trials_is_made_anew_where_one_that_failed_is_another() -> None:
    done = Made({"score": Artifact("0" * 32, 1, "score.json")})
    failed = Made(facts={FAILED: "no b"})

    def gathered(depth: int, second: Made, pipeline: str = PIPELINE) -> dict[str, str]:
        graph = compile_with_arguments(parse_pipeline(pipeline, "flows/training/pipeline.yaml"))
        trials = [{"rate": 1, "depth": each, "kind": "a", "fixed": 3} for each in (1, depth)]
        graph = add_trials(graph, "tune", trials, ended=True)
        known = RunState(graph, {}, made={"tune@1": done, "tune@2": second})
        return gathering_ingredients(graph.nodes["tune"], known)

    keys = [gathered(2, failed), gathered(3, failed), gathered(2, done)]
    # The columns stand in the order of the ranges.
    fixed = "      fixed: {at_least: 3, at_most: 3}\n"
    moved = PIPELINE.replace(fixed, "").replace("    ranges:\n", f"    ranges:\n{fixed}")
    keys.append(gathered(2, failed, moved))
    assert len({tuple(key.values()) for key in keys}) == 4
    assert gathered(2, failed) == keys[0]
