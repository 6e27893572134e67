"""Deployed runs of a pipeline: what their steps have imported before they begin, and what not."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from stock_prefect import call_prefect, run_deployment

from running import FOLDER, Project, make
from towpath.backends.prefect.server import worker
from towpath.backends.prefect.server.project_api import (
    StartedServices,
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


def stands(small: Project) -> StartedServices:
    """`towpath up` with its deployments."""
    standing = start_services(small.root)
    call_prefect(small.root, "deploy", "--all")
    return standing


def seen(small: Project, standing: StartedServices, n: int, **wishes: Any) -> Any:
    """What the step of a deployed run saw."""
    endpoint = standing.api.proven_endpoint
    run_deployment(endpoint, "training/dev", parameters={"n": n}, **wishes)
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        found = worker.ask_local_api(endpoint, "POST", "/flow_runs/filter", {})
        states = [run["state"]["type"] for run in found]
        assert "FAILED" not in states, standing.api.home.worker_log.read_text()
        if states == ["COMPLETED"] * len(states) and len(small.runs()) == len(states):
            last = small.workspace.runs / small.runs()[-1] / "events.jsonl"
            events = [json.loads(line) for line in last.read_text().splitlines()]
            return next(e for e in events if "made" in e)["made"]["values"]["seen"]
        time.sleep(0.1)
    raise AssertionError("the run did not end")


def test_steps_have_their_packages_at_once_and_the_project_s_code_anew(
    small: Project, site: Path
) -> None:
    install(site, "", "1.0")
    standing = stands(small)
    assert seen(small, standing, 1) == {
        "ahead": True, "word": "first", "variable": "", "alpha": "1.0", "at_import": "",
    }  # fmt: skip
    assert_whole_log(standing)
    (small.root / FOLDER / "beside.py").write_text('WORD = "other"\n')
    assert seen(small, standing, 2)["word"] == "other"

    own = seen(small, standing, 3, job_variables={"env": {"OWN": "mine"}})
    assert (own["variable"], own["at_import"]) == ("mine", "mine")

    (site / "alpha-1.0.dist-info").rename(site / "away")
    install(site, "", "1.1")
    upgraded = seen(small, standing, 4)
    assert upgraded["alpha"] == "1.1"
    a_schedule_runs(small)
    stop_services(small.root, force=True)


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
    assert not {"beside", "steps", "os", "sys"} & found


def a_schedule_runs(small: Project) -> None:
    """Deployed anew with a schedule, it runs without being asked."""
    small.write("prefect.yaml", f"{DEPLOYMENTS}  schedules: [{{interval: 10}}]\n")
    before = {run.id for run in run_folders.recent_runs(small.workspace.runs)}
    call_prefect(small.root, "deploy", "--all")
    deadline = time.monotonic() + 180
    while not any(
        run.state == "done" and run.id not in before
        for run in run_folders.recent_runs(small.workspace.runs)
    ):
        assert time.monotonic() < deadline, "nothing was run"
        time.sleep(0.2)


def assert_whole_log(standing: StartedServices) -> None:
    """The last of a run's log is there, which a worker that ends at once would lose."""
    deadline = time.monotonic() + 180
    while "Finished in state Completed()" not in _logged(standing):
        assert time.monotonic() < deadline, _logged(standing)
        time.sleep(0.2)
    assert "Beginning flow run" in _logged(standing)


def _logged(standing: StartedServices) -> str:
    found = worker.ask_local_api(
        standing.api.proven_endpoint, "POST", "/logs/filter", {"limit": 200}
    )
    return "\n".join(each["message"] for each in found)


def test_a_deployed_run_has_secrets_waits_for_an_answer_and_is_stopped(small: Project) -> None:
    small.declare(
        """
        steps:
          look: {run: look, secrets: {KEY: {block: api-token}}, outputs: [seen.json]}
          tell: {kind: notify, message: looked at it, block: custom-webhook/hall, after: look}
          ask: {kind: callback, message: go on?, answers: {go: {type: boolean}}, after: tell}
        """,
        "import os\ndef look():\n    print('key', os.environ['KEY'])\n    return {}\n",
    )
    standing = stands(small)
    endpoint = standing.api.proven_endpoint
    run_deployment(endpoint, "training/dev")
    _await_states(endpoint, "/flow_runs/filter", {"FAILED"})
    refused = run_folders.find_run(small.workspace.runs, "last").error
    assert refused == (
        "step `look` needs the secret `KEY`: there is no block `api-token`"
        " (make a block of the kind Secret at the Prefect API of the run)",
    )
    with _listening() as (url, told_words):
        words = [sys.executable, "-c", BLOCKS, url]
        subprocess.run(words, cwd=small.root, check=True, capture_output=True)
        run_deployment(endpoint, "training/dev")
        _await_states(endpoint, "/task_runs/filter", {"COMPLETED", "PAUSED"})
    assert told_words == ['{"text":"looked at it"}']
    run = run_folders.find_run(small.workspace.runs, "last")
    log = (small.workspace.runs / run.id / "look" / "log.txt").read_text()
    assert log == "key ***\n" and "hush-very-9" not in _logged(standing)
    told = small.towpath("run", "--stop", "last")
    assert (told.code, told.err) == (0, f"run {run.id} was interrupted\n")
    _await_states(endpoint, "/flow_runs/filter", {"FAILED", "CANCELLED"})
    stop_services(small.root)


BLOCKS = """
import sys
from prefect.blocks.notifications import CustomWebhookNotificationBlock
from prefect.blocks.system import Secret

Secret(value="hush-very-9").save("api-token")
CustomWebhookNotificationBlock(
    name="hall", url=sys.argv[1], method="POST", json_data={"text": "{{body}}"}
).save("hall")
"""


@contextmanager
def _listening() -> Iterator[tuple[str, list[str]]]:
    """A server to which a notification can be sent, and what it was sent."""
    bodies: list[str] = []

    class Hall(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
            self.send_response(200)
            self.end_headers()

    with ThreadingHTTPServer(("127.0.0.1", 0), Hall) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/", bodies
        server.shutdown()


def _await_states(endpoint: LocalApiState, route: str, states: set[str]) -> None:
    deadline = time.monotonic() + 60
    while True:
        runs = worker.ask_local_api(endpoint, "POST", route, {})
        if {run["state"]["type"] for run in runs} == states:
            return
        assert time.monotonic() < deadline, [run["state"] for run in runs]
        time.sleep(0.2)
