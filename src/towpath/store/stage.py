"""A stage's own store: the bytes of its versions, and the small files that say what it runs.

Objects lie as DVC 3 lays them out, so that stock DVC reads a stage's store as any remote. Bytes
are hashed on their way in and once more where they arrived, with MD5 for their name and SHA-256
for the record: a name is no proof.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from towpath.errors import StoreError, TowpathError
from towpath.scratch import scratch_folder
from towpath.spec.artifact import Artifact
from towpath.store.copying import FULL
from towpath.store.digest import is_folder
from towpath.store.place import Place, Source, object_path
from towpath.store.verified import (
    State,
    Unsound,
    each,
    fetch,
    members_of,
    received,
    verify,
)

if TYPE_CHECKING:
    from towpath.spec.project import Project
    from towpath.store.local import Store

__all__ = ["FromProject", "FromStage", "StageStore", "State", "Unsound"]


@dataclass(frozen=True)
class StageStore:
    """The store of one stage, opened with one identity."""

    name: str
    place: Place

    @classmethod
    def open(
        cls,
        project: Project,
        stage: str,
        environ: Mapping[str, str],
        root: Path,
        identity: str | None = None,
    ) -> StageStore:
        """A declared stage's store; a folder's path is taken from ``root``, the project.

        Without ``identity`` the stage's own credentials open it, with it another stage's: one
        that may read the store below it has no key of that stage. Nothing is asked of the store
        yet. Errors: ``UsageError`` for an unknown stage, ``UserError`` for a variable not set.
        """
        from towpath.store.opening import stage_place

        place = stage_place(project, stage, environ, root, identity)
        return cls(stage, place)

    @property
    def shown(self) -> str:
        """It as errors call it."""
        return f"the store of {self.name} ({self.place.shown})"

    def object(self, digest: str) -> AbstractContextManager[IO[bytes]]:
        """An object's bytes, unverified; FileNotFoundError where it is not there."""
        return self.opened(object_path(digest))

    def opened(self, path: str) -> AbstractContextManager[IO[bytes]]:
        """A file by its path; FileNotFoundError where it is not there."""
        with self._speaking(FileNotFoundError):
            return self.place.open(path)

    def has(self, artifact: Artifact) -> bool:
        """Whether every object of a file or a folder is there with the bytes of its name."""
        return self.verify(artifact) is State.WHOLE

    def verify(self, artifact: Artifact, sha256: str | None = None) -> State:
        """Read all bytes there and hold them against their names and the record's SHA-256."""
        with self._speaking():
            return verify(FromStage(self), artifact, sha256, self.place.jobs)

    def is_there(self, artifact: Artifact) -> bool:
        """Whether every object of a file or a folder is there by its name. No byte is read but
        those of a folder's manifest, which is ``Unsound`` where it is none."""
        with self._speaking():
            try:
                members = members_of(FromStage(self), artifact.digest)
            except FileNotFoundError:
                return False
            paths = [object_path(digest) for digest in {artifact.digest, *members.values()}]
            folders = {path.rpartition("/")[0] for path in paths}
            held = {f"{folder}/{name}" for folder in folders for name in self.place.names(folder)}
            return held.issuperset(paths)

    def copy_from(self, source: Source, artifact: Artifact, sha256: str) -> None:
        """Bring a file or a folder here from another store, past every cache.

        What comes is hashed before it is put here, and what is here afterwards is read again.
        Raises Unsound where what comes is not what the record says, StoreError where what arrived
        is not; nothing wrong stays.
        """
        with scratch_folder() as folder, self._speaking():
            scratch = Path(folder)
            digests = received(source, artifact, sha256, scratch, self.place.jobs)
            # Contents go before the manifest that names them.
            for phase in (False, True):
                some = [digest for digest in digests if is_folder(digest) is phase]
                each(lambda d: self.place.add(scratch / d, object_path(d)), some, self.place.jobs)
            if self.verify(artifact, sha256) is not State.WHOLE:
                for digest in digests:
                    self.place.remove(object_path(digest))
                what = f"{artifact.name} arrived in {self.shown} with other bytes than were sent"
                raise StoreError(what, hint="it was removed there: run again")

    def fetch(self, artifact: Artifact, into: Path, sha256: str | None = None) -> Path:
        """Bring a file or a folder to a path of this machine, verified; the path."""
        with scratch_folder() as folder, self._speaking():
            return fetch(FromStage(self), artifact, into, sha256, Path(folder), self.place.jobs)

    def read(self, path: str) -> tuple[bytes, str] | None:
        """A small file and its mark; None where it is not there."""
        with self._speaking():
            return self.place.read(path)

    def write(self, path: str, content: bytes, if_match: str | None) -> str | None:
        """Write a small file if its mark is still ``if_match`` (None: not there yet).

        The new mark; None where another wrote meanwhile.
        """
        with self._speaking():
            return self.place.write(path, content, if_match)

    def names(self, folder: str) -> list[str]:
        """The names of the small files in a folder."""
        with self._speaking():
            return self.place.names(folder)

    @contextmanager
    def _speaking(self, *meant: type[Exception]) -> Iterator[None]:
        """Whatever a system or a library raises becomes a StoreError that names the store."""
        try:
            yield
        except TowpathError:
            raise
        except Exception as fault:  # each file system raises errors of its own
            if isinstance(fault, meant):
                raise
            number = fault.errno if isinstance(fault, OSError) else None
            said = FULL.get(number or 0) or str(fault) or type(fault).__name__
            raise StoreError(
                f"{self.shown}: {said}",
                hint="look at its address in towpath.yaml, its credentials and the network",
            ) from fault


@dataclass(frozen=True)
class FromStage:
    """A stage's store as a ``Source``."""

    store: StageStore

    @property
    def shown(self) -> str:
        """It as errors call it."""
        return self.store.shown

    def open(self, digest: str) -> AbstractContextManager[IO[bytes]]:
        """An object's bytes, unverified."""
        return self.store.object(digest)


@dataclass(frozen=True)
class FromProject:
    """The project's own store on this machine as a ``Source``."""

    store: Store
    shown: str = "the project's store"

    def open(self, digest: str) -> AbstractContextManager[IO[bytes]]:
        """An object's bytes, unverified."""
        return self.store.path(digest).open("rb")
