"""A run of a pipeline from end to end: compile, plan, carry out, record."""

from __future__ import annotations

import contextlib
import getpass
import logging
import os
import platform
import shutil
import tempfile
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import partial
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from towpath.config.artifact import CacheEntry, Json
from towpath.credentials import hide_credentials
from towpath.drawing.picture import picture_graph
from towpath.drawing.picture_file import write_picture
from towpath.errors import ExitCode, Refused, RegistryError, StoreError, TowpathError, UserError
from towpath.execution import last_outputs, run_folders, run_inputs, run_record
from towpath.execution.input_sources import (
    UpstreamLink,
    UpstreamReader,
    locate_inputs,
    sources_as_json,
)
from towpath.execution.register_step import Registering
from towpath.execution.run_record import Event, ExecutionState, RecordedRun, Recorder
from towpath.execution.secret_sources import require_secrets
from towpath.execution.step_execution import Execution, Executor, needs_executor, replay_plan
from towpath.pipeline import pipeline_order
from towpath.pipeline.run_arguments import RunValues
from towpath.pipeline.step_graph import FromRun, Graph, Node
from towpath.planning import pipeline_check
from towpath.planning.declared_pipelines import read_declared, read_pipelines
from towpath.planning.run_request import RunRequest, find_needed_steps, in_ci, select_steps
from towpath.planning.run_state import RunState, StepDecision
from towpath.planning.step_decisions import PipelineMemory, ReusePolicy, StepJudge, plan_steps
from towpath.storage.copy_files import explain_refusal
from towpath.workspace import Workspace

Listener = Callable[[Event], None]
_NONE: Mapping[str, str] = MappingProxyType({})


class PreparedRun(Struct, frozen=True):
    """All that is known before the first step: what is run, on what, and what would happen.

    ``engine_run`` is the id that a deployed run has at its engine.
    """

    workspace: Workspace
    request: RunRequest
    judge: StepJudge
    registering: Registering
    known: RunState
    engine_run: str | None = None

    @property
    def graph(self) -> Graph:
        """What is run, as far as it is known."""
        return self.known.graph

    def _plan_steps(self) -> Iterator[StepDecision]:
        # A state of its own: what a plan assumes of a step must not count as made in the run.
        unbegun = RunState(
            self.graph, self.known.inputs, awaited=self.known.awaited, run=self.known.run
        )
        return plan_steps(self.judge, unbegun)

    def decide_steps(self) -> dict[str, StepDecision]:
        """What would become of each step. Whether the run may register is asked here, before its
        first step; UserError where it must and may not."""
        decisions = {decision.step: decision for decision in self._plan_steps()}
        registering = [
            decision.cell_of or name
            for name, decision in decisions.items()
            if decision.deferred
            or (decision.may_run and not decision.cell_of and self.graph.registers_model(name))
        ]
        if registering:
            self.registering.require_readiness(dict.fromkeys(registering))
        return decisions

    def list_may_run(self) -> tuple[str, ...]:
        """The steps that are not known to be reused or skipped."""
        may_run = (d.cell_of or d.step for d in self._plan_steps() if d.may_run)
        return tuple(dict.fromkeys(may_run))


