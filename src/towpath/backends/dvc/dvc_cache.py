"""The project's own store: digests, bytes and entries on this machine, in DVC's format.

What a manifest cannot say is refused or left out, as DVC does: a link to a file is the file, empty
folders and modes are not kept, files that `.dvcignore` names are left out. A link to a folder is
refused: DVC would leave it out and say nothing, and so would the digest.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from msgspec import Struct

from towpath.backends.dvc.dvc_config import locate_store
from towpath.call_log import log_store_call
from towpath.config.artifact import Artifact, CacheEntry
from towpath.config.foreign_paths import is_reserved
from towpath.errors import StoreError
from towpath.regular_files import open_regular_file, read_regular_file
from towpath.scratch import remove_scratch, scratch_beside
from towpath.storage.cache_entries import WRITERS, Entries, LastMade
from towpath.storage.copy_files import copy_plain, explain_write_errors, md5_of
from towpath.storage.folder import Folder
from towpath.storage.objects import FileStamp, Objects, StatCache, StoreLayout
from towpath.storage.storage_backend import map_in_threads
from towpath.storage.verified_bytes import folder_manifest, is_folder_digest, manifest_digest

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec


_In = TypeVar("_In")
_Out = TypeVar("_Out")

IGNORE_FILE = ".dvcignore"
_NAME = re.compile(r"[\w.-]+/?")
_ALWAYS = frozenset({".git", ".hg", ".dvc"})
_AS_FOLDERS = frozenset({".hg", ".dvc"})
_PATIENCE = 3  # how often a file that changes while it is read is read again
_THREADS = 4
# Bytes of a file from which on threads help: hashlib and copies leave the GIL. Smaller ones are
# Python's own time, of which threads that wait for each other make three times as much.
_LARGE = 256 << 10


class IgnorePatterns(Struct, frozen=True, dict=True):
    """The patterns in force at one folder. ``home`` holds the `.dvc`; ``below`` is the folder's
    path under it, empty for the home itself and for folders elsewhere."""

    home: Path
    below: str = ""

    @classmethod
    def patterns_at(cls, home: Path, folder: Path) -> IgnorePatterns:
        """The patterns in force at a folder; outside of the home there are none but DVC's own."""
        try:
            relative = folder.absolute().relative_to(home)
        except ValueError:  # outside of the home there are no patterns but DVC's own
            return cls(home)
        parts = relative.parts
        if ".towpath" in parts:  # a run's folder: as the same folder of the project would be
            parts = parts[-1:]
        return cls(home, "/".join(parts))

    def is_ignored(self, relative: str, is_folder: bool) -> bool:
        """Whether a file or a folder below this one is left out."""
        name = relative.rpartition("/")[2]
        if name in _ALWAYS and (is_folder or name not in _AS_FOLDERS):
            return True
        if not self._pattern_levels:
            return False
        if self._plain_names is not None:
            return name in self._plain_names or (is_folder and f"{name}/" in self._plain_names)
        path = f"{self.below}/{relative}" if self.below else relative
        return self._is_left_out(f"{path}/" if is_folder else path)

    def _is_left_out(self, path: str) -> bool:
        """The last pattern that matches decides, and that of a deeper file over a higher one's."""
        for prefix, spec in reversed(self._pattern_specs):
            verdict = spec.check_file(path[len(prefix) :]).include
            if verdict is not None:
                return verdict
        return False

    @cached_property
    def _plain_names(self) -> frozenset[str] | None:
        """The patterns, where all are names alone that speak of nothing above this folder."""
        names = frozenset(pattern for _, patterns in self._pattern_levels for pattern in patterns)
        above = {part for part in self.below.split("/") if part in names or f"{part}/" in names}
        return names if all(map(_NAME.fullmatch, names)) and not above else None

    @cached_property
    def _pattern_specs(self) -> list[tuple[str, GitIgnoreSpec]]:
        from pathspec import GitIgnoreSpec  # only where somebody wrote more than names

        return [(prefix, GitIgnoreSpec.from_lines(lines)) for prefix, lines in self._pattern_levels]

    @cached_property
    def _pattern_levels(self) -> tuple[tuple[str, list[str]], ...]:
        folders = [""]
        for part in self.below.split("/")[:-1] if self.below else ():
            folders.append(f"{folders[-1]}{part}/")
        levels = ((folder, _read_patterns(self.home / folder / IGNORE_FILE)) for folder in folders)
        return tuple((folder, patterns) for folder, patterns in levels if patterns)


