"""A run of a pipeline from end to end: compile, plan, carry out, record."""

from __future__ import annotations

import contextlib
import getpass
import os
import platform
import tempfile
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from towpath.credentials import hide_credentials
from towpath.errors import ExitCode, Refused, StepFailed, StoreError, TowpathError
from towpath.execution import run_folders, run_inputs, run_record
from towpath.execution.input_sources import as_json, locate_inputs
from towpath.execution.register_step import Registering
from towpath.execution.run_record import Event, Recorder, Run, State
from towpath.execution.step_execution import Execution, Executor, needs_executor, replay
from towpath.pipeline import pipeline_check, pipeline_order
from towpath.planning.run_memory import Memory
from towpath.planning.run_request import Request, in_ci, needed, selected
from towpath.planning.run_state import Decision, RunState, Verdict
from towpath.planning.step_decisions import Judge, Policy, plan
from towpath.storage.copy_files import explain_refusal

if TYPE_CHECKING:
    from towpath.pipeline.step_graph import Graph
    from towpath.workspace import Workspace

Listener = Callable[[Event], None]
_NONE: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class Prepared:
    """All that is known before the first step: what is run, on what, and what would happen."""

    workspace: Workspace
    request: Request
    judge: Judge
    registering: Registering
    known: RunState
    planned: int

    @property
    def graph(self) -> Graph:
        """What is run."""
        return self.judge.graph

    def _unbegun(self) -> RunState:
        return RunState(self.graph, self.known.inputs, awaited=self.known.awaited)

    def decisions(self) -> dict[str, Decision]:
        """What would become of each step. Whether the run may register is asked here, before its
        first step; UserError where it must and may not."""
        found = {d.step: d for d in plan(self.judge, self._unbegun())}
        ahead = (Verdict.RUN, Verdict.UNDECIDED)
        registering = [
            d.step for d in found.values() if d.verdict in ahead and self.graph.registers(d.step)
        ]
        registering += [d.step for d in found.values() if d.deferred]
        if registering:
            self.registering.require(registering)
        return found


def prepare(workspace: Workspace, request: Request, awaited: Mapping[str, str] = _NONE) -> Prepared:
    """Read and check the declaration, and look at the inputs; nothing is run or written.

    ``awaited`` names inputs that another pipeline is about to make, and that pipeline.
    """
    planned = time.time_ns()
    graph = pipeline_check.compiled(workspace, request.pipeline, request.params, request.inputs)
    if pipeline_order.makers_of(graph.name, graph.inputs, workspace.pipelines):
        pipeline_order.require_order(workspace)
    chosen = selected(graph, request)
    policy = Policy(
        force=request.force,
        selected=chosen,
        needed=needed(graph, chosen or frozenset()),
        writers=frozenset({"ci"}) if in_ci() and _is_registered(workspace, graph) else None,
    )
    memory = Memory.of(workspace.state, graph.name)
    registry = Registering(
        workspace,
        graph,
        required=request.require_register or in_ci(),
        asked=request.register,
        insisted=request.require_register,
        planned=planned,
    )
    judge = Judge(workspace, graph, memory, registry, policy)
    known = RunState(graph, run_inputs.artifacts(workspace, graph, awaited), awaited=awaited)
    return Prepared(workspace, request, judge, registry, known, planned)


def _is_registered(workspace: Workspace, graph: Graph) -> bool:
    """Whether what a pipeline makes goes into a version: its own, or that of one that takes it."""
    registers = any(map(graph.registers, graph.nodes))
    return registers or pipeline_order.feeds_others(workspace, graph.name)


def run(
    workspace: Workspace, request: Request, executor: Executor, listeners: Iterable[Listener] = ()
) -> Run:
    """Run a pipeline, and return its record. What failed stands in the record, not in an error.

    ``executor`` carries out the steps; it is not asked where none has to run. Errors: UserError
    before anything has run, EngineError if the executor has nothing to run on.
    """
    prepared = prepare(workspace, request)
    decisions = prepared.decisions()
    if not needs_executor(prepared.graph, decisions):
        return conduct(prepared, lambda execution: replay(execution, decisions), listeners)
    _ = workspace.project  # what is wrong there is said before the run begins
    wanted = tuple(name for name, decision in decisions.items() if decision.may_run)
    return conduct(prepared, lambda execution: executor(execution, wanted), listeners)


@contextlib.contextmanager
def warmed(execution: Execution, wanted: Collection[str]) -> Iterator[None]:
    """A supervisor that imports the packages of the steps ``wanted`` while the run begins."""
    from towpath.steps import step_imports, step_process

    workspace, folder = execution.workspace, execution.graph.folder
    nodes = [execution.graph.nodes[name] for name in wanted]
    imported = step_imports.find_libraries(workspace, folder, nodes)
    with step_process.warm(workspace.root, folder, nodes, imported):
        yield


