"""Runs a step in a process of its own, below a supervisor that has its packages imported."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from threading import Lock
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from towpath.call_log import log_call
from towpath.config.artifact import Artifact, Made
from towpath.credentials import remember_values
from towpath.errors import StepFailed, TowpathError
from towpath.sandbox.client import Client, Surroundings, Task
from towpath.sandbox.task_process import Workshop
from towpath.steps import formats, kinds
from towpath.steps.own_environment import make_environment
from towpath.steps.work_order import Order

if TYPE_CHECKING:
    from towpath.config.file_declaration import Output
    from towpath.config.pipeline_declaration import Step
    from towpath.workspace import Workspace


# What a step's process needs to have imported, so that a supervisor imports it once for all.
#
# All of it are modules of packages. The project's own modules are imported by each step's process
# for itself: what one does when it is imported is then no business of steps that do not import it.

Libraries: TypeAlias = Mapping[str, tuple[str, ...]]
"""The modules of installed packages that a function's code imports, by the step's ``run``."""

NO_LIBRARIES: Libraries = MappingProxyType({})
"""Where nobody has read the code: each step's process imports them for itself."""


class GraphStep(Protocol):
    """A step of a graph, as far as its needs go."""

    @property
    def step(self) -> Any: ...

    @property
    def outputs(self) -> Mapping[str, Output]: ...


def needs_of_steps(
    wanted: Iterable[GraphStep], libraries: Libraries = NO_LIBRARIES
) -> tuple[str, ...]:
    """What these steps need, in their order but for what is better imported first; what the run
    itself carries out needs nothing."""
    needs: list[str] = []
    for graph_step in wanted:
        step = graph_step.step
        # Another supervisor than the run's carries these out, see ``_carry_out_apart``.
        is_apart = step.env or step.secrets or step.environment
        if step.kind in kinds.IN_A_PROCESS and not is_apart:
            files = [(output.path, output.format) for output in graph_step.outputs.values()]
            needs += needs_of_step(step, files, libraries.get(getattr(step, "run", ""), ()))
    early_imports = [module for module in formats.FIRST_IMPORTS if module in needs]
    return tuple(dict.fromkeys((*early_imports, *needs)))


def needs_of_step(
    step: Step, files: Iterable[tuple[str, str | None]], libraries: Iterable[str] = ()
) -> tuple[str, ...]:
    """What a step needs that reads and writes files of these names and declared formats, and whose
    code imports these libraries."""
    modules = [kinds.IN_A_PROCESS[step.kind]]
    # Its program reads and writes the files, in a process of its own, or DuckDB does.
    if step.kind in ("command", "notebook", "duckdb"):
        return tuple(modules)
    if step.kind == "quality_check":
        modules += ["pandas"]
        # Which takes 1.7 s of CPU to import, and is needed for a suite alone.
        if getattr(step, "expectations", None):
            modules += ["towpath.backends.great_expectations.validation"]
    for name, declared in files:
        format = formats.find_format(name, declared)
        if format and format.module and format.name not in ("json", "html"):
            modules += [f"towpath.steps.formats.{format.module}", *format.preload]
    return (*modules, *libraries)


def needs_of_order(order: Order) -> tuple[str, ...]:
    """What an order needs: its step's, with the files that it reads."""
    read = [
        (value.name, order.formats.get(name))
        for name, value in order.arguments.items()
        if isinstance(value, Artifact)
    ]
    written = [(output.path, output.format) for output in order.outputs.values()]
    return needs_of_step(order.step, [*read, *written], order.libraries)


def find_libraries(workspace: Workspace, folder: str, wanted: Iterable[GraphStep]) -> Libraries:
    """The modules of installed packages that each function's code imports, by its ``run``.

    Nothing of the project is among them, for its code may be edited between two runs.
    """
    runs = {g.step.run: g.step for g in wanted if hasattr(g.step, "run")}
    return {run: find_step_libraries(workspace, folder, step) for run, step in runs.items()}


def find_step_libraries(workspace: Workspace, folder: str, step: Step) -> tuple[str, ...]:
    """The same for one step."""
    run = getattr(step, "run", None)
    try:
        return workspace.code.libraries(folder, run) if run else ()
    except TowpathError:  # the step will say so
        return ()


_Key = tuple[int, Path, str]
"""Of a run: its process, its project, its pipeline's folder. A process that is forked from a run's
has none of its supervisors."""

_lock = Lock()
_running: list[tuple[_Key, Client]] = []
_private: list[tuple[_Key, Client]] = []  # each of one step, and for no other
_stopped: set[_Key] = set()


