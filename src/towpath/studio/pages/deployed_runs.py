"""Runs of deployments in the list of runs: those that have a record here stand there once."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from msgspec import Struct

from towpath.execution import run_folders
from towpath.studio.pages.run_facts import RUN_LINES

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
    recorded: Mapping[str, RunAtApi] | None = None

    def find_recorded(self, run: str) -> RunAtApi | None:
        return self.recorded.get(run) if self.recorded else None


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
    return DeployedRuns(
        runs_at_api.api, tuple(run for run in runs_at_api.runs if run.id not in ids), recorded
    )


def _list_candidates(names: Sequence[str], started: str) -> Iterator[str]:
    """The records that were begun soon after a run was: its worker reads the project first."""
    try:
        moment = datetime.fromisoformat(started.replace("Z", "+00:00")).astimezone(UTC)
        first, last = moment - _EARLIER, moment + _LATER
    except (ValueError, OverflowError):
        return
    begin, end = (bisect_left(names, f"{time:%Y%m%d-%H%M%S}") for time in (first, last))
    yield from names[begin : min(end, begin + _MOST_LOOKED_AT)]
