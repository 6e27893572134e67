"""Says that a run is in progress, in a way that ends with the process however it ends."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from towpath.engine.server.home import Home

YOUNG_SECONDS = 2.0


@contextmanager
def held(home: Home, run_id: str) -> Iterator[None]:
    """Hold the lease of a run: a locked file, which the system unlocks when its holder dies."""
    home.make()
    path = home.leases / run_id
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(str(os.getpid()))
        file.flush()
        try:
            yield
        finally:
            home.touch()
            path.unlink(missing_ok=True)


def runs(home: Home) -> tuple[str, ...]:
    """The runs in progress, by id."""
    if not home.leases.is_dir():
        return ()
    return tuple(sorted(path.name for path in home.leases.iterdir() if _is_held(path.name, home)))


def left(home: Home) -> tuple[str, ...]:
    """Runs whose process was killed: their leases are there, and nobody holds them."""
    if not home.leases.is_dir():
        return ()
    young = time.time() - YOUNG_SECONDS  # made, but not locked yet
    files = [path for path in home.leases.iterdir() if path.stat().st_mtime < young]
    return tuple(sorted(path.name for path in files if not _is_held(path.name, home)))


def _is_held(run_id: str, home: Home) -> bool:
    try:
        with (home.leases / run_id).open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return False
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
