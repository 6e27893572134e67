"""Objects: bytes under the name of their digest, written whole or not at all."""

from __future__ import annotations

import itertools
import logging
import os
import sqlite3
import stat
import threading
import time
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache, cached_property
from pathlib import Path
from typing import NamedTuple, TypeAlias

from msgspec import Struct, field

from towpath.errors import Malformed
from towpath.regular_files import open_regular_file
from towpath.storage.copy_files import clone_blocks, copy_hashing, hash_bytes, md5_of, write_all
from towpath.storage.storage_backend import OBJECTS, object_path
from towpath.storage.verified_bytes import FOLDER, is_folder_digest, manifest_digest, read_manifest

# What a file's digest was when its inode, times and size were as they are now.

# Nanoseconds: no kernel's clock for file times ticks slower (100 Hz, and a wide margin).
_TICK = 50_000_000
# Nanoseconds: the coarsest times of a file system that is still in use (FAT).
_COARSE = 2_000_000_000
_BATCH = 500
_PATIENCE = 5.0  # Seconds to wait for another process's write, which takes a fraction of one.
_LEFT_OPEN: list[object] = []

_SCHEMA = """
CREATE TABLE IF NOT EXISTS digests (
  path BLOB PRIMARY KEY, inode INTEGER, mtime INTEGER, ctime INTEGER, size INTEGER, digest TEXT
) WITHOUT ROWID;
"""


class FileStamp(NamedTuple):
    """A file as `stat` sees it. Nobody can set ``ctime``: `cp -p` and `touch -r` do not fool it."""

    inode: int
    mtime: int
    ctime: int
    size: int

    @classmethod
    def from_status(cls, status: os.stat_result) -> FileStamp:
        return cls(status.st_ino, status.st_mtime_ns, status.st_ctime_ns, status.st_size)

    def is_settled(self, now: int) -> bool:
        """Whether a write after ``now`` (nanoseconds) is sure to change the modification time. A
        file written a moment ago may be written again within the same tick of the clock that stamps
        files, with the same size: it would look unchanged. Git calls such files racy."""
        granule = _TICK if self.mtime % 1_000_000_000 else _COARSE
        return self.mtime < now - granule


Row: TypeAlias = tuple[str, FileStamp, str]  # A file's path, its stamp, its digest.


class StatCache(Struct):
    """Digests of files that have not changed since they were read, for threads and processes. It
    may forget anything, and never be wrong. It is emptied with each boot: what was hashed from
    memory before a power cut need not have reached the disk."""

    path: Path
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _opened: tuple[int, sqlite3.Connection | None] | None = None

    def get_many(self, stamps: Mapping[str, FileStamp]) -> dict[str, str]:
        digests_by_path: dict[str, str] = {}
        paths = list(stamps)
        for start in range(0, len(paths), _BATCH):
            batch = paths[start : start + _BATCH]
            for row in self._read_rows(batch):
                path = os.fsdecode(row[0])
                if row[1:5] == stamps[path]:
                    digests_by_path[path] = row[5]
        return digests_by_path

    def _read_rows(self, paths: list[str]) -> list[tuple[bytes, int, int, int, int, str]]:
        marks = ",".join("?" * len(paths))
        query = f"SELECT * FROM digests WHERE path IN ({marks})"
        with self._lock:
            database = self._own_connection()
            if database is None:
                return []
            try:
                return database.execute(query, [os.fsencode(path) for path in paths]).fetchall()
            except sqlite3.Error:
                return []

    def save_digests(self, rows: Iterable[Row], hashed: int) -> None:
        """Remember digests of files whose reading began at ``hashed`` (nanoseconds since 1970)."""
        settled = [
            (os.fsencode(path), *stamp, digest)
            for path, stamp, digest in rows
            if stamp.is_settled(hashed)
        ]
        with self._lock:
            database = self._own_connection() if settled else None
            if database is None:
                return
            try:
                with database:
                    database.executemany(
                        "INSERT OR REPLACE INTO digests VALUES (?,?,?,?,?,?)", sorted(settled)
                    )
            except sqlite3.Error:
                return  # a cache: not remembering is always right

    def _own_connection(self) -> sqlite3.Connection | None:
        """This process's connection: SQLite's may not cross a fork, nor be closed behind one."""
        if self._opened is None or self._opened[0] != os.getpid():
            _LEFT_OPEN.append(self._opened)
            self._opened = (os.getpid(), self._open_database())
        return self._opened[1]

    def __del__(self) -> None:
        """Close the connection now: Python's holds itself in a circle, and would close it late."""
        if self._opened is not None and self._opened[0] == os.getpid() and self._opened[1]:
            self._opened[1].close()

    def _open_database(self) -> sqlite3.Connection | None:
        for _ in range(2):
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                database = sqlite3.connect(self.path, timeout=_PATIENCE, check_same_thread=False)
                database.execute("PRAGMA journal_mode=WAL")
                database.execute("PRAGMA synchronous=NORMAL")
                database.executescript(_SCHEMA)
                # What another boot left is emptied; SQLite keeps a number for its user.
                boot = zlib.crc32(_read_boot_id().encode()) >> 1
                if database.execute("PRAGMA user_version").fetchone() != (boot,):
                    with database:
                        database.execute("DELETE FROM digests")
                        database.execute(f"PRAGMA user_version = {boot}")
                return database
            except sqlite3.OperationalError:
                return None  # a read-only project, or a full disk: go without
            except sqlite3.DatabaseError:
                # Not a database: begin again. A log left behind would be replayed into the next.
                for suffix in ("", "-wal", "-shm"):
                    self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)
            except OSError:
                return None
        return None


