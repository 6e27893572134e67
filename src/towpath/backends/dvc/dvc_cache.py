"""The project's own store: digests, bytes and entries on this machine, in DVC's format."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path

from towpath.backends.dvc.dvc_config import locate_store
from towpath.backends.dvc.dvc_ignore import FileBelow, IgnorePatterns, files_under
from towpath.call_log import log_store_call
from towpath.config.artifact import Artifact, CacheEntry
from towpath.errors import StoreError
from towpath.scratch import remove_scratch, scratch_beside
from towpath.storage.cache_entries import WRITERS, Entries
from towpath.storage.copy_files import copy_plain, explain_write_errors, md5_of
from towpath.storage.folder import Folder
from towpath.storage.objects import FileStamp, Objects, StatCache, StoreLayout, current_time
from towpath.storage.storage_backend import map_in_threads
from towpath.storage.verified_bytes import folder_manifest, is_folder_digest, manifest_digest

_PATIENCE = 3  # how often a file that changes while it is read is read again
_THREADS = 4
# Bytes, to be hashed or copied, from which on threads help: hashlib and copies leave the GIL. Small
# files are Python's own time, of which threads only make more.
_LARGE = 8 << 20


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
    def layout(self) -> StoreLayout:
        """The folders of this store. Raises StoreError where the project has none."""
        return locate_store(self.root)

    @cached_property
    def objects(self) -> Objects:
        objects = Objects(self.layout, self._stat_cache)
        # What a killed process left half written lies here for nobody.
        objects.sweep_scratch()
        return objects

    @cached_property
    def _stat_cache(self) -> StatCache:
        return StatCache(self.layout.state / "digests.sqlite")

    @cached_property
    def cached_entries(self) -> Entries:
        return Entries(self.layout)

    @cached_property
    def source(self) -> Folder:
        """The cache as a place to copy bytes from: nothing says yet that they are right."""
        return Folder(self.layout.cache, "the project's store")

    @log_store_call("root")
    def digest(self, path: Path) -> Artifact:
        """Name the bytes of a file or a folder as they are now, without storing them. Raises
        StoreError for what is not there and for what a folder may not hold."""
        path = self._existing_path(path)
        if not path.is_dir():
            file = _file_at(path)
            return Artifact(self._digest_files([file])[path.name], file.stamp.size, path.name)
        files = self._folder_files(path)
        digest = manifest_digest(folder_manifest(self._digest_files(files)))
        return Artifact(digest, sum(file.stamp.size for file in files), path.name, len(files))

    def _folder_files(self, folder: Path) -> list[FileBelow]:
        patterns = IgnorePatterns.patterns_at(self.layout.home_folder, folder)
        return list(files_under(folder, patterns))

    def _digest_files(self, files: Sequence[FileBelow]) -> dict[str, str]:
        recalled = self._recall_digests(files)
        unread = [file for file in files if file.relative not in recalled]
        began = current_time()
        read = map_in_threads(_hash_settled, unread, _job_count(unread))
        pairs = list(zip(unread, read, strict=True))
        rows = ((file.path, stamp, digest) for file, (stamp, digest) in pairs)
        # The moment before the reading: what was written in the same tick is not believed later.
        self._stat_cache.save_digests(rows, began)
        return recalled | {file.relative: digest for file, (_, digest) in pairs}

    def _recall_digests(self, files: Iterable[FileBelow]) -> dict[str, str]:
        by_path = {file.path: file for file in files}
        stamps = {path: file.stamp for path, file in by_path.items()}
        digests = self._stat_cache.get_many(stamps)
        return {by_path[path].relative: digest for path, digest in digests.items()}

    @log_store_call("root")
    def put(self, path: Path) -> Artifact:
        """Store a file or a folder as it is now. Bytes that are there already are not copied.
        Raises StoreError when they cannot be written; then nothing is half-written."""
        path = self._existing_path(path)
        with explain_write_errors(path.name, self.layout.cache):
            if not path.is_dir():
                file = _file_at(path)
                return Artifact(self._put_files([file])[path.name], file.stamp.size, path.name)
            files = self._folder_files(path)
            digest = self.objects.add_manifest(folder_manifest(self._put_files(files)))
        return Artifact(digest, sum(file.stamp.size for file in files), path.name, len(files))

    def put_bytes(self, content: bytes, name: str) -> Artifact:
        """Store bytes that are in memory, as a file of this name."""
        return Artifact(self.objects.add_bytes(content), len(content), name)

    def _put_files(self, files: Sequence[FileBelow]) -> dict[str, str]:
        recalled = self._recall_digests(files)
        missing = set(self.objects.find_unverified(set(recalled.values())))
        digests = {path: digest for path, digest in recalled.items() if digest not in missing}
        unread = [file for file in files if file.relative not in digests]
        began = current_time()
        # Of what changes meanwhile the object is named for the bytes that were copied.
        jobs = _job_count(unread)
        stored = map_in_threads(lambda file: self.objects.add_file(file.path), unread, jobs)
        self._stat_cache.save_digests((row for _, row in stored if row), current_time())
        fresh = [(file, digest) for file, (digest, _) in zip(unread, stored, strict=True)]
        rows = ((file.path, file.stamp, digest) for file, digest in fresh)
        self._stat_cache.save_digests(rows, began)
        return digests | {file.relative: digest for file, digest in fresh}

    def path(self, digest: str) -> Path:
        """Where the bytes of a file stand, read-only; for a folder, its manifest."""
        return self.objects.path(digest)

    def has(self, digest: str) -> bool:
        """Whether the bytes, for a folder those of every file in it, are there and right."""
        # They are read unless they were read before and have not changed since; wrong ones are
        # moved aside, with a warning, and are a miss.
        needed = self.needed_objects(digest)
        return needed is not None and not self.objects.find_unverified(needed)

    @log_store_call("root")
    def missing(self, digests: Iterable[str]) -> list[str]:
        """Those of these files and folders that are not whole, in the order given."""
        return [digest for digest in dict.fromkeys(digests) if not self.has(digest)]

    def needed_objects(self, digest: str) -> list[str] | None:
        """The objects that a digest stands for, itself first; None without its manifest."""
        if not is_folder_digest(digest):
            return [digest]
        members = self.objects.members(digest)
        return None if members is None else [digest, *dict.fromkeys(members.values())]

    def members(self, digest: str) -> dict[str, str]:
        """A folder's digests by relative path. Raises StoreError when its manifest is missing."""
        members = self.objects.members(digest)
        if members is None:
            raise _absent_error(digest)
        return members

    @log_store_call("root")
    def copy_to(self, digest: str, to: Path) -> None:
        """Put the bytes at a path as a copy of its own, or a clone where blocks can be shared.
        Raises StoreError when bytes are missing."""
        # Never a hard link: a program that writes to its input would change the store. What stands
        # there is replaced when the copy is whole.
        if not self.has(digest):
            raise _absent_error(digest)
        to = self.root / to
        scratch = scratch_beside(to)
        with explain_write_errors(to.name, to.parent):
            to.parent.mkdir(parents=True, exist_ok=True)
            try:
                self._fill_target(digest, scratch)
                _replace_path(scratch, to)
            finally:
                with suppress(FileNotFoundError):
                    remove_scratch(scratch)

    def _fill_target(self, digest: str, target: Path) -> None:
        if not is_folder_digest(digest):
            copy_plain(self.path(digest), target)
            return
        members = [(target / path, digest) for path, digest in self.members(digest).items()]
        target.mkdir()
        for folder in {path.parent for path, _ in members}:
            folder.mkdir(parents=True, exist_ok=True)
        map_in_threads(lambda one: copy_plain(self.path(one[1]), one[0]), members, _THREADS)

    def entries(self, key: str, writers: Sequence[str] = WRITERS) -> Iterator[CacheEntry]:
        """What is remembered under a key by these writers, whether its bytes are here or not."""
        return self.cached_entries.read(key, writers)

    def entry(self, key: str, writers: Sequence[str] = WRITERS) -> CacheEntry | None:
        """The execution remembered under a key, if all that it made is here and right."""
        for entry in self.entries(key, writers):
            if all(self.has(artifact.digest) for artifact in entry.result.outputs.values()):
                return entry
        return None

    def remember(self, entry: CacheEntry) -> None:
        """Remember an execution whose outputs have been put."""
        self.cached_entries.write(entry)

    def _existing_path(self, path: Path) -> Path:
        path = self.root / path
        if not path.exists():
            shown = path.relative_to(self.root) if path.is_relative_to(self.root) else path
            raise StoreError(f"{shown} does not exist")
        return path


