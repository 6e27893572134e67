"""Notices files of the project that a step reads or writes without having declared them.

Python's own audit events tell of every file that Python code opens, of databases and of programs
started. What a compiled library opens by itself (``polars.scan_parquet``) is not seen. What the
step made itself is no input of it, and neither are the settings that an installed package reads for
itself: Prefect looks into ``pyproject.toml`` wherever it is imported.
"""

from __future__ import annotations

import fcntl
import gc
import io
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any, TypeAlias

from msgspec import Struct

from towpath.backends.dvc.dvc_config import locate_store
from towpath.errors import StoreError
from towpath.sandbox import process_tree

# A hook that hears every file opened keeps to plain strings.
# ruff: noqa: PTH109, PTH112, PTH113, PTH118, PTH206

_CODE = (".py", ".pyc", ".pyi", ".so")
_OURS = (".towpath", ".dvc", ".git", ".venv", "__pycache__", ".ipynb_checkpoints", ".dvcignore")


_SETTINGS = frozenset(
    {
        *("pyproject.toml", "setup.cfg", "tox.ini", ".env", "prefect.toml", "profiles.toml"),
        *("matplotlibrc", "dask.yaml", "distributed.yaml", "pytest.ini", "conftest.py", "mypy.ini"),
        *("ruff.toml", ".ruff.toml", ".coveragerc", ".flake8", "uv.toml", "numba_config.yaml"),
    }
)
"""Files in which packages look for settings. Of these ``matplotlibrc`` changes what a step makes:
it is in the key of each that reaches matplotlib."""

_READERS_OF_OWN = frozenset(
    {
        *("prefect", "matplotlib", "dask", "distributed", "pytest", "_pytest", "black", "ruff"),
        *("coverage", "mypy", "setuptools", "numba", "hypothesis", "towpath", "great_expectations"),
    }
)
"""Packages that look for their own settings also later than when they are imported."""


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
    """The files of a project opened since the watch began; a hook stays until the process ends.

    It begins before packages are imported: what these open, each step depends on.
    """

    def __init__(self, root: str, ignored: tuple[str, ...] = ()) -> None:
        self.root = os.path.join(os.path.realpath(root), "")
        self.ignored = tuple(
            os.path.join(os.path.realpath(path), "") for path in (*ignored, sys.prefix)
        )
        self.opened: dict[str, None] = {}
        self.written: dict[str, None] = {}
        self.on = True
        sys.addaudithook(self._hear_event)

    def _hear_event(self, event: str, details: tuple[Any, ...]) -> None:
        if self.on and event in _EVENTS:
            for path, is_read in _EVENTS[event](details):
                self._note_path(path, is_read)

    def _note_path(self, path: Any, is_read: bool) -> None:
        if isinstance(path, bytes):
            path = os.fsdecode(path)
        if not isinstance(path, str | os.PathLike) or str(path).endswith(_CODE):
            return
        full = self._find_whole(path)
        if not full.startswith(self.root) or full.startswith(self.ignored):
            return
        relative = full[len(self.root) :]
        parts = relative.split(os.sep)
        if parts[0] in _OURS or "__pycache__" in parts or "site-packages" in parts:
            return
        if not is_read:
            self.written[relative] = None
        elif relative not in self.written and not self._is_setting(parts[-1]):
            self.opened[relative] = None

    def _find_whole(self, path: str | os.PathLike[str]) -> str:
        """As it is named; where that leads out of the project, as its links lead."""
        whole = os.path.join(os.getcwd(), path)
        named = os.path.normpath(whole)
        # `..` behind a link leads elsewhere than the name says: not the normal form is followed.
        return named if named.startswith(self.root) else os.path.realpath(whole)

    def _is_setting(self, name: str) -> bool:
        """Whether an installed package reads its own settings just now: while it is imported, or
        as one that is known for it. What the project's code asks a package to read is none."""
        if name not in _SETTINGS:
            return False
        frame: FrameType | None = sys._getframe(1)
        while frame is not None:
            file = frame.f_code.co_filename
            top = str(frame.f_globals.get("__name__", "")).partition(".")[0]
            if file.startswith("<frozen importlib"):
                return True
            if top in _READERS_OF_OWN and frame.f_globals.get("__name__") != __name__:
                return True
            if file.startswith(self.root) and not file.startswith(self.ignored):
                return False
            frame = frame.f_back
        return False

    @classmethod
    def of_project(cls, root: str) -> Watch:
        """A watch over a project, whose store is no business of it wherever it stands."""
        try:
            return cls(root, (str(locate_store(Path(root)).cache),))
        except StoreError:  # a project without a store, of which others speak
            return cls(root)

    def undeclared_files(self, declared: tuple[str, ...]) -> list[str]:
        """The files read that are none of ``declared``, relative to the root, sorted; folders that
        were opened to list them are left out."""
        paths = (path.replace(os.sep, "/") for path in self.opened)
        return sorted(
            path for path in paths if path not in declared and not os.path.isdir(self.root + path)
        )

    def files_left(self) -> list[str]:
        """The files written that are still there, relative to the root, sorted."""
        return sorted(
            path.replace(os.sep, "/") for path in self.written if os.path.isfile(self.root + path)
        )


