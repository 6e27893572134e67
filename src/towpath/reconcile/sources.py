"""Where a stage takes a version's bytes from: one rung below, with its own keys."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from towpath.errors import Fault, StoreError
from towpath.reconcile.site import Site
from towpath.registry import Record
from towpath.scratch import scratch_folder
from towpath.spec.artifact import Artifact
from towpath.store import verified
from towpath.store.place import Source
from towpath.store.stage import FromProject, FromStage, StageStore, Unsound


def bring(site: Site, record: Record) -> str:
    """Copy a version's bytes into the stage's store; where from, in words.

    They are verified where they come from, and again where they arrived. Raises ``StoreError``
    with what every source said where none has them.
    """
    faults: list[Fault] = []
    for source in sources(site):
        try:
            site.store.copy_from(source, record.artifact, record.sha256)
        except Unsound as unsound:
            faults += unsound.faults
        else:
            return source.shown
    raise StoreError(*faults)


def sources(site: Site) -> Iterator[Source]:
    """The stores that may have the bytes, the nearest first.

    With the ladder that is the stage below, for the first stage the project's own store, its
    default remote, and the stores that the project declares. Without the ladder it is all of them.
    """
    ladder = site.project.policy.ladder
    names = list(site.project.stages)
    lower = list(reversed(names[: names.index(site.stage)]))
    for stage in lower[:1] if ladder else lower:
        yield FromStage(site.open_store(stage))
    if not lower or not ladder:
        yield from _project(site)


def _project(site: Site) -> Iterator[Source]:
    from towpath.store.layout import locate

    try:
        locate(site.checkout)
    except StoreError:
        pass  # a registry of its own has no store: the bytes are in those that it declares
    else:
        yield from _own(site)
    for name in site.project.stores:
        yield FromStage(declared(site, name))


def _own(site: Site) -> Iterator[Source]:
    """The project's store on this machine, then its default remote."""
    from towpath.store import Store

    yield FromProject(Store(site.checkout))
    from towpath.store.remote.bucket import default_remote

    if remote := default_remote(site.checkout):
        yield remote


def declared(site: Site, name: str) -> StageStore:
    """One of the project's declared ``stores``."""
    from towpath.store.opening import declared_place

    place = declared_place(site.project.stores[name], site.environ, site.home)
    return StageStore(name, place)


def fetch_from_project(site: Site, artifact: Artifact, into: Path) -> Path:
    """Bring tracked data from the project's own store or its default remote."""
    faults: list[Fault] = []
    for source in _project(site):
        with scratch_folder() as folder:
            try:
                return verified.fetch(source, artifact, into, None, Path(folder))
            except Unsound as unsound:
                faults += unsound.faults
    raise StoreError(*faults or (f"no store has {artifact.name}",))
