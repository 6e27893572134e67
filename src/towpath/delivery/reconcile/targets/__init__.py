"""What runs the versions of a stage: a kind is a small file and a row in this table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from towpath.delivery.reconcile.targets.target import DeployTarget

if TYPE_CHECKING:
    from towpath.delivery.reconcile.stage_site import StageSite

__all__ = ["DeployTarget", "open_target"]


def _folder_target(site: StageSite, declared: Any) -> DeployTarget:
    from towpath.delivery.reconcile.targets.folder_target import FolderTarget

    return FolderTarget(site.home_folder / declared.path, declared.path, site.stage)


def _command_target(site: StageSite, declared: Any) -> DeployTarget:
    from towpath.delivery.reconcile.targets.command_target import CommandTarget

    return CommandTarget(declared, site.stage, site.checkout, site.environ, site.say)


def _prefect_target(site: StageSite, declared: Any) -> DeployTarget:
    from towpath.delivery.reconcile.targets.prefect_target import PrefectTarget

    api, pool = site.declared_stage.api, site.declared_stage.work_pool
    return PrefectTarget(declared, site.stage, site.checkout, api, pool)


KINDS: Mapping[str, Callable[[StageSite, Any], DeployTarget]] = {
    "files": _folder_target,
    "prefect": _prefect_target,
    "command": _command_target,
}


def open_target(site: StageSite) -> DeployTarget:
    """The target that a stage declares; without one, its store is where servers look."""
    declared = site.declared_stage.deploy
    if declared is None:
        from towpath.delivery.reconcile.targets.no_target import NoTarget

        return NoTarget()
    return KINDS[declared.to](site, declared)
