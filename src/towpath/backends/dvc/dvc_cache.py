"""The project's own store: digests, bytes and entries on this machine, in DVC's format."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path

from towpath.backends.dvc.dvc_config import locate
from towpath.backends.dvc.dvc_ignore import FileBelow, Ignore, files_under
from towpath.call_log import log_store_call
from towpath.config.artifact import Artifact, Entry
from towpath.errors import StoreError
from towpath.scratch import remove_scratch, scratch_beside
from towpath.storage.cache_entries import WRITERS, Entries
from towpath.storage.copy_files import copy_plain, md5_of, saying
from towpath.storage.folder import Folder
from towpath.storage.folder_digest import is_folder, manifest, manifest_digest
from towpath.storage.objects import Layout, Objects
from towpath.storage.stat_cache import Stamp, StatCache, now
from towpath.storage.storage_backend import map_in_threads

_PATIENCE = 3
"""How often a file that changes while it is read is read again."""
_THREADS = 4
_LARGE = 8 << 20
"""Bytes, to be hashed or copied, from which on threads help."""


class Store:
    """Bytes by digest, and what was made from what. Shared by threads and by processes.

    Everything is DVC 3's: digests, folders, the place of an object. Stock DVC finds what is put
    here, and the other way round. Paths may be relative to the project's root.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()

    def __reduce__(self) -> tuple[type[Store], tuple[Path]]:
        return type(self), (self.root,)  # crosses to a step's process; state is opened there

    @cached_property
    def layout(self) -> Layout:
        """The folders of this store. Raises StoreError where the project has none."""
        return locate(self.root)

    @cached_property
    def objects(self) -> Objects:
        """The objects of the cache."""
        objects = Objects(self.layout, self._state)
        objects.sweep()
        return objects

    @cached_property
    def _state(self) -> StatCache:
        return StatCache(self.layout.state / "digests.sqlite")

    @cached_property
    def remembered(self) -> Entries:
        """The entries of the cache."""
        return Entries(self.layout)

    @cached_property
    def source(self) -> Folder:
        """The cache as a place to copy bytes from: nothing says yet that they are right."""
        return Folder(self.layout.cache, "the project's store")

    @log_store_call("root")
    def digest(self, path: Path) -> Artifact:
        """Name the bytes of a file or a folder as they are now, without storing them.

        Raises StoreError for what is not there and for what a folder may not hold.
        """
        path = self._existing(path)
        if not path.is_dir():
            file = _file_at(path)
            return Artifact(self._digests([file])[path.name], file.stamp.size, path.name)
        files = self._files(path)
        digest = manifest_digest(manifest(self._digests(files)))
        return Artifact(digest, sum(file.stamp.size for file in files), path.name, len(files))

    def _files(self, folder: Path) -> list[FileBelow]:
        """The files that a folder is made of."""
        return list(files_under(folder, Ignore.at(self.layout.home, folder)))

    def _digests(self, files: Sequence[FileBelow]) -> dict[str, str]:
        """Digests by relative path."""
        known = self._recall(files)
        unread = [file for file in files if file.relative not in known]
        began = now()
        read = map_in_threads(_hash_settled, unread, _jobs(unread))
        pairs = list(zip(unread, read, strict=True))
        self._state.save(((file.path, stamp, digest) for file, (stamp, digest) in pairs), began)
        return known | {file.relative: digest for file, (_, digest) in pairs}

    def _recall(self, files: Iterable[FileBelow]) -> dict[str, str]:
        """The digests that are known without reading, by relative path."""
        by_path = {file.path: file for file in files}
        known = self._state.get_many({path: file.stamp for path, file in by_path.items()})
        return {by_path[path].relative: digest for path, digest in known.items()}

    @log_store_call("root")
    def put(self, path: Path) -> Artifact:
        """Store a file or a folder as it is now. Bytes that are there already are not copied.

        Raises StoreError when they cannot be written; then nothing is half-written.
        """
        path = self._existing(path)
        with saying(path.name, self.layout.cache):
            if not path.is_dir():
                file = _file_at(path)
                return Artifact(self._put([file])[path.name], file.stamp.size, path.name)
            files = self._files(path)
            digest = self.objects.add_manifest(manifest(self._put(files)))
        return Artifact(digest, sum(file.stamp.size for file in files), path.name, len(files))

    def put_bytes(self, content: bytes, name: str) -> Artifact:
        """Store bytes that are in memory, as a file of this name."""
        return Artifact(self.objects.add_bytes(content), len(content), name)

    def _put(self, files: Sequence[FileBelow]) -> dict[str, str]:
        """Store files; digests by relative path."""
        known = self._recall(files)
        missing = set(self.objects.unverified(set(known.values())))
        digests = {path: digest for path, digest in known.items() if digest not in missing}
        unread = [file for file in files if file.relative not in digests]
        began = now()
        stored = map_in_threads(
            lambda file: self.objects.add_file(file.path), unread, _jobs(unread)
        )
        self._state.save((row for _, row in stored if row), now())
        fresh = [(file, digest) for file, (digest, _) in zip(unread, stored, strict=True)]
        self._state.save(((file.path, file.stamp, digest) for file, digest in fresh), began)
        return digests | {file.relative: digest for file, digest in fresh}

    def path(self, digest: str) -> Path:
        """Where the bytes of a file stand, read-only; for a folder, its manifest."""
        return self.objects.path(digest)

    def has(self, digest: str) -> bool:
        """Whether the bytes, for a folder those of every file in it, are there and right.

        They are read unless they were read before and have not changed since; wrong ones are
        moved aside, with a warning, and are a miss.
        """
        needed = self.needed(digest)
        return needed is not None and not self.objects.unverified(needed)

    @log_store_call("root")
    def missing(self, digests: Iterable[str]) -> list[str]:
        """Those of these files and folders that are not whole, in the order given."""
        return [digest for digest in dict.fromkeys(digests) if not self.has(digest)]

    def needed(self, digest: str) -> list[str] | None:
        """The objects that a digest stands for, itself first; None without its manifest."""
        if not is_folder(digest):
            return [digest]
        members = self.objects.members(digest)
        return None if members is None else [digest, *dict.fromkeys(members.values())]

    def members(self, digest: str) -> dict[str, str]:
        """A folder's digests by relative path. Raises StoreError when its manifest is missing."""
        members = self.objects.members(digest)
        if members is None:
            raise _absent(digest)
        return members

    @log_store_call("root")
    def link(self, digest: str, to: Path) -> None:
        """Put the bytes at a path as a copy of its own, or a clone where blocks can be shared.

        Never a hard link: a program that writes to its input would change the store. What stands
        there is replaced when the copy is whole. Raises StoreError when bytes are missing.
        """
        if not self.has(digest):
            raise _absent(digest)
        to = self.root / to
        scratch = scratch_beside(to)
        with saying(to.name, to.parent):
            to.parent.mkdir(parents=True, exist_ok=True)
            try:
                self._fill(digest, scratch)
                _replace(scratch, to)
            finally:
                with suppress(FileNotFoundError):
                    remove_scratch(scratch)

    def _fill(self, digest: str, target: Path) -> None:
        if not is_folder(digest):
            copy_plain(self.path(digest), target)
            return
        members = [(target / path, digest) for path, digest in self.members(digest).items()]
        target.mkdir()
        for folder in {path.parent for path, _ in members}:
            folder.mkdir(parents=True, exist_ok=True)
        map_in_threads(lambda one: copy_plain(self.path(one[1]), one[0]), members, _THREADS)

    def entries(self, key: str, writers: Sequence[str] = WRITERS) -> Iterator[Entry]:
        """What is remembered under a key by these writers, whether its bytes are here or not."""
        return self.remembered.read(key, writers)

    def entry(self, key: str, writers: Sequence[str] = WRITERS) -> Entry | None:
        """The execution remembered under a key, if all that it made is here and right."""
        return next((entry for entry in self.entries(key, writers) if self._is_whole(entry)), None)

    def _is_whole(self, entry: Entry) -> bool:
        return all(self.has(artifact.digest) for artifact in entry.result.outputs.values())

    def remember(self, entry: Entry) -> None:
        """Remember an execution whose outputs have been put."""
        self.remembered.write(entry)

    def _existing(self, path: Path) -> Path:
        path = self.root / path
        if not path.exists():
            raise StoreError(f"{_shown(path, self.root)} does not exist")
        return path


