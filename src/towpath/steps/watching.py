"""Notices files of the project that a step opens without having declared them.

Python's own audit events tell of every file that Python code opens, of databases and of programs
started. What a compiled library opens by itself (``polars.scan_parquet``) is not seen.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from towpath.errors import StoreError
from towpath.store import layout

# A hook that hears every file opened keeps to plain strings.
# ruff: noqa: PTH109, PTH112, PTH113, PTH118, PTH206

_CODE = (".py", ".pyc", ".pyi", ".so")
_OURS = (".towpath", ".dvc", ".git", ".venv", "__pycache__", ".ipynb_checkpoints", ".dvcignore")


def is_of_project(root: str, relative: str) -> bool:
    """Whether a path from the root is a file of the project's: not of an environment, a store, a
    run or Git's."""
    parts = relative.split(os.sep)
    full = os.path.join(os.path.realpath(root), relative)
    return (
        parts[0] not in _OURS
        and "__pycache__" not in parts
        and "site-packages" not in parts
        and not full.startswith(os.path.join(os.path.realpath(sys.prefix), ""))
    )


class Watch:
    """The files of a project opened since the watch began; a hook stays until the process ends."""

    def __init__(self, root: str, ignored: tuple[str, ...] = ()) -> None:
        self.root = os.path.join(os.path.realpath(root), "")
        self.ignored = tuple(
            os.path.join(os.path.realpath(path), "") for path in (*ignored, sys.prefix)
        )
        self.opened: dict[str, None] = {}
        self.imported: tuple[str, ...] = ()
        self.on = True
        sys.addaudithook(self._hear)

    def _hear(self, event: str, details: tuple[Any, ...]) -> None:
        if self.on and event in _EVENTS:
            for path in _EVENTS[event](details):
                self._note(path)

    def _note(self, path: Any) -> None:
        if isinstance(path, bytes):
            path = os.fsdecode(path)
        if not isinstance(path, str | os.PathLike) or str(path).endswith(_CODE):
            return
        full = os.path.join(os.getcwd(), path)
        if not os.path.normpath(full).startswith(self.root):
            full = os.path.realpath(full)
        self._keep(os.path.normpath(full))

    def _keep(self, full: str) -> None:
        if not full.startswith(self.root) or full.startswith(self.ignored):
            return
        relative = full[len(self.root) :]
        parts = relative.split(os.sep)
        if parts[0] not in _OURS and "__pycache__" not in parts and "site-packages" not in parts:
            self.opened[relative] = None

    @classmethod
    def of_project(cls, root: str) -> Watch:
        """A watch over a project, whose store is no business of it wherever it stands."""
        try:
            return cls(root, (str(layout.locate(Path(root)).cache),))
        except StoreError:  # a project without a store, of which others speak
            return cls(root)

    def restart(self) -> None:
        """Begin anew for a step: what packages opened while they were imported stays, since each
        step depends on it."""
        self.opened = dict.fromkeys(self.imported)
        self.on = True

    @property
    def idle(self) -> bool:
        """Whether the step opened no file of the project, nor did its modules while they were
        imported: to a second step in the same process these would open nothing."""
        return len(self.opened) == len(self.imported)

    def undeclared(self, declared: tuple[str, ...]) -> list[str]:
        """The files opened that are none of ``declared``, relative to the root, sorted; folders
        that were opened to list them are left out."""
        paths = (path.replace(os.sep, "/") for path in self.opened)
        return sorted(
            path for path in paths if path not in declared and not os.path.isdir(self.root + path)
        )


def _opened(details: tuple[Any, ...]) -> Iterator[Any]:
    """The file; not what is named within an open folder, as when a tree is removed: the event
    leaves that folder out, and such a name is one from the working directory only by chance."""
    path, mode, *_ = (*details, None)
    bare = mode is None and isinstance(path, str) and not path.startswith("/")
    if not (bare and not os.path.lexists(path)):
        yield path


def _connected(details: tuple[Any, ...]) -> Iterator[Any]:
    yield details[0]


def _started(details: tuple[Any, ...]) -> Iterator[Any]:
    """Words of a command line that are files: a program's script, its data."""
    words = details[1] if isinstance(details[1], list | tuple) else ()
    yield from (word for word in words if isinstance(word, str) and os.path.isfile(word))


_EVENTS = {"open": _opened, "sqlite3.connect": _connected, "subprocess.Popen": _started}