def conduct(
    prepared: Prepared, carry_out: Callable[[Execution], None], listeners: Iterable[Listener]
) -> Run:
    """Record a run from its beginning to its end, whatever happens in between.

    StoreError where the disk refuses, or the record was taken away meanwhile.
    """
    folder = prepared.workspace.runs
    run_folders.sweep_leftovers(folder)
    try:
        return _conducted(prepared, carry_out, listeners)
    except OSError as refusal:
        if known := explain_refusal(refusal, folder, Path(tempfile.gettempdir())):
            raise known from refusal
        raise


def _conducted(
    prepared: Prepared, carry_out: Callable[[Execution], None], listeners: Iterable[Listener]
) -> Run:
    recorder = _begin_record(prepared.workspace.runs, listeners)
    run_id = recorder.folder.name
    execution = Execution(
        prepared.workspace, prepared.judge, prepared.known, recorder, run_id, prepared.planned
    )
    begun = time.perf_counter()
    try:
        recorder("started", **_started(prepared, run_id))
    except OSError:  # without this line it is no record
        run_folders.discard_folder(recorder.folder)
        raise
    finish = partial(_finish, execution, begun)
    try:
        try:
            carry_out(execution)
        finally:
            execution.settle()
        _settle(prepared, execution)
    except KeyboardInterrupt:
        finish(State.INTERRUPTED, ExitCode.INTERRUPTED)
    except TowpathError as error:
        if execution.errors:
            finish(*_outcome(execution))
        else:
            finish(State.FAILED, error.exit_code, [str(fault) for fault in error.faults])
    except Exception as error:
        refused = isinstance(error, OSError) and explain_refusal(error, recorder.folder)
        code = ExitCode.FAILED if refused else ExitCode.BUG
        finish(State.FAILED, code, [hide_credentials(f"{type(error).__name__}: {error}")])
        raise
    except BaseException:  # such as a worker's word to a deployed run that it is cancelled
        finish(State.INTERRUPTED, ExitCode.INTERRUPTED)
        raise
    else:
        finish(*_outcome(execution))
    finally:
        recorder.close()
    return _read_ended(recorder.folder)


def _read_ended(folder: Path) -> Run:
    run = run_record.read(folder)
    if run is None:
        what = f"the record of the run, {folder}, was taken away while it ran"
        raise StoreError(what, hint="run again: every step that ended well is reused")
    assert run.state.ended
    return run


def _begin_record(folder: Path, listeners: Iterable[Listener]) -> Recorder:
    try:
        return Recorder(run_record.new_folder(folder), listeners)
    except (NotADirectoryError, FileExistsError) as refusal:
        hint = f"move it away: {folder.parent.name} is the folder of Towpath's own files"
        raise StoreError(f"{folder.parent} is no folder", hint=hint) from refusal


def _settle(prepared: Prepared, execution: Execution) -> None:
    """After a run that ended well: bring the project's outputs up to date, and publish."""
    from towpath.execution import project_outputs
    from towpath.versions import push_and_pull

    is_declared = prepared.request.is_whole and not prepared.graph.given
    if is_declared and not execution.errors:
        project_outputs.publish(prepared.workspace, prepared.graph, execution.known)
    if prepared.request.push:
        moved = push_and_pull.push(prepared.workspace)
        execution.recorder("published", versions=list(moved.versions))
        moved.complete()


def _started(prepared: Prepared, run_id: str) -> dict[str, Any]:
    graph, artifacts = prepared.graph, prepared.known.inputs
    links = prepared.registering.links
    return {
        "run": run_id,
        "pipeline": graph.name,
        "asked": prepared.request.asked(),
        "params": dict(graph.params),
        "inputs": {name: artifact.digest for name, artifact in artifacts.items()},
        "sources": as_json(
            locate_inputs(prepared.workspace, graph, artifacts, links), artifacts, links
        ),
        "tried": list(graph.tried),
        "origin": _origin(prepared),
        "steps": {name: node.step.kind for name, node in graph.nodes.items()},
    }


def _origin(prepared: Prepared) -> Mapping[str, Any]:
    repository = prepared.workspace.repository
    return {
        "pid": os.getpid(),
        "host": os.uname().nodename,
        "user": _user(),
        "commit": repository.head() if repository else None,
        "python": platform.python_version(),
        "towpath": version("towpath"),
        "ci": in_ci(),
    }


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return str(os.getuid())


def _outcome(execution: Execution) -> tuple[State, ExitCode, list[str]]:
    errors = execution.errors
    if not errors:
        return State.DONE, ExitCode.DONE, []
    lines = [f"{step}: {fault}" for step, error in errors.items() for fault in error.faults]
    if all(isinstance(error, Refused) for error in errors.values()):
        return State.REFUSED, ExitCode.REFUSED, lines
    return State.FAILED, ExitCode.FAILED, lines


def _finish(
    execution: Execution, begun: float, state: State, code: ExitCode, error: Iterable[str] = ()
) -> None:
    seconds = round(time.perf_counter() - begun, 3)
    execution.recorder(
        "finished", state=state, seconds=seconds, exit_code=int(code), error=list(error)
    )


__all__ = ["Prepared", "StepFailed", "conduct", "prepare", "run"]
