"""One run in progress: decides for a step, hands out its order, and takes in what came of it."""

from __future__ import annotations

import math
import os
import queue
import signal
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from msgspec import Struct, field
from msgspec.structs import replace

from towpath.config.artifact import CacheEntry, Made
from towpath.config.pipeline_declaration import (
    AnyStep,
    Callback,
    Condition,
    Fail,
    Notify,
    RegisterModel,
    Stop,
    Tuning,
)
from towpath.errors import Fault, Refused, StepFailed, TowpathError
from towpath.execution.commit_checks import may_have_changed
from towpath.execution.live_metrics import LOOK_SECONDS, MetricWatch
from towpath.execution.run_record import ExecutionState, Recorder, made_as_json, utc_now
from towpath.execution.running_order import RunningOrder
from towpath.execution.secret_sources import FetchBlock, resolve_secrets
from towpath.execution.single_step import make_order
from towpath.planning import cell_results, known_cells, step_code
from towpath.planning.cell_results import FAILED
from towpath.planning.run_request import in_ci
from towpath.planning.run_state import RunState, StepDecision, StepVerdict, as_names
from towpath.planning.step_decisions import (
    LastExecution,
    StepJudge,
    describe_choice,
    evaluate_choice,
)
from towpath.steps import callback_questions
from towpath.steps.work_order import Order, Value

if TYPE_CHECKING:
    from types import FrameType

    from towpath.execution.register_step import Registering
    from towpath.pipeline.step_graph import Graph, Node
    from towpath.workspace import Workspace


