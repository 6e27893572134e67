"""An executor without Prefect, for tests in which steps matter and not where they are shown.

A run by Prefect takes three times the time, a third of that in the API. What a run is in Prefect
is held by tests/execution/test_prefect_pages.py, test_failures.py and test_branches.py, and by
each test that calls `towpath run`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from towpath.config.artifact import Made
from towpath.execution.pipeline_run import warmed_supervisor
from towpath.execution.step_execution import Execution, Scheduler, Tell
from towpath.pipeline.step_graph import Node
from towpath.steps import step_process
from towpath.steps.work_order import Order


def run_in_threads(execution: Execution, may_run: Collection[str]) -> None:
    """Carry out a run with as many steps at once as Prefect's task runner takes."""
    with warmed_supervisor(execution, may_run), ThreadPoolExecutor(os.cpu_count()) as pool:
        Scheduler(execution, StepThreads(pool)).run()


@dataclass
class StepThreads:
    """The steps of one run, each in a process of its own, for which a thread waits."""

    pool: ThreadPoolExecutor
    futures: dict[str, Future[Made]] = field(default_factory=dict)
    tells_begin: bool = True

    def submit_step(self, node: Node, order: Order, after: Collection[str], tell: Tell) -> None:  # noqa: ARG002
        """Carry out a step, once."""
        assert not node.step.retry, "further attempts are Prefect's"
        self.futures[node.name] = self.pool.submit(_carry_out, order, tell)
        self.futures[node.name].add_done_callback(lambda _: tell("ended", None))

    def show_step(self, node: Node, state: str, reason: str, after: Collection[str]) -> None:
        """There is nobody to show it to."""

    def act(self, node: Node, deed: Callable[[], Made], after: Collection[str]) -> Made | Exception:  # noqa: ARG002
        """Carry out a step that needs no process."""
        self.futures[node.name] = self.pool.submit(deed)
        return self.step_outcome(node.name)

    def step_outcome(self, step: str) -> Made | Exception:
        """What a step made or raised."""
        future = self.futures[step]
        error = future.exception()
        assert error is None or isinstance(error, Exception)
        return error or future.result()

    def await_all(self) -> None:
        """Each was waited for."""


def _carry_out(order: Order, tell: Tell) -> Made:
    tell("begun", 1)
    return step_process.call_step(order, _unheard)


def _unheard(_line: str) -> None:
    """A step's log has what it printed."""
