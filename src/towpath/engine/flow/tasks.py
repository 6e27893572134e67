"""The Prefect tasks of a run: one that carries out a step, one that shows what need not run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from prefect import Task, get_run_logger
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas import State
from prefect.context import TaskRunContext
from prefect.states import Completed

from towpath.engine import retrying
from towpath.engine.flow import artifacts
from towpath.engine.flow.lines import Lines
from towpath.spec.artifact import Made

if TYPE_CHECKING:
    from towpath.engine.graph import Node
    from towpath.spec.pipeline import Retry
    from towpath.steps.order import Order

_DELAYS = 50  # Prefect takes no more; the last one is that of all further attempts

#: Told what happens in a thread: ``begun`` with the attempt's number, ``made`` with the result.
Tell = Callable[[str, Any], None]


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
            self.tell("begun", _attempt())
        made = _call(self.order)
        artifacts.publish(self.order, made)
        if self.tell is None:
            return Completed(message=_summary(made), data=made)
        self.tell("made", made)
        return Completed(message=_summary(made))


@dataclass(frozen=True)
class Show:
    """Shows a step that did not run: ``Reused`` or ``Skipped``, and why."""

    state: str
    message: str

    def __call__(self) -> State[None]:
        return Completed(name=self.state, message=self.message)


@dataclass(frozen=True)
class Act:
    """Carries out a step that needs no process, such as a condition."""

    deed: Callable[[], Made]

    def __call__(self) -> State[Made]:
        made = self.deed()
        return Completed(message=_summary(made), data=made)


def carry_out(node: Node, order: Order, tell: Tell | None) -> Task[[], State[Made]]:
    """The task that carries out a step, with Prefect's retries."""
    return _task(CarryOut(order, tell), node, **_retries(node.step.retry, order))


def show(node: Node, state: str, message: str) -> Task[[], State[None]]:
    """The task of a step that does not run."""
    return _task(Show(state, message), node)


def act(node: Node, deed: Callable[[], Made]) -> Task[[], State[Made]]:
    """The task of a step that the run itself carries out."""
    return _task(Act(deed), node)


def _task(function: Callable[[], Any], node: Node, **options: Any) -> Task[[], Any]:
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


def _call(order: Order) -> Made:
    from towpath.steps import process

    with Lines(get_run_logger().info) as lines:
        return process.call(order, order.step.timeout, lines)


def _attempt() -> int:
    context = TaskRunContext.get()
    return context.task_run.run_count if context else 1


def _retries(retry: Retry | None, order: Order) -> dict[str, Any]:
    if retry is None or retry.attempts < 2:
        return {}
    return {
        "retries": retry.attempts - 1,
        "retry_delay_seconds": list(islice(retrying.find_pauses(retry), _DELAYS)),
        "retry_jitter_factor": retry.jitter or None,
        "retry_condition_fn": _again(retry, order),
    }


def _again(retry: Retry, order: Order) -> Callable[[Any, Any, State[Any]], bool]:
    """Whether what ended an attempt is worth another."""

    def again(_task: Any, _run: Any, state: State[Any]) -> bool:
        return retrying.is_worth_another(state.data, retry, order)

    return again


def _summary(made: Made) -> str:
    """What a person reads of a state: which way it went, the version, or the files."""
    chosen = made.facts.get("chosen")
    if chosen is not None:
        return str(chosen).lower()
    files = (artifact.name for artifact in made.outputs.values())
    return str(made.facts.get("version") or ", ".join(files))