class Execution(Struct):
    """A run of a graph. Its methods are called from one thread: that of the scheduler."""

    workspace: Workspace
    judge: StepJudge
    registering: Registering
    known: RunState
    recorder: Recorder
    latest: dict[str, LastExecution] = field(default_factory=dict)
    errors: dict[str, TowpathError] = field(default_factory=dict)
    jobs: int | None = None
    fetch_block: FetchBlock | None = None
    send_notification: Callable[[str, str, str], None] | None = None
    asked: dict[str, str] = field(default_factory=dict)

    @property
    def graph(self) -> Graph:
        """What is run, as far as it is known: it grows by the cells of lists that steps make."""
        return self.known.graph

    @property
    def run_id(self) -> str:
        """The run's name, which is that of its folder."""
        return self.recorder.folder.name

    def begin_cells(self, cells_by_step: Mapping[str, Collection[str]]) -> None:
        """These cells of steps are known."""
        for step, names in cells_by_step.items():
            cells = {name: self.graph.nodes[name].cell for name in names}
            items = {name: dict(cell.items) for name, cell in cells.items() if cell}
            declared = self.graph.nodes[step].step
            number = declared.trials if isinstance(declared, Tuning) else len(items)
            if items:
                self.recorder("cells", step=step, cells=items, number=number)

    def begin(
        self, node: Node, decision: StepDecision, attempt: int = 1, previous_error: str = ""
    ) -> None:
        """A step starts to run; ``previous_error`` is what ended the attempt before."""
        earlier = {"previous_error": previous_error} if previous_error else {}
        self.recorder(
            "step", step=node.name, state=ExecutionState.RUNNING,
            reason=self.asked.get(node.name, decision.reason),
            attempt=attempt,
            key=decision.key, ingredients=dict(decision.ingredients), **earlier,
        )  # fmt: skip

    def order(self, node: Node) -> Order:
        """What a step's process needs to carry it out."""
        directory = self.recorder.folder / node.name
        order = make_order(self.workspace, self.graph, node, self.known, directory)
        if isinstance(node.step, Callback):
            # Known before it is asked, so that whoever looks on is told how to answer.
            token = callback_questions.new_token()
            order = replace(order, arguments={**order.arguments, "token": Value(token)})
            command = callback_questions.answer_command(token, node.step.answers)
            self.asked[node.name] = f"waits for `{command}`"
        return replace(order, secrets=resolve_secrets(node, self.fetch_block))

    def finish_step(self, node: Node, decision: StepDecision, made: Made, seconds: float) -> None:
        """A step has ended well: remember it, unless it read what it did not declare."""
        undeclared = as_names(made.facts.get("undeclared"))
        if decision.key:
            self.latest[node.name] = LastExecution(decision.key, decision.ingredients, undeclared)
        moved = bool(decision.key) and self._code_moved(node, decision)
        if moved:
            made = replace(made, facts={**made.facts, "edited": True})
        # Bytes first, then the entry: a kill between leaves a step undone, and nothing half done.
        is_kept = node.step.cache is not False and not node.own_to_run
        if decision.key and not undeclared and not moved and is_kept:
            self.workspace.store.remember(self._make_entry(node, decision, made, seconds))
        self.known.take_result(decision, made)
        self.recorder(
            "step", step=node.name, state=ExecutionState.DONE, seconds=seconds,
            made=made_as_json(made),
            reason=self._tell_reason(node, decision, made),
        )  # fmt: skip

    def _tell_reason(self, node: Node, decision: StepDecision, made: Made) -> str:
        """What there is to say of a step that has ended well: why it ran, or what came of it."""
        reason = decision.reason
        if made.facts.get("edited"):
            reason = "its code was edited while it ran: not reused"
        if isinstance(node.step, Condition):
            return describe_choice(node.step, self.known.chosen[node.name])
        if isinstance(node.step, Stop | Notify):
            return str(made.facts.get("stopped") or made.facts.get("told") or reason)
        return reason

    def _code_moved(self, node: Node, decision: StepDecision) -> bool:
        if node.gathers_cells:  # no code of the project runs for it
            return False
        # An editor may have saved meanwhile: what ran may be either, and no key holds for it.
        files = step_code.list_code_files(self.graph, node, self.workspace.code)
        root, since = self.workspace.root, self.registering.planned
        if not any(may_have_changed(root / file, since) for file in files):
            return False
        from towpath.dependencies import CodeReader

        # A reader of its own, for the run's remembers the files as it first read them.
        now_there = step_code.code_of(self.graph, node, CodeReader(root))
        return any(decision.ingredients.get(label) != digest for label, digest in now_there.items())

    def _make_entry(
        self, node: Node, decision: StepDecision, made: Made, seconds: float
    ) -> CacheEntry:
        return CacheEntry(
            decision.key, self.graph.name, node.name, self.run_id, utc_now(), round(seconds, 3),
            "ci" if in_ci() else "local", decision.ingredients, made,
        )  # fmt: skip

    def reuse_step(self, node: Node, decision: StepDecision) -> Made:
        """A step need not run: take what it made before."""
        assert decision.entry is not None
        result = decision.entry.result
        self.known.take_result(decision, result)
        self.latest[node.name] = LastExecution(decision.key, decision.ingredients)
        self.recorder(
            "step", step=node.name, state=ExecutionState.REUSED, reason=decision.reason,
            key=decision.key,
            ingredients=dict(decision.ingredients), made=made_as_json(result),
        )  # fmt: skip
        return result

    def skip_step(self, node: Node, decision: StepDecision) -> None:
        """A step is left out, and says why; a registration that is deferred is kept."""
        reason = decision.reason
        if decision.deferred and isinstance(node.step, RegisterModel):
            try:
                self.registering.defer_registration(
                    node, node.step, self.known, self.run_id, self.recorder.folder
                )
            except TowpathError as error:  # the trial itself went well
                reason = f"a trial, and {error.faults[0].what}"
        self.known.skipped[node.name] = reason
        self.known.forgive_cell(node)
        self.recorder("step", step=node.name, state=ExecutionState.SKIPPED, reason=reason)

    def fail_step(self, node: Node, error: TowpathError, seconds: float) -> None:
        """A step has failed; a check that says no is refused."""
        self.known.failed.add(node.name)
        if isinstance(error, Refused):
            self.known.refused.add(node.name)
        if not self.known.forgive_cell(node):
            self.errors[node.name] = error
        state = ExecutionState.REFUSED if isinstance(error, Refused) else ExecutionState.FAILED
        self.recorder(
            "step", step=node.name, state=state, seconds=seconds,
            reason=error.faults[0].what, error=[str(fault) for fault in error.faults],
        )  # fmt: skip

    def remember_failure(
        self, node: Node, decision: StepDecision, error: TowpathError, seconds: float
    ) -> None:
        """Remember a trial that its own code failed as one without a number: a search that is
        asked again goes on from it. One that was ended from outside may end well another time."""
        is_over = isinstance(error, StepFailed) and _PASSING.isdisjoint(error.causes)
        if node.cell and isinstance(node.step, Tuning) and is_over and decision.key:
            result = Made(facts={FAILED: error.faults[0].what})
            if node.step.cache is not False:
                self.workspace.store.remember(self._make_entry(node, decision, result, seconds))

    def act(self, node: Node) -> Made:
        """Carry out a step that needs no process: a condition, a failure, a registration, or what
        a step hands on of its cells."""
        if node.gathers_cells:
            return cell_results.gather_cells(self.workspace.store, node, self.known)
        if isinstance(node.step, Condition):
            verdict = evaluate_choice(node, node.step, self.known)
            self.known.chosen[node.name] = verdict
            return Made(facts={"chosen": verdict})
        if isinstance(node.step, Fail):
            raise StepFailed(self.known.fill_message(node, node.step.message))
        if isinstance(node.step, Stop):
            text = self.known.fill_message(node, node.step.message)
            self.known.stopped = node.name
            return Made(facts={"stopped": text})
        if isinstance(node.step, Notify):
            return self._notify(node, node.step)
        assert isinstance(node.step, RegisterModel)
        return self.registering.register(node, node.step, self.known, self.run_id)

    def _notify(self, node: Node, step: Notify) -> Made:
        """Tell the block that a step names what its message says."""
        assert step.block
        if self.send_notification is None:
            raise StepFailed(f"the block {step.block} cannot be asked without a Prefect API")
        text = self.known.fill_message(node, step.message)
        self.send_notification(step.block, text, f"{self.graph.name}: {node.name}")
        return Made(facts={"told": text})