def prepare_run(
    workspace: Workspace, request: RunRequest, awaited: Mapping[str, str] = _NONE
) -> PreparedRun:
    """Read and check the declaration, and look at the inputs; nothing is run or written.

    ``awaited`` names inputs that another pipeline is about to make, and that pipeline. An input
    from elsewhere that is yet to be brought is awaited as well.
    """
    planned = time.time_ns()  # before the first file of code is read: see `Execution._code_moved`
    graph = pipeline_check.compile_checked_pipeline(workspace, request.pipeline, request.values)
    if pipeline_order.makers_of(graph.name, graph.inputs, workspace.pipelines):
        pipeline_order.require_order(read_pipelines(workspace))
    chosen = select_steps(graph, request)
    policy = ReusePolicy(
        force=request.force,
        selected=chosen,
        needed=find_needed_steps(graph, chosen or frozenset()),
        writers=frozenset({"ci"}) if in_ci() and _is_registered(workspace, graph) else None,
        ended=_ended_steps(workspace, request.retry) if request.retry else {},
    )
    memory = PipelineMemory.of_pipeline(workspace.state, graph.name)
    registry = Registering(
        workspace,
        graph,
        required=request.require_register or in_ci(),
        asked=request.register,
        insisted=request.require_register,
        planned=planned,
    )
    judge = StepJudge(workspace, graph, memory, registry.decide_registration, policy)
    awaited = {**awaited, **run_inputs.find_unfetched_inputs(workspace, graph)}
    retried = (
        last_outputs.list_retried_inputs(workspace, graph, request.retry) if request.retry else {}
    )
    read = registry.upstream_reader.read_artifacts(graph, {*awaited, *retried})
    values = _read_run_values(workspace, graph)
    known = RunState(graph, {**read, **retried}, awaited=awaited, run=values)
    return PreparedRun(workspace, request, judge, registry, known)


def _read_run_values(workspace: Workspace, graph: Graph) -> dict[str, Json]:
    """What references to the run stand for before it has begun."""
    values: dict[str, Json] = {"pipeline": graph.name, "for": graph.environment or None}
    sources = (source for node in graph.nodes.values() for source in node.taken_sources)
    if FromRun("commit") in sources:  # only then, for it is a call of Git
        repository = workspace.repository
        values["commit"] = repository.head() if repository else None
    return values


def bring_remote_inputs(workspace: Workspace, request: RunRequest) -> None:
    """Before a run is prepared: bring its inputs from elsewhere that nothing pins yet."""
    declared = read_declared(workspace, request.pipeline).pipeline
    if any(file.address for file in declared.inputs.values()):
        graph = pipeline_check.compile_checked_pipeline(workspace, request.pipeline, request.values)
        say = logging.getLogger("towpath.store").warning
        run_inputs.fetch_remote_inputs(workspace, graph, partial(say, "bringing %s"))


def _ended_steps(workspace: Workspace, word: str) -> dict[str, CacheEntry]:
    """What an earlier run made, by step, as far as the step ended well."""
    run = run_folders.find_run(workspace.runs, word)
    ended = (ExecutionState.DONE, ExecutionState.REUSED)
    return {
        name: CacheEntry(
            step.key, run.pipeline, name, run.id, run.started, step.seconds, "local",
            step.ingredients, step.made,
        )
        for name, step in run.steps.items()
        if step.state in ended and step.key
        and not step.made.facts.get("edited") and not step.made.facts.get("undeclared")
    }  # fmt: skip


def _is_registered(workspace: Workspace, graph: Graph) -> bool:
    # What goes into a version may come from a pipeline before the one that registers.
    registers = any(map(graph.registers_model, graph.nodes))
    return registers or pipeline_order.feeds_others(read_pipelines(workspace), graph.name)


def run_pipeline(
    workspace: Workspace,
    request: RunRequest,
    executor: Executor,
    listeners: Iterable[Listener] = (),
) -> RecordedRun:
    """Run a pipeline, and return its record. What failed stands in the record, not in an error.

    ``executor`` carries out the steps; it is not asked where none has to run. Errors: UserError
    before anything has run, EngineError if the executor has nothing to run on.
    """
    bring_remote_inputs(workspace, request)
    prepared = prepare_run(workspace, request)
    decisions = prepared.decide_steps()
    if not needs_executor(prepared.graph, decisions):
        return conduct_run(prepared, lambda execution: replay_plan(execution, decisions), listeners)
    step_names = tuple(d.cell_of or name for name, d in decisions.items() if d.may_run)
    require_secrets(prepared.graph, step_names)
    _ = workspace.project  # read when a step needs `trust:`; a fault in it is said before that
    return conduct_run(prepared, lambda execution: executor(execution, step_names), listeners)


