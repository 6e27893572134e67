"""A stage's store in a folder: on this machine's disk, or on one that machines share."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import IO

from msgspec import Struct

from towpath.call_log import log_store_call
from towpath.scratch import hold_file, scratch_beside, sweep_beside
from towpath.storage.copy_files import copy_plain
from towpath.storage.storage_backend import object_path

_LOCK = "towpath/.lock"
_READ_ONLY = 0o444
_SMALL = 0o644


class Folder(Struct, frozen=True):
    """A folder as a ``StorageBackend``. It is made when something is first put there."""

    root: Path
    shown: str
    jobs: int = 1

    def open_object(self, digest: str) -> IO[bytes]:
        return self.open(object_path(digest))

    def open(self, path: str) -> IO[bytes]:
        return (self.root / path).open("rb")

    @log_store_call("shown")
    def names(self, folder: str) -> list[str]:
        try:
            file_names = [entry.name for entry in (self.root / folder).iterdir() if entry.is_file()]
        except (FileNotFoundError, NotADirectoryError):
            return []
        return sorted(name for name in file_names if not name.startswith("."))

    @log_store_call("shown")
    def add_file(self, local: Path, path: str) -> None:
        with self._incoming_file(path, _READ_ONLY) as scratch:
            copy_plain(local, scratch)

    @log_store_call("shown")
    def remove_file(self, path: str) -> None:
        with suppress(FileNotFoundError):
            (self.root / path).unlink()

    @log_store_call("shown")
    def read(self, path: str) -> tuple[bytes, str] | None:
        try:
            content = (self.root / path).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        return content, _content_mark(content)

    @log_store_call("shown")
    def write(self, path: str, content: bytes, if_match: str | None) -> str | None:
        """Compare and rename while no other process does."""
        with hold_file(self.root / _LOCK):
            standing = self.read(path)
            if (standing[1] if standing else None) != if_match:
                return None
            with self._incoming_file(path, _SMALL) as scratch:
                scratch.write_bytes(content)
        return _content_mark(content)

    @contextmanager
    def _incoming_file(self, path: str, mode: int) -> Iterator[Path]:
        """A file that gets its name once it is whole and on the disk."""
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        _sweep_folder(target.parent)
        scratch = scratch_beside(target, shared=True)
        try:
            yield scratch
            with scratch.open("rb") as file:
                os.fsync(file.fileno())
            scratch.chmod(mode)
            scratch.replace(target)
        finally:
            scratch.unlink(missing_ok=True)


@cache
def _sweep_folder(folder: Path) -> None:
    """Once in a process: listing a folder for each of ten thousand objects would take long."""
    sweep_beside(folder)


def _content_mark(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
