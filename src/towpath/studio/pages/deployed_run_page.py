"""A run of a deployment, as its Prefect API tells of it: its steps, and the end of its log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from towpath.credentials import hide_credentials
from towpath.studio.pages.page_kind import NoSuchPage
from towpath.studio.shown_values import show_duration, show_number

if TYPE_CHECKING:
    from towpath.backends.prefect.runs_at_api import RunAtApi
    from towpath.studio.pages.page_kind import PageRequest
    from towpath.studio.project_facts import ProjectFacts


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
    return DeployedRunPage(
        whole.api,
        whole.run,
        show_duration(whole.run.seconds),
        tuple((name, show_number(value)) for name, value in whole.run.params.items()),
        tuple((t.name, t.state, t.started, show_duration(t.seconds)) for t in whole.tasks),
        hide_credentials("\n".join(lines)),
    )