@contextlib.contextmanager
def warmed_supervisor(execution: Execution, wanted: Collection[str]) -> Iterator[None]:
    """A supervisor for each folder, which imports the packages of the steps ``wanted`` while the
    run begins."""
    from towpath.steps import step_process

    workspace, graph = execution.workspace, execution.graph
    declared = dict.fromkeys(graph.nodes[name].declared_name for name in wanted)
    nodes_by_folder: dict[str, list[Node]] = {graph.folder: []}
    for name in declared:
        node = graph.nodes[name]
        if node.loop:  # its cells need the same; what it hands on is no work for a process
            node = replace(node, outputs=node.loop.outputs)
        nodes_by_folder.setdefault(graph.folder_of(node), []).append(node)
    # Importing pandas and scikit-learn takes a second or two, which Prefect's own import takes
    # as well: the two go on side by side (docs/decisions/supervisor.md).
    with contextlib.ExitStack() as supervisors:
        # Of an inner pipeline the steps have other modules beside them, so another one.
        for folder, nodes in nodes_by_folder.items():
            imported = step_process.find_libraries(workspace, folder, nodes)
            warm = step_process.warm_supervisor(workspace.root, folder, nodes, imported)
            supervisors.enter_context(warm)
        yield


def conduct_run(
    prepared: PreparedRun, carry_out: Callable[[Execution], None], listeners: Iterable[Listener]
) -> RecordedRun:
    """Record a run from its beginning to its end, whatever happens in between.

    StoreError where the disk refuses, or the record was taken away meanwhile.
    """
    folder = prepared.workspace.runs
    run_folders.sweep_leftovers(folder)
    try:
        return _conduct_recorded(prepared, carry_out, listeners)
    except OSError as refusal:
        if explained := explain_refusal(refusal, folder, Path(tempfile.gettempdir())):
            raise explained from refusal
        raise


def _conduct_recorded(
    prepared: PreparedRun, carry_out: Callable[[Execution], None], listeners: Iterable[Listener]
) -> RecordedRun:
    started = run_record.utc_now()
    recorder = _begin_record(prepared, listeners, started)
    own_values = {"id": recorder.folder.name, "started": started}
    prepared.known.run = {**prepared.known.run, **own_values}
    execution = Execution(
        prepared.workspace, prepared.judge, prepared.registering, prepared.known, recorder,
        jobs=prepared.request.jobs,
    )  # fmt: skip
    begun = time.perf_counter()
    finish = partial(_record_finish, execution, begun)
    try:
        try:
            carry_out(execution)
        finally:  # interrupted too: what has ended is known to the words of the next run
            execution.judge.memory.remember(execution.latest)
        _publish_ended(prepared, execution)
    except KeyboardInterrupt:
        finish(ExecutionState.INTERRUPTED, ExitCode.INTERRUPTED)
    except TowpathError as error:
        if execution.errors:
            finish(*_run_outcome(execution))
        else:
            finish(ExecutionState.FAILED, error.exit_code, [str(fault) for fault in error.faults])
    except Exception as error:
        refused = isinstance(error, OSError) and explain_refusal(error, recorder.folder)
        code = ExitCode.FAILED if refused else ExitCode.BUG
        finish(ExecutionState.FAILED, code, [hide_credentials(f"{type(error).__name__}: {error}")])
        raise
    except BaseException:  # such as a worker's word to a deployed run that it is cancelled
        finish(ExecutionState.INTERRUPTED, ExitCode.INTERRUPTED)
        raise
    else:
        finish(*_run_outcome(execution))
    finally:
        recorder.close()
    return _read_ended(recorder.folder)


def _read_ended(folder: Path) -> RecordedRun:
    run = run_record.read_run(folder)
    if run is None:
        what = f"the record of the run, {folder}, was taken away while it ran"
        raise StoreError(what, hint="run again: every step that ended well is reused")
    assert run.state.has_ended
    return run