def _read_patterns(path: Path) -> list[str]:
    try:
        lines = map(str.strip, read_regular_file(path).decode("utf-8").splitlines())
    except OSError:
        return []
    return [line for line in lines if line and not line.startswith("#")]


class FileBelow(NamedTuple):
    """A regular file under a folder: its absolute path, its path below the folder, its stamp."""

    path: str
    relative: str
    stamp: FileStamp


def files_under(folder: Path, ignore: IgnorePatterns) -> Iterator[FileBelow]:
    """The files that a folder's digest is made of. Raises StoreError, with every fault, for links
    to folders, broken links, pipes and the like, and for a `.dvcignore` inside the folder."""
    faults: list[str] = []
    yield from _walk_folder(os.fspath(folder), "", ignore, faults)
    if faults:
        raise StoreError(*faults)


def _walk_folder(
    folder: str, below: str, ignore: IgnorePatterns, faults: list[str]
) -> Iterator[FileBelow]:
    with os.scandir(folder) as rows:
        entries = sorted(rows, key=lambda entry: entry.name)
    if below and any(entry.name == ".dvc" and entry.is_dir() for entry in entries):
        return  # a project of its own, which DVC leaves out
    for entry in entries:
        relative = f"{below}{entry.name}"
        is_directory = entry.is_dir(follow_symlinks=False)
        if ignore.is_ignored(relative, is_directory):
            continue
        if is_directory and not is_reserved(entry.name):
            yield from _walk_folder(entry.path, f"{relative}/", ignore, faults)
        elif entry.is_file() and entry.name != IGNORE_FILE and not is_reserved(entry.name):
            yield FileBelow(entry.path, relative, FileStamp.from_status(entry.stat()))
        else:
            faults.append(_refusal_words(entry))


def _refusal_words(entry: os.DirEntry[str]) -> str:
    if is_reserved(entry.name):
        return f"{entry.path}: what is called so may not stand inside a stored folder"
    if entry.name == IGNORE_FILE:
        return f"{entry.path}: a {IGNORE_FILE} may not stand inside a stored folder"
    if entry.is_dir():
        return f"{entry.path} is a link to a folder, which a folder's digest leaves out"
    if not Path(entry.path).exists():
        return f"{entry.path} is a link to nothing"
    return f"{entry.path} is neither a file nor a folder"


