"""One project in which each kind of step stands, and runs."""

from __future__ import annotations

from adopted_example import Adopt

from running import end, states, wait_for_question
from towpath.config.pipeline_declaration import KINDS
from towpath.execution import run_folders
from towpath.planning.pipeline_check import read_pipelines

NOT_TAKEN = {"another_day", "reject"}  # the steps of the kinds `stop` and `fail`


def test_one_project_uses_every_kind_and_runs(adopt: Adopt) -> None:
    project = adopt("every-kind")
    declared = read_pipelines(project.workspace).values()
    steps = [step for declaration in declared for step in declaration.pipeline.steps.values()]
    assert {step.kind for step in steps} == set(KINDS), "a new kind gets a step in this example"

    begun = project.begin("run", "training")
    token = wait_for_question(project, "ask")["token"]
    assert project.towpath("answer", token, "approved=true").code == 0
    done = end(begun)
    assert done.code == 0, done.err
    record = run_folders.find_run(project.workspace.runs, "last")
    assert {name for name, state in states(record).items() if state != "done"} == NOT_TAKEN
    assert project.tags() == ["lateness@v1.0.0"]
    assert "grand" in (project.artifacts / "count" / "counts.txt").read_text()
    told = (project.root / ".towpath" / "slate.txt").read_text()
    assert told.startswith("lateness is registered, 0.")
