"""The project's own store: digests, bytes and entries on this machine, in DVC's format."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path

from towpath.call_log import log_store_call
from towpath.errors import StoreError
from towpath.scratch import scratch_beside
from towpath.spec.artifact import Artifact, Entry, Json
from towpath.store.copying import copy_plain, saying
from towpath.store.digest import Found, is_folder, manifest
from towpath.store.entries import WRITERS, Entries
from towpath.store.layout import Layout, locate
from towpath.store.many import each
from towpath.store.objects import Objects
from towpath.store.reading import Reader
from towpath.store.statcache import Stamp, StatCache, now


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
        objects.incoming.sweep()
        return objects

    @cached_property
    def _state(self) -> StatCache:
        return StatCache(self.layout.state / "digests.sqlite")

    @cached_property
    def _reader(self) -> Reader:
        return Reader(self.layout.home, self._state)

    @cached_property
    def remembered(self) -> Entries:
        """The entries of the cache."""
        return Entries(self.layout)

    @log_store_call("root")
    def digest(self, path: Path) -> Artifact:
        """Name the bytes of a file or a folder as they are now, without storing them.

        Raises StoreError for what is not there and for what a folder may not hold.
        """
        path = self._existing(path)
        return self._reader.folder(path) if path.is_dir() else self._reader.file(path)

    @log_store_call("root")
    def put(self, path: Path) -> Artifact:
        """Store a file or a folder as it is now. Bytes that are there already are not copied.

        Raises StoreError when they cannot be written; then nothing is half-written.
        """
        path = self._existing(path)
        with saying(path.name, self.layout.cache):
            if not path.is_dir():
                found = Found(os.fspath(path), path.name, Stamp.of(path.stat()))
                return Artifact(self._put([found])[path.name], found.stamp.size, path.name)
            files = self._reader.files(path)
            digest = self.objects.add_manifest(manifest(self._put(files)))
        return Artifact(digest, sum(file.stamp.size for file in files), path.name, len(files))

    def put_bytes(self, content: bytes, name: str) -> Artifact:
        """Store bytes that are in memory, as a file of this name."""
        with saying(name, self.layout.cache):
            return Artifact(self.objects.add_bytes(content), len(content), name)

    def _put(self, files: Sequence[Found]) -> dict[str, str]:
        """Store files; digests by relative path."""
        known = self._reader.recall(files)
        missing = set(self.objects.unverified(set(known.values())))
        digests = {path: digest for path, digest in known.items() if digest not in missing}
        unread = [file for file in files if file.relative not in digests]
        began = now()
        stored = each(lambda file: self.objects.add_file(file.path, file.stamp.size), unread)
        self._state.save((row for _, row in stored if row), now())
        fresh = [(file, digest) for file, (digest, _) in zip(unread, stored, strict=True)]
        self._state.save(((file.path, file.stamp, digest) for file, digest in fresh), began)
        return digests | {file.relative: digest for file, digest in fresh}

    def path(self, digest: str) -> Path:
        """Where the bytes of a file stand, read-only; for a folder, its manifest."""
        return self.objects.path(digest)

    def has(self, digest: str, verify: bool = True) -> bool:
        """Whether the bytes, for a folder those of every file in it, are there and right.

        They are read unless they were read before and have not changed since; wrong ones are
        moved aside, with a warning, and are a miss. ``verify=False`` asks for presence only.
        """
        needed = self.needed(digest)
        if needed is None:
            return False
        if not verify:
            return all(self.path(each).exists() for each in needed)
        return not self.objects.unverified(needed)

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
            except BaseException:
                _remove(scratch)
                raise

    def _fill(self, digest: str, target: Path) -> None:
        if not is_folder(digest):
            copy_plain(self.path(digest), target)
            return
        members = [(target / path, digest) for path, digest in self.members(digest).items()]
        target.mkdir()
        for folder in {path.parent for path, _ in members}:
            folder.mkdir(parents=True, exist_ok=True)
        each(lambda member: copy_plain(self.path(member[1]), member[0]), members)

    def read_bytes(self, artifact: Artifact) -> bytes:
        """The bytes of a small file. Raises StoreError when they are missing or wrong."""
        content = self.objects.read(artifact.digest)
        if content is None:
            raise _absent(artifact.digest, artifact.name)
        return content

    def read_json(self, artifact: Artifact) -> Json:
        """The content of a JSON file. Raises StoreError when it is missing, wrong or not JSON."""
        try:
            content: Json = json.loads(self.read_bytes(artifact))
        except ValueError as fault:
            raise StoreError(f"{artifact.name} is not JSON: {fault}") from fault
        return content

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


def _replace(scratch: Path, to: Path) -> None:
    """Put a finished file or folder where another may stand; only a folder leaves a gap."""
    if to.is_dir() or scratch.is_dir():
        _remove(to)
    scratch.replace(to)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        import shutil  # which brings every kind of compression along

        shutil.rmtree(path)
    else:
        with suppress(FileNotFoundError):
            path.unlink()


def _absent(digest: str, name: str = "") -> StoreError:
    what = f"the bytes of {name} ({digest})" if name else f"the bytes of {digest}"
    return StoreError(f"{what} are not in the store", hint="`towpath pull` fetches them")


def _shown(path: Path, root: Path) -> str:
    return os.fspath(path.relative_to(root)) if path.is_relative_to(root) else os.fspath(path)
