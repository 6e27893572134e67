"""Where a stage takes a version's bytes from: one rung below, with its own keys."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from towpath.config.artifact import Artifact
from towpath.delivery.reconcile.stage_site import StageSite
from towpath.errors import Fault, StoreError
from towpath.registry import VersionRecord
from towpath.scratch import scratch_folder
from towpath.storage import verified_bytes
from towpath.storage.stage_store import StageStore
from towpath.storage.storage_backend import ObjectSource
from towpath.storage.verified_bytes import UnsoundBytes


def copy_to_stage(site: StageSite, record: VersionRecord) -> str:
    """Copy a version's bytes into the stage's store; where from, in words.

    They are verified where they come from, and again where they arrived. Raises ``StoreError``
    with what every source said where none has them.
    """
    faults: list[Fault] = []
    for source in nearest_sources(site):
        try:
            site.store.copy_from(source, record.artifact, record.sha256)
        except UnsoundBytes as unsound:
            faults += unsound.faults
        else:
            return source.shown
    raise StoreError(*faults)


def nearest_sources(site: StageSite) -> Iterator[ObjectSource]:
    """The stores that may have the bytes, the nearest first.

    With the ladder that is the stage below, for the first stage the project's own store, its
    default remote, and the stores that the project declares. Without the ladder it is all of them.
    """
    ladder = site.project.policy.ladder
    names = list(site.project.stages)
    lower = list(reversed(names[: names.index(site.stage)]))
    for stage in lower[:1] if ladder else lower:
        yield site.open_store(stage)
    if not lower or not ladder:
        yield from _project_sources(site)


def _project_sources(site: StageSite) -> Iterator[ObjectSource]:
    from towpath.backends.dvc.dvc_config import find_dvc

    if find_dvc(site.checkout):  # a registry of its own has no store, but those that it declares
        yield from _own_sources(site)
    for name in site.project.stores:
        yield open_declared_store(site, name)


def _own_sources(site: StageSite) -> Iterator[ObjectSource]:
    """The project's store on this machine, then its default remote."""
    from towpath.backends.dvc import Store

    yield Store(site.checkout).source
    from towpath.backends.dvc.dvc_remotes import default_remote

    if remote := default_remote(site.checkout):
        yield remote


def open_declared_store(site: StageSite, name: str) -> StageStore:
    """One of the project's declared ``stores``."""
    return StageStore.open_declared(site.project, name, site.environ, site.home_folder)


def fetch_from_project(site: StageSite, artifact: Artifact, into: Path) -> Path:
    """Bring tracked data from the project's own store or its default remote."""
    faults: list[Fault] = []
    for source in _project_sources(site):
        with scratch_folder() as folder:
            try:
                return verified_bytes.fetch_verified(source, artifact, into, None, Path(folder))
            except UnsoundBytes as unsound:
                faults += unsound.faults
    raise StoreError(*faults or (f"no store has {artifact.name}",))