_Noted: TypeAlias = Iterable[tuple[Any, bool]]
"""Paths, and whether something that was there before may be read from them."""


def _opened_paths(details: tuple[Any, ...]) -> _Noted:
    """The file; not what is named within an open folder, as when a tree is removed: the event
    leaves that folder out, and such a name is one from the working directory only by chance."""
    path, mode, flags, *_ = (*details, None, None)
    bare = mode is None and isinstance(path, str) and not path.startswith("/")
    if not (bare and not os.path.lexists(path)):
        yield path, _may_read(path, flags)
    elif isinstance(flags, int) and flags & os.O_CREAT:
        yield path, False


def _may_read(path: Any, flags: Any) -> bool:
    if not isinstance(flags, int) or flags & os.O_ACCMODE == os.O_RDONLY:
        return True
    return flags & os.O_ACCMODE != os.O_WRONLY and not flags & os.O_TRUNC and _is_there(path)


def _is_there(path: Any) -> bool:
    return isinstance(path, str | bytes | os.PathLike) and os.path.lexists(path)


def _started_paths(details: tuple[Any, ...]) -> _Noted:
    """Words of a command line that are files: a program's script, its data."""
    words = details[1] if isinstance(details[1], list | tuple) else ()
    yield from ((word, True) for word in words if isinstance(word, str) and os.path.isfile(word))


_EVENTS: Mapping[str, Callable[[tuple[Any, ...]], _Noted]] = {
    "open": _opened_paths,
    # What is put in a file's place: a part of it was written first, under another name.
    "os.rename": lambda details: [(details[1], False)],
    "sqlite3.connect": lambda details: [(details[0], _is_there(details[0]))],
    "subprocess.Popen": _started_paths,
}


# Finds files that are still being written when a step's function has returned.
#
# A plain script that forgets to close a file leaves a whole one: Python closes it at the end. The
# outputs of a step are stored before that, so what is still open is not whole yet. What nobody
# refers to any more is closed here; whatever is left is told.

_PATIENCE = 10.0
"""Seconds that threads have to end which a script would wait for at its end: a pool that is never
shut down ends its work in them, and one that waits for ever is no reason to fail."""

_GET_PATH = 50  # F_GETPATH of macOS, which Python does not name
_LONGEST_PATH = 1024


class OpenFile(Struct, frozen=True):
    """A file that is still open for writing: its real path, and who has it open."""

    path: str
    how: str = "open: close it, or use `with`"


def settle_open_files(places: Iterable[Path]) -> list[OpenFile]:
    """Wait for threads, close what nothing refers to, and give what is still open for writing at or
    below these places, each file once."""
    real = tuple(os.path.realpath(place) for place in places)
    _wait_for_threads()
    _close_logs(real)
    if _find_writers(real):
        _flush_texts()
        gc.collect()
    gc.enable()
    writers_by_path = {writer.path: writer for writer in reversed(_find_writers(real))}
    return [writers_by_path[path] for path in sorted(writers_by_path)]