@contextlib.contextmanager
def warm_supervisor(
    root: Path,
    folder: str,
    wanted: Iterable[GraphStep],
    libraries: Libraries = NO_LIBRARIES,
) -> Iterator[None]:
    """Start the supervisor of a run, which begins at once to import what these steps need.

    :func:`call_step` uses it while this lasts; at the end whatever still runs is killed.
    Without it, as in a worker of Prefect's or Dask's, each step has a supervisor of its own.

    :param libraries: what their code imports of installed packages.
    """
    key = os.getpid(), root, folder
    _stopped.discard(key)
    with _started_supervisor(key, needs_of_steps(wanted, libraries)):
        yield


def call_step(order: Order, log: Callable[[str], object]) -> Made:
    """Carry out a step; past its ``timeout`` or ``memory`` it is killed with all that it started.

    ``log`` gets each line that the step prints while it runs; ``order.log`` has them too. May be
    called from many threads at once.

    :raises TowpathError: what stopped the step; StepFailed where it took too much or was killed.
    """
    key = os.getpid(), order.root, order.folder
    order.directory.mkdir(parents=True, exist_ok=True)
    remember_values(secret.value for secret in order.secrets.values())
    step, needs = order.step, needs_of_order(order)
    task = Task(order.plain_copy(), needs, order.log, log, step.timeout, step.memory)
    try:
        _refuse_if_stopped(key)
        with log_call("process", "step", order.pipeline, order.name):
            if order.has_own_variables:
                result: Made = _carry_out_apart(key, order, task)
            else:
                result = _carry_out(key, task)
    except BaseException as error:
        # Of a step that fails the log stays, and not the bytes it was making, with which each
        # further attempt would fill the disk a little more.
        order.remove_bytes()
        answered = _end_question(order) if step.kind == "callback" else None
        if isinstance(error, StepFailed):
            _refuse_if_stopped(key)  # it was killed for that, which says more than how
        if answered is None or not isinstance(error, StepFailed):
            raise
        return answered
    return result


def _end_question(order: Order) -> Made | None:
    # Here, for what it imports is a step's that asks.
    from towpath.steps.kinds import callback_step

    return callback_step.end_question(order, "ended without an answer")


def _carry_out(key: _Key, task: Task) -> Any:
    with _lock:
        standing = [client for running_key, client in reversed(_running) if running_key == key]
    for client in standing:
        if client.is_alive:
            return client.carry_out(task)
    # Of this step alone: another that began meanwhile, in a thread of the same worker, would be
    # ended with it.
    with _started_supervisor(key, (), _private) as client:
        return client.carry_out(task)


def _carry_out_apart(key: _Key, order: Order, task: Task) -> Any:
    """In a supervisor of the step's own, for packages read their variables when they are imported,
    and none of another step's shall have a secret of this one's."""
    variables = {**order.step.env}
    variables |= {name: secret.value for name, secret in order.secrets.items()}
    python = _own_python(order, task.say) if order.requirements else None
    with _started_supervisor(key, (), _private, Surroundings(variables, python)) as client:
        return client.carry_out(task)


def _own_python(order: Order, say: Callable[[str], object]) -> Path:
    def say_and_keep(line: str) -> None:
        with order.log.open("a", encoding="utf-8", errors="backslashreplace") as log:
            log.write(f"{line}\n")
        say(line)

    assert order.requirements
    file = order.root / order.requirements
    return make_environment(order.root, file, say_and_keep, lambda: is_stopped(order))


def _refuse_if_stopped(key: _Key) -> None:
    if key in _stopped:
        raise StepFailed("the run was interrupted", causes=("Interrupted",))


def stop_steps(root: Path, folder: str) -> None:
    """End all steps of a pipeline that this process waits for, and let none begin: its run is
    interrupted, and other threads wait in :func:`call_step`."""
    key = os.getpid(), root, folder
    with _lock:
        _stopped.add(key)
        started = [*_running, *_private]
        standing = [client for running_key, client in started if running_key == key]
    for client in standing:
        client.end_tasks()


def is_stopped(order: Order) -> bool:
    """Whether the run of a step was interrupted, so that it is not to be tried again."""
    return (os.getpid(), order.root, order.folder) in _stopped


@contextlib.contextmanager
def _started_supervisor(
    key: _Key,
    imports: tuple[str, ...],
    listed: list[tuple[_Key, Client]] = _running,
    surroundings: Surroundings | None = None,
) -> Iterator[Client]:
    """A supervisor that others may stop while this lasts, and use where it is among those that
    run; then it is closed."""
    _, root, folder = key
    workshop = Workshop("towpath.steps.step_worker", (str(root), folder))
    client = Client.start(workshop, imports, surroundings)
    with _lock:
        listed.append((key, client))
    try:
        yield client
    finally:
        with _lock:
            listed.remove((key, client))
        client.hang_up()
