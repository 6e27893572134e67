"""Runs at a Prefect API, read through its REST: Prefect itself, whose import takes longer than all
the questions, is not needed. Nothing is started to find out."""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Mapping
from http.client import HTTPException
from pathlib import Path
from typing import Any

from msgspec import Struct

from towpath.backends.prefect.server import remote_api, server_state
from towpath.backends.prefect.server.api_guard import basic_authorization
from towpath.backends.prefect.server.api_home import home_of_project
from towpath.backends.prefect.server.server_state import ApiLine
from towpath.errors import EngineError

MARK = "towpath:"  # begins the tag of what is a project's, with the project's name
_PATIENCE = 2.5  # seconds for each answer
_MOST_TASKS = 200  # which is what the API gives at once
_MOST_LINES = 200
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
#: Prefect's types of states in our words.
_STATES = {
    "SCHEDULED": "waiting", "PENDING": "waiting", "PAUSED": "waiting", "RUNNING": "running",
    "CANCELLING": "running", "COMPLETED": "done", "FAILED": "failed", "CRASHED": "interrupted",
    "CANCELLED": "interrupted",
}  # fmt: skip
_LEVELS = ((50, "critical"), (40, "error"), (30, "warning"), (20, "info"))


class RunAtApi(Struct, frozen=True):
    """A run of a deployment. ``where`` says who carries it out, ``started`` is ISO 8601 or "",
    ``page`` its page of Prefect's."""

    id: str
    name: str
    flow: str
    state: str
    message: str
    started: str
    seconds: float
    where: str
    params: Mapping[str, Any]
    page: str


class TaskAtApi(Struct, frozen=True):
    name: str
    state: str
    started: str
    seconds: float


class LineAtApi(Struct, frozen=True):
    moment: str
    level: str
    text: str


class RunsAtApi(Struct, frozen=True):
    """What an API knows of a project's deployed runs, the newest first."""

    api: str
    runs: tuple[RunAtApi, ...]


class WholeRunAtApi(Struct, frozen=True):
    """One run with its steps, in the order in which they began, and the end of its log."""

    api: str
    run: RunAtApi
    tasks: tuple[TaskAtApi, ...]
    lines: tuple[LineAtApi, ...]


def list_runs_at_api(project: Path, name: str, most: int = 50) -> RunsAtApi | None:
    """The deployed runs of the project of that name; None where no API is configured or runs.

    Raises EngineError where it does not answer.
    """
    line = _find_line(project)
    if line is None:
        return None
    tagged = {"flow_runs": {"tags": {"all_": [MARK + name]}}}
    order = {"sort": "EXPECTED_START_TIME_DESC", "limit": most}
    return RunsAtApi(
        line.api, _read_runs(line, _ask_api(line, "/flow_runs/filter", tagged | order))
    )


def read_run_at_api(project: Path, name: str, run_id: str) -> WholeRunAtApi | None:
    """A deployed run of the project; None where there is none of that id, or no API.

    Raises EngineError where it does not answer.
    """
    line = _find_line(project) if _ID.fullmatch(run_id) else None
    if line is None:
        return None
    own = {"flow_runs": {"id": {"any_": [run_id]}}}
    tagged = {"flow_runs": {"id": {"any_": [run_id]}, "tags": {"all_": [MARK + name]}}}
    runs = _read_runs(line, _ask_api(line, "/flow_runs/filter", tagged))
    if not runs:
        return None
    order = {"sort": "EXPECTED_START_TIME_ASC", "limit": _MOST_TASKS}
    tasks = _list_items(_ask_api(line, "/task_runs/filter", own | order))
    logs = {"logs": {"flow_run_id": {"any_": [run_id]}}, "sort": "TIMESTAMP_DESC"}
    lines = _list_items(_ask_api(line, "/logs/filter", logs | {"limit": _MOST_LINES}))
    return WholeRunAtApi(
        line.api, runs[0], tuple(map(_read_task, tasks)), tuple(map(_read_line, reversed(lines)))
    )


