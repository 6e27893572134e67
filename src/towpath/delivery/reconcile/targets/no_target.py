"""No target: the version is in the stage's store, where a server of the user's own fetches it."""

from __future__ import annotations

from dataclasses import dataclass

from towpath.delivery.reconcile.bundle import Bundle
from towpath.delivery.reconcile.reconcile_plan import RunningVersion
from towpath.registry import VersionRecord


@dataclass(frozen=True)
class NoTarget:
    """A stage that declares no ``deploy``."""

    shown: str = "the stage's store"

    def find_running(self, model: str, record: VersionRecord | None) -> RunningVersion | None:  # noqa: ARG002
        """Nothing runs that could be asked."""
        return None

    def prepare(self, bundle: Bundle) -> None:
        """Nothing is to be done."""

    def prepared_bundle(self, bundle: Bundle) -> Bundle:
        """The version itself is tried."""
        return bundle

    def switch_version(self, bundle: Bundle) -> None:
        """Nothing is to be done."""

    def remove_model(self, model: str) -> None:
        """Nothing is to be done."""