def _begin_record(prepared: PreparedRun, listeners: Iterable[Listener], started: str) -> Recorder:
    folder = prepared.workspace.runs
    try:
        recorder = Recorder(run_record.new_folder(folder), listeners)
    except (NotADirectoryError, FileExistsError) as refusal:
        hint = f"move it away: {folder.parent.name} is the folder of Towpath's own files"
        raise StoreError(f"{folder.parent} is no folder", hint=hint) from refusal
    try:
        recorder("started", time=started, **_started_fields(prepared, recorder.folder.name))
    except OSError:  # without this line it is no record
        shutil.rmtree(recorder.folder, ignore_errors=True)
        raise
    # A disk that is full is told by the next event: without the file a page draws what is declared.
    with contextlib.suppress(OSError):
        write_picture(recorder.folder, picture_graph(prepared.graph, nested=True))
    return recorder


def _publish_ended(prepared: PreparedRun, execution: Execution) -> None:
    """After a run that ended well: bring the project's outputs up to date, and publish."""
    from towpath.execution import project_outputs
    from towpath.versions import push_and_pull

    # The work tree and `dvc.lock` say what the declaration makes, and never what a trial made.
    is_good = prepared.request.is_whole and not execution.errors and not execution.known.stopped
    if is_good and not prepared.graph.given:
        project_outputs.publish_outputs(prepared.workspace, execution.graph, execution.known)
    # At the very end: a run that is killed before it leaves to the next what it took itself.
    if is_good and (prepared.request.register or not prepared.graph.tried_names):
        known, run_id = execution.known, execution.run_id
        last_outputs.keep_last(prepared.workspace, execution.graph, known, run_id)
    if prepared.request.push:
        moved = push_and_pull.push_project(prepared.workspace)
        # Said before what may fail of the rest, for these versions are out.
        execution.recorder("published", versions=list(moved.versions))
        moved.complete()


def _started_fields(prepared: PreparedRun, run_id: str) -> dict[str, Any]:
    graph, artifacts = prepared.graph, prepared.known.inputs
    links = prepared.registering.upstream_links
    sources = locate_inputs(prepared.workspace, graph, artifacts, links)
    return {
        "run": run_id,
        "pipeline": graph.name,
        "asked": prepared.request.asked_fields(),
        "params": dict(graph.params),
        "inputs": {name: artifacts[name].digest if name in artifacts else None for name in sources},
        "sources": sources_as_json(graph, sources, artifacts, links),
        "tried": list(graph.tried_names),
        "for": graph.environment,
        "origin": _origin_fields(prepared),
        "steps": {name: node.step.kind for name, node in graph.steps.items()},
    }


def _origin_fields(prepared: PreparedRun) -> Mapping[str, Any]:
    repository = prepared.workspace.repository
    return {
        "pid": os.getpid(),
        "host": os.uname().nodename,
        "user": _user_name(),
        "commit": repository.head() if repository else None,
        "python": platform.python_version(),
        "towpath": version("towpath"),
        "ci": in_ci(),
        **({"engine_run": prepared.engine_run} if prepared.engine_run else {}),
    }


def _user_name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return str(os.getuid())


def _run_outcome(execution: Execution) -> tuple[ExecutionState, ExitCode, list[str]]:
    errors = execution.errors
    if not errors:
        return ExecutionState.DONE, ExitCode.DONE, []
    lines = [f"{step}: {fault}" for step, error in errors.items() for fault in error.faults]
    if all(isinstance(error, Refused) for error in errors.values()):
        return ExecutionState.REFUSED, ExitCode.REFUSED, lines
    return ExecutionState.FAILED, ExitCode.FAILED, lines


