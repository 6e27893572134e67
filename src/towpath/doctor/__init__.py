"""What stands in the way of a project: its Git, its declaration, its stages and its forge."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping

from towpath.backends.git import main_branch
from towpath.doctor import environment_checks, stage_checks
from towpath.doctor.health_check import DoctorCheck, report_faults, report_well
from towpath.errors import TowpathError
from towpath.workspace import Workspace

__all__ = ["DoctorCheck", "examine_project"]


def examine_project(
    workspace: Workspace, offline: bool = False, environ: Mapping[str, str] | None = None
) -> tuple[DoctorCheck, ...]:
    """Every check of a project, in the order in which its faults should be mended. ``offline``
    leaves out the remote, the stores, the forge and the Prefect API. ``environ`` holds the stores'
    credentials and the forge's token, by default this process's environment. Nothing is changed."""
    if offline:  # nor is a shared registry brought up to date
        workspace = Workspace(workspace.root, refreshes=False)
    return tuple(_all_checks(workspace, offline, os.environ if environ is None else environ))


def _all_checks(
    workspace: Workspace, offline: bool, environ: Mapping[str, str]
) -> Iterator[DoctorCheck]:
    yield from environment_checks.examine_git_version(workspace)
    yield from environment_checks.examine_repository(workspace, offline)
    try:
        project = workspace.policy
        branch = main_branch.find_main_branch(workspace.registry)
    except TowpathError as error:
        yield from report_faults("declaration", error.faults)
        return
    main = (branch.far or branch.near) if branch else None
    yield report_well("declaration", f"{project.name}, with the stages {', '.join(project.stages)}")
    yield from environment_checks.examine_checkout(workspace)
    yield from stage_checks.examine_approvals(workspace, project, main)
    yield from stage_checks.examine_main_models(workspace, project, main)
    yield from environment_checks.examine_bytes_remote(workspace)
    yield from environment_checks.examine_workflows(workspace)
    if not offline:
        yield from environment_checks.examine_prefect(workspace)
        yield from stage_checks.examine_stage_stores(workspace, project, environ)
        yield from environment_checks.examine_forge(workspace, environ)