def _file_at(path: Path) -> FileBelow:
    return FileBelow(os.fspath(path), path.name, FileStamp.from_status(path.stat()))


def _job_count(files: Sequence[FileBelow]) -> int:
    return _THREADS if sum(file.stamp.size for file in files) > _LARGE else 1


def _hash_settled(file: FileBelow) -> tuple[FileStamp, str]:
    """The stamp that a file had before and after it was read, and its digest. Raises StoreError
    when it does not stop changing."""
    for _ in range(_PATIENCE):
        descriptor = os.open(file.path, os.O_RDONLY)
        try:
            stamp = FileStamp.from_status(os.fstat(descriptor))
            digest = md5_of(descriptor)
            if FileStamp.from_status(os.fstat(descriptor)) == stamp:
                return stamp, digest
        finally:
            os.close(descriptor)
    hint = "wait until it is written, then run again"
    raise StoreError(f"{file.path} changes while it is read", hint=hint)


def _replace_path(scratch: Path, to: Path) -> None:
    # A rename replaces a file at once, and no folder that holds something: only there is a gap.
    if to.is_dir() or scratch.is_dir():
        with suppress(FileNotFoundError):
            remove_scratch(to)
    scratch.replace(to)


def _absent_error(digest: str) -> StoreError:
    what = f"the bytes of {digest} are not in the store"
    return StoreError(what, hint="`towpath pull` fetches them")
