"""A step of an earlier run once more, in this process: its inputs, its function, the debugger."""

from __future__ import annotations

import os
import pdb
import sys
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from towpath.config.artifact import Artifact
from towpath.config.pipeline_declaration import FunctionStep
from towpath.errors import Fault, StoreError, TowpathError, UsageError, did_you_mean
from towpath.execution import last_outputs, run_inputs
from towpath.execution.run_record import BAD_STATES, ExecutionState, RecordedRun, StepRun
from towpath.execution.secret_sources import FetchBlock, resolve_secrets
from towpath.execution.single_step import make_order, order_on_tree
from towpath.planning import known_cells, pipeline_check
from towpath.planning.run_request import RunRequest, repeat_request
from towpath.planning.run_state import RunState, StepDecision, StepNotEnded, StepVerdict
from towpath.steps.kinds import IN_A_PROCESS

if TYPE_CHECKING:
    from types import TracebackType

    from towpath.pipeline.step_graph import Graph, Node
    from towpath.steps.work_order import Order
    from towpath.workspace import Workspace


def find_failed_step(run: RecordedRun) -> str:
    """The first step of a run that failed in a process of its own. UsageError where none did."""
    for step in run.steps.values():
        if step.state in BAD_STATES and step.kind in IN_A_PROCESS and step.cells is None:
            return step.name
    hint = f"name one: {', '.join(run.steps)}" if run.steps else None
    raise UsageError(f"no step of run {run.id} failed: it {run.state.in_words}", hint=hint)


def order_from_tree(
    workspace: Workspace, pipeline: str, step: str, fetch_block: FetchBlock | None = None
) -> Order:
    """The order of a step on what the work tree holds, as ``towpath step`` runs it."""
    graph = pipeline_check.compile_checked_pipeline(workspace, pipeline)
    node = _require_node(graph, step)
    order = order_on_tree(workspace, graph, node)
    return replace(order, secrets=resolve_secrets(node, fetch_block))


def order_from_run(
    workspace: Workspace, run: RecordedRun, step: str, fetch_block: FetchBlock | None = None
) -> Order:
    """The order that a step had in a run: the run's parameters, the bytes that it took then, and
    the code and the declaration as they are now.

    Raises UsageError for a step that is none or had no inputs yet, StoreError where bytes that it
    took are not in the store any more.
    """
    if step not in run.steps:
        hint = did_you_mean(step, run.steps) or f"it has {', '.join(run.steps) or 'none'}"
        raise UsageError(f"run {run.id} has no step `{step}`", hint=hint)
    request = repeat_request(RunRequest(run.pipeline), run.asked)
    graph = pipeline_check.compile_checked_pipeline(workspace, run.pipeline, request.values)
    state = RunState(graph, _recorded_inputs(workspace, graph, run))
    # Cells become known as they did in the run: where what lists them is known, and they are not.
    _take_results(state, (s for s in run.steps.values() if s.cells is None and not s.cell_of))
    known_cells.grow_graph(state)
    _take_results(state, run.steps.values())
    node = _require_node(state.graph, step)
    folder = workspace.state / "steps" / graph.name / node.name
    try:
        order = make_order(workspace, state.graph, node, state, folder)
    except (StepNotEnded, LookupError) as missing:
        what = f"step `{step}` had no inputs in run {run.id}: what it takes was not made"
        raise UsageError(what, hint=f"`towpath logs {run.id}` tells why") from missing
    _require_bytes(workspace, order, run)
    return replace(order, secrets=resolve_secrets(node, fetch_block))


def _take_results(state: RunState, steps: Iterable[StepRun]) -> None:
    for step in steps:
        has_made = step.state in (ExecutionState.DONE, ExecutionState.REUSED)
        if has_made and step.name in state.graph.nodes and step.name not in state.made:
            state.take_result(StepDecision(step.name, StepVerdict.REUSE), step.made)


def _require_node(graph: Graph, step: str) -> Node:
    node = graph.nodes.get(step)
    if node is None:
        near = did_you_mean(step, graph.nodes)
        raise UsageError(f"{graph.name} declares no step `{step}` now", hint=near)
    if node.loop is not None:
        cells = ", ".join((node.loop.cells or ())[:3]) or "of a run"
        raise UsageError(f"`{step}` is made once for each item", hint=f"name a cell: {cells}")
    if node.step.kind not in IN_A_PROCESS:
        raise UsageError(f"`{step}` is a {node.step.kind} step, which takes no inputs")
    return node


