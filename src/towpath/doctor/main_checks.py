"""What main says of models that cannot be acted upon: nobody's, of no stage, without a tag."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from towpath import registry
from towpath.backends.git import main_branch
from towpath.delivery.reconcile.observe_stage import is_strange
from towpath.doctor.health_check import Check, lacks
from towpath.errors import Fault, TowpathError
from towpath.registry import restore_tags, stage_files
from towpath.registry.main_decisions import Decisions
from towpath.registry.ownership import read_owners

if TYPE_CHECKING:
    from towpath.config.project_declaration import Project
    from towpath.workspace import Workspace

_ABOUT = "registry"


def check(workspace: Workspace, project: Project, main: str | None) -> Iterator[Check]:
    """Models that stages want and nobody owns, stages that nobody declares, tags that are lost."""
    if main is None:
        return
    repository = workspace.registry_at_hand
    owners = read_owners(repository, main)
    stages = registry.stages(repository, main)
    for model in dict.fromkeys(one.model for one in stages.wanted):
        if not owners.owns(workspace.folder, model) and owners.project_of(model) is None:
            yield _lacks(owners.why_nobodys(model))
    yield from map(_lacks, stage_files.undeclared(stages, project, owners, workspace.folder))
    for name in restore_tags.lost(repository, main):
        yield lacks(_ABOUT, f"{name} was promoted, and its tag is gone", restore_tags.way(name))


def strangers(workspace: Workspace, models: Iterable[str]) -> list[str]:
    """Of the models in a stage's store those that are another project's."""
    repository = workspace.registry_at_hand
    try:
        main = main_branch.seen(repository)
        decisions = Decisions.read(repository, main) if main else None
    except TowpathError:  # a shallow clone, which is said elsewhere
        return []
    if main is None or decisions is None:
        return []
    owners = read_owners(repository, main)
    folder = workspace.folder
    return [one for one in models if is_strange(repository, owners, folder, decisions, one)]


def _lacks(fault: Fault) -> Check:
    place = f"{fault.place}: " if fault.place else ""
    return lacks(_ABOUT, f"{place}{fault.what}", fault.hint or "")
