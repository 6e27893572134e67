"""What a file's digest was when its inode, times and size were as they are now."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import NamedTuple, TypeAlias

_TICK = 50_000_000
"""Nanoseconds: no kernel's clock for file times ticks slower (100 Hz, and a wide margin)."""
_COARSE = 2_000_000_000
"""Nanoseconds: the coarsest times of a file system that is still in use (FAT)."""
_BATCH = 500
_PATIENCE = 5.0
"""Seconds to wait for another process's write, which takes a fraction of one."""
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
        """The stamp in a `stat`."""
        return cls(status.st_ino, status.st_mtime_ns, status.st_ctime_ns, status.st_size)

    def is_settled(self, now: int) -> bool:
        """Whether a write after ``now`` (nanoseconds) is sure to change the modification time.

        A file written a moment ago may be written again within the same tick of the clock that
        stamps files, with the same size: it would look unchanged. Git calls such files racy.
        """
        granule = _TICK if self.mtime % 1_000_000_000 else _COARSE
        return self.mtime < now - granule


Row: TypeAlias = tuple[str, FileStamp, str]
"""A file's path, its stamp, its digest."""


@dataclass
class StatCache:
    """Digests of files that have not changed since they were read, shared by threads and processes.

    It may forget anything at any time; it may never be wrong. It holds for one boot only, and is
    emptied in the next: what was hashed from memory before a power cut need not have reached
    the disk.
    """

    path: Path
    _lock: threading.RLock = field(default_factory=threading.RLock, repr=False)
    _opened: tuple[int, sqlite3.Connection | None] | None = None

    def get(self, path: Path | str, stamp: FileStamp) -> str | None:
        """The digest of a file that has this stamp, if it is known."""
        return self.get_many({os.fspath(path): stamp}).get(os.fspath(path))

    def get_many(self, stamps: Mapping[str, FileStamp]) -> dict[str, str]:
        """The digests that are known, by path."""
        digests_by_path: dict[str, str] = {}
        paths = list(stamps)
        for start in range(0, len(paths), _BATCH):
            batch = paths[start : start + _BATCH]
            for row in self._read_rows(batch):
                path = row[0].decode("utf-8", "surrogateescape")
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
                return database.execute(query, [_path_bytes(path) for path in paths]).fetchall()
            except sqlite3.Error:
                return []

    def save_digests(self, rows: Iterable[Row], hashed: int) -> None:
        """Remember digests of files whose reading began at ``hashed`` (nanoseconds since 1970)."""
        settled = [
            (_path_bytes(path), *stamp, digest)
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
                _begin_boot(database)
                return database
            except sqlite3.OperationalError:
                return None  # a read-only project, or a full disk: go without
            except sqlite3.DatabaseError:
                self._forget_all()  # not a database: begin again
            except OSError:
                return None
        return None

    def _forget_all(self) -> None:
        for suffix in ("", "-wal", "-shm"):  # a log left behind would be replayed into the next
            self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)


def current_time() -> int:
    """The time, in nanoseconds since 1970, by the clock that stamps files."""
    return time.time_ns()


def _path_bytes(path: str) -> bytes:
    """A path as it is stored: names need not be UTF-8."""
    return path.encode("utf-8", "surrogateescape")


def _begin_boot(database: sqlite3.Connection) -> None:
    """Empty what another boot left; SQLite keeps a number for its user."""
    boot = zlib.crc32(_read_boot_id().encode()) >> 1
    if database.execute("PRAGMA user_version").fetchone() != (boot,):
        with database:
            database.execute("DELETE FROM digests")
            database.execute(f"PRAGMA user_version = {boot}")


@cache
def _read_boot_id() -> str:
    """This boot of the machine, where the kernel names it."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""
