"""A stage's own store: the bytes of its versions, and the small files that say what it runs.

Objects lie as DVC 3 lays them out, so that stock DVC reads a stage's store as any remote. Bytes
are hashed on their way in and once more where they arrived, with MD5 for their name and SHA-256
for the record: a name is no proof.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, TYPE_CHECKING

from msgspec import Struct

from towpath.config.artifact import Artifact
from towpath.errors import Fault, StoreError, UsageError, UserError, did_you_mean
from towpath.scratch import scratch_folder
from towpath.storage.bucket import Bucket
from towpath.storage.folder import Folder
from towpath.storage.storage_backend import (
    ObjectSource,
    StorageBackend,
    map_in_threads,
    name_faults,
    object_path,
)
from towpath.storage.verified_bytes import (
    BytesState,
    fetch_verified,
    is_folder_digest,
    members_of,
    receive_objects,
    verify_bytes,
)

if TYPE_CHECKING:
    from towpath.config.project_declaration import Project, StoreDeclaration

DEFAULT = ".towpath/stages"  # Where the stores of stages lie that declare none, below the project.

_AT_S3 = "s3://"
_KEYS = {"access_key": "key", "secret_key": "secret", "session_token": "token"}


class StageStore(Struct, frozen=True):
    name: str
    backend: StorageBackend

    @classmethod
    def open(
        cls,
        project: Project,
        stage: str,
        environ: Mapping[str, str],
        root: Path,
        identity: str | None = None,
    ) -> StageStore:
        """A declared stage's store; a folder's path is taken from ``root``, the project. Without
        ``identity`` the stage's own credentials open it, with it another stage's: one that may read
        the store below it has no key of that stage. Nothing is asked of the store yet. Errors:
        ``UsageError`` for an unknown stage, ``UserError`` for a variable not set."""
        if stage not in project.stages:
            stage_names = ", ".join(project.stages)
            hint = did_you_mean(stage, project.stages) or f"there is {stage_names}"
            raise UsageError(f"there is no stage `{stage}`", hint=hint)
        declared = project.stages[stage].store
        if declared is None:
            url = f"{DEFAULT}/{stage}"
            return cls(stage, Folder(root / url, url))
        other = project.stages[identity].store if identity else None
        return cls(stage, _declared_backend(declared, environ, root, other))

    @classmethod
    def open_declared(
        cls, project: Project, name: str, environ: Mapping[str, str], root: Path
    ) -> StageStore:
        """One of the project's declared ``stores``, which is no stage's."""
        return cls(name, _declared_backend(project.stores[name], environ, root))

    @property
    def shown(self) -> str:
        return f"the store of {self.name} ({self.backend.shown})"

    def open_object(self, digest: str) -> AbstractContextManager[IO[bytes]]:
        return self.open_file(object_path(digest))

    def open_file(self, path: str) -> AbstractContextManager[IO[bytes]]:
        with self._name_faults(FileNotFoundError):
            return self.backend.open(path)

    def has(self, artifact: Artifact) -> bool:
        """Whether every object of a file or a folder is there with the bytes of its name."""
        return self.verify(artifact) is BytesState.WHOLE

    def verify(self, artifact: Artifact, sha256: str | None = None) -> BytesState:
        """Read all bytes there and hold them against their names and the record's SHA-256."""
        with self._name_faults():
            return verify_bytes(self, artifact, sha256, self.backend.jobs)

    def is_there(self, artifact: Artifact) -> bool:
        """Whether every object of a file or a folder is there by its name. No byte is read but
        those of a folder's manifest, which is ``UnsoundBytes`` where it is none."""
        with self._name_faults():
            try:
                members = members_of(self, artifact.digest)
            except FileNotFoundError:
                return False
            paths = [object_path(digest) for digest in {artifact.digest, *members.values()}]
            folders = {path.rpartition("/")[0] for path in paths}
            held = {f"{folder}/{name}" for folder in folders for name in self.backend.names(folder)}
            return held.issuperset(paths)

    def copy_from(self, source: ObjectSource, artifact: Artifact, sha256: str) -> None:
        """Bring a file or a folder here from another store, hashed on its way and again where it
        arrived. ``UnsoundBytes`` where what comes is not what the record says, ``StoreError`` where
        what arrived is not; nothing wrong stays."""
        with scratch_folder() as folder, self._name_faults():
            scratch = Path(folder)
            digests = receive_objects(source, artifact, sha256, scratch, self.backend.jobs)
            # Contents go before the manifest that names them.
            for phase in (False, True):
                some = [digest for digest in digests if is_folder_digest(digest) is phase]
                map_in_threads(
                    lambda d: self.backend.add_file(scratch / d, object_path(d)),
                    some,
                    self.backend.jobs,
                )
            if self.verify(artifact, sha256) is not BytesState.WHOLE:
                for digest in digests:
                    self.backend.remove_file(object_path(digest))
                what = f"{artifact.name} arrived in {self.shown} with other bytes than were sent"
                raise StoreError(what, hint="it was removed there: run again")

    def fetch_bytes(self, artifact: Artifact, into: Path, sha256: str | None = None) -> Path:
        with scratch_folder() as folder, self._name_faults():
            return fetch_verified(self, artifact, into, sha256, Path(folder), self.backend.jobs)

    def read(self, path: str) -> tuple[bytes, str] | None:
        with self._name_faults():
            return self.backend.read(path)

    def write(self, path: str, content: bytes, if_match: str | None) -> str | None:
        """Write a small file if its mark is still ``if_match``; the new mark, if so."""
        with self._name_faults():
            return self.backend.write(path, content, if_match)

    def names(self, folder: str) -> list[str]:
        with self._name_faults():
            return self.backend.names(folder)

    def _name_faults(self, *meant: type[Exception]) -> AbstractContextManager[None]:
        hint = "look at its address in towpath.yaml, its credentials and the network"
        return name_faults(self.shown, hint, *meant)


def _declared_backend(
    store: StoreDeclaration,
    environ: Mapping[str, str],
    root: Path,
    identity: StoreDeclaration | None = None,
) -> StorageBackend:
    """The backend that a store's declaration means; ``identity`` brings other credentials."""
    if not store.url.startswith(_AT_S3):
        if "://" in store.url:
            raise UserError(f"{store.url} is neither a folder nor an S3 URL")
        return Folder(root / Path(store.url).expanduser(), store.url)
    whose = identity if identity and (identity.credentials or identity.profile) else store
    named = whose.credentials.model_dump(exclude_none=True) if whose.credentials else {}
    missing = [variable for variable in named.values() if not environ.get(variable)]
    if missing:
        hint = "set it in the environment of whoever acts for that stage; never in a file in Git"
        raise UserError(
            *(Fault(f"{name} is not set: it holds a credential of {whose.url}", hint=hint)
              for name in missing)
        )  # fmt: skip
    keys = {_KEYS[key]: environ[variable] for key, variable in named.items()}
    if whose.profile:
        keys["profile"] = whose.profile
    return Bucket.open_with(store.url, store.endpoint, store.region, keys)
