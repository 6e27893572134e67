"""The Prefect tasks of a run: one that carries out a step, one that shows what need not run."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any, Self
from uuid import UUID

from prefect import Task, get_run_logger
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas import State, StateType
from prefect.context import TaskRunContext
from prefect.futures import PrefectFuture, PrefectTaskRunFuture
from prefect.states import Completed

from towpath.backends.prefect import prefect_artifacts
from towpath.config.artifact import Made
from towpath.execution import single_step
from towpath.execution.step_execution import Tell

if TYPE_CHECKING:
    from towpath.config.pipeline_declaration import Retry
    from towpath.pipeline.step_graph import Node
    from towpath.steps.work_order import Order

_DELAYS = 50  # Prefect takes no more; the last one is that of all further attempts
_PAUSE = 0.25  # seconds that a line may wait for others
_MOST = 500_000  # characters in a record; Prefect drops one above a million bytes


@dataclass
class PrefectTasks:
    """The steps of one run as tasks of the flow run that this is in; an execution's `StepTasks`.

    Threads of this process tell when a step really begins; from other task runners no word comes.
    """

    threads: bool
    futures: dict[str, PrefectFuture[Any]] = field(default_factory=dict)
    states: dict[str, State[Any]] = field(default_factory=dict)

    @property
    def tells_begin(self) -> bool:
        """Whether the scheduler is told when a step begins."""
        return self.threads

    def submit_step(self, node: Node, order: Order, after: Collection[str], tell: Tell) -> None:
        """Hand a step to the flow's task runner, with Prefect's retries."""
        deed = CarryOut(order, tell if self.threads else None)
        task = _make_task(deed, node, **_retry_options(node.step.retry, order))
        future = self._submit_task(node, task, after)
        future.add_done_callback(lambda _: tell("ended", None))

    def show_step(self, node: Node, state: str, reason: str, after: Collection[str]) -> None:
        """A task in a state of its own: ``Reused`` or ``Skipped``, and why."""
        self._run_here(node, _make_task(ShowStep(state, reason), node), after)

    def act(self, node: Node, deed: Callable[[], Made], after: Collection[str]) -> Made | Exception:
        """What came of a step that the run itself carries out."""
        ended = self._run_here(node, _make_task(ActHere(deed), node), after)
        return _task_result(ended)

    def step_outcome(self, step: str) -> Made | Exception:
        """What a task gave or raised."""
        return _task_result(self.futures[step])

    def await_all(self) -> None:
        """Until every task's state is at the API."""
        for future in self.futures.values():
            future.wait()

    def _run_here(
        self, node: Node, task: Task[[], Any], after: Collection[str]
    ) -> PrefectFuture[Any] | State[Any]:
        """Have a task done by this process, which alone knows the run."""
        if self.threads:
            return self._submit_task(node, task, after)
        state: State[Any] = task(
            wait_for=self._ended_tasks(after, {**self.futures, **self.states}), return_state=True
        )
        self.states[node.name] = state
        return state

    def _submit_task(self, node: Node, task: Any, after: Collection[str]) -> PrefectFuture[Any]:
        future: PrefectFuture[Any] = task.submit(
            wait_for=self._ended_tasks(after, self.futures), return_state=False
        )
        self.futures[node.name] = future
        return future

    def _ended_tasks(self, after: Collection[str], ended: dict[str, Any]) -> list[Any]:
        tasks = [ended[name] for name in after if name in ended]
        return [EndedTask(task.task_run_id) for task in tasks] if self.threads else tasks


def _task_result(ended: PrefectFuture[Any] | State[Any]) -> Made | Exception:
    came: Made | Exception = ended.result(raise_on_failure=False)
    return came


@dataclass(frozen=True)
class CarryOut:
    """Carries out a step in a process of its own.

    Where the scheduler can be told, the result goes to it at once: to take it out of Prefect's
    state again costs more than a small step. Elsewhere it travels in the state.
    """

    order: Order
    tell: Tell | None

    def __call__(self) -> State[Made]:
        if self.tell:
            self.tell("begun", _attempt_number())
        result = _call_step(self.order)
        prefect_artifacts.publish_step_artifacts(self.order, result)
        if self.tell is None:
            return Completed(message=_summarise_result(result), data=result)
        self.tell("made", result)
        return Completed(message=_summarise_result(result))


