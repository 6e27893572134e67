"""`towpath shell`, `towpath step --pdb` and `load_inputs`: a step's real inputs at a prompt."""

from __future__ import annotations

import subprocess

import pytest

import towpath
from command_line import call_towpath
from running import Project
from towpath.errors import StoreError, UsageError

PIPELINE = """\
params: {rate: 2}
inputs: {raw: data/raw.json}
steps:
  clean: {run: clean, inputs: [raw], outputs: [rows.json, table.csv]}
  fit:
    kind: training
    run: fit
    inputs: [clean.rows, clean.table]
    params: [rate]
    env: {MODE: test}
    outputs: [model.json, notes.txt]
  later: {run: later, inputs: [fit.model], outputs: [out.json]}
  good: {kind: condition, if: fit.model.m < 1, then: [end], else: [fine]}
  end: {kind: fail, message: end}
  fine: {run: later, inputs: [fit.model], outputs: [fine.json]}
"""
STEPS = """\
import os
from pathlib import Path

import pandas as pd


def clean(raw):
    return {"rows": raw, "table": pd.DataFrame({"x": raw})}


def fit(rows, table: pd.DataFrame, rate: float, notes: Path):
    notes.write_text("noted")
    total = sum(rows) * rate
    if os.environ["MODE"] == "test" and rate > 5:
        raise ValueError(f"too fast: {total}")
    return {"m": total}


def later(model):
    return model
"""


def prompt(project: Project, typed: str, *words: str) -> subprocess.CompletedProcess[str]:
    """A command that reads what is typed."""
    return call_towpath(project.root, *words, typed=typed)


def test_a_step_at_the_prompt(loose: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project = loose
    project.declare(PIPELINE, STEPS)
    failed = project.run(params={"rate": 7})
    assert failed.steps["fit"].error
    before = sorted(project.runs())
    # From a notebook or a test.
    monkeypatch.chdir(project.root)
    inputs = towpath.load_inputs(failed.id, "fit")
    assert inputs["rate"] == 7 and list(inputs["table"].columns) == ["x"]
    assert sum(inputs["rows"]) == inputs["table"].x.sum()
    # Where the last run failed, with what the step took there.
    done = prompt(project, "p total, rate\np rows\nq\n", "step", "--pdb")
    assert done.returncode == 1, done.stderr
    assert f"({sum(inputs['rows']) * 7}, 7)" in done.stdout
    assert "ValueError: too fast" in done.stderr and "(Pdb)" in done.stdout
    # A prompt with the inputs, and the function.
    typed = "print('rate', rate, type(table).__name__)\nfrom pathlib import Path\n"
    typed += "fit(rows, table, 1, notes=Path('n'))\n"
    done = prompt(project, typed, "shell", "last", "fit")
    assert done.returncode == 0, done.stderr
    assert "rate 7 DataFrame" in done.stdout and f"{{'m': {sum(inputs['rows'])}}}" in done.stdout
    assert "rows (list), table (DataFrame), rate (int)" in done.stderr
    # What it took then, although other data stands there now.
    project.write("data/raw.json", "[100]")
    assert towpath.load_inputs("last", "clean")["raw"] == inputs["rows"]
    # On the files of the work tree, from the first line on; it ends well.
    assert project.run().steps["fit"].state == "done"
    done = prompt(project, "n\nn\np total\nc\n", "step", "fit", "--pdb")
    assert done.returncode == 0, done.stderr
    assert "notes.write_text" in done.stdout and "200" in done.stdout
    assert "ended well, and returned model; nothing is stored" in done.stderr
    assert "was left; nothing is stored" in prompt(project, "q\n", "step", "fit", "--pdb").stderr
    assert len(project.runs()) == len(before) + 1
    assert not list((project.workspace.state / "steps").glob("*/*/inputs"))


CELLS = """\
inputs: {raw: data/raw.json}
steps:
  names: {run: names, outputs: [listed.json]}
  late: {run: late, each: {name: names.listed}, inputs: [raw], params: [name], outputs: [x.json]}
"""
CELL_STEPS = """\
def names():
    return ["x", "y"]


def late(raw, name):
    if name == "y":
        raise ValueError("not y")
    return name
"""


def test_a_cell_has_its_own_inputs(loose: Project) -> None:
    loose.declare(CELLS, CELL_STEPS)
    assert loose.run().exit_code == 1
    assert towpath.load_inputs("last", "late@x", project=loose.root)["name"] == "x"
    done = prompt(loose, "p name\nq\n", "step", "--pdb")
    assert "ValueError: not y" in done.stderr and "'y'" in done.stdout
    with pytest.raises(UsageError, match="once for each item"):
        towpath.load_inputs("last", "late", project=loose.root)


def test_what_cannot_be_debugged(loose: Project) -> None:
    loose.declare(PIPELINE, STEPS)
    assert "no run is recorded" in loose.towpath("step", "--pdb").err
    run = loose.run(params={"rate": 7})
    for words, said in (
        (("shell", "last", "fti"), "did you mean `fit`?"),
        (("shell", "nothing", "fit"), "no run `nothing`"),
        (("shell", "last", "later"), "had no inputs in run"),
        (("shell", "last", "good"), "is a condition step"),
        (("step", "training"), "Missing argument 'STEP'"),
        (("step",), "Missing argument 'PIPELINE'"),
        (("step", "fti", "--pdb"), "did you mean `fit`?"),
    ):
        refused = loose.towpath(*words)
        assert refused.code == 2 and said in refused.err, (words, refused.err)
        assert "Traceback" not in refused.err
    loose.store.path(run.steps["clean"].made.outputs["rows"].digest).unlink()
    with pytest.raises(StoreError, match="is not in the store here"):
        towpath.load_inputs("last", "fit", project=loose.root)
    loose.declare(PIPELINE.replace("later", "after"), STEPS.replace("later", "after"))
    with pytest.raises(UsageError, match="declares no step `later` now"):
        towpath.load_inputs("last", "later", project=loose.root)
