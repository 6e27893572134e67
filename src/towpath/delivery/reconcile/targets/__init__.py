"""What runs the versions of a stage: a kind is a small file and a row in this table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from towpath.delivery.reconcile.targets.target import DeployTarget, TargetSetting

__all__ = ["DeployTarget", "TargetSetting", "open_target"]


def _folder_target(setting: TargetSetting, declared: Any) -> DeployTarget:
    from towpath.delivery.reconcile.targets.folder_target import FolderTarget

    return FolderTarget(setting.home_folder / declared.path, declared.path, setting.stage)


def _command_target(setting: TargetSetting, declared: Any) -> DeployTarget:
    from towpath.delivery.reconcile.targets.command_target import CommandTarget

    return CommandTarget(declared, setting.stage, setting.checkout, setting.environ, setting.say)


def _prefect_target(setting: TargetSetting, declared: Any) -> DeployTarget:
    from towpath.delivery.reconcile.targets.prefect_target import PrefectTarget

    api, pool = setting.declared.api, setting.declared.work_pool
    return PrefectTarget(declared, setting.stage, setting.checkout, api, pool)


KINDS: Mapping[str, Callable[[TargetSetting, Any], DeployTarget]] = {
    "files": _folder_target,
    "prefect": _prefect_target,
    "command": _command_target,
}


def open_target(setting: TargetSetting) -> DeployTarget:
    """The target that a stage declares; without one, its store is where servers look."""
    declared = setting.declared.deploy
    if declared is None:
        from towpath.delivery.reconcile.targets.target import NoTarget

        return NoTarget()
    return KINDS[declared.to](setting, declared)
