"""Deployed runs of a pipeline: what their steps have at hand, are told, and leave behind."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from notified_hall import BLOCKS, listen_in_hall
from stock_prefect import call_prefect, run_deployment

import running
from running import FOLDER, Project, end, make, start
from towpath.backends.prefect.server import worker
from towpath.backends.prefect.server.project_api import (
    StartedServices,
    read_service_status,
    start_services,
    stop_services,
)
from towpath.backends.prefect.server.server_state import LocalApiState
from towpath.execution import run_folders
from towpath.pipeline.compile_graph import outline_graph
from towpath.steps import step_process

PIPELINE = """\
params:
  n: 1
steps:
  look:
    run: look
    params: [n]
    outputs: [seen.json]
"""
STEPS = """\
import os

import alpha
import beside


def look(n: int) -> dict:
    return {"ahead": alpha.PID != os.getpid(), "word": beside.WORD,
            "variable": os.environ.get("OWN", ""),
            "alpha": alpha.__version__, "at_import": alpha.OWN}
"""
FLOW = "from towpath import flow\n\ntraining = flow(__file__)\n"
DEPLOYMENTS = """\
name: small
deployments:
- name: dev
  entrypoint: flows/training/flow.py:training
  work_pool: {name: towpath}
"""
REGISTERING = """\
name: small
deployments:
- name: registers
  entrypoint: flows/training/flow.py:training
  parameters: {factor: 3}
  work_pool: {name: towpath}
"""


def install(site: Path, text: str, version: str) -> None:
    """A package ``alpha`` among the installed ones."""
    info = site / f"alpha-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: alpha\nVersion: {version}\n")
    (info / "RECORD").write_text(f"alpha/__init__.py,,\nalpha-{version}.dist-info/METADATA,,\n")
    (site / "alpha").mkdir(exist_ok=True)
    own = 'import os\nOWN = os.environ.get("OWN", "")\nPID = os.getpid()\n'
    (site / "alpha" / "__init__.py").write_text(f'__version__ = "{version}"\n{own}{text}')


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of installed packages that every Python here looks into."""
    found = tmp_path / "env" / "site-packages"
    found.mkdir(parents=True)
    monkeypatch.setenv("PYTHONPATH", str(found))
    return found


@pytest.fixture
def small(project: Path) -> Project:
    """A pipeline whose one step says what its process had when it began."""
    made = make(
        project,
        {
            f"{FOLDER}/pipeline.yaml": PIPELINE,
            f"{FOLDER}/steps.py": STEPS,
            f"{FOLDER}/beside.py": 'WORD = "first"\n',
            f"{FOLDER}/flow.py": FLOW,
            "prefect.yaml": DEPLOYMENTS,
        },
    )
    made.git("init", "-q", "-b", "main")
    made.commit()
    return made


def test_the_story(small: Project, site: Path) -> None:
    """On one API and its worker: to start both takes ten seconds."""
    install(site, "", "1.0")
    assert read_service_status(small.root).url is None
    assert small.towpath("deploy", "--check").code == 4  # it starts the API, and makes nothing
    standing = start_services(small.root)
    assert standing.api.warm
    call_prefect(small.root, "deploy", "--all")
    a_step_has_its_packages_at_once_and_what_its_run_was_given(small, standing)
    a_schedule_runs_with_what_is_there_by_then(small, site, standing)
    a_run_without_a_block_that_it_names_fails(small, standing)
    with listen_in_hall() as (url, told):
        words = [sys.executable, "-c", BLOCKS, url]
        subprocess.run(words, cwd=small.root, check=True, capture_output=True)
        a_run_has_secrets_waits_for_an_answer_and_is_stopped(small, standing, told)
        a_run_of_the_command_line_has_secrets_and_tells_by_a_block(small, told)
    what_is_declared_for_a_deployment_registers(small, standing)
    assert read_service_status(small.root).runs == ()
    stop_services(small.root)


def seen(small: Project, standing: StartedServices, n: int, **wishes: Any) -> Any:
    """What the step of a deployed run saw."""
    endpoint = standing.api.proven_endpoint
    run = run_deployment(endpoint, "training/dev", parameters={"n": n}, **wishes)
    await_state(standing, run, "COMPLETED")
    return last_seen(small)


def await_state(standing: StartedServices, run: str, expected: str) -> None:
    """Until a run of a deployment is in a state; AssertionError where it ended otherwise."""
    deadline = time.monotonic() + 180
    while True:
        state = worker.ask_local_api(standing.api.proven_endpoint, "GET", f"/flow_runs/{run}")
        if state["state_type"] == expected:
            return
        # One that is stopped is called crashed by the worker before it is called cancelled.
        is_over = state["state_type"] in ("COMPLETED", "FAILED")
        assert not is_over and time.monotonic() < deadline, (
            state["state"], standing.api.home.worker_log.read_text(),
        )  # fmt: skip
        time.sleep(0.8)  # each answer is work for the server


