"""One at a time in one repository: a lock that the kernel takes back when its holder dies."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from towpath.errors import RegistryError
from towpath.git.repository import Repository

PATIENCE = 300.0
PAUSE = 0.02


@contextmanager
def locked(repository: Repository, name: str, patience: float = PATIENCE) -> Iterator[None]:
    """Hold the lock ``name`` of a repository and all its work trees; wait ``patience`` seconds."""
    path = repository.common / "towpath" / f"{name}.lock"
    with _opened(path) as held:
        _take(held, path, patience)
        yield


def _opened(path: Path) -> IO[str]:
    try:
        path.parent.mkdir(exist_ok=True)
        return path.open("a")
    except OSError as refused:
        raise RegistryError(f"{path.parent} cannot be written: {refused.strerror}") from refused


def _take(held: IO[str], path: Path, patience: float) -> None:
    end = time.monotonic() + patience
    while not _taken(held):
        if time.monotonic() > end:
            raise RegistryError(
                f"another towpath has held {path} for {patience:.0f} s",
                hint="wait for it, or end it",
            )
        time.sleep(PAUSE)


def _taken(held: IO[str]) -> bool:
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