#: Why a step ended that might end well another time, on a machine with less to do or more memory.
#: `BrokenExecutor` is a pool of the step's own, joblib's too, of which a process was killed.
_PASSING = frozenset({"Interrupted", "Killed", "Lost", "MemoryError", "Timeout", "BrokenExecutor"})


class Executor(Protocol):
    """Where the steps of a run are carried out; whoever begins a run passes one in."""

    def __call__(self, execution: Execution, may_run: Collection[str]) -> None:
        """Carry out a run, of which the steps ``may_run`` are not known to be reused or skipped.

        Raises EngineError where there is nothing to carry it out with.
        """


#: Told what happens to a step that was submitted: ``begun`` with the attempt's number, ``failed``
#: with what ended one, ``made`` with the result, and ``ended``. From any thread.
Tell = Callable[[str, Any], None]


class StepTasks(Protocol):
    """The tasks that an executor makes of the steps of one run; called from one thread.

    ``after`` are the steps that ended well before, as far as the executor draws such lines.
    ``tells_begin`` is False where no word comes when a step begins: in other processes.
    """

    @property
    def tells_begin(self) -> bool:
        """Whether ``tell`` hears ``begun``."""

    def submit_step(self, node: Node, order: Order, after: Collection[str], tell: Tell) -> None:
        """Carry out a step in a process, with its retries; ``tell`` says how it goes."""

    def show_step(self, node: Node, state: str, reason: str, after: Collection[str]) -> None:
        """Show a step that does not run."""

    def act(self, node: Node, deed: Callable[[], Made], after: Collection[str]) -> Made | Exception:
        """Carry out a step that needs no process, here and now."""

    def step_outcome(self, step: str) -> Made | Exception:
        """What came of a step that was submitted and has ended."""

    def await_all(self) -> None:
        """Wait until all is known of every step."""


_LONGEST_ERROR = 500  # characters of what ended an attempt before the last


def acts_in_run(step: AnyStep) -> bool:
    """Whether the run itself carries out a step, without a process."""
    if isinstance(step, Notify):
        return step.block is not None
    return isinstance(step, Condition | Fail | Stop | RegisterModel)


def needs_executor(graph: Graph, decisions: Mapping[str, StepDecision]) -> bool:
    """Whether a plan holds a step that must run; choosing a branch is none."""
    return any(
        decision.verdict is StepVerdict.UNDECIDED
        or (decision.verdict is StepVerdict.RUN and not _is_no_work(graph, name, decision))
        for name, decision in decisions.items()
    )


def _is_no_work(graph: Graph, name: str, decision: StepDecision) -> bool:
    if decision.cell_of:  # it may be known to the plan alone
        return False
    node = graph.nodes[name]
    return isinstance(node.step, Condition) or node.loop is not None


def replay_plan(execution: Execution, decisions: Mapping[str, StepDecision]) -> None:
    """Carry out a plan in which nothing needs to run."""
    execution.begin_cells(_static_cells(execution.graph))
    for name, decision in decisions.items():
        nodes = execution.graph.nodes
        if name not in nodes or nodes[name].awaits_cells:
            step = decision.cell_of or name
            execution.begin_cells(known_cells.grow_graph(execution.known, step))
        node = execution.graph.nodes[name]
        if decision.verdict is StepVerdict.SKIP:
            execution.skip_step(node, decision)
        elif decision.verdict is StepVerdict.REUSE:
            execution.reuse_step(node, decision)
        else:
            execution.begin(node, decision)
            execution.finish_step(node, decision, execution.act(node), 0.0)


