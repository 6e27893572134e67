"""A run on an executor that is not Prefect: whoever begins a run passes one in."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Collection

import pytest

from running import Project, ran
from towpath.backends.prefect.prefect_import import import_prefect
from towpath.execution import run_folders

PLAIN = """
import sys
from dataclasses import dataclass, field
from pathlib import Path

from towpath.planning.run_request import RunRequest
from towpath.execution.pipeline_run import run_pipeline, warmed_supervisor
from towpath.execution.step_execution import Scheduler
from towpath.errors import TowpathError
from towpath.steps import step_process
from towpath.workspace import Workspace


def attempt(deed):
    try:
        return deed()
    except TowpathError as error:
        return error


@dataclass
class OneByOne:
    tells_begin: bool = True
    outcomes: dict = field(default_factory=dict)

    def submit_step(self, node, order, after, tell):
        tell("begun", 1)
        self.outcomes[node.name] = attempt(lambda: step_process.call_step(order, str))
        tell("ended", None)

    def show_step(self, node, state, reason, after):
        pass

    def act(self, node, deed, after):
        return attempt(deed)

    def step_outcome(self, step):
        return self.outcomes[step]

    def await_all(self):
        pass


def executor(execution, may_run):
    with warmed_supervisor(execution, may_run):
        Scheduler(execution, OneByOne()).run()


done = run_pipeline(Workspace(Path.cwd()), RunRequest("training"), executor)
assert not any(name.partition(".")[0] == "prefect" for name in sys.modules), "Prefect is imported"
print(done.id)
"""


def carry_out(project: Project) -> str:
    """The name of a run on that executor, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(PLAIN)],
        cwd=project.root, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def recorded(project: Project, name: str) -> Collection[str]:
    """The steps that a run carried out, as its record says."""
    return ran(run_folders.find_run(project.workspace.runs, name))


def test_a_run_needs_no_prefect_where_it_is_given_another_executor(project: Project) -> None:
    first = carry_out(project)
    assert recorded(project, first) == {"clean", "fit", "score", "register"}
    assert project.output("score/metrics.json")["rows"] == 3
    assert project.tags() == ["mean@v1.0.0"]
    assert recorded(project, carry_out(project)) == set()


def test_what_fails_on_it_fails_the_run(project: Project) -> None:
    project.code("return number > LEAST", 'raise ValueError("no")')
    name = carry_out(project)
    run = run_folders.find_run(project.workspace.runs, name)
    assert (run.state, run.exit_code) == ("failed", 1)
    assert run.steps["clean"].reason == "ValueError: no"
    assert run.steps["fit"].state == "skipped"


def test_a_run_in_this_process_leaves_its_environment_as_it_was(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    import_prefect()
    monkeypatch.delenv("DO_NOT_TRACK")  # one of those that a run sets for Prefect
    before = dict(os.environ)
    assert project.run_by_prefect().state == "done"
    assert dict(os.environ) == before


WARNING = """
import logging
from towpath.backends.prefect.prefect_import import import_prefect
import_prefect()
logging.getLogger("towpath.registry").warning("a tag is odd")
logging.getLogger("prefect").warning("Prefect's own")
"""


def test_a_warning_of_ours_is_said_after_prefect_was_imported() -> None:
    done = subprocess.run([sys.executable, "-c", WARNING], capture_output=True, text=True)
    assert done.stderr.splitlines() == ["a tag is odd"]
