"""Whether the bytes of a version that is to enter a stage are there, and right.

``promote``, ``approve`` and ``check`` ask it before anybody decides: ``reconcile`` would fail for
it afterwards.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import cached_property, partial
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from msgspec import Struct, field
from msgspec.structs import replace

from towpath.backends.dvc.dvc_config import locate_store
from towpath.backends.git import remotes
from towpath.errors import Fault, StoreError, TowpathError
from towpath.registry import VersionRecord, shared_registry
from towpath.registry.version_code import tracked_data
from towpath.storage.folder import Folder
from towpath.storage.stage_store import StageStore
from towpath.storage.storage_backend import ObjectSource, object_path
from towpath.storage.verified_bytes import BytesState, verify_bytes

if TYPE_CHECKING:
    from towpath.backends.dvc import Store
    from towpath.config.project_declaration import Project, StoreDeclaration
    from towpath.delivery.promotion.promotion_case import PromotionCase
    from towpath.workspace import Workspace


_OWN = "the project's store"
_ABSENT = "is not on this machine"


class StoredBytes(Struct, frozen=True):
    """What lacks or was altered, and what could not be looked at, and why."""

    faults: tuple[Fault, ...] = ()
    unchecked: tuple[str, ...] = ()


def look_at_bytes(workspace: Workspace, case: PromotionCase) -> StoredBytes:
    """What the stores that can be reached have of a promotion's version, and of its data."""
    record = case.candidate
    if record is None:
        return StoredBytes()
    workspace = _find_own_project(workspace, case.folder)
    searches: list[_Search] = []
    for part, (artifact, sha256) in record.kept_bytes.items():
        kept = replace(record, artifact=artifact, sha256=sha256)
        search = _Search(workspace, case.project, case.stage, kept, part)
        search.look_for_bytes()
        # What a rollback brings back ran there before, and needs no data.
        if not part and not case.back:
            search.look_for_data()
        search.ask_remote()
        searches.append(search)
    faults = (fault for search in searches for fault in search.faults)
    return StoredBytes(tuple(faults), tuple(word for s in searches for word in s.unchecked))


def _find_own_project(workspace: Workspace, folder: str) -> Workspace:
    """The project in a folder of the same repository; the one at hand where it is not there."""
    if workspace.repository is None or folder == workspace.folder:
        return workspace
    place = workspace.repository.root / folder
    return type(workspace)(place) if place.is_dir() else workspace


class _DeclaredStore(Struct, frozen=True):
    """A store that a stage or the project declares, and what mends altered bytes there."""

    open: Callable[[], StageStore]
    declared: StoreDeclaration | None
    mend: str
    is_own: bool = False

    @property
    def is_far(self) -> bool:
        return self.declared is not None and "://" in self.declared.url