def _static_cells(graph: Graph) -> dict[str, tuple[str, ...]]:
    loops = {name: node.loop for name, node in graph.nodes.items()}
    return {name: loop.cells for name, loop in loops.items() if loop and loop.cells}


Word = tuple[str, str, Any]  # what happened, the step, and what there is to say
_INTERRUPTED: Word = ("interrupted", "", None)


@contextmanager
def _hear_interrupts(words: queue.SimpleQueue[Word]) -> Iterator[None]:
    """While it lasts, a signal that ends the run is a word to the scheduler as well."""
    # What a signal's handler raises is lost where it comes in a `__del__` or a weak reference's
    # callback, such as those of Prefect and of import locks, and the run then waits for ever.
    # Only the main thread hears signals and may set a handler.
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    # A default action ends the process itself: there is nothing to lose.
    chained = {number: handler for number, handler in before.items() if callable(handler)}

    def hear(number: int, frame: FrameType | None) -> None:
        words.put(_INTERRUPTED)  # a SimpleQueue may be put to wherever a signal comes
        chained[signal.Signals(number)](number, frame)

    for number in chained:
        signal.signal(number, hear)
    try:
        yield
    finally:
        for number, handler in chained.items():
            # Not what another has set meanwhile: it will set ours again, and that chains.
            if signal.getsignal(number) is hear:
                signal.signal(number, handler)


