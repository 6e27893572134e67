"""Finds files that are still being written when a step's function has returned.

A plain script that forgets to close a file leaves a whole one: Python closes it at the end. The
outputs of a step are stored before that, so what is still open is not whole yet. What nobody refers
to any more is closed here; whatever is left is told.
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
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from towpath.sandbox import process_tree

_PATIENCE = 10.0
"""Seconds that threads have to end which a script would wait for at its end: a pool that is never
shut down ends its work in them, and one that waits for ever is no reason to fail."""

_GET_PATH = 50  # F_GETPATH of macOS, which Python does not name
_LONGEST_PATH = 1024


@dataclass(frozen=True)
class OpenFile:
    """A file that is still open for writing: its real path, and who has it open."""

    path: str
    how: str = ""

    def describe_as(self, name: str) -> str:
        """The same as a sentence about a file of that name."""
        if self.how:
            return f"{name} is still {self.how}"
        return f"{name} is still open: close it, or use `with`"


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
    for file in [
        candidate for candidate in gc.get_objects() if isinstance(candidate, io.TextIOWrapper)
    ]:
        with suppress(ValueError, OSError):  # closed, or for reading alone
            file.flush()


def _wait_for_threads() -> None:
    """Wait for the threads that Python would wait for; pools get no more work, and end."""
    if not any(_is_waited_for(thread) for thread in threading.enumerate()):
        return
    gc.collect()  # a pool that nothing refers to ends its threads
    if futures := sys.modules.get("concurrent.futures"):
        for pool in [
            candidate for candidate in gc.get_objects() if isinstance(candidate, futures.Executor)
        ]:
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
    path = fcntl.fcntl(descriptor, _GET_PATH, bytes(_LONGEST_PATH))
    return os.fsdecode(path.rstrip(b"\0"))


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
