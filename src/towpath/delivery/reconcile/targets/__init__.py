"""What runs the versions of a stage: a kind is a small file, and a case of ``open_target``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from towpath.config.project_declaration import StageDeclaration
from towpath.config.target_declarations import (
    CommandDeployment,
    FolderDeployment,
    PrefectDeployment,
)
from towpath.delivery.reconcile.bundle import Bundle
from towpath.delivery.reconcile.reconcile_plan import RunningVersion
from towpath.delivery.reconcile.targets.command_target import CommandTarget
from towpath.delivery.reconcile.targets.folder_target import FolderTarget
from towpath.delivery.reconcile.targets.prefect_target import PrefectTarget
from towpath.registry import VersionRecord


class TargetSetting(Struct, frozen=True):
    """What a target may need of its stage; paths in towpath.yaml count from ``home_folder``, and
    programs start in ``checkout``."""

    stage: str
    declared: StageDeclaration
    home_folder: Path
    checkout: Path
    environ: Mapping[str, str]
    say: Callable[[str], object]


class DeployTarget(Protocol):
    """What runs the versions of a stage. Each call may be made again after it was cut short.
    ``prepare`` changes nothing that runs; ``switch_version`` puts the prepared version in the place
    of the one that runs, at once or not at all. Errors: ``DeployError``, in the target's own
    words."""

    @property
    def shown(self) -> str:
        """It as the plan and the record of what is deployed call it."""

    def find_running(self, model: str, record: VersionRecord | None) -> RunningVersion | None:
        """What runs of a model; None where the target cannot tell. ``record`` is Git's, of the
        version that should run: what runs under its number is held against that, never against what
        the target says of itself."""

    def prepare(self, bundle: Bundle) -> None:
        """Put a version where it can be switched to."""

    def prepared_bundle(self, bundle: Bundle) -> Bundle:
        """The version as it was prepared, for a trial before the switch."""

    def switch_version(self, bundle: Bundle) -> None:
        """Run the prepared version from now on."""

    def remove_model(self, model: str) -> None:
        """Run no version of a model any more."""


class NoTarget(Struct, frozen=True):
    """A stage that declares no ``deploy``."""

    shown: str = "the stage's store"

    def find_running(self, model: str, record: VersionRecord | None) -> RunningVersion | None:  # noqa: ARG002
        return None

    def prepare(self, bundle: Bundle) -> None:
        """Nothing is to be done."""

    def prepared_bundle(self, bundle: Bundle) -> Bundle:
        return bundle

    def switch_version(self, bundle: Bundle) -> None:
        """Nothing is to be done."""

    def remove_model(self, model: str) -> None:
        """Nothing is to be done."""


def open_target(setting: TargetSetting) -> DeployTarget:
    """The target that a stage declares; without one, its store is where servers look."""
    stage, declared = setting.stage, setting.declared.deploy
    match declared:
        case None:
            return NoTarget()
        case FolderDeployment(path=path):
            return FolderTarget(setting.home_folder / path, path, stage)
        case PrefectDeployment():
            api, pool = setting.declared.api, setting.declared.work_pool
            return PrefectTarget(declared, stage, setting.checkout, api, pool)
        case CommandDeployment():
            where = setting.checkout, setting.environ, setting.say
            return CommandTarget(declared, stage, *where)
