"""What main says of models that cannot be acted upon: nobody's, of no stage, without a tag."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from towpath import registry
from towpath.backends.git import branches
from towpath.delivery.reconcile.observe_stage import is_strange
from towpath.doctor.health_check import DoctorCheck, report_lack
from towpath.errors import Fault, TowpathError
from towpath.registry import restore_tags, stage_files
from towpath.registry.main_decisions import MainDecisions
from towpath.registry.ownership import read_owners

if TYPE_CHECKING:
    from towpath.config.project_declaration import Project
    from towpath.workspace import Workspace

_ABOUT = "registry"


def examine_main_models(
    workspace: Workspace, project: Project, main: str | None
) -> Iterator[DoctorCheck]:
    """Models that stages want and nobody owns, stages that nobody declares, tags that are lost."""
    if main is None:
        return
    repository = workspace.registry_at_hand
    owners = read_owners(repository, main)
    stages = registry.read_stage_files(repository, main)
    for model in dict.fromkeys(stage_file.model for stage_file in stages.wanted):
        if not owners.owns_model(workspace.folder, model) and owners.project_of(model) is None:
            yield _report_fault(owners.why_nobodys(model))
    yield from map(
        _report_fault, stage_files.find_undeclared_stages(stages, project, owners, workspace.folder)
    )
    for name in restore_tags.find_lost_versions(repository, main):
        yield report_lack(
            _ABOUT, f"{name} was promoted, and its tag is gone", restore_tags.way_to_restore(name)
        )


def find_strangers(workspace: Workspace, models: Iterable[str]) -> list[str]:
    """Of the models in a stage's store those that are another project's."""
    repository = workspace.registry_at_hand
    try:
        main = branches.seen_main_commit(repository)
        decisions = MainDecisions.read(repository, main) if main else None
    except TowpathError:  # a shallow clone, which is said elsewhere
        return []
    if main is None or decisions is None:
        return []
    owners = read_owners(repository, main)
    folder = workspace.folder
    return [model for model in models if is_strange(repository, owners, folder, decisions, model)]


def _report_fault(fault: Fault) -> DoctorCheck:
    place = f"{fault.place}: " if fault.place else ""
    return report_lack(_ABOUT, f"{place}{fault.what}", fault.hint or "")
