"""Looking at everything in turn; what cannot be looked at any more is left out."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from towpath.doctor import (
    approval_checks,
    checkout_checks,
    environment_checks,
    forge_checks,
    main_checks,
    repository_checks,
    stage_store_checks,
)
from towpath.doctor.health_check import Check, faults, well
from towpath.errors import TowpathError

if TYPE_CHECKING:
    from towpath.workspace import Workspace


def examine(
    workspace: Workspace, offline: bool = False, environ: Mapping[str, str] | None = None
) -> tuple[Check, ...]:
    """Every check of a project, in the order in which its faults should be mended.

    ``offline`` leaves out the remote, the stores, the forge and the Prefect API. ``environ`` holds
    the stores' credentials and the forge's token, by default this process's environment. Nothing is
    changed.
    """
    return tuple(_all(workspace, offline, os.environ if environ is None else environ))


def _all(workspace: Workspace, offline: bool, environ: Mapping[str, str]) -> Iterator[Check]:
    yield from environment_checks.git_itself(workspace)
    yield from repository_checks.check(workspace, offline)
    try:
        project = workspace.policy
        main = repository_checks.main(workspace)
    except TowpathError as error:
        yield from faults("declaration", error)
        return
    yield well("declaration", f"{project.name}, with the stages {', '.join(project.stages)}")
    yield from checkout_checks.check(workspace)
    yield from approval_checks.check(workspace, project, main)
    yield from main_checks.check(workspace, project, main)
    yield from environment_checks.bytes_remote(workspace)
    yield from environment_checks.workflows(workspace)
    if not offline:
        yield from environment_checks.prefect(workspace)
        yield from stage_store_checks.check(workspace, project, environ)
        yield from forge_checks.check(workspace, environ)
