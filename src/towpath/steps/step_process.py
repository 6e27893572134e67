"""Runs a step in a process of its own, below a supervisor that has its packages imported."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from threading import Lock
from typing import Any

from towpath.call_log import log_call
from towpath.config.artifact import Made
from towpath.errors import StepFailed
from towpath.sandbox.client import Client, Task
from towpath.sandbox.task_process import Workshop
from towpath.steps import step_imports
from towpath.steps.step_imports import GraphStep, Libraries
from towpath.steps.work_order import Order

_Key = tuple[int, Path, str]
"""Of a run: its process, its project, its pipeline's folder. A process that is forked from a run's
has none of its supervisors."""

_lock = Lock()
_running: list[tuple[_Key, Client]] = []
_stopped: set[_Key] = set()


@contextlib.contextmanager
def warm_supervisor(
    root: Path,
    folder: str,
    wanted: Iterable[GraphStep],
    libraries: Libraries = step_imports.NO_LIBRARIES,
) -> Iterator[None]:
    """Start the supervisor of a run, which begins at once to import what these steps need.

    :func:`call_step` uses it while this lasts; at the end whatever still runs is killed.
    Without it, as in a worker of Prefect's or Dask's, each step has a supervisor of its own.

    :param libraries: what their code imports of installed packages.
    """
    key = os.getpid(), root, folder
    _stopped.discard(key)
    with _started_supervisor(key, step_imports.needs_of_steps(wanted, libraries)):
        yield


def call_step(order: Order, log: Callable[[str], object]) -> Made:
    """Carry out a step; past its ``timeout`` or ``memory`` it is killed with all that it started.

    ``log`` gets each line that the step prints while it runs; ``order.log`` has them too. May be
    called from many threads at once.

    :raises TowpathError: what stopped the step; StepFailed where it took too much or was killed.
    """
    key = os.getpid(), order.root, order.folder
    order.directory.mkdir(parents=True, exist_ok=True)
    step, needs = order.step, step_imports.needs_of_order(order)
    task = Task(order.plain_copy(), needs, order.log, log, step.timeout, step.memory)
    try:
        _refuse_if_stopped(key)
        with log_call("process", "step", order.pipeline, order.name):
            result: Made = _carry_out(key, task)
    except BaseException as error:
        # Of a step that fails the log stays, and not the bytes it was making, with which each
        # further attempt would fill the disk a little more.
        order.remove_bytes()
        if isinstance(error, StepFailed):
            _refuse_if_stopped(key)  # it was killed for that, which says more than how
        raise
    return result


def _carry_out(key: _Key, task: Task) -> Any:
    with _lock:
        standing = [client for running_key, client in reversed(_running) if running_key == key]
    for client in standing:
        if client.is_alive:
            return client.carry_out(task)
    with _started_supervisor(key, ()) as client:
        return client.carry_out(task)


def _refuse_if_stopped(key: _Key) -> None:
    if key in _stopped:
        raise StepFailed("the run was interrupted", causes=("Interrupted",))


def stop_steps(root: Path, folder: str) -> None:
    """End all steps of a pipeline that this process waits for, and let none begin: its run is
    interrupted, and other threads wait in :func:`call_step`."""
    key = os.getpid(), root, folder
    with _lock:
        _stopped.add(key)
        standing = [client for running_key, client in _running if running_key == key]
    for client in standing:
        client.end_tasks()


def is_stopped(order: Order) -> bool:
    """Whether the run of a step was interrupted, so that it is not to be tried again."""
    return (os.getpid(), order.root, order.folder) in _stopped


@contextlib.contextmanager
def _started_supervisor(key: _Key, imports: tuple[str, ...]) -> Iterator[Client]:
    """A supervisor that others may use or stop while this lasts; then it is closed."""
    _, root, folder = key
    client = Client.start(Workshop("towpath.steps.step_worker", (str(root), folder)), imports)
    with _lock:
        _running.append((key, client))
    try:
        yield client
    finally:
        with _lock:
            _running.remove((key, client))
        client.hang_up()