class Store:
    """Bytes by digest, and what was made from what. Shared by threads and by processes. Everything
    is DVC 3's: digests, folders, the place of an object. Stock DVC finds what is put here, and the
    other way round. Paths may be relative to the project's root."""

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
    def last_made(self) -> LastMade:
        """What the good runs of pipelines made last."""
        return LastMade(self.layout)

    @cached_property
    def source(self) -> Folder:
        """The cache as a place to copy bytes from: nothing says yet that they are right."""
        return Folder(self.layout.cache, "the project's store")

    @log_store_call("root")
    def digest(self, path: Path) -> Artifact:
        """Name the bytes of a file or a folder as they are now, without storing them. Raises
        StoreError for what is not there and for what a folder may not hold."""
        return self._name_artifact(self._existing_path(path), self._digest_files, manifest_digest)

    def _name_artifact(
        self,
        path: Path,
        name_files: Callable[[Sequence[FileBelow]], Mapping[str, str]],
        name_manifest: Callable[[bytes], str],
    ) -> Artifact:
        if not path.is_dir():
            file = FileBelow(os.fspath(path), path.name, FileStamp.from_status(path.stat()))
            return Artifact(name_files([file])[path.name], file.stamp.size, path.name)
        patterns = IgnorePatterns.patterns_at(self.layout.home_folder, path)
        files = list(files_under(path, patterns))
        digest = name_manifest(folder_manifest(name_files(files)))
        return Artifact(digest, sum(file.stamp.size for file in files), path.name, len(files))

    def _digest_files(self, files: Sequence[FileBelow]) -> dict[str, str]:
        recalled = self._recall_digests(files)
        unread = [file for file in files if file.relative not in recalled]
        began = time.time_ns()
        read = _map_large_in_threads(_hash_settled, unread, [file.stamp.size for file in unread])
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
            return self._name_artifact(path, self._put_files, self.objects.add_manifest)

    def put_bytes(self, content: bytes, name: str) -> Artifact:
        """Store bytes that are in memory, as a file of this name."""
        return Artifact(self.objects.add_bytes(content), len(content), name)

    def put_members(self, members: Mapping[str, Artifact], name: str) -> Artifact:
        """Store a folder of files and folders that are stored already, by their paths in it."""
        digests: dict[str, str] = {}
        for path, member in members.items():
            inside = self.members(member.digest) if is_folder_digest(member.digest) else {"": ""}
            digests |= {f"{path}/{below}".rstrip("/"): md5 or member.digest
                        for below, md5 in inside.items()}  # fmt: skip
        digest = self.objects.add_manifest(folder_manifest(digests))
        return Artifact(digest, sum(m.size for m in members.values()), name, len(digests))

    def read_small(self, digest: str) -> bytes:
        """The bytes of a small file, hashed as they are read. Raises StoreError where they are
        not there."""
        content = self.objects.read(digest)
        if content is None:
            raise _absent_error(digest)
        return content

    def _put_files(self, files: Sequence[FileBelow]) -> dict[str, str]:
        recalled = self._recall_digests(files)
        missing = set(self.objects.find_unverified(set(recalled.values())))
        digests = {path: digest for path, digest in recalled.items() if digest not in missing}
        unread = [file for file in files if file.relative not in digests]
        began = time.time_ns()
        # Of what changes meanwhile the object is named for the bytes that were copied.
        sizes = [file.stamp.size for file in unread]
        stored = _map_large_in_threads(lambda file: self.objects.add_file(file.path), unread, sizes)
        self._stat_cache.save_digests((row for _, row in stored if row), time.time_ns())
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
        return [digest for digest in dict.fromkeys(digests) if not self.has(digest)]

    def needed_objects(self, digest: str) -> list[str] | None:
        """The objects that a digest stands for, itself first; None without its manifest."""
        if not is_folder_digest(digest):
            return [digest]
        members = self.objects.members(digest)
        return None if members is None else [digest, *dict.fromkeys(members.values())]

    def members(self, digest: str) -> dict[str, str]:
        members = self.objects.members(digest)
        if members is None:
            raise _absent_error(digest)
        return members

    @log_store_call("root")
    def copy_to(self, digest: str, to: Path) -> None:
        """Put the bytes at a path as a copy, or a clone of blocks; StoreError without them."""
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
                # A rename replaces a file at once, and no folder that holds something: only there
                # is a gap.
                if to.is_dir() or scratch.is_dir():
                    with suppress(FileNotFoundError):
                        remove_scratch(to)
                scratch.replace(to)
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
        sizes = [self.path(digest).stat().st_size for _, digest in members]
        _map_large_in_threads(
            lambda member: copy_plain(self.path(member[1]), member[0]), members, sizes
        )

    def entries(self, key: str, writers: Sequence[str] = WRITERS) -> Iterator[CacheEntry]:
        return self.cached_entries.read(key, writers)

    def entry(self, key: str, writers: Sequence[str] = WRITERS) -> CacheEntry | None:
        for entry in self.entries(key, writers):
            if all(self.has(artifact.digest) for artifact in entry.result.outputs.values()):
                return entry
        return None

    def remember(self, entry: CacheEntry) -> None:
        self.cached_entries.write(entry)

    def _existing_path(self, path: Path) -> Path:
        path = self.root / path
        if not path.exists():
            shown = path.relative_to(self.root) if path.is_relative_to(self.root) else path
            raise StoreError(f"{shown} does not exist")
        return path


def _map_large_in_threads(
    work: Callable[[_In], _Out], things: Sequence[_In], sizes: Sequence[int]
) -> list[_Out]:
    """The answers in the order of the things, whose bytes are so many each."""
    large = [number for number, size in enumerate(sizes) if size >= _LARGE]
    answers = map_in_threads(work, [things[number] for number in large], _THREADS)
    answers_by_number = dict(zip(large, answers, strict=True))
    return [
        answers_by_number[number] if number in answers_by_number else work(thing)
        for number, thing in enumerate(things)
    ]


def _hash_settled(file: FileBelow) -> tuple[FileStamp, str]:
    """A file's stamp and digest; StoreError where it does not stop changing while it is read."""
    for _ in range(_PATIENCE):
        with open_regular_file(file.path, buffering=0) as opened:
            stamp = FileStamp.from_status(os.fstat(opened.fileno()))
            digest = md5_of(opened.fileno())
            if FileStamp.from_status(os.fstat(opened.fileno())) == stamp:
                return stamp, digest
    hint = "wait until it is written, then run again"
    raise StoreError(f"{file.path} changes while it is read", hint=hint)


def _absent_error(digest: str) -> StoreError:
    what = f"the bytes of {digest} are not in the store"
    return StoreError(what, hint="`towpath pull` fetches them")
