"""Deployments at a Prefect server on PostgreSQL, where one pipeline follows another."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from postgres_server import database_user, find_programs, run_database, run_prefect_server

from running import FOLDER, Project, make
from towpath.backends.prefect.server import api_home
from towpath.backends.prefect.server.project_api import start_services, stop_services
from towpath.execution import run_record

PREPARE = "params: {n: 3}\nsteps:\n  clean: {run: clean, params: [n], outputs: [rows.json]}\n"
FLOW = "from towpath import flow\n\n{0} = flow(__file__)\n"
DEPLOYMENTS = """\
deployments:
- {name: dev, entrypoint: "flows/prepare/flow.py:prepare"}
- name: dev
  entrypoint: flows/training/flow.py:training
  on_change: prepare:clean.rows
"""


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The API of a server on PostgreSQL, which this process has configured."""
    programs, user = find_programs(), database_user()
    if programs is None or user is None:
        pytest.skip("PostgreSQL is not installed: initdb and pg_ctl (Debian: postgresql)")
    with (
        run_database(programs, user) as database,
        run_prefect_server(database, tmp_path / "prefect") as url,
    ):
        monkeypatch.setenv("PREFECT_API_URL", url)
        yield url


def ask(url: str, path: str, body: Any) -> Any:
    request = urllib.request.Request(
        f"{url}{path}", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.loads(answer.read())


def ended_pipelines(project: Project, count: int, worker_log: Path) -> list[str]:
    """The pipelines of so many runs, when they have ended well."""
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        runs = [run_record.read_run(project.workspace.runs / name) for name in project.runs()]
        if len(runs) >= count and all(run and run.state.has_ended for run in runs):
            assert all(run and not run.error for run in runs), runs
            return [run.pipeline for run in runs if run]
        time.sleep(0.2)
    raise AssertionError(f"{count} runs did not end\n{worker_log.read_text(errors='replace')}")


TELL = """\
from towpath.backends.prefect.change_events import tell_changed_stage

said = []
tell_changed_stage("prod", ["abalone"], said.append)
assert said == [], said
"""


def test_a_change_runs_who_follows_it(api: str, project: Path) -> None:
    small = make(
        project,
        {
            f"{FOLDER}/flow.py": FLOW.format("training"),
            "flows/prepare/flow.py": FLOW.format("prepare"),
            "flows/prepare/pipeline.yaml": PREPARE,
            "flows/prepare/steps.py": "def clean(n: float) -> list:\n    return [n]\n",
            "prefect.yaml": DEPLOYMENTS,
        },
    )
    made = small.towpath("deploy", "--apply", "--json")
    assert made.code == 0, made
    assert small.towpath("deploy", "--check").code == 0
    start_services(small.root)
    log = api_home.home_of_project(small.root).worker_log
    try:
        stands = {d["entrypoint"]: d["id"] for d in ask(api, "/deployments/filter", {})}
        path = f"/deployments/{stands['flows/prepare/flow.py:prepare']}/create_flow_run"
        ask(api, path, {"state": {"type": "SCHEDULED"}})
        assert ended_pipelines(small, 2, log) == ["prepare", "training"]
        ask(api, path, {"state": {"type": "SCHEDULED"}})  # the same bytes: nobody follows
        assert ended_pipelines(small, 3, log) == ["prepare", "training", "prepare"]
        events = ask(api, "/events/filter", {"filter": {"event": {"prefix": ["towpath."]}}})
        resources = [e["resource"]["prefect.resource.id"] for e in events["events"]]
        assert sum("/prepare:clean.rows" in resource for resource in resources) == 1
        # By hand it is told too, for this is a server that others share; a trial is not.
        assert small.towpath("run", "prepare", "-p", "n=5").code == 0
        assert small.towpath("run", "prepare", "--only", "clean", "--force").code == 0
        small.edit("flows/prepare/steps.py", "[n]", "[n, n]")
        assert small.towpath("run", "prepare").code == 0
        pipelines = ended_pipelines(small, 7, log)
        assert pipelines[3:] == ["prepare", "prepare", "prepare", "training"]
        # In a Python of its own: where Prefect was imported before, it asks the API of then.
        subprocess.run([sys.executable, "-c", TELL], cwd=small.root, check=True)
        stage = {"filter": {"event": {"name": ["towpath.stage.changed"]}}}
        deadline = time.monotonic() + 180
        while not (events := ask(api, "/events/filter", stage)["events"]):
            assert time.monotonic() < deadline, "the server keeps events in its own time"
            time.sleep(0.2)
        assert events[0]["resource"]["prefect.resource.id"] == "towpath.stage.abalone#prod"
    finally:
        stop_services(small.root, force=True)
