"""Hands out each step of a run when all it waits for has ended, and takes in what came of it."""

from __future__ import annotations

import queue
import time
from collections.abc import Collection
from dataclasses import dataclass, field
from functools import partial
from graphlib import TopologicalSorter
from typing import TYPE_CHECKING, Any

from towpath.config.artifact import Made
from towpath.config.pipeline_declaration import Condition, Fail, RegisterModel
from towpath.errors import Fault, StepFailed, TowpathError
from towpath.execution.step_execution import Execution, StepTasks, Tell
from towpath.planning.run_state import StepDecision, StepVerdict

if TYPE_CHECKING:
    from towpath.pipeline.step_graph import Node


Word = tuple[str, str, Any]  # what happened, the step, and what there is to say


@dataclass
class Scheduler:
    """The scheduler of one run, in the thread that began it.

    A step is submitted only when it can start, for a task that waits inside an executor would take
    the place of one that could work. Where no word comes when a step begins, it counts as begun
    when it is submitted.
    """

    execution: Execution
    tasks: StepTasks
    words: queue.SimpleQueue[Word] = field(default_factory=queue.SimpleQueue)
    decisions: dict[str, StepDecision] = field(default_factory=dict)
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
                if self._start_step(nodes[name]):
                    running += 1
                else:
                    order.done(name)
            if running and (ended := self._await_word()):
                running -= 1
                order.done(ended)
        self.tasks.await_all()

    def _start_step(self, node: Node) -> bool:
        """Begin with a step; False if it has ended already."""
        try:
            decision = self.decisions[node.name] = self.execution.decide_step(node)
        except TowpathError as error:
            self.execution.fail_step(node, error, 0.0)
            return False
        if decision.verdict is StepVerdict.SKIP:
            self.execution.skip_step(node, decision)
            self.tasks.show_step(node, "Skipped", decision.reason, self._steps_before(node))
        elif decision.verdict is StepVerdict.REUSE:
            self.execution.reuse_step(node, decision)
            self.tasks.show_step(node, "Reused", decision.reason, self._steps_before(node))
        elif isinstance(node.step, (Condition, Fail, RegisterModel)):
            self._begin_step(node, 1)
            deed = partial(self.execution.act, node)
            self._take_outcome(node, self.tasks.act(node, deed, self._steps_before(node)))
        else:
            self._submit_step(node)
            return True
        return False

    def _submit_step(self, node: Node) -> None:
        order = self.execution.order(node)
        if not self.tasks.tells_begin:
            self._begin_step(node, 1)
        self.tasks.submit_step(node, order, self._steps_before(node), self._make_tell(node.name))

    def _make_tell(self, name: str) -> Tell:
        return lambda word, value: self.words.put((word, name, value))

    def _begin_step(self, node: Node, attempt: int) -> None:
        self.begun[node.name] = time.perf_counter()
        self.execution.begin(node, self.decisions[node.name], attempt)

    def _steps_before(self, node: Node) -> Collection[str]:
        return node.needs - self.execution.known.failed  # what waits for a failed task never runs

    def _await_word(self) -> str | None:
        """Wait for the next word; the name of the step that has ended, if one has."""
        what, name, value = self.words.get()
        node = self.execution.graph.nodes[name]
        if what == "begun":
            self._begin_step(node, value)
        elif what == "made":
            self.made[name] = value
        else:
            self._take_outcome(
                node, self.made.pop(name) if name in self.made else self.tasks.step_outcome(name)
            )
            return name
        return None

    def _take_outcome(self, node: Node, came: Made | Exception) -> None:
        seconds = time.perf_counter() - self.begun.get(node.name, time.perf_counter())
        if isinstance(came, Made):
            self.execution.finish_step(node, self.decisions[node.name], came, seconds)
        else:
            self.execution.fail_step(node, _as_fault(came), seconds)


def _as_fault(came: object) -> TowpathError:
    if isinstance(came, TowpathError):
        return came
    return StepFailed(Fault(f"{type(came).__name__}: {came}"))
