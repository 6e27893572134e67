"""Stock Prefect beside ours: its command line, and a deployed run as its pages begin one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from towpath.backends.prefect.server import worker
from towpath.backends.prefect.server.server_state import LocalApiState


def call_prefect(folder: Path, *words: str) -> str:
    """What a person types in a project's folder; its answer."""
    command = [sys.executable, "-m", "prefect", "--no-prompt", *words]
    environment = {**os.environ, "PWD": str(folder)}
    ended = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def run_deployment(endpoint: LocalApiState, name: str, **wishes: Any) -> str:
    """Begin a run of a deployment, as a button of Prefect's pages does: that saves the two seconds
    for which `prefect deployment run` imports. Wishes are ``parameters`` and ``job_variables``; the
    answer is the run's id."""
    deployment = worker.ask_local_api(endpoint, "GET", f"/deployments/name/{name}", None)["id"]
    request = {"state": {"type": "SCHEDULED"}, **wishes}
    path = f"/deployments/{deployment}/create_flow_run"
    return str(worker.ask_local_api(endpoint, "POST", path, request)["id"])