@cache
def _read_boot_id() -> str:
    """This boot of the machine, where the kernel names it."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


# Strings and bare calls, not Paths: this runs for each of ten thousand files.
# ruff: noqa: PTH105, PTH108, PTH116, PTH123


_READ_ONLY = 0o444  # The mode by which DVC knows an object that need not be read again.
# Nanoseconds that an object's time is set back, so that a later write is sure to change it.
_AGED = 4_000_000_000
_STALE = 86_400  # Seconds after which bytes on their way in are nobody's any more.
_TOKEN = os.urandom(4).hex()
_COUNT = itertools.count()


class StoreLayout(Struct, frozen=True):
    """The folders of a store: all absolute. ``shared`` where a group writes to the cache."""

    root: Path  # The project.
    dvc: Path  # The folder of its configuration, in the project or in the repository above it.
    cache: Path  # What holds the bytes.
    shared: bool = False

    @property
    def home_folder(self) -> Path:
        """The folder that holds the configuration's."""
        return self.dvc.parent

    @property
    def objects(self) -> Path:
        """Bytes by digest: two digits, then thirty."""
        return self.cache / OBJECTS

    @property
    def entries(self) -> Path:
        return self.cache / "towpath" / "entries"

    @property
    def last(self) -> Path:
        """What the good runs of pipelines made last."""
        return self.cache / "towpath" / "last"

    @property
    def scratch(self) -> Path:
        """Bytes on their way in, on the file system of the objects."""
        return self.cache / "towpath" / "tmp"

    @property
    def corrupt_folder(self) -> Path:
        """Objects whose bytes were not what their name says, kept for a person to look at."""
        return self.cache / "towpath" / "corrupt"

    @property
    def state(self) -> Path:
        """What this project remembers on this machine; losing it costs time only."""
        return self.root / ".towpath" / "state"