def _record_finish(
    execution: Execution,
    begun: float,
    state: ExecutionState,
    code: ExitCode,
    error: Iterable[str] = (),
) -> None:
    seconds = round(time.perf_counter() - begun, 3)
    execution.recorder(
        "finished", state=state, seconds=seconds, exit_code=int(code), error=list(error)
    )


class PipelineRun(Struct, frozen=True):
    """What became of one pipeline: its run; or why it was not begun, with its exit code."""

    pipeline: str
    run: RecordedRun | None = None
    error: TowpathError | None = None
    left_out: str = ""

    @property
    def exit_code(self) -> ExitCode:
        """0 also for one that was left out: what kept it from running has its own."""
        if self.run is not None:
            return ExitCode(self.run.exit_code)
        return self.error.exit_code if self.error else ExitCode.DONE


def run_all(
    workspace: Workspace,
    request: RunRequest,
    carry_out: Callable[[Workspace, RunRequest], RecordedRun],
) -> Iterator[PipelineRun]:
    """Run each pipeline in order, as ``request`` says it of one. Where one does not end well, those
    that take what it makes are left out, and the others go on. ``carry_out`` makes one run. Those
    that declare nothing for the request's environment run as they are.

    Raises DeclarationError, before anything has run, for what is wrong with any of them, UsageError
    for an environment that all of them cannot run for.
    """
    pipelines = read_pipelines(workspace)
    order = pipeline_order.order_pipelines(pipelines, request.environment)
    environments = pipeline_order.choose_environments(pipelines, request.environment)
    for name in order:
        values = RunValues(environment=environments[name])
        pipeline_check.compile_checked_pipeline(workspace, name, values)
    missing: dict[str, str] = {}
    for name, makers in order.items():
        if failed := next((maker for maker in makers if maker in missing), None):
            missing[name] = f"pipeline `{failed}` {missing[failed]}"
            yield PipelineRun(name, left_out=missing[name])
            continue
        try:
            # A fresh look, for the run before has written what this one reads.
            own_request = replace(request, pipeline=name, environment=environments[name])
            finished_run = carry_out(Workspace(workspace.root), own_request)
        except (UserError, StoreError, RegistryError) as error:
            # Mostly of its inputs; what befalls the machine befalls those behind it as well.
            missing[name] = "was not carried out"
            yield PipelineRun(name, error=error)
            continue
        if finished_run.exit_code:
            missing[name] = finished_run.state.in_words
        yield PipelineRun(name, finished_run)
        if finished_run.exit_code == ExitCode.INTERRUPTED:
            return


def plan_all(workspace: Workspace, request: RunRequest) -> Iterator[PreparedRun]:
    """Each pipeline in order, prepared for a look at what would become of its steps.

    An input that an earlier pipeline would make anew is awaited: what reads it is undecided.
    """
    may_run: dict[str, set[str]] = {}
    reader = UpstreamReader(workspace)
    pipelines = read_pipelines(workspace)
    environments = pipeline_order.choose_environments(pipelines, request.environment)
    for name in pipeline_order.order_pipelines(pipelines, request.environment):
        values = RunValues(environment=environments[name])
        links = reader.find_links(pipeline_check.compile_checked_pipeline(workspace, name, values))
        awaited = {
            link.input: link.pipeline for link in links if _is_awaited(reader, link, may_run)
        }
        own_request = replace(request, pipeline=name, environment=environments[name])
        prepared = prepare_run(workspace, own_request, awaited)
        decisions = prepared.decide_steps().values()
        may_run[name] = {decision.step for decision in decisions if decision.may_run}
        yield prepared


def _is_awaited(
    reader: UpstreamReader, link: UpstreamLink, may_run: Mapping[str, Collection[str]]
) -> bool:
    # The pipeline before would put other bytes there, or might.
    graph = reader.pipelines[link.pipeline, link.environment].graph
    made_by = find_needed_steps(graph, frozenset(link.steps)) if graph else frozenset()
    return bool(link.stale or made_by & set(may_run.get(link.pipeline, ())))