def _ask_api(line: ApiLine, path: str, body: object) -> Any:
    """The answer to a question. Raises EngineError where there is none that can be read."""
    shown = f"the Prefect API {line.api}"
    if not line.api.lower().startswith(("http://", "https://")):
        raise EngineError(f"`{line.api}` is not the address of a Prefect API")
    begun = time.monotonic()
    try:
        status, content = line.request("POST", path, body, _PATIENCE)
    except (OSError, HTTPException, ValueError) as error:
        waited = f" after {time.monotonic() - begun:.0f} s" if "timed" in str(error) else ""
        raise EngineError(f"{shown} does not answer{waited}: {error}") from None
    if status in (401, 403):
        hint = f"export {remote_api.AUTH}=..., or PREFECT_API_KEY"
        raise EngineError(f"{shown} wants to know who asks", hint=hint)
    if status != 200:
        raise EngineError(f"{shown} said {status} to {path}")
    try:
        return json.loads(content)
    except ValueError:
        raise EngineError(f"{shown} said no JSON to {path}") from None


def _find_line(project: Path) -> ApiLine | None:
    """The API that the project's runs use; None where none is configured and none runs."""
    if configured := remote_api.find_configured_api(project):
        place = configured.place.file if configured.place else ""
        # A file of the project may come with anybody's branch: to look at runs shows nobody a key.
        is_own_word = not place or _is_own_profile(project, place)
        key = _read_authorization() if is_own_word else None
        return ApiLine(configured.url.rstrip("/"), key)
    home = home_of_project(project.resolve())
    state = server_state.running_api_state(home)
    if state is None:
        return None
    secret = server_state.prove_endpoint(home).secret
    return ApiLine(state.url, basic_authorization(secret))


def _is_own_profile(project: Path, place: str) -> bool:
    """Whether an address stands in the person's profiles: no file of the project, and none that
    such a file has chosen."""
    file = (project / place).resolve()
    is_inside = file.is_relative_to(project.resolve())
    return file == remote_api.own_profiles_path().resolve() and not is_inside


def _read_authorization() -> str | None:
    if key := remote_api.find_own_setting("PREFECT_API_KEY"):
        return f"Bearer {key}"
    own = remote_api.find_own_setting(remote_api.AUTH)
    return basic_authorization(own) if own else None


def _read_runs(line: ApiLine, answer: Any) -> tuple[RunAtApi, ...]:
    items = _list_items(answer)
    ids = sorted({_text(item, "flow_id") for item in items})
    named = _ask_api(line, "/flows/filter", {"flows": {"id": {"any_": ids}}}) if ids else []
    flows = {_text(item, "id"): _text(item, "name") for item in _list_items(named)}
    return tuple(_read_run(line, item, flows) for item in items if _ID.fullmatch(_text(item, "id")))


def _read_run(line: ApiLine, item: Mapping[str, Any], flows: Mapping[str, str]) -> RunAtApi:
    state = item.get("state")
    details = state if isinstance(state, Mapping) else {}
    host = _text(item, "infrastructure_pid").partition(":")[0]
    places = (_text(item, "work_pool_name"), _text(item, "work_queue_name"), host)
    params = item.get("parameters")
    return RunAtApi(
        id=_text(item, "id"),
        name=_text(item, "name"),
        flow=flows.get(_text(item, "flow_id"), ""),
        state=_STATES.get(_text(item, "state_type"), "waiting"),
        message=_text(details, "message"),
        started=_text(item, "start_time") or _text(item, "expected_start_time"),
        seconds=_seconds(item),
        where=", ".join(place for place in places if place and place != "default"),
        params=params if isinstance(params, dict) else {},
        page=f"{line.api.removesuffix('/api')}/runs/flow-run/{_text(item, 'id')}",
    )


def _read_task(item: Mapping[str, Any]) -> TaskAtApi:
    state = _STATES.get(_text(item, "state_type"), "waiting")
    return TaskAtApi(_text(item, "name"), state, _text(item, "start_time"), _seconds(item))


def _read_line(item: Mapping[str, Any]) -> LineAtApi:
    level = item.get("level")
    number = level if isinstance(level, int) else 20
    word = next((word for least, word in _LEVELS if number >= least), "debug")
    return LineAtApi(_text(item, "timestamp"), word, _text(item, "message"))


def _list_items(answer: Any) -> list[Mapping[str, Any]]:
    return [item for item in answer if isinstance(item, dict)] if isinstance(answer, list) else []


def _text(item: Mapping[str, Any], name: str) -> str:
    value = item.get(name)
    return value if isinstance(value, str) else ""


def _seconds(item: Mapping[str, Any]) -> float:
    value = item.get("total_run_time")
    is_span = isinstance(value, int | float) and math.isfinite(value)
    return max(0.0, float(value or 0.0)) if is_span else 0.0
