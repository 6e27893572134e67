"""Bytes on their way in: a scratch file beside the objects, then a name, whole or not at all."""

# Strings and bare calls, not Paths: this runs for each of ten thousand files.
# ruff: noqa: PTH105, PTH108

from __future__ import annotations

import itertools
import os
import stat
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from towpath.store.layout import Layout
from towpath.store.statcache import Stamp

_READ_ONLY = 0o444
"""The mode by which DVC knows an object that need not be read again."""
_AGED = 4_000_000_000
"""Nanoseconds that an object's time is set back, so that a later write is sure to change it."""
_STALE = 86_400
"""Seconds after which bytes on their way in are nobody's any more."""
_TOKEN = os.urandom(4).hex()
_COUNT = itertools.count()


class Scratch:
    """An open file without a name of its own yet; what is not settled is removed at the end."""

    def __init__(self, incoming: Incoming, path: str, descriptor: int) -> None:
        self.path, self.descriptor = path, descriptor
        self._incoming = incoming
        self._is_settled = False

    def __enter__(self) -> Scratch:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.descriptor)
        if not self._is_settled:
            with suppress(FileNotFoundError):
                os.unlink(self.path)

    def settle(self, path: str) -> Stamp:
        """Give the bytes their name; the object is read-only against writes by mistake."""
        past = time.time_ns() - _AGED
        os.utime(self.descriptor, ns=(past, past))
        try:
            os.replace(self.path, path)
        except FileNotFoundError:
            self._incoming.make_folder(Path(path).parent)
            os.replace(self.path, path)
        self._is_settled = True
        status = os.fstat(self.descriptor)
        if stat.S_IMODE(status.st_mode) != _READ_ONLY:  # a strict umask, or another's file
            os.fchmod(self.descriptor, _READ_ONLY)
            status = os.fstat(self.descriptor)
        return Stamp.of(status)


@dataclass(frozen=True)
class Incoming:
    """Where the bytes of one cache arrive, on the file system of its objects."""

    layout: Layout

    @cached_property
    def _home(self) -> str:
        return os.fspath(self.layout.scratch)

    def _path(self) -> str:
        return f"{self._home}/{os.getpid()}-{_TOKEN}-{next(_COUNT)}"

    def new(self) -> Scratch:
        """A new file, open for writing."""
        path = self._path()
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL
        try:
            return Scratch(self, path, os.open(path, flags, _READ_ONLY))
        except FileNotFoundError:
            self.make_folder(self.layout.scratch)
            return Scratch(self, path, os.open(path, flags, _READ_ONLY))

    def path(self) -> Path:
        """A path for a file that something else will write."""
        self.make_folder(self.layout.scratch)
        return Path(self._path())

    def arrived(self, path: Path) -> Scratch:
        """The file that something else has written."""
        return Scratch(self, os.fspath(path), os.open(path, os.O_RDONLY))

    def make_folder(self, folder: Path) -> None:
        """Make a folder of the cache, writable by the group where the cache is shared."""
        folder.mkdir(parents=True, exist_ok=True)
        if self.layout.shared:
            with suppress(PermissionError):
                folder.chmod(0o2775)

    def sweep(self) -> None:
        """Remove what a killed process left behind."""
        limit = time.time() - _STALE
        with suppress(OSError), os.scandir(self._home) as rows:
            for row in rows:
                with suppress(OSError):
                    if row.stat().st_mtime < limit:
                        os.unlink(row.path)
