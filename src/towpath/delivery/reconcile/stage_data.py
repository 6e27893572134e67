"""Where a stage takes bytes from: a version's one rung below, its data by a gate's name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from towpath.backends.dvc import tracked_files
from towpath.backends.dvc.tracked_files import OutputRow
from towpath.backends.git import large_files, refs
from towpath.config.artifact import Artifact
from towpath.config.project_paths import ProjectPath
from towpath.delivery.reconcile.stage_site import StageSite
from towpath.errors import Fault, Malformed, Place, StoreError, UserError
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
    # Only one rung down: the keys of a stage open its own store and that of the stage below.
    ladder = site.project.policy.ladder
    lower = site.project.lower_stages(site.stage)
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
    from towpath.backends.dvc import Store

    yield Store(site.checkout).source
    # After the yield: whoever finds the bytes here is spared a second of importing DVC.
    from towpath.backends.dvc.dvc_remotes import default_remote

    if remote := default_remote(site.checkout):
        yield remote


def open_declared_store(site: StageSite, name: str) -> StageStore:
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


@dataclass(frozen=True)
class StageData:
    """The files that a stage's identity may read, as the commit ``base`` names them; ``folder`` is
    where the project lay there, from the Git root.

    A name is looked for where DVC would point (``<name>.dvc`` in the commit, whose bytes are in
    one of the declared ``stores``, the stage's own, or the project's), then in the commit itself,
    then under that path in the declared stores.
    """

    site: StageSite
    base: str
    scratch: Path
    folder: str

    def __call__(self, name: str) -> Path:
        """The file on this machine. Raises ``UserError`` where nothing has it."""
        # A gate's declaration or a model's record says the name: it may not lead out of the folder.
        try:
            name = ProjectPath(name)
        except Malformed as wrong:
            what = f"{name} is no path inside the project: {wrong.faults[0].what}"
            raise UserError(what) from None
        into = self.scratch / name
        if into.exists():
            return into
        into.parent.mkdir(parents=True, exist_ok=True)
        if pointed := self._pointed_artifact(name):
            return self._fetch_artifact(pointed, into)
        committed = self._read_committed(name)
        is_elsewhere = committed is None or large_files.is_pointer(committed)
        content = self._read_stored(name) if is_elsewhere else committed
        if content is None and committed is not None:
            content = large_files.resolve_pointer(self.site.view.repository, committed, name)
        if content is None:
            tried = ", ".join(self.site.project.stores) or "no declared store"
            what = f"{name} is neither in {self.base[:7]} nor in a store ({tried})"
            raise UserError(what, hint="name the store of the data under `stores` in towpath.yaml")
        into.write_bytes(content)
        return into

    def _read_committed(self, name: str) -> bytes | None:
        object_name = f"{self.base}:{self.folder}/{name}" if self.folder else f"{self.base}:{name}"
        return refs.read_contents(self.site.view.repository, [object_name]).get(object_name)

    def _pointed_artifact(self, name: str) -> Artifact | None:
        shown = tracked_files.pointer_path(name)
        text = self._read_committed(shown)
        if text is None:
            return None
        rows = list(tracked_files.read_pointer(text.decode("utf-8", "replace"), shown))
        if faults := [row for row in rows if isinstance(row, Fault)]:
            raise UserError(*faults)
        for row in rows:
            if isinstance(row, OutputRow) and row.path == name:
                return row.artifact
        raise UserError(Fault(f"it does not say which bytes {name} has", Place(shown)))

    def _fetch_artifact(self, artifact: Artifact, into: Path) -> Path:
        for store in (*self._declared_stores(), self.site.store):
            try:
                return store.fetch_bytes(artifact, into)
            except UnsoundBytes:  # not there, or altered there: another may have them
                continue
        return fetch_from_project(self.site, artifact, into)

    def _read_stored(self, name: str) -> bytes | None:
        contents = (_read_content(store, name) for store in self._declared_stores())
        return next((content for content in contents if content is not None), None)

    def _declared_stores(self) -> Iterator[StageStore]:
        for name in self.site.project.stores:
            yield open_declared_store(self.site, name)


def _read_content(store: StageStore, name: str) -> bytes | None:
    try:
        with store.open_file(name) as file:
            return file.read()
    except FileNotFoundError:
        return None
    except OSError as refused:
        raise StoreError(f"{name} in {store.shown}: {refused}") from refused
