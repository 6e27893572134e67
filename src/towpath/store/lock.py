"""DVC's own lock, so that stock DVC and Towpath never write the same files at once."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from towpath.errors import StoreError
from towpath.store.layout import Layout, settings

_PAUSE = 0.05


@contextmanager
def repository_lock(layout: Layout, patience: float = 60.0) -> Iterator[None]:
    """Hold `.dvc/tmp/lock` as DVC does: `flock`, and the holder's process id in the file.

    Raises StoreError when another holds it for longer than ``patience`` seconds, and where
    `core.hardlink_lock` asks for another kind of lock.
    """
    if settings(layout.dvc).get("core.hardlink_lock", "").lower() == "true":
        raise StoreError(
            "`core.hardlink_lock` is set in .dvc/config, a lock that Towpath does not take",
            hint="`dvc config --unset core.hardlink_lock`",
        )
    path = layout.dvc / "tmp" / "lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        _take(descriptor, time.monotonic() + patience)
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f" {os.getpid()}\n".encode())
        yield
    finally:
        os.close(descriptor)  # which gives the lock back


def _take(descriptor: int, until: float) -> None:
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                raise StoreError(
                    f"another process holds DVC's lock ({_holder(descriptor)})",
                    hint="wait for it to end, then run again",
                ) from None
            time.sleep(_PAUSE)
        else:
            return


def _holder(descriptor: int) -> str:
    said = os.pread(descriptor, 64, 0).decode(errors="replace").strip()
    return f"process {said}" if said else "unknown"
