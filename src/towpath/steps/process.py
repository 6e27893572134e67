"""Runs a step in a process of its own, forked from a server that has its modules imported."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from threading import Lock

from towpath.spec.artifact import Made
from towpath.steps import needs
from towpath.steps.calling import Call, Unforkable
from towpath.steps.needs import Wanted
from towpath.steps.order import Order
from towpath.steps.servers import Server

_Key = tuple[int, Path, str]

_lock = Lock()
_warm: list[tuple[_Key, Server]] = []


@contextlib.contextmanager
def warm(root: Path, folder: str, wanted: Iterable[Wanted]) -> Iterator[None]:
    """Start the fork server of a run, which begins at once to import what these steps need.

    :func:`call` uses it while this lasts; at the end whatever still runs is killed. Without it, as
    in a worker of Prefect's or Dask's, each step has a server of its own.
    """
    if not forks():
        yield
        return
    known = (os.getpid(), root, folder), Server.start(root, folder, needs.of_steps(wanted))
    with _lock:
        _warm.append(known)
    try:
        yield
    finally:
        with _lock:
            _warm.remove(known)
        known[1].close()


def call(order: Order, timeout: float | None = None, log: Callable[[str], object] = print) -> Made:
    """Carry out a step; after ``timeout`` seconds kill it, with all that it started.

    ``log`` gets each line that the step prints while it runs; ``order.log`` has them too. May be
    called from many threads at once.

    :raises TowpathError: what stopped the step; StepFailed where it ran too long or was killed.
    """
    server = _server((os.getpid(), order.root, order.folder))
    if server:
        with contextlib.suppress(Unforkable):
            return Call(order, timeout, log).on(server)
    server = Server.start(order.root, order.folder, (), forks=False)
    try:
        return Call(order, timeout, log).on(server)
    finally:
        server.close()


def forks() -> bool:
    """Whether steps may be forked: not on macOS, whose own libraries do not survive it."""
    return sys.platform != "darwin" and os.environ.get("TOWPATH_FORK", "1") != "0"


def _server(key: _Key) -> Server | None:
    with _lock:
        return next(
            (server for known, server in reversed(_warm) if known == key and server.alive), None
        )