def last_seen(small: Project) -> Any:
    """What the step of the last run saw."""
    last = small.workspace.runs / small.runs()[-1] / "events.jsonl"
    events = [json.loads(line) for line in last.read_text().splitlines()]
    return next(e for e in events if "made" in e)["made"]["values"]["seen"]


def a_step_has_its_packages_at_once_and_what_its_run_was_given(
    small: Project, standing: StartedServices
) -> None:
    assert seen(small, standing, 2, job_variables={"env": {"OWN": "mine"}}) == {
        "ahead": True, "word": "first", "variable": "mine", "alpha": "1.0", "at_import": "mine",
    }  # fmt: skip
    assert_whole_log(standing)


def test_libraries_are_those_of_installed_packages(
    small: Project, site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(site, "", "1.0")
    monkeypatch.syspath_prepend(site)
    small.edit(f"{FOLDER}/pipeline.yaml", "[seen.json]", "[seen.json, table.parquet]")
    nodes = list(outline_graph(small.workspace.pipeline("training")).nodes.values())
    imported = step_process.find_libraries(small.workspace, FOLDER, nodes)
    found = set(step_process.needs_of_steps(nodes, imported))
    assert {"alpha", "pandas", "pyarrow.parquet", "towpath.steps.kinds.function_step"} <= found
    assert not {"beside", "steps", "os", "sys", "scipy.special"} & found
    small.edit(f"{FOLDER}/pipeline.yaml", "table.parquet]", "table.parquet, model.skops]")
    nodes = list(outline_graph(small.workspace.pipeline("training")).nodes.values())
    in_order = step_process.needs_of_steps(nodes, imported)
    assert in_order.index("scipy.special") < in_order.index("pandas") < in_order.index("skops.io")


def a_schedule_runs_with_what_is_there_by_then(
    small: Project, site: Path, standing: StartedServices
) -> None:
    """A package is upgraded, and the project's code is another; deployed anew with a schedule, a
    run begins without being asked, and has nothing of what the run before it was given."""
    (site / "alpha-1.0.dist-info").rename(site / "away")
    install(site, "", "1.1")
    (small.root / FOLDER / "beside.py").write_text('WORD = "other"\n')
    # One run, soon; where the deploying took longer than that, the next comes in a while.
    soon = (datetime.now(UTC) + timedelta(seconds=12)).isoformat()
    schedule = f"{{interval: 40, anchor_date: '{soon}'}}"
    small.write("prefect.yaml", f"{DEPLOYMENTS}  schedules: [{schedule}]\n")
    before = small.runs()
    deploy_by_towpath(small)
    deadline = time.monotonic() + 180
    while not any(
        run.state == "done" and run.id not in before
        for run in run_folders.recent_runs(small.workspace.runs)
    ):
        assert time.monotonic() < deadline, standing.api.home.worker_log.read_text()
        time.sleep(0.4)
    assert last_seen(small) == {
        "ahead": True, "word": "other", "variable": "", "alpha": "1.1", "at_import": "",
    }  # fmt: skip
    end_schedule(standing, "training/dev")


def deploy_by_towpath(small: Project) -> None:
    """Deploy anew by our own command: a run shows that what it deployed works."""
    answer = small.towpath("deploy", "--apply")
    assert answer.code == 0, answer.err


def end_schedule(standing: StartedServices, name: str) -> None:
    """Begin no more runs of a deployment, and wait for those that were begun."""
    endpoint = standing.api.proven_endpoint
    deployment = worker.ask_local_api(endpoint, "GET", f"/deployments/name/{name}", None)["id"]
    worker.ask_local_api(endpoint, "POST", f"/deployments/{deployment}/pause_deployment")
    going = {"flow_runs": {"state": {"type": {"any_": ["SCHEDULED", "PENDING", "RUNNING"]}}}}
    deadline = time.monotonic() + 180
    while worker.ask_local_api(endpoint, "POST", "/flow_runs/filter", going):
        assert time.monotonic() < deadline, standing.api.home.worker_log.read_text()
        time.sleep(0.4)


def assert_whole_log(standing: StartedServices) -> None:
    """The last of a run's log is there, which a worker that ends at once would lose."""
    deadline = time.monotonic() + 180
    while "Finished in state Completed()" not in _logged(standing):
        assert time.monotonic() < deadline, _logged(standing)
        time.sleep(0.4)
    assert "Beginning flow run" in _logged(standing)


def _logged(standing: StartedServices, run: str | None = None) -> str:
    of_run = {"logs": {"flow_run_id": {"any_": [run]}}} if run else {}
    found = worker.ask_local_api(
        standing.api.proven_endpoint, "POST", "/logs/filter", {"limit": 200, **of_run}
    )
    return "\n".join(each["message"] for each in found)


def a_run_without_a_block_that_it_names_fails(small: Project, standing: StartedServices) -> None:
    """Pipeline and functions are others again, and nothing is deployed anew."""
    small.declare(
        """
        steps:
          look: {run: look, secrets: {KEY: {block: api-token}}, outputs: [seen.json]}
          tell: {kind: notify, message: looked at it, block: custom-webhook/hall, after: look}
          ask: {kind: callback, message: go on?, answers: {go: {type: boolean}}, after: tell}
        """,
        "import os\ndef look():\n    print('key', os.environ['KEY'])\n    return {}\n",
    )
    run = run_deployment(standing.api.proven_endpoint, "training/dev")
    await_state(standing, run, "FAILED")
    refused = run_folders.find_run(small.workspace.runs, "last").error
    assert refused == (
        "step `look` needs the secret `KEY`: there is no block `api-token`"
        " (make a block of the kind Secret at the Prefect API of the run)",
    )


def a_run_has_secrets_waits_for_an_answer_and_is_stopped(
    small: Project, standing: StartedServices, told_words: list[str]
) -> None:
    endpoint = standing.api.proven_endpoint
    deployed = run_deployment(endpoint, "training/dev")
    _await_paused_task(endpoint, deployed)
    assert told_words == ['{"text":"looked at it"}']
    run = run_folders.find_run(small.workspace.runs, "last")
    log = (small.workspace.runs / run.id / "look" / "log.txt").read_text()
    assert log == "key ***\n" and "hush-very-9" not in _logged(standing, deployed)
    told = small.towpath("run", "--stop", "last")
    assert (told.code, told.err) == (0, f"run {run.id} was interrupted\n")
    await_state(standing, deployed, "CANCELLED")


def _await_paused_task(endpoint: LocalApiState, run: str) -> None:
    deadline = time.monotonic() + 60
    of_run = {"flow_runs": {"id": {"any_": [run]}}}
    while True:
        tasks = worker.ask_local_api(endpoint, "POST", "/task_runs/filter", of_run)
        # A task that was only just made has no state yet.
        if {task["state_type"] for task in tasks} == {"COMPLETED", "PAUSED"}:
            return
        assert time.monotonic() < deadline, [task["state_type"] for task in tasks]
        time.sleep(0.4)


def a_run_of_the_command_line_has_secrets_and_tells_by_a_block(
    small: Project, told_words: list[str]
) -> None:
    """It puts off imports that a deployed run has: nobody misses them."""
    small.declare(
        """
        steps:
          look: {run: look, secrets: {KEY: {block: api-token}}, outputs: [seen.json]}
          tell: {kind: notify, message: seen by hand, block: custom-webhook/hall, after: look}
        """,
        "import os\ndef look():\n    return {'key': len(os.environ['KEY'])}\n",
    )
    told_words.clear()
    # A new Python, for one in which Prefect was imported before puts nothing off.
    answer = end(start(small.root, "run"))
    assert answer.code == 0, answer.err
    assert told_words == ['{"text":"seen by hand"}']
    assert small.output("look/seen.json") == {"key": 11}


def what_is_declared_for_a_deployment_registers(small: Project, standing: StartedServices) -> None:
    """Runs with what `prefect.yaml` declares register, others are trials."""
    small.declare(running.PIPELINE, running.STEPS)
    small.write("prefect.yaml", REGISTERING)
    small.write(".gitignore", ".towpath/\nartifacts/\n__pycache__/\nprefect.toml\n")
    small.commit()
    deploy_by_towpath(small)
    endpoint = standing.api.proven_endpoint
    await_state(standing, run_deployment(endpoint, "training/registers"), "COMPLETED")
    first = run_folders.find_run(small.workspace.runs, "last")
    assert (first.params["factor"], first.registered_versions) == (3, ("mean@v1.0.0",)), first.steps
    deployed = run_deployment(endpoint, "training/registers", parameters={"factor": 4})
    await_state(standing, deployed, "COMPLETED")
    trial = run_folders.find_run(small.workspace.runs, "last")
    assert (trial.params["factor"], trial.tried) == (4, ("factor",))
    assert trial.steps["register"].reason == "a trial; `towpath register RUN` registers it"
    assert small.towpath("register", "last").code == 0
    assert small.tags() == ["mean@v1.0.0", "mean@v1.1.0"]
