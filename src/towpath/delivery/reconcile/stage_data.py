"""Files of a stage's data by the name that a gate or a smoke test says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from towpath.backends.dvc import pointer_files
from towpath.backends.dvc.pointer_files import OutputRow
from towpath.backends.git import large_files, refs
from towpath.config.artifact import Artifact
from towpath.config.project_paths import ProjectPath
from towpath.delivery.reconcile import bundle_sources
from towpath.delivery.reconcile.stage_site import Site
from towpath.errors import Fault, Malformed, Place, StoreError, UserError
from towpath.storage.stage_store import StageStore
from towpath.storage.verified_bytes import Unsound


@dataclass(frozen=True)
class StageData:
    """The files that a stage's identity may read, as the commit ``base`` names them; ``folder`` is
    where the project lay there, from the Git root.

    A name is looked for where DVC would point (``<name>.dvc`` in the commit, whose bytes are in
    one of the declared ``stores``, the stage's own, or the project's), then in the commit itself,
    then under that path in the declared stores.
    """

    site: Site
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
        if pointed := self._pointed(name):
            return self._fetched(pointed, into)
        committed = self._committed(name)
        is_elsewhere = committed is None or large_files.is_pointer(committed)
        content = self._stored(name) if is_elsewhere else committed
        if content is None and committed is not None:
            content = large_files.resolve_pointer(self.site.view.repository, committed, name)
        if content is None:
            tried = ", ".join(self.site.project.stores) or "no declared store"
            what = f"{name} is neither in {self.base[:7]} nor in a store ({tried})"
            raise UserError(what, hint="name the store of the data under `stores` in towpath.yaml")
        into.write_bytes(content)
        return into

    def _path(self, name: str) -> str:
        return f"{self.folder}/{name}" if self.folder else name

    def _committed(self, name: str) -> bytes | None:
        asked = f"{self.base}:{self._path(name)}"
        return refs.contents(self.site.view.repository, [asked]).get(asked)

    def _pointed(self, name: str) -> Artifact | None:
        """What ``<name>.dvc`` in the commit points at."""
        shown = pointer_files.pointer_path(name)
        text = self._committed(shown)
        if text is None:
            return None
        rows = list(pointer_files.read_pointer(text.decode("utf-8", "replace"), shown))
        if faults := [row for row in rows if isinstance(row, Fault)]:
            raise UserError(*faults)
        found = (row.artifact for row in rows if isinstance(row, OutputRow) and row.path == name)
        artifact = next(found, None)
        if artifact is None:
            raise UserError(Fault(f"it does not say which bytes {name} has", Place(shown)))
        return artifact

    def _fetched(self, artifact: Artifact, into: Path) -> Path:
        for store in (*self._stores(), self.site.store):
            try:
                return store.fetch(artifact, into)
            except Unsound:
                continue
        return bundle_sources.fetch_from_project(self.site, artifact, into)

    def _stored(self, name: str) -> bytes | None:
        """A plain file in a declared store."""
        found = (_content(store, name) for store in self._stores())
        return next((content for content in found if content is not None), None)

    def _stores(self) -> Iterator[StageStore]:
        for name in self.site.project.stores:
            yield bundle_sources.declared(self.site, name)


def _content(store: StageStore, name: str) -> bytes | None:
    try:
        with store.open_file(name) as file:
            return file.read()
    except FileNotFoundError:
        return None
    except OSError as refused:
        raise StoreError(f"{name} in {store.shown}: {refused}") from refused
