"""Control of a run: how many steps at once, in which order, tried again, and ended from outside."""

from __future__ import annotations

import time

from running import FOLDER, Project, end, reasons, states
from towpath.execution import run_folders

PIPELINE = """
params: {fails: true}
steps:
  low: {run: work, with: {name: low}, outputs: [a.json]}
  high: {run: work, with: {name: high}, outputs: [b.json], priority: 5}
  mid: {run: work, with: {name: mid}, outputs: [c.json], priority: 1}
  unknown:
    kind: command
    command: bash tools/copy.sh {low} {copy}
    inputs: {low: low.a}
    outputs: {copy: copy.json}
  last:
    run: last
    inputs: {copy: unknown.copy}
    params: [fails]
    outputs: [d.json]
    cache: false
"""
STEPS = """
import json, pathlib, time

def work(name: str) -> dict:
    begun = time.time()
    time.sleep(0.3)
    return {"begun": begun, "ended": time.time()}

def last(copy: dict, fails: bool) -> dict:
    if fails and not pathlib.Path("mended").exists():
        raise ValueError("not yet")
    return copy
"""


def test_jobs_priority_and_retry(project: Project) -> None:
    project.declare(PIPELINE, STEPS)
    project.write("tools/copy.sh", 'cp "$1" "$2"\n')
    project.commit()
    failed = project.run(jobs=1)
    assert states(failed)["last"] == "failed"
    times = [failed.steps[name].made.values for name in ("high", "mid", "low")]
    spans = [next(iter(value.values())) for value in times]
    assert spans[0]["ended"] <= spans[1]["begun"] and spans[1]["ended"] <= spans[2]["begun"]
    project.write("mended", "")
    again = project.run(retry=failed.id)
    assert states(again) == {
        "low": "reused", "high": "reused", "mid": "reused", "unknown": "reused", "last": "done",
    }  # fmt: skip
    assert reasons(again)["unknown"] == f"made by {failed.id}"
    # Without it what is never reused runs; with it, as long as its key is that of then.
    assert project.plan()["unknown"].startswith("run: what code")
    project.code("return copy", "return dict(copy)")
    assert project.plan(retry=again.id)["last"] == "run: cache: false"


def test_a_run_is_stopped_from_outside(project: Project) -> None:
    project.declare("steps: {slow: {run: slow}, next: {run: slow, after: slow}}\n")
    project.write(f"{FOLDER}/steps.py", "import time\ndef slow():\n    time.sleep(100)\n")
    begun = project.begin("run")
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        runs = list(run_folders.recent_runs(project.workspace.runs))
        if runs and runs[0].steps["slow"].state == "running":
            break
        time.sleep(0.2)
    told = project.towpath("run", "--stop", "last")
    assert (told.code, told.err) == (0, f"run {runs[0].id} was interrupted\n")
    said = end(begun)
    assert said.code == 130, said.err
    assert states(run_folders.find_run(project.workspace.runs, "last"))["slow"] == "interrupted"
    again = project.towpath("run", "--stop", "last")
    assert again.code == 2 and "does not go on: it was interrupted" in again.err
