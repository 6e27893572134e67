"""Steps that are for how a run ends: stop, notify, and those that run where another failed."""

from __future__ import annotations

from pathlib import Path

import pytest

from running import Project, reasons, states

PIPELINE = """
params: {enough: false}
steps:
  look:
    kind: evaluation
    run: look
    params: [enough]
    outputs: [seen.json]
  settled:
    kind: condition
    if: seen_enough == look.seen.enough
    then: [end]
    else: [train]
  end:
    kind: stop
    message: "nothing new among {look.seen.rows} rows"
  train:
    kind: processing
    run: train
    params: {fails: fails}
    outputs: [model.json]
  score:
    run: score
    inputs: [train.model]
    outputs: [scored.json]
  tell:
    kind: notify
    on_failure: train
    message: "of {look.seen.rows} rows; fail: {fails}"
    command: [python, tools/tell.py, "{{x}}"]
  mend:
    run: mend
    on_failure: {steps: [score], when: either}
    outputs: [mended.json]
  after_mend:
    run: note
    inputs: [mend.mended]
  never:
    run: mend
    on_failure: {steps: [look], when: skipped}
    outputs: [none.json]
"""
STEPS = """
def look(enough: bool) -> dict:
    return {"enough": enough, "rows": 3}

def train(fails: bool) -> dict:
    if fails:
        raise ValueError("no")
    return {}

def score(model: dict) -> dict:
    return model

def mend() -> dict:
    return {"mended": True}

def note(mended: dict):
    pass
"""
TELL = """
import os, pathlib, sys
text = sys.stdin.read()
assert text == os.environ["TOWPATH_MESSAGE"] and sys.argv[1:] == ["{x}"]
pathlib.Path(os.environ["OUT"]).write_text(f"{os.environ['TOWPATH_STEP']}: {text}")
"""


def test_how_a_run_ends(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = tmp_path / "told.txt"
    monkeypatch.setenv("OUT", str(told))
    params = "params: {enough: false, seen_enough: true, fails: true}"
    project.declare(PIPELINE.replace("params: {enough: false}", params, 1), STEPS)
    project.write("tools/tell.py", TELL)
    project.commit()
    run = project.run()
    assert run.state == "failed"
    assert states(run) == {
        "look": "done", "settled": "done", "end": "skipped", "train": "failed", "score": "skipped",
        "tell": "done", "mend": "done", "after_mend": "done", "never": "skipped",
    }  # fmt: skip
    assert told.read_text() == "tell: of 3 rows; fail: True"
    assert reasons(run)["tell"] == "of 3 rows; fail: True"
    assert reasons(run)["never"] == "`look` was not skipped"
    # Nothing failed: who watches is left out.
    run = project.run(params={"fails": False})
    assert states(run)["train"] == "done" and run.state == "done", run.error
    assert reasons(run)["tell"] == "`train` did not fail"
    assert reasons(run)["mend"] == "`score` neither failed nor was skipped"
    assert reasons(run)["after_mend"] == "`mend` was skipped"
    # A stop ends well, and what would follow does not begin.
    run = project.run(params={"enough": True})
    assert run.state == "done" and run.exit_code == 0
    assert states(run)["end"] == "done" and reasons(run)["end"] == "nothing new among 3 rows"
    assert states(run)["train"] == "skipped"
    drawn = project.towpath("graph").out
    assert "■ end" in drawn and "nothing new among" in drawn and "failed" in drawn