def _flush_texts() -> None:
    """Bring what was written as text to where it goes. Where a circle of objects is collected,
    Python may close the bytes of a file before the text that is still to be written to them."""
    for file in [thing for thing in gc.get_objects() if isinstance(thing, io.TextIOWrapper)]:
        with suppress(ValueError, OSError):  # closed, or for reading alone
            file.flush()


def _wait_for_threads() -> None:
    """Wait for the threads that Python would wait for; pools get no more work, and end."""
    if not any(_is_waited_for(thread) for thread in threading.enumerate()):
        return
    gc.collect()  # a pool that nothing refers to ends its threads
    if futures := sys.modules.get("concurrent.futures"):
        for pool in [thing for thing in gc.get_objects() if isinstance(thing, futures.Executor)]:
            with suppress(Exception):
                pool.shutdown(wait=False)
    deadline = time.monotonic() + _PATIENCE
    for thread in filter(_is_waited_for, threading.enumerate()):
        thread.join(max(0.0, deadline - time.monotonic()))


def _is_waited_for(thread: threading.Thread) -> bool:
    return not thread.daemon and thread is not threading.current_thread()


def _close_logs(places: tuple[str, ...]) -> None:
    """Close log files that are outputs, as ``logging`` does at the end of a script."""
    loggers = [logging.getLogger(), *logging.Logger.manager.loggerDict.values()]
    for logger in loggers:
        for handler in list(getattr(logger, "handlers", ())):
            if isinstance(handler, logging.FileHandler) and _is_at(handler.baseFilename, places):
                handler.close()


def _find_writers(places: tuple[str, ...]) -> list[OpenFile]:
    own = [OpenFile(path) for path in _opened_files() if _is_at(path, places)]
    if sys.platform != "linux":
        return own
    mapped = [
        OpenFile(path, "mapped for writing: let go of the array, or of the map")
        for path in _mapped_files()
        if _is_at(path, places)
    ]
    others = [
        OpenFile(path, f"open in process {process}, which the step started: wait for its end")
        for process in process_tree.find_descendants(os.getpid())
        for path in _opened_by(process)
        if _is_at(path, places)
    ]
    return [*mapped, *own, *others]


def _is_at(path: str, places: tuple[str, ...]) -> bool:
    real = os.path.realpath(path)
    return any(real == place or real.startswith(place + os.sep) for place in places)


def _opened_files() -> Iterator[str]:
    """The files that this process has open for writing."""
    folder = "/proc/self/fd" if sys.platform == "linux" else "/dev/fd"
    for entry in Path(folder).iterdir():
        with suppress(OSError, ValueError):
            descriptor = int(entry.name)
            if fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE != os.O_RDONLY:
                yield _path_of(descriptor)


def _path_of(descriptor: int) -> str:
    if sys.platform == "linux":
        return str(Path(f"/proc/self/fd/{descriptor}").readlink())
    return os.fsdecode(fcntl.fcntl(descriptor, _GET_PATH, bytes(_LONGEST_PATH)).rstrip(b"\0"))


def _opened_by(process: int) -> Iterator[str]:
    """The same for another process."""
    with suppress(OSError):
        for entry in Path(f"/proc/{process}/fd").iterdir():
            about = Path(f"/proc/{process}/fdinfo/{entry.name}").read_text()
            flags = int(about.split("flags:")[1].split()[0], 8)
            if flags & os.O_ACCMODE != os.O_RDONLY:
                yield str(entry.readlink())


def _mapped_files() -> Iterator[str]:
    """The files that this process has mapped, shared and writable."""
    if "mmap" not in sys.modules:
        return
    for line in Path("/proc/self/maps").read_text(errors="surrogateescape").splitlines():
        fields = line.split(maxsplit=5)
        if len(fields) == 6 and fields[1].startswith("rw") and fields[1].endswith("s"):
            yield fields[5]
