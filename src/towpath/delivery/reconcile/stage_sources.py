"""Where a stage takes bytes from: a version's, copied into its store, and the files that its gates
and its smoke test read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from towpath.backends.dvc import tracked_files
from towpath.backends.dvc.tracked_files import OutputRow
from towpath.backends.git import large_files, refs
from towpath.config.artifact import Artifact
from towpath.config.foreign_paths import ProjectPath
from towpath.delivery.reconcile.open_stage import StageSite
from towpath.errors import Fault, Malformed, Place, StoreError, UserError
from towpath.registry import VersionRecord
from towpath.scratch import scratch_folder
from towpath.storage import verified_bytes
from towpath.storage.storage_backend import ObjectSource
from towpath.storage.verified_bytes import UnsoundBytes


def copy_to_stage(site: StageSite, record: VersionRecord) -> str:
    """Copy a version's bytes, and what stands beside them, into the stage's store; where from, in
    words. Verified at both ends; ``StoreError`` with what every source said where none has them.
    """
    faults: list[Fault] = []
    for source in nearest_sources(site):
        try:
            for artifact, sha256 in record.kept_bytes.values():
                site.store.copy_from(source, artifact, sha256)
        except UnsoundBytes as unsound:
            faults += unsound.faults
        else:
            return source.shown
    raise StoreError(*faults)


def nearest_sources(site: StageSite) -> Iterator[ObjectSource]:
    """The stores that may have the bytes, the nearest first: with the ladder the stage below, for
    the first stage the project's own, its remote and those it declares; without it all of them."""
    # Only one rung down: the keys of a stage open its own store and that of the stage below.
    ladder = site.project.policy.ladder
    lower = site.project.lower_stages(site.stage)
    for stage in lower[:1] if ladder else lower:
        yield site.open_store(stage)
    if not lower or not ladder:
        yield from _project_sources(site)


def _project_sources(site: StageSite) -> Iterator[ObjectSource]:
    from towpath.backends.dvc import Store
    from towpath.backends.dvc.dvc_config import find_dvc

    # A registry of its own has no store, but those that it declares.
    if find_dvc(site.workspace.checkout):
        yield Store(site.workspace.checkout).source
        # After the yield: whoever finds the bytes here is spared a second of importing DVC.
        from towpath.backends.dvc.dvc_remotes import default_remote

        if remote := default_remote(site.workspace.checkout):
            yield remote
    yield from site.open_declared_stores()


class StageData(Struct, frozen=True):
    """The files that a stage may read, as the commit ``base`` names them, where the project lay in
    ``folder``: first where DVC would point (the bytes from the declared stores, the stage's own, or
    the project's), then in the commit itself, then by that path in the declared stores."""

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
            content = large_files.resolve_pointer(self.site.repository, committed, name)
        if content is None:
            tried = ", ".join(self.site.project.stores) or "no declared store"
            what = f"{name} is neither in {self.base[:7]} nor in a store ({tried})"
            raise UserError(what, hint="name the store of the data under `stores` in towpath.yaml")
        into.write_bytes(content)
        return into

    def _read_committed(self, name: str) -> bytes | None:
        object_name = f"{self.base}:{self.folder}/{name}" if self.folder else f"{self.base}:{name}"
        return refs.read_contents(self.site.repository, [object_name]).get(object_name)

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
        for store in (*self.site.open_declared_stores(), self.site.store):
            with suppress(UnsoundBytes):  # not there, or altered there: another may have them
                return store.fetch_bytes(artifact, into)
        faults: list[Fault] = []
        for source in _project_sources(self.site):
            with scratch_folder() as folder:
                try:
                    return verified_bytes.fetch_verified(source, artifact, into, None, Path(folder))
                except UnsoundBytes as unsound:
                    faults += unsound.faults
        raise StoreError(*faults or (f"no store has {artifact.name}",))

    def _read_stored(self, name: str) -> bytes | None:
        for store in self.site.open_declared_stores():
            try:
                with store.open_file(name) as file:
                    return file.read()
            except FileNotFoundError:
                continue
            except OSError as refused:
                raise StoreError(f"{name} in {store.shown}: {refused}") from refused
        return None
