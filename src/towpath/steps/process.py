"""Runs a step in a process of its own, forked from a server that has its packages imported."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from threading import Lock

from towpath.call_log import log_call
from towpath.errors import StepFailed
from towpath.spec.artifact import Made
from towpath.steps import needs
from towpath.steps.calling import Call, Unforkable
from towpath.steps.needs import Libraries, Wanted
from towpath.steps.order import Order
from towpath.steps.servers import Server

_Key = tuple[int, Path, str]

_lock = Lock()
_standing: list[tuple[_Key, Server]] = []
_stopped: set[_Key] = set()


@contextlib.contextmanager
def warm(
    root: Path,
    folder: str,
    wanted: Iterable[Wanted],
    libraries: Libraries = needs.NO_LIBRARIES,
    from_here: bool = False,
) -> Iterator[None]:
    """Start the fork server of a run, which begins at once to import what these steps need.

    :func:`call` uses it while this lasts; at the end whatever still runs is killed. Without it, as
    in a worker of Prefect's or Dask's, each step has a server of its own.

    :param libraries: what their code imports of installed packages.
    :param from_here: fork the server itself from this process, which has one thread and
        nothing imported that a step may not have.
    """
    key = os.getpid(), root, folder
    _stopped.discard(key)
    if not forks():
        yield
        return
    start = Server.fork if from_here else Server.start
    with _stands(key, start(root, folder, needs.of_steps(wanted, libraries))):
        yield


def call(order: Order, timeout: float | None = None, log: Callable[[str], object] = print) -> Made:
    """Carry out a step; after ``timeout`` seconds kill it, with all that it started.

    ``log`` gets each line that the step prints while it runs; ``order.log`` has them too. May be
    called from many threads at once.

    :raises TowpathError: what stopped the step; StepFailed where it ran too long or was killed.
    """
    key = os.getpid(), order.root, order.folder
    try:
        _refuse_if_stopped(key)
        with log_call("process", "step", order.pipeline, order.name):
            return _kept_small(order, lambda: _called(key, Call(order, timeout, log)))
    except StepFailed:
        _refuse_if_stopped(key)  # it was killed for that, which says more than how
        raise


def _kept_small(order: Order, carry_out: Callable[[], Made]) -> Made:
    """Carry out a step; of one that fails the log stays, and not the bytes it was making, with
    which each further attempt would fill the disk a little more."""
    try:
        return carry_out()
    except BaseException:
        order.remove_bytes()
        raise


def _called(key: _Key, call: Call) -> Made:
    server = _server(key)
    if server:
        with contextlib.suppress(Unforkable):
            return call.on(server)
    order = call.order
    with _stands(key, Server.start(order.root, order.folder, (), forks=False)) as server:
        return call.on(server)


def _refuse_if_stopped(key: _Key) -> None:
    if key in _stopped:
        raise StepFailed("the run was interrupted", causes=("Interrupted",))


def stop(root: Path, folder: str) -> None:
    """End all steps of a pipeline that this process waits for, and let none begin: its run is
    interrupted, and other threads wait in :func:`call`."""
    key = os.getpid(), root, folder
    with _lock:
        _stopped.add(key)
        found = [server for known, server in _standing if known == key]
    for server in found:
        server.stop()


def is_stopped(order: Order) -> bool:
    """Whether the run of a step was interrupted, so that it is not to be tried again."""
    return (os.getpid(), order.root, order.folder) in _stopped


@contextlib.contextmanager
def _stands(key: _Key, server: Server) -> Iterator[Server]:
    """While this lasts, others may use or stop the server; then it is closed."""
    with _lock:
        _standing.append((key, server))
    try:
        yield server
    finally:
        with _lock:
            _standing.remove((key, server))
        server.close()


def forks() -> bool:
    """Whether steps may be forked: not on macOS, whose own libraries do not survive it."""
    return sys.platform != "darwin" and os.environ.get("TOWPATH_FORK", "1") != "0"


def _server(key: _Key) -> Server | None:
    with _lock:
        fit = [server for known, server in reversed(_standing) if known == key and server.forks]
    return next((server for server in fit if server.alive), None)
