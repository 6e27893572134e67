"""Files of a stage's data by the name that a gate or a smoke test says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from towpath.backends.dvc import tracked_files
from towpath.backends.dvc.tracked_files import OutputRow
from towpath.backends.git import large_files, refs
from towpath.config.artifact import Artifact
from towpath.config.project_paths import ProjectPath
from towpath.delivery.reconcile import bundle_sources
from towpath.delivery.reconcile.stage_site import StageSite
from towpath.errors import Fault, Malformed, Place, StoreError, UserError
from towpath.storage.stage_store import StageStore
from towpath.storage.verified_bytes import UnsoundBytes


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

    def _project_path(self, name: str) -> str:
        return f"{self.folder}/{name}" if self.folder else name

    def _read_committed(self, name: str) -> bytes | None:
        object_name = f"{self.base}:{self._project_path(name)}"
        return refs.read_contents(self.site.view.repository, [object_name]).get(object_name)

    def _pointed_artifact(self, name: str) -> Artifact | None:
        """What ``<name>.dvc`` in the commit points at."""
        shown = tracked_files.pointer_path(name)
        text = self._read_committed(shown)
        if text is None:
            return None
        rows = list(tracked_files.read_pointer(text.decode("utf-8", "replace"), shown))
        if faults := [row for row in rows if isinstance(row, Fault)]:
            raise UserError(*faults)
        artifacts = (
            row.artifact for row in rows if isinstance(row, OutputRow) and row.path == name
        )
        artifact = next(artifacts, None)
        if artifact is None:
            raise UserError(Fault(f"it does not say which bytes {name} has", Place(shown)))
        return artifact

    def _fetch_artifact(self, artifact: Artifact, into: Path) -> Path:
        for store in (*self._declared_stores(), self.site.store):
            try:
                return store.fetch_bytes(artifact, into)
            except UnsoundBytes:
                continue
        return bundle_sources.fetch_from_project(self.site, artifact, into)

    def _read_stored(self, name: str) -> bytes | None:
        """A plain file in a declared store."""
        contents = (_read_content(store, name) for store in self._declared_stores())
        return next((content for content in contents if content is not None), None)

    def _declared_stores(self) -> Iterator[StageStore]:
        for name in self.site.project.stores:
            yield bundle_sources.open_declared_store(self.site, name)


def _read_content(store: StageStore, name: str) -> bytes | None:
    try:
        with store.open_file(name) as file:
            return file.read()
    except FileNotFoundError:
        return None
    except OSError as refused:
        raise StoreError(f"{name} in {store.shown}: {refused}") from refused
