"""What Prefect shows of a run: the flow run, a task run for each step, states, artifacts."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any
from urllib.request import Request, urlopen

from running import Project
from towpath.backends.prefect.server import PrefectApi
from towpath.backends.prefect.server.api_guard import basic_authorization
from towpath.execution.run_record import RecordedRun


def ask(api: PrefectApi, path: str, body: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What the API answers to a filter."""
    asked = Request(f"{api.url}/{path}/filter", json.dumps(body).encode(), method="POST")
    asked.add_header("Content-Type", "application/json")
    asked.add_header("Authorization", basic_authorization(api.proven_endpoint.secret))
    with urlopen(asked) as answer:
        found: list[dict[str, Any]] = json.load(answer)
    return found


def flow_run(api: PrefectApi, run: RecordedRun) -> dict[str, Any]:
    (found,) = ask(api, "flow_runs", {"flow_runs": {"name": {"any_": [run.id]}}})
    return found


def task_runs(api: PrefectApi, run: RecordedRun) -> dict[str, dict[str, Any]]:
    """The task runs by name; the API writes them a moment after the run has ended, and the state of
    one a moment after its end."""
    flow = flow_run(api, run)["id"]
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        found = ask(api, "task_runs", {"flow_runs": {"id": {"any_": [flow]}}})
        is_written = all(task["end_time"] and task["state"] for task in found)
        if len(found) == len(run.steps) and is_written:
            break
        time.sleep(0.2)
    return {task["name"]: task for task in found}


def said(tasks: Mapping[str, Mapping[str, Any]]) -> dict[str, tuple[str, str]]:
    return {
        name: (task["state_name"], task["state"]["message"] or "") for name, task in tasks.items()
    }


def test_a_run_in_prefect(project: Project, warm_api: PrefectApi) -> None:
    first = project.run_by_prefect()
    flow = flow_run(warm_api, first)
    assert (flow["state_name"], flow["parameters"]) == (
        "Completed", {"factor": 2, "limit": 100, "raw": "data/raw.json"},
    )  # fmt: skip
    tasks = task_runs(warm_api, first)
    assert said(tasks) == {
        "clean": ("Completed", "rows.json"),
        "fit": ("Completed", "model.json"),
        "score": ("Completed", "metrics.json"),
        "good": ("Completed", "true"),
        "register": ("Completed", "mean@v1.0.0"),
        "reject": ("Skipped", "`good` is true"),
    }
    upstream = tasks["score"]["task_inputs"]["wait_for"]
    assert {each["id"] for each in upstream} == {tasks["fit"]["id"], tasks["clean"]["id"]}
    artifacts = ask(warm_api, "artifacts", {"artifacts": {"flow_run_id": {"any_": [flow["id"]]}}})
    found = {artifact["key"]: artifact for artifact in artifacts}
    assert json.loads(found["training-score-metrics"]["data"]) == [
        {"metric": "error", "value": 7.000000000000001}, {"metric": "rows", "value": 3},
    ]  # fmt: skip
    assert "mermaid" in found["training-graph"]["data"]
    assert str(project.workspace.runs / first.id) in found["training-graph"]["data"]

    failed = project.run_by_prefect(params={"limit": "1"})
    assert flow_run(warm_api, failed)["state_name"] == "Failed"
    states = said(task_runs(warm_api, failed))
    _, message = states.pop("reject")
    assert message.endswith("error 7.0 is above 1")
    assert states == {
        **dict.fromkeys(("clean", "fit", "score"), ("Reused", f"made by {first.id}")),
        "good": ("Completed", "false"),
        "register": ("Skipped", "`good` is false"),
    }
    assert flow_run(warm_api, failed)["state"]["message"].endswith("error 7.0 is above 1")
