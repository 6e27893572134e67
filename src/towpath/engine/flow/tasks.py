"""The Prefect tasks of a run: one that carries out a step, one that shows what need not run."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from prefect import Task, get_run_logger
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas import State
from prefect.context import TaskRunContext
from prefect.states import Completed

from towpath.engine.flow import artifacts
from towpath.errors import StepFailed
from towpath.spec.artifact import Made

if TYPE_CHECKING:
    from towpath.engine.graph import Node
    from towpath.spec.pipeline import Retry
    from towpath.steps.order import Order

#: Told the number of an attempt when it begins; None where that word cannot travel.
Begun = Callable[[int], None]


def carry_out(node: Node, order: Order, begun: Begun | None) -> Task[[], State[Made]]:
    """The task that carries out a step in a process of its own, with Prefect's retries."""

    def step() -> State[Made]:
        if begun:
            begun(_attempt())
        made = _call(order)
        artifacts.publish(order, made)
        return Completed(message=_summary(made), data=made)

    return _task(step, node, **_retries(node.step.retry, order))


def show(node: Node, state: str, message: str) -> Task[[], State[None]]:
    """The task that shows a step which did not run: ``Reused`` or ``Skipped``, and why."""

    def step() -> State[None]:
        return Completed(name=state, message=message)

    return _task(step, node)


def act(node: Node, deed: Callable[[], Made]) -> Task[[], State[Made]]:
    """The task of a step that the run itself carries out, such as a condition."""

    def step() -> State[Made]:
        made = deed()
        return Completed(message=_summary(made), data=made)

    return _task(step, node)


def _task(function: Callable[[], Any], node: Node, **options: Any) -> Task[[], Any]:
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

    logger = get_run_logger()
    return process.call(order, order.step.timeout, logger.info)


def _attempt() -> int:
    context = TaskRunContext.get()
    return context.task_run.run_count if context else 1


def _retries(retry: Retry | None, order: Order) -> dict[str, Any]:
    if retry is None or retry.attempts < 2:
        return {}
    again = retry.attempts - 1
    return {
        "retries": again,
        "retry_delay_seconds": [retry.delay * retry.backoff**n for n in range(again)],
        "retry_jitter_factor": retry.jitter or None,
        "retry_condition_fn": _again(retry.errors, order),
    }


def _again(errors: tuple[str, ...], order: Order) -> Callable[[Any, Any, State[Any]], bool]:
    """Whether what ended an attempt is worth another."""
    from towpath.steps import process

    def again(_task: Any, _run: Any, state: State[Any]) -> bool:
        if process.is_stopped(order):
            return False
        names = state.data.causes if isinstance(state.data, StepFailed) else ()
        return not errors or not set(names).isdisjoint(errors)

    return again


def _summary(made: Made) -> str:
    chosen = made.facts.get("chosen")
    if chosen is not None:
        return str(chosen).lower()
    return ", ".join(artifact.name for artifact in made.outputs.values())