@dataclass(frozen=True)
class ShowStep:
    """Shows a step that did not run."""

    state: str
    message: str

    def __call__(self) -> State[None]:
        return Completed(name=self.state, message=self.message)


@dataclass(frozen=True)
class ActHere:
    """Carries out a step that needs no process, such as a condition."""

    deed: Callable[[], Made]

    def __call__(self) -> State[Made]:
        result = self.deed()
        return Completed(message=_summarise_result(result), data=result)


def _make_task(function: Callable[[], Any], node: Node, **options: Any) -> Task[[], Any]:
    """A task of this node. An object, unlike a closure, has no source for Prefect to digest."""
    return Task(
        function,
        name=node.name,
        description=node.step.description or node.step.kind,
        task_run_name=node.name,
        cache_policy=NO_CACHE,
        persist_result=False,
        **options,
    )


def _call_step(order: Order) -> Made:
    from towpath.steps import step_process

    with LogLines(get_run_logger().info) as lines:
        return step_process.call_step(order, lines)


def _attempt_number() -> int:
    context = TaskRunContext.get()
    return context.task_run.run_count if context else 1


def _retry_options(retry: Retry | None, order: Order) -> dict[str, Any]:
    if retry is None or retry.attempts < 2:
        return {}
    return {
        "retries": retry.attempts - 1,
        "retry_delay_seconds": list(islice(single_step.find_pauses(retry), _DELAYS)),
        "retry_jitter_factor": retry.jitter or None,
        "retry_condition_fn": _retry_condition(retry, order),
    }


def _retry_condition(retry: Retry, order: Order) -> Callable[[Any, Any, State[Any]], bool]:
    """Whether what ended an attempt is worth another."""

    def again(_task: Any, _run: Any, state: State[Any]) -> bool:
        return single_step.is_worth_another(state.data, retry, order)

    return again


def _summarise_result(made: Made) -> str:
    """What a person reads of a state: which way it went, the version, or the files."""
    chosen = made.facts.get("chosen")
    if chosen is not None:
        return str(chosen).lower()
    files = (artifact.name for artifact in made.outputs.values())
    return str(made.facts.get("version") or ", ".join(files))


class LogLines:
    """Takes a step's lines one by one, and says them a quarter of a second's together.

    Each record costs Prefect's API a millisecond.
    """

    def __init__(self, say: Callable[[str], object]) -> None:
        self._say = say
        self._lock = threading.Lock()
        self._waiting: list[str] = []
        self._length = 0
        self._timer: threading.Timer | None = None

    def __call__(self, line: str) -> None:
        """Take a line."""
        with self._lock:
            self._waiting.append(line)
            self._length += len(line) + 1
            full = self._length >= _MOST
            if not self._timer and not full:
                self._timer = threading.Timer(_PAUSE, self.flush)
                self._timer.daemon = True
                self._timer.start()
        if full:
            self.flush()

    def flush(self) -> None:
        """Say what waits."""
        with self._lock:
            lines, self._waiting, self._length = self._waiting, [], 0
            timer, self._timer = self._timer, None
        if timer:
            timer.cancel()
        if lines:
            self._say("\n".join(lines))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.flush()


class _NoResult(State[None]):
    """A state that nothing is taken out of: Prefect would have a thread look for it."""

    def result(self, *_: Any, **__: Any) -> None:
        """None, at once."""


_OVER = _NoResult(type=StateType.COMPLETED)


class EndedTask(PrefectTaskRunFuture[None]):
    """A task that is over: it draws the line between two tasks in Prefect's graph, and no more."""

    def __init__(self, task_run_id: UUID) -> None:
        super().__init__(task_run_id)
        self._final_state = _OVER  # where Prefect looks for it before it asks the API

    def wait(self, timeout: float | None = None) -> None:
        """Nothing is to be waited for."""

    def result(self, timeout: float | None = None, raise_on_failure: bool = True) -> None:
        """None: bytes are in the store."""

    def add_done_callback(self, fn: Any) -> None:
        """Call it at once."""
        fn(self)