class _Search(Struct, dict=True):
    """A search through the stores, the nearest first, for a version's model or for the ``part``
    that stands beside it: ``record`` names its bytes. ``absent`` are those without them,
    ``unseen`` what is said of those that could not be looked at, ``wanted`` what is not on this
    machine and may be on the remote: what it is, by digest."""

    workspace: Workspace
    project: Project
    stage: str
    record: VersionRecord
    part: str = ""
    faults: list[Fault] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    unseen: list[str] = field(default_factory=list)
    wanted: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        version = f"{self.record.model}@{self.record.version}"
        return f"`{self.part}` beside {version}" if self.part else version

    def look_for_bytes(self) -> None:
        """Read what is near until it is found whole; then ask the buckets whether it is there."""
        # What is on this machine is read; of what is far away it is asked whether it is there, so
        # that nobody waits for a model to be downloaded. In the order in which reconcile asks.
        stages, declared = [*self._stage_stores()], [*self._project_stores()]
        places = (*stages, None, *declared)  # None is the project's own
        reads = (self._read_declared(place) if place else self._read_project() for place in places)
        # What was altered is told with what mends it.
        if any(state is BytesState.WHOLE for state in reads) or self.faults:
            return
        far = (store for store in (*stages, *declared) if store.is_far)
        if not any(map(self._is_in_bucket, far)):
            self.wanted[self.record.artifact.digest] = f"the bytes of {self.name}"

    def _stage_stores(self) -> Iterator[_DeclaredStore]:
        """The stage's own store, and those of the stages below, read with this one's keys."""
        home = self.workspace.main_folder
        for name in (self.stage, *self.project.lower_stages(self.stage)):
            opens = partial(StageStore.open, self.project, name, os.environ, home, self.stage)
            mend = f"towpath reconcile {name} --apply brings them anew"
            declared = self.project.stages[name].store
            yield _DeclaredStore(opens, declared, mend, is_own=name == self.stage)

    def _project_stores(self) -> Iterator[_DeclaredStore]:
        path, home = object_path(self.record.artifact.digest), self.workspace.main_folder
        mend = f"move {path} there away, and bring it anew from where it is right"
        for name, declared in self.project.stores.items():
            opens = partial(StageStore.open_declared, self.project, name, os.environ, home)
            yield _DeclaredStore(opens, declared, mend)

    def _read_declared(self, declared: _DeclaredStore) -> BytesState:
        if declared.is_far:
            return BytesState.MISSING  # asked later, and not read
        store = declared.open()
        # The stage's own need not have them yet, and what is wrong there reconcile brings anew.
        if declared.is_own:
            with suppress(TowpathError, OSError):
                return verify_bytes(store, self.record.artifact, self.record.sha256)
            return BytesState.MISSING
        root = store.backend.root if isinstance(store.backend, Folder) else None
        return self._read_store(store, root, declared.mend)

    def _read_project(self) -> BytesState:
        if self.store is None:
            return BytesState.MISSING
        path = self.store.path(self.record.artifact.digest)
        mend = way_to_replace(self.workspace.root, path)
        return self._read_store(self.store.source, self.store.layout.objects, mend, _OWN)

    def _read_store(
        self, source: ObjectSource, root: Path | None, mend: str, called: str = ""
    ) -> BytesState:
        """What one store has; one that is not on this machine, or cannot be read, says nothing."""
        if root is None or not root.is_dir():
            self.unseen.append(f"{source.shown} {_ABSENT}")
            return BytesState.MISSING
        try:
            state = verify_bytes(source, self.record.artifact, self.record.sha256)
        except (TowpathError, OSError) as closed:  # another store may have them, and be open
            self.unseen.append(f"{source.shown}: {_error_words(closed)}")
            return BytesState.MISSING
        if state is BytesState.MISSING:
            self.absent.append(source.shown)
        if state is BytesState.ALTERED:
            altered = f"the bytes of {self.name} in {called or source.shown} were altered"
            self.faults.append(Fault(altered, hint=mend))
        return state

    def _is_in_bucket(self, declared: _DeclaredStore) -> bool:
        try:
            store = declared.open()
            is_there = store.is_there(self.record.artifact)
        except TowpathError as closed:  # no keys here, or no network: the next one is asked
            self.unseen.append(_error_words(closed))
            return False
        if not is_there:
            self.absent.append(store.shown)
        return is_there

    def look_for_data(self) -> None:
        if self.store is None:
            return
        for name, (path, digest) in tracked_data(self.record).items():
            what = f"`{name}` ({path}), the data of {self.name},"
            objects = self.store.needed_objects(digest)
            # None: the list of a folder's files is missing itself.
            if objects is None or not all(self.store.path(part).exists() for part in objects):
                self.wanted[digest] = what
                continue
            for wrong in self.store.objects.find_unverified(objects, aside=False):
                hint = way_to_replace(self.workspace.root, self.store.path(wrong))
                altered = f"the bytes of {what} in {_OWN} were altered"
                self.faults.append(Fault(altered, hint=hint))

    def ask_remote(self) -> None:
        """Of what is not here, ask the project's remote once whether it is there."""
        model = self.record.artifact.digest
        kept, silent = tuple[str, ...](), tuple[str, ...]()
        if self.wanted and self.store is not None:
            kept, silent = self._ask_project_stores(self.store)
        for digest, what in self.wanted.items():
            if digest == model:
                lacking, unseen = [*self.absent, *kept], [*self.unseen, *silent]
                self._settle_missing(what, lacking, unseen, way_back(self.record))
            else:
                hint = "towpath push where they are; towpath rollback goes back without them"
                self._settle_missing(f"the bytes of {what}", kept, silent, hint)

    def _ask_project_stores(self, store: Store) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The stores of the project that lack what is wanted, and what is said of those that could
        not be looked at. What the remote has is not wanted any more."""
        from towpath.backends.dvc import byte_transfer

        is_here = store.layout.objects.is_dir()
        kept, silent = ((_OWN,), ()) if is_here else ((), (f"{_OWN} {_ABSENT}",))
        root = self.workspace.root
        try:
            remote_name = byte_transfer.default_remote_of(root)
            if remote_name is None:
                return kept, silent
            gone = set(byte_transfer.missing_on_remote(root, list(self.wanted), remote_name))
            arrived = set(self.wanted) - gone
            if self.record.artifact.digest in arrived:
                self._read_remote()
            for digest in arrived:
                del self.wanted[digest]
        except (TowpathError, OSError) as closed:
            return kept, (*silent, _error_words(closed))
        # What only this clone lacks, the remote has: nothing is said of what could not be seen.
        return (*kept, f"the remote `{remote_name}`"), ()

    def _read_remote(self) -> None:
        """A remote that is a folder of this machine is read; a far one would take its time."""
        from towpath.backends.dvc.dvc_remotes import default_remote

        project_remote = default_remote(self.workspace.root)
        if project_remote is None or "://" in project_remote.url:
            return
        state = verify_bytes(project_remote, self.record.artifact, self.record.sha256)
        if state is BytesState.ALTERED:
            path = project_remote.object_address(self.record.artifact.digest)
            back = f"mv '{path}' '{path}.altered', then towpath push from where they are right"
            altered = f"the bytes of {self.name} in {project_remote.shown} were altered"
            self.faults.append(Fault(altered, hint=back))

    def _settle_missing(
        self, what: str, seen: Sequence[str], unseen: Sequence[str], hint: str
    ) -> None:
        """What is nowhere is a fault; where not every store was seen, nobody can tell."""
        if unseen or not seen:
            why = "; ".join(dict.fromkeys(unseen)) or "there is no store here"
            looks = "`towpath verify` does, where the stores can be read"
            self.unchecked.append(f"{what} could not be checked: {why}; {looks}")
            return
        stores = ", ".join(dict.fromkeys(seen))
        self.faults.append(Fault(f"{what} are in no store: not in {stores}", hint=hint))

    @cached_property
    def store(self) -> Store | None:
        """The project's store here; None without one, and for another repository's version."""
        made_by, repository = self.record.code.repository, self.workspace.repository
        if made_by is not None:
            mine = repository and shared_registry.name_code_repository(repository)
            if not mine or not remotes.is_same_repository(mine, made_by):
                return None
        try:
            locate_store(self.workspace.root)
        except StoreError:
            return None
        return self.workspace.store


def way_to_replace(root: Path, *paths: Path) -> str:
    # They are moved away, not deleted, for they may be a clue.
    from towpath.backends.dvc import byte_transfer

    aside = "; ".join(f"mv {quote(str(path))} {quote(f'{path}.altered')}" for path in paths)
    has_remote = byte_transfer.default_remote_of(root)
    back = "towpath pull" if has_remote else "copy them from where they are right"
    return f"{aside}; then {back}"


def way_back(record: VersionRecord) -> str:
    reject = f"towpath reject {record.model}@{record.version} --reason '...'"
    pull = "towpath pull, or copy them from the stage's store; towpath reproduce tells whether"
    return f"{pull} they can be made again; where they are lost for good: {reject}"


def _error_words(closed: Exception) -> str:
    if isinstance(closed, TowpathError):
        return closed.faults[0].what
    return getattr(closed, "strerror", None) or str(closed)