class Scheduler(Struct):
    """The scheduler of one run, in the thread that began it.

    Where no word comes when a step begins, it counts as begun when it is submitted.
    """

    # A step is submitted only when it can start: a task that waits inside Prefect's thread pool
    # holds one of its workers, so that `max_workers` steps never work, and it may deadlock.

    execution: Execution
    tasks: StepTasks
    words: queue.SimpleQueue[Word] = field(default_factory=queue.SimpleQueue)
    decisions: dict[str, StepDecision] = field(default_factory=dict)
    made: dict[str, Made] = field(default_factory=dict)
    begun: dict[str, float] = field(default_factory=dict)
    missed: dict[str, str] = field(default_factory=dict)
    order: RunningOrder = field(default_factory=RunningOrder)
    watch: MetricWatch | None = None

    def run(self) -> None:
        """Carry out the whole graph; a failed step is no exception here."""
        with _hear_interrupts(self.words):
            self._run_steps()
            self.tasks.await_all()  # shown steps are tasks too: a run must not end before its tasks

    def _run_steps(self) -> None:
        graph = self.execution.graph
        self.execution.begin_cells(_static_cells(graph))
        self.order.add_nodes(graph.nodes.values())
        for name in [n.name for n in graph.nodes.values() if n.loop and n.loop.searching]:
            self._add_cells(name)
        running = 0
        # One thread decides and records; tasks in other threads only put words into the queue.
        while self.order.is_active:
            # What waits in an engine's pool is served as it came: it is kept here, by priority.
            node = self.order.next_ready() if running < self._most_at_once else None
            if node is not None and self._start_step(node):
                running += 1
            elif node is not None:
                self._end_step(node)
            elif running and (ended := self._await_word()):
                running -= 1
                self._end_step(self.execution.graph.nodes[ended])

    def _end_step(self, node: Node) -> None:
        """A step has ended: what waited for it may begin, and a list in it may be known."""
        self.order.end_node(node)
        loop = self.execution.graph.nodes[node.declared_name].loop
        if (node.cell and loop and loop.searching) or self.order.awaits_list_of(node.name):
            self._add_cells(node.declared_name)

    def _add_cells(self, step: str) -> None:
        grown = known_cells.grow_graph(self.execution.known, step)
        self.execution.begin_cells(grown)
        nodes = self.execution.graph.nodes
        for name, cells in grown.items():
            self.order.add_nodes(nodes[cell] for cell in (*cells, name))

    @property
    def _most_at_once(self) -> float:
        """The steps that may run at once: as the run was asked, else as many as can here."""
        if self.execution.jobs:
            return self.execution.jobs
        runner = self.execution.workspace.project.runner
        # How many a cluster takes only its scheduler knows.
        return math.inf if runner.kind == "dask" else runner.workers or os.cpu_count() or 1

    def _start_step(self, node: Node) -> bool:
        """Begin with a step; False if it has ended already."""
        try:
            decision = self.decisions[node.name] = self.execution.judge.decide_step(
                node, self.execution.known
            )
        except TowpathError as error:
            self.execution.fail_step(node, error, 0.0)
            return False
        if decision.verdict is StepVerdict.SKIP:
            self.execution.skip_step(node, decision)
            self.tasks.show_step(node, "Skipped", decision.reason, self._steps_before(node))
        elif decision.verdict is StepVerdict.REUSE:
            self.execution.reuse_step(node, decision)
            self.tasks.show_step(node, "Reused", decision.reason, self._steps_before(node))
        elif node.gathers_cells:
            self._gather_cells(node)
        elif acts_in_run(node.step):
            self._begin_step(node, 1)
            deed = partial(self.execution.act, node)
            self._take_outcome(node, self.tasks.act(node, deed, self._steps_before(node)))
        else:
            self._submit_step(node)
            return True
        return False

    def _gather_cells(self, node: Node) -> None:
        # Here: a task would wait for a worker, and this thread for the task, while cells run.
        self._begin_step(node, 1)
        before = self._steps_before(node)
        try:
            result: Made | Exception = self.execution.act(node)
        except Exception as error:
            result = self.tasks.act(node, partial(_raise_error, error), before)
        else:
            words = f"{len(node.loop.cells or ()) if node.loop else 0} cells"
            self.tasks.show_step(node, "Completed", words, before)
        self._take_outcome(node, result)

    def _submit_step(self, node: Node) -> None:
        order = self.execution.order(node)
        if not self.tasks.tells_begin:
            self._begin_step(node, 1)

        def tell(word: str, value: Any) -> None:
            self.words.put((word, node.name, value))

        self.tasks.submit_step(node, order, self._steps_before(node), tell)

    def _begin_step(self, node: Node, attempt: int) -> None:
        self.begun[node.name] = time.perf_counter()
        previous_error = self.missed.pop(node.name, "")
        self.execution.begin(node, self.decisions[node.name], attempt, previous_error)

    def _steps_before(self, node: Node) -> Collection[str]:
        return node.needs - self.execution.known.failed  # what waits for a failed task never runs

    def _await_word(self) -> str | None:
        """Wait for the next word; the name of the step that has ended, if one has."""
        what, name, value = word = self._next_word()
        if word is _INTERRUPTED:
            raise KeyboardInterrupt
        node = self.execution.graph.nodes[name]
        if what == "begun":
            self._begin_step(node, value)
        elif what == "failed":  # another attempt may follow
            lines = str(_as_fault(value).faults[0].what).splitlines()
            self.missed[name] = lines[0][:_LONGEST_ERROR] if lines else ""
        elif what == "made":
            self.made[name] = value
        else:
            # Prefect's future says `Pending` until it is waited for, though the work is done; so
            # a step that said what it made is believed, and only others are asked for.
            outcome = self.made.pop(name) if name in self.made else self.tasks.step_outcome(name)
            self._take_outcome(node, outcome)
            return name
        return None

    def _next_word(self) -> Word:
        """The next word. While it waits, who listens is told what the steps log."""
        watch = self.watch = self.watch or MetricWatch(self.execution.recorder.folder)
        while True:
            for metrics in watch.look(tuple(self.begun)):
                self.execution.recorder.announce(
                    "metric", step=metrics.step, values=metrics.values, place=metrics.place
                )
            with suppress(queue.Empty):
                return self.words.get(timeout=LOOK_SECONDS)

    def _take_outcome(self, node: Node, came: Made | Exception) -> None:
        seconds = time.perf_counter() - self.begun.pop(node.name, time.perf_counter())
        if isinstance(came, Made):
            self.execution.finish_step(node, self.decisions[node.name], came, seconds)
        else:
            error = _as_fault(came)
            self.execution.remember_failure(node, self.decisions[node.name], error, seconds)
            self.execution.fail_step(node, error, seconds)


def _raise_error(error: Exception) -> Made:
    raise error


def _as_fault(came: object) -> TowpathError:
    if isinstance(came, TowpathError):
        return came
    # No word of the step's process, which says its own: who carried it out was lost, a worker say.
    return StepFailed(Fault(f"{type(came).__name__}: {came}"), causes=("Lost",))