def _recorded_inputs(workspace: Workspace, graph: Graph, run: RecordedRun) -> dict[str, Artifact]:
    """The pipeline's inputs as the run took them."""
    try:
        standing = run_inputs.read_input_artifacts(workspace, graph)
    except TowpathError:  # another run may have moved them since
        standing = {}
    inputs: dict[str, Artifact] = {}
    recorded = last_outputs.list_retried_inputs(workspace, graph, run.id)
    for name, path in graph.inputs.items():
        digest = run.inputs.get(name)
        if name in run.inputs and digest is None:  # it was not there
            continue
        artifact = recorded.get(name) or standing.get(name)
        if artifact is not None and digest in (artifact.digest, None):
            inputs[name] = artifact
        elif isinstance(digest, str):
            files = 0 if digest.endswith(".dir") else None
            inputs[name] = Artifact(digest, 0, PurePosixPath(path).name, files)
    return inputs


def _require_bytes(workspace: Workspace, order: Order, run: RecordedRun) -> None:
    faults = [
        Fault(f"what `{name}` was in run {run.id} is not in the store here", hint="towpath pull")
        for name, argument in order.arguments.items()
        if isinstance(argument, Artifact) and not workspace.store.has(argument.digest)
    ]
    if faults:
        raise StoreError(*faults)


def enter_project(order: Order) -> None:
    """Make this process one in which the step's code can be called: its folder, its modules, its
    variables, as in a process of its own."""
    from towpath.steps import project_functions

    os.chdir(order.root)
    project_functions.import_from_source(order.root)
    project_functions.make_project_importable(order.root, order.folder)
    os.environ.update(order.step.env)
    os.environ.update({name: secret.value for name, secret in order.secrets.items()})


def read_step_inputs(order: Order) -> dict[str, Any]:
    """Each argument of a step by its name, read as its function asks for it."""
    from towpath.steps.kinds import function_step

    return function_step.read_arguments(order, order.annotations)


class DebuggedStep(Struct, frozen=True):
    """What came of a step that was called here: what it returned, or its error and where; None for
    what was left before its end."""

    returned: Mapping[str, Any] | None
    error: BaseException | None = None
    where: TracebackType | None = None


class _Debugger(pdb.Pdb):
    """Pdb that knows whether somebody left it: after a call it says so of itself anyhow."""

    was_left = False

    def set_quit(self) -> None:
        self.was_left = True
        super().set_quit()


def call_step_here(order: Order, from_first_line: bool) -> DebuggedStep:
    """Call a step's function in this process; nothing is stored or recorded.

    ``from_first_line`` stops at the function's first line, in pdb, which talks on the terminal.
    Raises UsageError for a step that is no function, StepFailed where an input cannot be read or
    what it returned is not what it declares.
    """
    from towpath.steps import step_worker
    from towpath.steps.kinds import function_step

    if not isinstance(order.step, FunctionStep):
        what = f"`{order.name}` is a {order.step.kind} step: there is no function to stop in"
        raise UsageError(what, hint=f"towpath step {order.pipeline} {order.name}")
    enter_project(order)
    try:
        call = function_step.prepare_call(order)
        if not from_first_line:
            return DebuggedStep(function_step.finish_call(order, call, call.run()).returned)
        debugger = _Debugger(nosigint=True)
        answer: Any = debugger.runcall(call.function, **call.arguments)
        if debugger.was_left:
            return DebuggedStep(None)
        return DebuggedStep(function_step.finish_call(order, call, answer).returned)
    except TowpathError:  # an input, or what it returned: nothing of it is at a line of the step
        raise
    except Exception as error:
        return DebuggedStep(None, error, step_worker.users_part(error.__traceback__, order.root))
    finally:
        order.remove_bytes()


def open_debugger(step: DebuggedStep) -> None:
    """The prompt of pdb where a step failed."""
    debugger = pdb.Pdb(nosigint=True)
    debugger.reset()
    debugger.interaction(None, step.where)


def use_own_terminal() -> None:
    """Let a prompt talk to the terminal itself: line editing needs the true streams."""
    sys.stdout, sys.stderr = sys.__stdout__ or sys.stdout, sys.__stderr__ or sys.stderr
