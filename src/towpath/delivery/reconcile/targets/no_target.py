"""No target: the version is in the stage's store, where a server of the user's own fetches it."""

from __future__ import annotations

from dataclasses import dataclass

from towpath.delivery.reconcile.bundle import Bundle
from towpath.delivery.reconcile.reconcile_plan import Running
from towpath.registry import Record


@dataclass(frozen=True)
class Nowhere:
    """A stage that declares no ``deploy``."""

    shown: str = "the stage's store"

    def current(self, model: str, record: Record | None) -> Running | None:  # noqa: ARG002
        """Nothing runs that could be asked."""
        return None

    def prepare(self, bundle: Bundle) -> None:
        """Nothing is to be done."""

    def smoke(self, bundle: Bundle) -> Bundle:
        """The version itself is tried."""
        return bundle

    def switch(self, bundle: Bundle) -> None:
        """Nothing is to be done."""

    def remove(self, model: str) -> None:
        """Nothing is to be done."""
