"""`towpath step`, which stock DVC calls: what a run does with a step, on the work tree's files."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from msgspec.structs import replace

from command_line import call_dvc
from running import Project
from towpath.errors import StepFailed
from towpath.execution import single_step, step_execution
from towpath.planning import pipeline_check

PIPELINE = """\
params: {factor: 2}
inputs: {raw: data/raw.json}
steps:
  make:
    run: make
    inputs: [raw]
    with: {words: [a, b]}
    outputs: {obj: {path: obj.bin, format: pickle}, large: {path: large.dat, format: json}}
  use:
    run: use
    inputs: {obj: make.obj, large: make.large, row: make.large.rows}
    params: [factor]
    code: [extra.txt]
    outputs: [n.json]
    timeout: 50s
  measure:
    kind: evaluation
    run: measure
    inputs: {n: use.n}
    outputs:
      - metrics.json
      - {path: curve.json, plot: {x: a, y: b}}
      - {path: points.csv, plot: {x: a, y: b, title: Points, by: b}}
      - {path: losses.csv, plot: {x: step, y: [train, valid], title: Losses}}
  big:
    kind: condition
    if: use.n > 1
    then: [one]
    else: [other]
  one: {run: name, with: {said: one}, outputs: [it.txt]}
  other: {run: name, with: {said: other}, outputs: [it.txt]}
  join: {run: join, inputs: {it: one.it or other.it}, outputs: [joined.txt]}
"""

STEPS = """\
from pathlib import Path


def make(raw, words):
    return {"obj": {*raw, *words}, "large": {"rows": len(raw)}}


def use(obj, large, row, factor):
    assert row == large["rows"]
    return len(obj) * factor


def measure(n):
    points = [{"a": 1, "b": n}, {"a": 2, "b": n}]
    text = "a,b\\n1,2\\n3,4\\n"
    losses = "step,train,valid\\n0,1.5,1.7\\n1,1.1,1.9\\n"
    metrics = {"n": n, "deep": {"f1-score": 0.5}}
    return {"metrics": metrics, "curve": points, "points": text, "losses": losses}


def name(said):
    return said


def join(it):
    return it
"""

FLAKY = """\
steps:
  flaky:
    run: flaky
    with: {mark: MARK}
    outputs: [rows.txt]
    retry: {attempts: 2, errors: [OSError]}
  never: {run: never, outputs: [rows.txt], retry: {attempts: 3, errors: [KeyError]}}
"""

FLAKY_STEPS = """\
from pathlib import Path


def flaky(mark, rows: Path):
    with rows.open("a") as file:
        file.write("x\\n")
    if not Path(mark).exists():
        Path(mark).touch()
        raise ConnectionError("lost")


def never():
    print("called")
    raise ValueError("no")
"""


@pytest.fixture
def declared(project: Project) -> Project:
    project.declare(PIPELINE, STEPS)
    project.write("flows/training/extra.txt", "x")
    project.write("towpath.yaml", "name: small\ntrust: [flows.training.steps.Mine]\n")
    project.commit()
    return project


def test_the_order_of_a_step_is_that_of_a_run(declared: Project, monkeypatch) -> None:
    given = {}

    def order(*asked):
        made = originally(*asked)
        given[made.name] = made
        return made

    originally = step_execution.make_order
    monkeypatch.setattr(step_execution, "make_order", order)
    assert declared.run().state == "done"
    workspace = declared.workspace
    graph = pipeline_check.compile_checked_pipeline(workspace, "training")
    assert set(given) == {"make", "use", "measure", "one", "join"}
    for name, order_of_run in given.items():
        alone = single_step.order_on_tree(workspace, graph, graph.nodes[name])
        # The rest of what a run hands over is told by no file: what other steps noted.
        same = replace(alone, directory=order_of_run.directory, facts=order_of_run.facts)
        assert same == order_of_run


def _stock_dvc(project: Project, *words: str) -> str:
    scripts = str(Path(sys.executable).parent)
    done = call_dvc(project.root, *words, PATH=f"{scripts}{os.pathsep}{os.environ['PATH']}")
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout.strip()


def test_stock_dvc_reproduces_what_a_run_did(declared: Project) -> None:
    declared.run()
    text = (declared.root / "dvc.yaml").read_text()
    before = declared.output("measure/metrics.json")
    told = _stock_dvc(declared, "repro", "--force")
    assert "towpath step training measure" in told
    assert _stock_dvc(declared, "status") == "Data and pipelines are up to date."
    assert (declared.root / "dvc.yaml").read_text() == text
    assert declared.output("measure/metrics.json") == before
    shown = _stock_dvc(declared, "metrics", "show", "--md")
    assert "deep.f1-score" in shown
    assert "curve.json" not in shown
    plots = _stock_dvc(
        declared, "plots", "show", "--show-vega", "artifacts/training/measure/curve.json"
    )
    assert '"b": 12' in plots
    # Several columns stand at the top of the file, and DVC draws each.
    assert "training-measure-losses:\n    x: step\n" in text
    assert _stock_dvc(declared, "plots", "diff", "--json").count('"train"') > 0


def test_a_choice_takes_what_is_there(declared: Project) -> None:
    declared.run()
    assert (
        single_step.carry_out(declared.workspace, "training", "join", print).outputs["joined"].size
        == 3
    )
    (declared.artifacts / "one" / "it.txt").unlink()
    with pytest.raises(StepFailed) as failed:
        single_step.carry_out(declared.workspace, "training", "join", print)
    (fault,) = failed.value.faults
    assert fault.what == "artifacts/training/one/it.txt of step `one` is not there"
    declared.write("artifacts/training/other/it.txt", "other")
    made = single_step.carry_out(declared.workspace, "training", "join", print)
    assert made.outputs["joined"].size == 5


def test_a_json_file_that_was_broken_by_hand_is_named(declared: Project) -> None:
    declared.run()
    broken = declared.artifacts / "make" / "large.dat"
    broken.unlink()
    broken.write_text("{")
    said = declared.towpath("step", "training", "use")
    assert said.code == 1
    assert "artifacts/training/make/large.dat is no JSON document: " in said.err
    assert "Traceback" not in said.err


def test_a_step_is_tried_again_as_in_a_run(project: Project, tmp_path, capsys) -> None:
    project.declare(FLAKY.replace("MARK", str(tmp_path / "mark")), FLAKY_STEPS)
    made = single_step.carry_out(project.workspace, "training", "flaky", print)
    assert made.outputs["rows"].size == 2
    assert "ConnectionError: lost" in capsys.readouterr().out
    with pytest.raises(StepFailed, match="ValueError: no"):
        single_step.carry_out(project.workspace, "training", "never", print)
    assert capsys.readouterr().out.splitlines().count("called") == 1
