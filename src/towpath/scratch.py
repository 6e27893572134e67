"""What is temporary, by a name that tells whose it is: the next command clears what was left.

A process that is killed clears nothing. So a scratch file beside its target is called
``.<name>.<process>-<random>.towpath``, and a scratch folder holds a file that is locked while its
process lives: the system unlocks it, however the process ends.
"""

from __future__ import annotations

import fcntl
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

SUFFIX = ".towpath"
PREFIX = "towpath-"
LOCK = ".in-use"
_BESIDE = re.compile(r"\..+\.(?:(?P<pid>\d+)-)?[0-9a-f]{8}\.towpath")
_STALE = 3600.0
"""Seconds after which a scratch file is stale whose name tells no process that can be seen here."""
_YOUNG = 2.0
"""Seconds in which a folder may have been made, but not yet locked."""
_PAUSE = 0.02
"""Seconds between two looks at a lock that another holds."""


def scratch_beside(target: Path, shared: bool = False) -> Path:
    """A path beside ``target``, for what shall stand there once it is whole.

    ``shared`` is for a folder that other machines write to: no process of theirs can be seen from
    here, so the name tells none, and what is left is known by its age.
    """
    token = os.urandom(4).hex()
    maker = "" if shared else f"{os.getpid()}-"
    return target.with_name(f".{target.name}.{maker}{token}{SUFFIX}")


@contextmanager
def folder_beside(target: Path) -> Iterator[Path]:
    """A folder beside ``target``, its owner's alone, which is gone afterwards unless it was given
    the target's name; what a killed process left of others is swept away."""
    sweep_beside(target.parent)
    scratch = scratch_beside(target)
    scratch.mkdir(mode=0o700, parents=True)
    try:
        yield scratch
    finally:
        with suppress(FileNotFoundError):
            remove_scratch(scratch)


@contextmanager
def hold_file(path: Path) -> Iterator[None]:
    """Hold the lock of a file, made where it is not there; the kernel takes it back when its holder
    dies."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def take_lock(held: IO[str], patience: float) -> bool:
    """Lock an open file, which the kernel takes back when its holder dies; False where another
    has held it for ``patience`` seconds."""
    end = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > end:
                return False
            time.sleep(_PAUSE)
        else:
            return True


def replace_text(path: Path, text: str) -> None:
    """``replace_bytes`` with a text in UTF-8."""
    replace_bytes(path, text.encode("utf-8"))


def replace_bytes(path: Path, content: bytes) -> None:
    """Write a small file whole or not at all, and clear what a killed process left beside it."""
    sweep_beside(path.parent)
    scratch = scratch_beside(path)
    try:
        scratch.write_bytes(content)
        scratch.replace(path)
    except OSError as refused:  # a write that finds no room does not say where
        refused.filename = refused.filename or os.fspath(path)
        raise
    finally:
        scratch.unlink(missing_ok=True)


def sweep_beside(folder: Path) -> None:
    """Remove the scratch files in a folder whose processes are gone."""
    for stray in folder.glob(f".*{SUFFIX}"):
        named = _BESIDE.fullmatch(stray.name)
        with suppress(OSError):
            if named and _is_left(stray, named["pid"]):
                remove_scratch(stray)


def _is_left(stray: Path, pid: str | None) -> bool:
    if pid is None:
        return stray.lstat().st_ctime < time.time() - _STALE
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except (PermissionError, OverflowError):  # another user's process has the number by now
        return stray.lstat().st_ctime < time.time() - _STALE
    return False


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A folder of the system's for temporary files, which is gone afterwards."""
    import tempfile

    with tempfile.TemporaryDirectory(prefix=PREFIX, ignore_cleanup_errors=True) as folder:
        work = Path(folder, "work")
        with Path(folder, LOCK).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            work.mkdir()
            yield work


def sweep_folders() -> None:
    """Remove the scratch folders of this user whose processes were killed."""
    import tempfile

    with suppress(OSError):
        for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
            with suppress(OSError):
                if folder.lstat().st_uid == os.geteuid() and not folder.is_symlink():
                    _sweep_folder(folder)


def _sweep_folder(folder: Path) -> None:
    import shutil

    with (folder / LOCK).open("r+") as lock:
        if os.fstat(lock.fileno()).st_mtime > time.time() - _YOUNG:
            return
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # BlockingIOError: it is in use
        shutil.rmtree(folder, ignore_errors=True)


def remove_scratch(path: Path) -> None:
    """Remove a scratch file, or a scratch folder with all that is in it."""
    import shutil

    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()
