"""A run of a deployment, as its Prefect API tells of it: its steps, and the end of its log."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from towpath.backends.prefect.runs_at_api import RUN_ID
from towpath.credentials import hide_credentials
from towpath.studio.pages.page_kind import NoSuchPage
from towpath.studio.shown_values import show_duration, show_number

if TYPE_CHECKING:
    from towpath.backends.prefect.runs_at_api import RunAtApi
    from towpath.studio.pages.page_kind import PageRequest
    from towpath.studio.project_facts import ProjectFacts


@dataclass(frozen=True)
class DeployedRunPage:
    """``steps`` are name, state, time of its beginning and duration; ``log`` is plain text.
    ``is_whole`` is that both were heard."""

    api: str
    run: RunAtApi
    took: str
    params: tuple[tuple[str, str], ...]
    steps: tuple[tuple[str, str, str, str], ...]
    log: str
    is_whole: bool = True


def gather_deployed_run(facts: ProjectFacts, request: PageRequest) -> DeployedRunPage:
    name = request.names["run"]
    if not RUN_ID.fullmatch(name):
        raise NoSuchPage(f"no Prefect API knows a run `{name}` of this project")
    whole = facts.deployed_run(name)
    if whole is None:  # the list may know it already
        return _show_listed(facts, name)
    if not whole:
        raise NoSuchPage(f"no Prefect API knows a run `{name}` of this project")
    lines = (f"{line.moment[11:19]} {line.level:<8} {line.text}" for line in whole.lines)
    return DeployedRunPage(
        whole.api,
        whole.run,
        show_duration(whole.run.seconds),
        _param_rows(whole.run),
        tuple((t.name, t.state, t.started, show_duration(t.seconds)) for t in whole.tasks),
        hide_credentials("\n".join(lines)),
    )


def _show_listed(facts: ProjectFacts, name: str) -> DeployedRunPage:
    known = facts.deployed_runs
    run = next((run for run in known.runs if run.id == name), None) if known else None
    if known is None or run is None:
        raise NoSuchPage("Prefect has not said yet whether there is such a run.")
    return DeployedRunPage(
        known.api, run, show_duration(run.seconds), _param_rows(run), (), "", is_whole=False
    )


def _param_rows(run: RunAtApi) -> tuple[tuple[str, str], ...]:
    return tuple((name, show_number(value)) for name, value in run.params.items())
