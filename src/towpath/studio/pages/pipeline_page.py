"""Pipelines: what is declared, a form to run it, and how the last runs went."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from towpath.backends.prefect.deployment_file import pipeline_of, read_declared_deployments
from towpath.drawing.picture import picture_graph
from towpath.errors import Fault, TowpathError
from towpath.planning.declared_pipelines import read_declared
from towpath.planning.pipeline_check import drawable_graph
from towpath.studio.pages.drawn_graph import DrawnGraph, draw_declared
from towpath.studio.pages.page_kind import NoSuchPage, PageRequest
from towpath.studio.pages.run_facts import RunLine, list_run_lines
from towpath.studio.shown_values import raw_text, show_duration, show_number

if TYPE_CHECKING:
    from towpath.config.deployment_declaration import ScheduleDeclaration
    from towpath.config.pipeline_declaration import Pipeline
    from towpath.studio.project_facts import ProjectFacts

_RUNS = 10


class ParameterLine(Struct, frozen=True):
    """A parameter: ``bounds`` in words, such as `above 0`."""

    name: str
    default: str
    bounds: str
    description: str
    raw: str  # as a form sends it, and `--param` takes it
    type: str
    is_required: bool
    least: str  # of a field for numbers, "" for none; what is `above` is told by the words alone
    most: str
    choices: tuple[str, ...]


class PipelineLine(Struct, frozen=True):
    name: str
    description: str
    steps: int
    runs: tuple[RunLine, ...]
    fault: str = ""


class DeploymentLine(Struct, frozen=True):
    """A deployment of the pipeline as `prefect.yaml` declares it."""

    name: str
    schedules: tuple[str, ...]
    is_paused: bool
    work_pool: str
    parameters: tuple[tuple[str, str], ...]


class EnvironmentLine(Struct, frozen=True):
    """What `--for` a name changes: parameters and inputs."""

    name: str
    values: tuple[tuple[str, str], ...]


class PipelineList(Struct, frozen=True):
    pipelines: tuple[PipelineLine, ...]


class PipelinePage(Struct, frozen=True):
    line: PipelineLine
    params: tuple[ParameterLine, ...]
    inputs: tuple[tuple[str, str], ...]
    environments: tuple[EnvironmentLine, ...]
    deployments: tuple[DeploymentLine, ...]
    faults: tuple[Fault, ...]
    graph: DrawnGraph
    file: str


def gather_pipelines(facts: ProjectFacts, _: PageRequest) -> PipelineList:
    names = facts.workspace.pipelines
    runs = _list_last_runs(facts, names)
    return PipelineList(tuple(_pipeline_line(facts, name, runs[name]) for name in names))


def _list_last_runs(facts: ProjectFacts, names: Collection[str]) -> Mapping[str, list[RunLine]]:
    """The last runs of each pipeline. All in one pass: the record of a run that goes on is read
    each time it is asked for."""
    listed: dict[str, list[RunLine]] = {name: [] for name in names}
    unfilled = set(names)
    for run in list_run_lines(facts) if unfilled else ():
        if run.pipeline not in unfilled:
            continue
        listed[run.pipeline].append(run)
        if len(listed[run.pipeline]) == _RUNS:
            unfilled.remove(run.pipeline)
            if not unfilled:
                break
    return listed


def _pipeline_line(facts: ProjectFacts, name: str, last_runs: Iterable[RunLine]) -> PipelineLine:
    runs = tuple(last_runs)
    try:
        pipeline = read_declared(facts.workspace, name).pipeline
    except TowpathError as wrong:
        return PipelineLine(name, "", 0, runs, _first_fault(wrong))
    return PipelineLine(name, pipeline.description or "", len(pipeline.steps), runs)


def _first_fault(wrong: TowpathError) -> str:
    fault = wrong.faults[0]
    more = f" (and {len(wrong.faults) - 1} more: towpath check)" if wrong.faults[1:] else ""
    return (f"{fault.place}: {fault.what}" if fault.place else fault.what) + more


def gather_pipeline(facts: ProjectFacts, request: PageRequest) -> PipelinePage:
    name = request.names["pipeline"]
    if name not in facts.workspace.pipelines:
        raise NoSuchPage(f"no pipeline `{name}`")
    line = _pipeline_line(facts, name, list_run_lines(facts, _RUNS, name))
    file = f"flows/{name}/pipeline.yaml"
    deployments = tuple(_deployment_lines(facts, name))
    try:
        pipeline = read_declared(facts.workspace, name).pipeline
        whole = picture_graph(drawable_graph(facts.workspace, name), nested=True)
    except TowpathError as wrong:
        nothing = DrawnGraph(None, {})
        return PipelinePage(line, (), (), (), deployments, tuple(wrong.faults), nothing, file)
    return PipelinePage(
        line,
        tuple(_parameter_lines(pipeline)),
        tuple((name, _input_words(value)) for name, value in pipeline.inputs.items()),
        tuple(_environment_lines(pipeline)),
        deployments,
        (),
        draw_declared(whole, request, f"pipelines/{name}/"),
        file,
    )


def _environment_lines(pipeline: Pipeline) -> Iterator[EnvironmentLine]:
    for name, declared in pipeline.environments.items():
        params = ((key, show_number(value)) for key, value in declared.params.items())
        inputs = ((key, _input_words(value)) for key, value in declared.inputs.items())
        yield EnvironmentLine(name, (*params, *inputs))


def _deployment_lines(facts: ProjectFacts, pipeline: str) -> Iterator[DeploymentLine]:
    try:
        declared = read_declared_deployments(facts.root)
    except TowpathError:  # `towpath check` says what is wrong with the file
        return
    for _, deployment in declared.deployments:
        if pipeline_of(facts.workspace, deployment) == pipeline:
            schedules = [deployment.schedule] if deployment.schedule else []
            yield DeploymentLine(
                deployment.name,
                tuple(map(_schedule_words, (*schedules, *deployment.schedules))),
                bool(deployment.paused),
                deployment.work_pool.name or "",
                tuple((key, show_number(value)) for key, value in deployment.parameters.items()),
            )


def _schedule_words(schedule: ScheduleDeclaration) -> str:
    zone = f" {schedule.timezone}" if schedule.timezone else ""
    rests = "" if schedule.active else ", rests"
    if schedule.interval is not None:
        return f"every {show_duration(schedule.interval)}{rests}"
    return f"{schedule.cron or schedule.rrule}{zone}{rests}"


def _parameter_lines(pipeline: Pipeline) -> Iterator[ParameterLine]:
    for name, declared in pipeline.params.items():
        bounds = declared.declared_bounds
        words = [f"{key.replace('_', ' ')} {show_number(b)}" for key, b in bounds.items()]
        ends = (("at_least", "above"), ("at_most", "below"))
        least, most = (
            next((raw_text(bounds[key]) for key in keys if key in bounds), "") for keys in ends
        )
        kind = declared.accepted_type
        choices = declared.choices or ((True, False) if kind == "boolean" else ())
        yield ParameterLine(
            name,
            "" if declared.required else show_number(declared.default),
            ", ".join(words),
            declared.description or "",
            raw="" if declared.required else raw_text(declared.default),
            type=kind,
            is_required=declared.required,
            least=least,
            most=most,
            choices=tuple(map(raw_text, choices)),
        )


def _input_words(value: Any) -> str:
    if isinstance(value, str):
        return value
    described = (getattr(value, name, None) for name in ("path", "address", "model", "last"))
    return next((str(word) for word in described if word), str(value))
