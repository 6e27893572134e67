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
from towpath.planning.run_state import Decision, Verdict

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
            if running and (ended := self._await_word()):
                running -= 1
                order.done(ended)
        self.tasks.join()

    def _start(self, node: Node) -> bool:
        """Begin with a step; False if it has ended already."""
        try:
            decision = self.decisions[node.name] = self.execution.decide(node)
        except TowpathError as error:
            self.execution.fail(node, error, 0.0)
            return False
        if decision.verdict is Verdict.SKIP:
            self.execution.skip(node, decision)
            self.tasks.show(node, "Skipped", decision.reason, self._before(node))
        elif decision.verdict is Verdict.REUSE:
            self.execution.reuse(node, decision)
            self.tasks.show(node, "Reused", decision.reason, self._before(node))
        elif isinstance(node.step, (Condition, Fail, RegisterModel)):
            self._begin(node, 1)
            deed = partial(self.execution.act, node)
            self._take(node, self.tasks.act(node, deed, self._before(node)))
        else:
            self._submit(node)
            return True
        return False

    def _submit(self, node: Node) -> None:
        order = self.execution.order(node)
        if not self.tasks.tells_begin:
            self._begin(node, 1)
        self.tasks.submit(node, order, self._before(node), self._telling(node.name))

    def _telling(self, name: str) -> Tell:
        return lambda word, value: self.words.put((word, name, value))

    def _begin(self, node: Node, attempt: int) -> None:
        self.begun[node.name] = time.perf_counter()
        self.execution.begin(node, self.decisions[node.name], attempt)

    def _before(self, node: Node) -> Collection[str]:
        return node.needs - self.execution.known.failed  # what waits for a failed task never runs

    def _await_word(self) -> str | None:
        """Wait for the next word; the name of the step that has ended, if one has."""
        what, name, value = self.words.get()
        node = self.execution.graph.nodes[name]
        if what == "begun":
            self._begin(node, value)
        elif what == "made":
            self.made[name] = value
        else:
            self._take(node, self.made.pop(name) if name in self.made else self.tasks.outcome(name))
            return name
        return None

    def _take(self, node: Node, came: Made | Exception) -> None:
        seconds = time.perf_counter() - self.begun.get(node.name, time.perf_counter())
        if isinstance(came, Made):
            self.execution.done(node, self.decisions[node.name], came, seconds)
        else:
            self.execution.fail(node, _as_fault(came), seconds)


def _as_fault(came: object) -> TowpathError:
    if isinstance(came, TowpathError):
        return came
    return StepFailed(Fault(f"{type(came).__name__}: {came}"))
