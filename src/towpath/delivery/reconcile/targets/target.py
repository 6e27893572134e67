"""What every target of deployment can be asked, and the one that a stage has that declares none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from towpath.config.project_declaration import StageDeclaration
from towpath.delivery.reconcile.bundle import Bundle
from towpath.delivery.reconcile.reconcile_plan import RunningVersion
from towpath.registry import VersionRecord


@dataclass(frozen=True)
class TargetSetting:
    """What a target may need of its stage: its name and declaration; the folder from which paths in
    towpath.yaml count; the project's files, where its programs start; the environment; and who is
    told what a person may want to read."""

    stage: str
    declared: StageDeclaration
    home_folder: Path
    checkout: Path
    environ: Mapping[str, str]
    say: Callable[[str], object]


class DeployTarget(Protocol):
    """What runs the versions of a stage. Each call may be made again after it was cut short.

    ``prepare`` changes nothing that runs; ``switch_version`` puts the prepared version in the place
    of the one that runs, at once or not at all. Errors: ``DeployError``, in the target's own words.
    """

    @property
    def shown(self) -> str:
        """It as the plan and the record of what is deployed call it."""
        ...

    def find_running(self, model: str, record: VersionRecord | None) -> RunningVersion | None:
        """What runs of a model; None where the target cannot tell.

        ``record`` is Git's, of the version that should run: what runs under its number is held
        against that, never against what the target says of itself.
        """
        ...

    def prepare(self, bundle: Bundle) -> None:
        """Put a version where it can be switched to."""
        ...

    def prepared_bundle(self, bundle: Bundle) -> Bundle:
        """The version as it was prepared, for a trial before the switch."""
        ...

    def switch_version(self, bundle: Bundle) -> None:
        """Run the prepared version from now on."""
        ...

    def remove_model(self, model: str) -> None:
        """Run no version of a model any more."""
        ...


@dataclass(frozen=True)
class NoTarget:
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
