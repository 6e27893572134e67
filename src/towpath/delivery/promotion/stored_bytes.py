"""Whether the bytes of a version that is to enter a stage are there, and right.

``promote``, ``approve`` and ``check`` ask it before anybody decides: ``reconcile`` would fail for
it afterwards. What is on this machine is read; of what is far away it is asked whether it is
there, so that nobody waits for a model to be downloaded.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from towpath.backends.dvc.dvc_config import locate_store
from towpath.backends.git import remotes
from towpath.errors import Fault, StoreError, TowpathError
from towpath.registry import VersionRecord, shared_registry
from towpath.registry.version_code import tracked_data
from towpath.storage.objects import StoreLayout
from towpath.storage.storage_backend import ObjectSource, object_path
from towpath.storage.verified_bytes import BytesState, verify_bytes

if TYPE_CHECKING:
    from towpath.backends.dvc import Store
    from towpath.config.project_declaration import Project, StoreDeclaration
    from towpath.delivery.promotion.promotion_case import PromotionCase
    from towpath.workspace import Workspace


_OWN = "the project's store"
_ABSENT = "is not on this machine"


@dataclass(frozen=True)
class StoredBytes:
    """What lacks or was altered, and in words what could not be looked at, and why."""

    faults: tuple[Fault, ...] = ()
    unchecked: tuple[str, ...] = ()


def look_at_bytes(
    workspace: Workspace, case: PromotionCase, environ: Mapping[str, str] | None = None
) -> StoredBytes:
    """What the stores that can be reached have of a promotion's version, and of its data.

    A rollback needs no data: what it brings back ran there before.
    """
    record = case.candidate
    if record is None:
        return StoredBytes()
    search = _Search(
        _project_of(workspace, case), case.project, case.stage, record,
        os.environ if environ is None else environ,
    )  # fmt: skip
    search.look_for_model()
    if not case.back:
        search.look_for_data()
    search.ask_remote()
    return StoredBytes(tuple(search.faults), tuple(search.unchecked))


def _project_of(workspace: Workspace, case: PromotionCase) -> Workspace:
    """The project whose model it is, which may be another of the same repository."""
    if case.folder == workspace.folder or workspace.repository is None:
        return workspace
    other = workspace.repository.root / case.folder
    return type(workspace)(other) if other.is_dir() else workspace


@dataclass
class _Search:
    """A search through the stores, the nearest first. ``absent`` are those without the model,
    ``unseen`` what is said of those that could not be looked at, ``wanted`` what is not on this
    machine and may be on the remote: what it is, by digest."""

    workspace: Workspace
    project: Project
    stage: str
    record: VersionRecord
    environ: Mapping[str, str]
    faults: list[Fault] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    unseen: list[str] = field(default_factory=list)
    wanted: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The version."""
        return f"{self.record.model}@{self.record.version}"

    def look_for_model(self) -> None:
        """Read what is near until it is found whole; then ask the buckets whether it is there."""
        for read in self._near_stores():
            if read() is BytesState.WHOLE:
                return
        if self.faults:
            return  # what was altered is told with what mends it
        if not any(self._is_in_bucket(stage, store) for stage, store in self._bucket_stores()):
            self.wanted[self.record.artifact.digest] = f"the bytes of {self.name}"

    def _near_stores(self) -> Iterator[Callable[[], BytesState]]:
        """The stores on this machine, in the order in which reconcile would ask them."""
        yield lambda: self._read_stage(self.stage, is_own=True)
        names = list(self.project.stages)
        for lower in reversed(names[: names.index(self.stage)]):
            yield lambda lower=lower: self._read_stage(lower)  # type: ignore[misc]
        yield self._read_project
        for name, declared in self.project.stores.items():
            if not _is_far(declared):
                yield lambda name=name: self._read_folder(name)  # type: ignore[misc]

    def _read_stage(self, stage: str, is_own: bool = False) -> BytesState:
        from towpath.storage.stage_store import StageStore

        if _is_far(self.project.stages[stage].store):
            return BytesState.MISSING  # asked later, and not read
        store = StageStore.open(
            self.project, stage, self.environ, self.workspace.main_folder, self.stage
        )
        if is_own:  # it need not have them yet, and what is wrong there reconcile brings anew
            with suppress(TowpathError, OSError):
                return verify_bytes(store, self.record.artifact, self.record.sha256)
            return BytesState.MISSING
        state = self._read_store(store, _root_of(store))
        if state is BytesState.ALTERED:
            self._note_altered(store.shown, f"towpath reconcile {stage} --apply brings them anew")
        return state

    def _read_folder(self, name: str) -> BytesState:
        from towpath.storage.stage_store import StageStore

        store = StageStore.open_declared(
            self.project, name, self.environ, self.workspace.main_folder
        )
        state = self._read_store(store, _root_of(store))
        if state is BytesState.ALTERED:
            path = object_path(self.record.artifact.digest)
            self._note_altered(store.shown, f"move {path} there away, and "
                               "bring it anew from where it is right")  # fmt: skip
        return state

    def _read_project(self) -> BytesState:
        if self.store is None:
            return BytesState.MISSING
        state = self._read_store(self.store.source, self.store.layout.objects)
        if state is BytesState.ALTERED:
            path = self.store.path(self.record.artifact.digest)
            self._note_altered(_OWN, way_to_replace(self.workspace.root, path))
        return state

    def _read_store(self, source: ObjectSource, root: Path | None) -> BytesState:
        """What one store has; one that is not on this machine, or cannot be read, says nothing."""
        if root is None or not root.is_dir():
            self.unseen.append(f"{source.shown} {_ABSENT}")
            return BytesState.MISSING
        try:
            state = verify_bytes(source, self.record.artifact, self.record.sha256)
        except (TowpathError, OSError) as closed:
            self.unseen.append(f"{source.shown}: {_error_words(closed)}")
            return BytesState.MISSING
        if state is BytesState.MISSING:
            self.absent.append(source.shown)
        return state

    def _note_altered(self, where: str, hint: str) -> None:
        self.faults.append(Fault(f"the bytes of {self.name} in {where} were altered", hint=hint))

    def _bucket_stores(self) -> Iterator[tuple[str, bool]]:
        """The stores in buckets, and whether each is a stage's."""
        names = list(self.project.stages)
        for stage in reversed(names[: names.index(self.stage) + 1]):
            if _is_far(self.project.stages[stage].store):
                yield stage, True
        yield from (
            (name, False) for name, declared in self.project.stores.items() if _is_far(declared)
        )

    def _is_in_bucket(self, name: str, is_stage: bool) -> bool:
        from towpath.storage.stage_store import StageStore

        home = self.workspace.main_folder
        try:
            if is_stage:
                store = StageStore.open(self.project, name, self.environ, home, self.stage)
            else:
                store = StageStore.open_declared(self.project, name, self.environ, home)
            is_there = store.is_there(self.record.artifact)
        except TowpathError as closed:
            self.unseen.append(_error_words(closed))
            return False
        if not is_there:
            self.absent.append(store.shown)
        return is_there

    def look_for_data(self) -> None:
        """What DVC keeps of the data that the version was made from."""
        if self.store is None:
            return
        folder, repository = self.workspace.folder, self.workspace.repository
        for name, (path, digest) in tracked_data(repository, self.record, folder).items():
            self._look_for_input(self.store, f"`{name}` ({path}), the data of {self.name},", digest)

    def _look_for_input(self, store: Store, what: str, digest: str) -> None:
        objects = store.needed_objects(digest)
        missing = [
            digest_of_part
            for digest_of_part in objects or ()
            if not store.path(digest_of_part).exists()
        ]
        if objects is None or missing:
            self.wanted[digest] = what
            return
        for wrong in store.objects.find_unverified(objects, aside=False):
            hint = way_to_replace(self.workspace.root, store.path(wrong))
            altered = f"the bytes of {what} in {_OWN} were altered"
            self.faults.append(Fault(altered, hint=hint))

    def ask_remote(self) -> None:
        """Of what is not here, ask the project's remote once whether it is there."""
        model = self.record.artifact.digest
        kept: tuple[str, ...] = ()
        silent: tuple[str, ...] = ()
        if self.wanted and self.store is not None:
            kept, silent = self._ask_project_stores(self.store)
        if model in self.wanted:
            what = f"the bytes of {self.name}"
            lacking, unseen = [*self.absent, *kept], [*self.unseen, *silent]
            self._settle_missing(what, lacking, unseen, way_back(self.record))
        for digest, what in self.wanted.items():
            if digest != model:
                hint = "towpath push where they are; towpath rollback goes back without them"
                self._settle_missing(f"the bytes of {what}", kept, silent, hint)

    def _ask_project_stores(self, store: Store) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The stores of the project that lack what is wanted, and what is said of those that could
        not be looked at. What the remote has is not wanted any more."""
        from towpath.backends.dvc import byte_transfer

        is_here = store.layout.objects.is_dir()
        kept, silent = ((_OWN,), ()) if is_here else ((), (f"{_OWN} {_ABSENT}",))
        try:
            remote_name = byte_transfer.default_remote_of(self.workspace.root)
            if remote_name is None:
                return kept, silent
            gone = {
                *byte_transfer.missing_on_remote(
                    self.workspace.root, list(self.wanted), remote_name
                )
            }
            arrived = {*self.wanted} - gone
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
        if (
            verify_bytes(project_remote, self.record.artifact, self.record.sha256)
            is BytesState.ALTERED
        ):
            path = project_remote.object_address(self.record.artifact.digest)
            self._note_altered(project_remote.shown, f"mv '{path}' '{path}.altered', "
                               "then towpath push from where they are right")  # fmt: skip

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
    def layout(self) -> StoreLayout | None:
        """The project's store on this machine; None where it has none, or where the version was
        made by another repository than this."""
        made_by = self.record.code.repository
        if made_by is not None:
            mine = self.workspace.repository and shared_registry.name_code_repository(
                self.workspace.repository
            )
            if not mine or not remotes.is_same_repository(mine, made_by):
                return None
        try:
            return locate_store(self.workspace.root)
        except StoreError:
            return None

    @property
    def store(self) -> Store | None:
        """The same, opened."""
        return self.workspace.store if self.layout else None


def way_to_replace(root: Path, *paths: Path) -> str:
    """How altered bytes are replaced: they are moved away, not deleted, for they may be a clue."""
    from towpath.backends.dvc import byte_transfer

    aside = "; ".join(f"mv {quote(str(path))} {quote(f'{path}.altered')}" for path in paths)
    back = (
        "towpath pull"
        if byte_transfer.default_remote_of(root)
        else "copy them from where they are right"
    )
    return f"{aside}; then {back}"


def way_back(record: VersionRecord) -> str:
    """What helps where the bytes of a version are nowhere."""
    reject = f"towpath reject {record.model}@{record.version} --reason '...'"
    return (
        "towpath pull, or copy them from the stage's store; towpath reproduce tells whether "
        f"they can be made again; where they are lost for good: {reject}"
    )


def _is_far(declared: StoreDeclaration | None) -> bool:
    return declared is not None and "://" in declared.url


def _root_of(store: object) -> Path | None:
    from towpath.storage.folder import Folder

    place = getattr(store, "backend", None)
    return place.root if isinstance(place, Folder) else None


def _error_words(closed: Exception) -> str:
    if isinstance(closed, TowpathError):
        return closed.faults[0].what
    return getattr(closed, "strerror", None) or str(closed)
