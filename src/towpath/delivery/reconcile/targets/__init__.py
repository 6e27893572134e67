"""What runs the versions of a stage: a kind is a small file and a row in this table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from towpath.delivery.reconcile.targets.target import Target

if TYPE_CHECKING:
    from towpath.delivery.reconcile.stage_site import Site

__all__ = ["Target", "of"]


def _files(site: Site, declared: Any) -> Target:
    from towpath.delivery.reconcile.targets.folder_target import Files

    return Files(site.home / declared.path, declared.path, site.stage)


def _command(site: Site, declared: Any) -> Target:
    from towpath.delivery.reconcile.targets.command_target import Command

    return Command(declared, site.stage, site.checkout, site.environ, site.say)


def _prefect(site: Site, declared: Any) -> Target:
    from towpath.delivery.reconcile.targets.prefect_target import Prefect

    api, pool = site.declared.api, site.declared.work_pool
    return Prefect(declared, site.stage, site.checkout, api, pool)


KINDS: Mapping[str, Callable[[Site, Any], Target]] = {
    "files": _files,
    "prefect": _prefect,
    "command": _command,
}


def of(site: Site) -> Target:
    """The target that a stage declares; without one, its store is where servers look."""
    declared = site.declared.deploy
    if declared is None:
        from towpath.delivery.reconcile.targets.no_target import Nowhere

        return Nowhere()
    return KINDS[declared.to](site, declared)