class Objects(Struct, frozen=True, dict=True):
    """The objects of one cache. There is no `fsync`, which would cost more than all the rest: what
    a power cut tears is found, since nothing counts as verified that was hashed in another boot."""

    layout: StoreLayout
    verified: StatCache

    def path(self, digest: str) -> Path:
        return Path(self._object_path(digest))

    def _object_path(self, digest: str) -> str:
        return f"{self.layout.cache}/{object_path(digest)}"

    def is_whole(self, digest: str) -> bool:
        """Whether an object is there and its bytes are right; wrong ones are moved aside."""
        return self.find_unverified([digest]) == []

    def find_unverified(self, digests: Iterable[str], aside: bool = True) -> list[str]:
        """Those not there or wrong, which are moved ``aside``; reads what it has not yet."""
        missing: list[str] = []
        stamps: dict[str, FileStamp] = {}
        named = {self._object_path(digest): digest for digest in digests}
        for path, digest in named.items():
            try:
                stamps[path] = FileStamp.from_status(os.stat(path))
            except OSError:
                missing.append(digest)
        recalled = self.verified.get_many(stamps)
        unread = [path for path in stamps if recalled.get(path) != named[path]]
        wrong = (
            named[path] for path in unread if not self._reread_object(path, named[path], aside)
        )
        return [*missing, *wrong]

    def _reread_object(self, path: str, digest: str, aside: bool) -> bool:
        began = time.time_ns()  # the clock that stamps files
        try:
            file = open(path, "rb", buffering=0)  # noqa: SIM115 - an error of reading is raised
        except OSError:
            return False
        with file:
            stamp = FileStamp.from_status(os.fstat(file.fileno()))
            actual = _name_digest(md5_of(file.fileno()), digest)
        if actual != digest:
            if aside:
                self._move_aside(path, digest)
            return False
        self.verified.save_digests([(path, stamp, digest)], began)
        return True

    def _move_aside(self, path: str, digest: str) -> None:
        aside = self.layout.corrupt_folder / f"{digest}-{os.urandom(4).hex()}"
        with suppress(OSError):  # where the store is read-only it stays, and stays a miss
            aside.parent.mkdir(parents=True, exist_ok=True)
            os.replace(path, aside)
            logging.getLogger("towpath.store").warning(
                "the bytes of %s in the store were not what its name says: moved aside to %s, "
                "to be made or fetched again",
                digest,
                aside,
            )

    def read(self, digest: str) -> bytes | None:
        try:
            content = self.path(digest).read_bytes()
        except OSError:
            return None
        if _name_digest(hash_bytes(content), digest) != digest:
            self._move_aside(self._object_path(digest), digest)
            return None
        return content

    def members(self, digest: str) -> dict[str, str] | None:
        content = self.read(digest)
        try:
            return None if content is None else read_manifest(content)
        except Malformed:
            return None

    def add_bytes(self, content: bytes, digest: str | None = None) -> str:
        """Store bytes; a manifest is given its folder's digest."""
        digest = digest or hash_bytes(content)
        if not self.is_whole(digest):
            with self._open_scratch() as (path, descriptor):
                write_all(descriptor, content)
                row = self._settle_object(path, descriptor, digest)
                self.verified.save_digests([row], time.time_ns())
        return digest

    def add_manifest(self, content: bytes) -> str:
        return self.add_bytes(content, manifest_digest(content))

    def add_file(self, source: str) -> tuple[str, Row | None]:
        """Store a file's bytes as they are now; the digest is that of the bytes that were written.
        Answers it, and what to remember as verified when something was written."""
        with open_regular_file(source, buffering=0) as file:
            try:
                with self._open_scratch() as (path, target):
                    shared = clone_blocks(file.fileno(), target)
                    digest = md5_of(target) if shared else copy_hashing(file.fileno(), target)
                    if self.is_whole(digest):
                        return digest, None
                    return digest, self._settle_object(path, target, digest)
            except OSError:  # a store that may only be read has no need to be written
                file.seek(0)
                if self.is_whole(digest := md5_of(file.fileno())):
                    return digest, None
                raise

    def adopt_file(self, path: Path, digest: str) -> bool:
        with path.open("rb", buffering=0) as file:
            if _name_digest(md5_of(file.fileno()), digest) != digest:
                return False
            row = self._settle_object(os.fspath(path), file.fileno(), digest)
            self.verified.save_digests([row], time.time_ns())
            return True

    def scratch_path(self) -> Path:
        """A path, on the file system of the objects, for a file that something else will write."""
        self._make_folder(self.layout.scratch)
        return self.layout.scratch / _scratch_name()

    @cached_property
    def _scratch_folder(self) -> str:
        return os.fspath(self.layout.scratch)

    def sweep_scratch(self) -> None:
        """Remove what a killed process left on its way in."""
        limit = time.time() - _STALE
        with suppress(OSError), os.scandir(self.layout.scratch) as rows:
            for row in rows:
                with suppress(OSError):
                    if row.stat().st_mtime < limit:
                        os.unlink(row.path)

    @contextmanager
    def _open_scratch(self) -> Iterator[tuple[str, int]]:
        """A new file, open for writing; what got no name of its own is removed at the end."""
        path = f"{self._scratch_folder}/{_scratch_name()}"
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL
        try:
            descriptor = os.open(path, flags, _READ_ONLY)
        except FileNotFoundError:
            self._make_folder(self.layout.scratch)
            descriptor = os.open(path, flags, _READ_ONLY)
        try:
            yield path, descriptor
        finally:
            os.close(descriptor)
            with suppress(FileNotFoundError):
                os.unlink(path)

    def _settle_object(self, scratch: str, descriptor: int, digest: str) -> Row:
        """Give bytes their name; the object is read-only against writes by mistake."""
        path = self._object_path(digest)
        past = time.time_ns() - _AGED
        os.utime(descriptor, ns=(past, past))
        try:
            os.replace(scratch, path)
        except FileNotFoundError:
            self._make_folder(Path(path).parent)
            os.replace(scratch, path)
        status = os.fstat(descriptor)
        if stat.S_IMODE(status.st_mode) != _READ_ONLY:  # a strict umask, or another's file
            os.fchmod(descriptor, _READ_ONLY)
            status = os.fstat(descriptor)
        return path, FileStamp.from_status(status), digest

    def _make_folder(self, folder: Path) -> None:
        """Make a folder of the cache, writable by the group where the cache is shared."""
        if folder.is_dir():
            return
        folder.mkdir(parents=True, exist_ok=True)
        if self.layout.shared:
            with suppress(PermissionError):
                folder.chmod(0o2775)


def _scratch_name() -> str:
    return f"{os.getpid()}-{_TOKEN}-{next(_COUNT)}"


def _name_digest(md5_digest: str, like: str) -> str:
    """The name of bytes with this MD5, as those of a file or of a manifest."""
    return md5_digest + (FOLDER if is_folder_digest(like) else "")