def _file_at(path: Path) -> FileBelow:
    return FileBelow(os.fspath(path), path.name, Stamp.of(path.stat()))


def _jobs(files: Sequence[FileBelow]) -> int:
    """Small files are Python's own time, of which threads only make more."""
    return _THREADS if sum(file.stamp.size for file in files) > _LARGE else 1


def _hash_settled(file: FileBelow) -> tuple[Stamp, str]:
    """The stamp that a file had before and after it was read, and its digest.

    Raises StoreError when it does not stop changing.
    """
    for _ in range(_PATIENCE):
        descriptor = os.open(file.path, os.O_RDONLY)
        try:
            stamp = Stamp.of(os.fstat(descriptor))
            digest = md5_of(descriptor)
            if Stamp.of(os.fstat(descriptor)) == stamp:
                return stamp, digest
        finally:
            os.close(descriptor)
    raise StoreError(
        f"{file.path} changes while it is read", hint="wait until it is written, then run again"
    )


def _replace(scratch: Path, to: Path) -> None:
    """Put a finished file or folder where another may stand; only a folder leaves a gap."""
    if to.is_dir() or scratch.is_dir():
        with suppress(FileNotFoundError):
            remove_scratch(to)
    scratch.replace(to)


def _absent(digest: str) -> StoreError:
    what = f"the bytes of {digest} are not in the store"
    return StoreError(what, hint="`towpath pull` fetches them")


def _shown(path: Path, root: Path) -> str:
    return os.fspath(path.relative_to(root)) if path.is_relative_to(root) else os.fspath(path)
