"""Deployed runs: those with what `prefect.yaml` declares register, others are trials."""

from __future__ import annotations

import time
from pathlib import Path

from stock_prefect import call_prefect, run_deployment

from running import FOLDER, Project, make
from towpath.backends.prefect.server import api_home
from towpath.backends.prefect.server.project_api import start_services
from towpath.execution import run_record
from towpath.execution.run_record import RecordedRun

DEPLOYMENTS = """\
name: small
deployments:
- name: dev
  entrypoint: flows/training/flow.py:training
  parameters: {factor: 3}
  work_pool:
    name: towpath
"""
FLOW = "from towpath import flow\n\ntraining = flow(__file__)\n"


def ended(project: Project, count: int) -> RecordedRun:
    """The last of so many runs, when it has ended."""
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        names = project.runs()
        run = (
            run_record.read_run(project.workspace.runs / names[-1]) if len(names) == count else None
        )
        if run is not None and run.state.has_ended:
            return run
        time.sleep(0.1)
    log = api_home.home_of_project(project.root).worker_log.read_text(errors="replace")
    states = [run_record.read_run(project.workspace.runs / name) for name in project.runs()]
    raise AssertionError(f"run {count} did not end: {states}\n{log}")


def test_what_is_declared_for_a_deployment_registers(project: Path) -> None:
    made = make(project, {f"{FOLDER}/flow.py": FLOW, "prefect.yaml": DEPLOYMENTS})
    made.write(".gitignore", ".towpath/\nartifacts/\n__pycache__/\nprefect.toml\n")
    made.git("init", "-q", "-b", "main")
    made.commit()
    endpoint = start_services(made.root).api.proven_endpoint
    call_prefect(made.root, "deploy", "--all")
    run_deployment(endpoint, "training/dev")
    first = ended(made, 1)
    assert (first.params["factor"], first.registered_versions) == (3, ("mean@v1.0.0",)), first.steps
    run_deployment(endpoint, "training/dev", parameters={"factor": 4})
    trial = ended(made, 2)
    assert (trial.params["factor"], trial.tried) == (4, ("factor",))
    assert trial.steps["register"].reason == "a trial; `towpath register RUN` registers it"
    assert made.towpath("register", "last").code == 0
    assert made.tags() == ["mean@v1.0.0", "mean@v1.1.0"]
