"""Submits each step when all it waits for has ended, and takes in what came of it."""

from __future__ import annotations

import queue
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from typing import TYPE_CHECKING, Any

from prefect.client.schemas import State
from prefect.futures import PrefectFuture

from towpath.engine.decisions import Decision, Verdict
from towpath.engine.flow import tasks
from towpath.engine.flow.over import Over
from towpath.errors import Fault, StepFailed, TowpathError
from towpath.spec.artifact import Made
from towpath.spec.pipeline import Condition, Fail, RegisterModel

if TYPE_CHECKING:
    from towpath.engine.execution import Execution
    from towpath.engine.graph import Node

Word = tuple[str, str, Any]  # what happened, the step, and what there is to say


@dataclass
class Schedule:
    """The scheduler of one run, in the flow's own thread.

    A step is handed to the task runner only when it can start, for a task that waits inside a
    runner would take the place of one that could work. Threads tell when a step really begins;
    from other runners that word does not come, and a step counts as begun when it is submitted.
    """

    execution: Execution
    threads: bool = True
    words: queue.SimpleQueue[Word] = field(default_factory=queue.SimpleQueue)
    futures: dict[str, PrefectFuture[Any]] = field(default_factory=dict)
    states: dict[str, State[Any]] = field(default_factory=dict)
    decisions: dict[str, Decision] = field(default_factory=dict)
    made: dict[str, Made] = field(default_factory=dict)
    begun: dict[str, float] = field(default_factory=dict)

    def run(self) -> None:
        """Carry out the whole graph; a failed step is no exception here."""
        nodes = self.execution.graph.nodes
        order = TopologicalSorter({name: node.needs for name, node in nodes.items()})
        order.prepare()
        running = 0
        while order.is_active():
            for name in order.get_ready():
                if self._start(nodes[name]):
                    running += 1
                else:
                    order.done(name)
            if running and (ended := self._next()):
                running -= 1
                order.done(ended)
        for future in self.futures.values():
            future.wait()

    def _start(self, node: Node) -> bool:
        """Begin with a step; False if it has ended already."""
        decision = self.decisions[node.name] = self._decide(node)
        if decision.verdict is Verdict.SKIP:
            self.execution.skip(node, decision)
            self._here(node, tasks.show(node, "Skipped", decision.reason))
        elif decision.verdict is Verdict.REUSE:
            self.execution.reuse(node, decision)
            self._here(node, tasks.show(node, "Reused", decision.reason))
        elif node.name in self.execution.known.failed:
            return False
        elif isinstance(node.step, (Condition, Fail, RegisterModel)):
            self._act(node, decision)
        else:
            self._hand_out(node, decision)
            return True
        return False

    def _decide(self, node: Node) -> Decision:
        try:
            return self.execution.decide(node)
        except TowpathError as error:
            return self._undecidable(node, error)

    def _undecidable(self, node: Node, error: TowpathError) -> Decision:
        self.execution.fail(node, error, 0.0)
        return Decision(node.name, Verdict.RUN)

    def _act(self, node: Node, decision: Decision) -> None:
        self._begin(node, decision, 1)
        self._take(node, self._here(node, tasks.act(node, lambda: self.execution.act(node))))

    def _hand_out(self, node: Node, decision: Decision) -> None:
        order = self.execution.order(node)
        if not self.threads:
            self._begin(node, decision, 1)
        tell = self._on_word(node.name)
        future = self._submit(node, tasks.carry_out(node, order, tell if self.threads else None))
        future.add_done_callback(lambda _: tell("ended", None))

    def _on_word(self, name: str) -> tasks.Tell:
        return lambda word, value: self.words.put((word, name, value))

    def _begin(self, node: Node, decision: Decision, attempt: int) -> None:
        self.begun[node.name] = time.perf_counter()
        self.execution.begin(node, decision, attempt)

    def _submit(self, node: Node, task: Any) -> PrefectFuture[Any]:
        future: PrefectFuture[Any] = task.submit(
            wait_for=self._before(node, self.futures), return_state=False
        )
        self.futures[node.name] = future
        return future

    def _here(self, node: Node, task: Any) -> PrefectFuture[Any] | State[Any]:
        """Have a task done by this process, which alone knows the run."""
        if self.threads:
            return self._submit(node, task)
        state: State[Any] = task(
            wait_for=self._before(node, {**self.futures, **self.states}), return_state=True
        )
        self.states[node.name] = state
        return state

    def _before(self, node: Node, ended: Mapping[str, Any]) -> list[Any]:
        failed = self.execution.known.failed  # what waits for a failed task is never run
        found = [ended[name] for name in node.needs if name in ended and name not in failed]
        return [Over(each.task_run_id) for each in found] if self.threads else found

    def _next(self) -> str | None:
        """Wait for the next word; the name of the step that has ended, if one has."""
        what, name, value = self.words.get()
        node = self.execution.graph.nodes[name]
        if what == "begun":
            self._begin(node, self.decisions[name], value)
        elif what == "made":
            self.made[name] = value
        else:
            self._take(node, self.futures[name])
            return name
        return None

    def _take(self, node: Node, future: PrefectFuture[Any] | State[Any]) -> None:
        came = self.made.pop(node.name, None) or future.result(raise_on_failure=False)
        seconds = time.perf_counter() - self.begun.get(node.name, time.perf_counter())
        if isinstance(came, Made):
            self.execution.done(node, self.decisions[node.name], came, seconds)
        else:
            self.execution.fail(node, _as_fault(came), seconds)


def _as_fault(came: Any) -> TowpathError:
    if isinstance(came, TowpathError):
        return came
    return StepFailed(Fault(f"{type(came).__name__}: {came}"))
