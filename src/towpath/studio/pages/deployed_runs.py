"""Runs of deployments: in the list of runs, where those that have a record here stand once, and
each as its Prefect API tells of it."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from msgspec import Struct, field

from towpath.credentials import hide_credentials
from towpath.execution import run_folders
from towpath.studio.pages.page_kind import NoSuchPage, PageRequest
from towpath.studio.pages.run_facts import RUN_LINES
from towpath.studio.shown_values import show_duration, show_number

if TYPE_CHECKING:
    from towpath.backends.prefect.runs_at_api import RunAtApi
    from towpath.studio.project_facts import ProjectFacts

_EARLIER, _LATER = timedelta(seconds=5), timedelta(minutes=5)
_MOST_LOOKED_AT = 40  # records that began at the time of one run


class DeployedRuns(Struct, frozen=True):
    """``elsewhere`` are those without a record here; ``recorded`` are the others, by the name that
    each has here. ``api`` is who tells of them."""

    api: str = ""
    elsewhere: tuple[RunAtApi, ...] = ()
    recorded: Mapping[str, RunAtApi] = field(default_factory=dict)


def gather_deployed_runs(facts: ProjectFacts) -> DeployedRuns:
    """The runs that a Prefect API knows; nothing where there is none."""
    runs_at_api = facts.deployed_runs
    if runs_at_api is None:
        return DeployedRuns()
    folder = facts.workspace.runs
    names = run_folders.list_run_names(folder) if runs_at_api.runs else []
    recorded: dict[str, RunAtApi] = {}
    for run in runs_at_api.runs:
        for name in _list_candidates(names, run.started):
            line = RUN_LINES.read_line(f"{folder}/{name}")
            if line and line.engine_run == run.id:
                recorded[name] = run
    ids = {run.id for run in recorded.values()}
    elsewhere = tuple(run for run in runs_at_api.runs if run.id not in ids)
    return DeployedRuns(runs_at_api.api, elsewhere, recorded)


def _list_candidates(names: Sequence[str], started: str) -> Iterator[str]:
    """The records that were begun soon after a run was: its worker reads the project first."""
    try:
        moment = datetime.fromisoformat(started.replace("Z", "+00:00")).astimezone(UTC)
        first, last = moment - _EARLIER, moment + _LATER
    except (ValueError, OverflowError):
        return
    begin, end = (bisect_left(names, f"{time:%Y%m%d-%H%M%S}") for time in (first, last))
    yield from names[begin : min(end, begin + _MOST_LOOKED_AT)]


class DeployedRunPage(Struct, frozen=True):
    """``steps`` are name, state, time of its beginning and duration; ``log`` is plain text."""

    api: str
    run: RunAtApi
    took: str
    params: tuple[tuple[str, str], ...]
    steps: tuple[tuple[str, str, str, str], ...]
    log: str


def gather_deployed_run(facts: ProjectFacts, request: PageRequest) -> DeployedRunPage:
    name = request.names["run"]
    whole = facts.find_deployed_run(name)
    if whole is None:
        raise NoSuchPage(f"no Prefect API knows a run `{name}` of this project")
    lines = (f"{line.moment[11:19]} {line.level:<8} {line.text}" for line in whole.lines)
    params = tuple((name, show_number(value)) for name, value in whole.run.params.items())
    steps = tuple((t.name, t.state, t.started, show_duration(t.seconds)) for t in whole.tasks)
    took, log = show_duration(whole.run.seconds), hide_credentials("\n".join(lines))
    return DeployedRunPage(whole.api, whole.run, took, params, steps, log)
