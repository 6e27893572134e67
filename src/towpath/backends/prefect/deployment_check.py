"""What is wrong with the declared deployments, as far as the project's own files tell."""

from __future__ import annotations

from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING

from towpath.backends.prefect.deployment_file import DeclaredDeployments, read_declared_deployments
from towpath.errors import Fault, did_you_mean

if TYPE_CHECKING:
    from towpath.config.deployment_declaration import FlowDeployment
    from towpath.workspace import Workspace


def find_deployment_faults(workspace: Workspace) -> tuple[Fault, ...]:
    """Every fault of `prefect.yaml`, with its line; nothing of the project is imported."""
    declared = read_declared_deployments(workspace.root)
    faults = [*declared.faults, *_source_faults(workspace, declared)]
    faults = faults or list(_circle_faults(workspace, declared))
    return tuple(sorted(faults, key=lambda fault: fault.place.line if fault.place else 0))


def pipeline_of(workspace: Workspace, deployment: FlowDeployment) -> str | None:
    """The pipeline whose flow a deployment runs; None for another flow."""
    folder = deployment.entrypoint.rpartition("/")[0]
    name = folder.removeprefix("flows/")
    return name if name in workspace.pipelines and folder != name else None


def _source_faults(workspace: Workspace, declared: DeclaredDeployments) -> Iterator[Fault]:
    for number, deployment in declared.deployments:
        for position, source in enumerate(deployment.on_change):
            if fault := _source_problem(workspace, source):
                what, hint = fault
                place = declared.find_place(number, "on_change", position)
                place = place or declared.find_place(number, "on_change")
                yield Fault(f"deployment `{deployment.name}`: {what}", place, hint)


def _source_problem(workspace: Workspace, source: str) -> tuple[str, str | None] | None:
    if "#" in source:
        stage = source.partition("#")[2]
        if workspace.shared_registry or stage in workspace.project.stages:
            return None  # which stages a shared registry has is not known without the network
        return f"there is no stage `{stage}`", did_you_mean(stage, workspace.project.stages)
    pipeline, _, reference = source.partition(":")
    step, _, output = reference.rpartition(".")
    if pipeline not in workspace.pipelines:
        return f"there is no pipeline `{pipeline}`", did_you_mean(pipeline, workspace.pipelines)
    from towpath.pipeline.compile_graph import outline_graph
    from towpath.planning.declared_pipelines import read_declared

    pipeline_file = read_declared(workspace, pipeline)
    nodes = outline_graph(pipeline_file).nodes
    if step in pipeline_file.malformed:
        return None  # `check` says what is wrong with it
    if step not in nodes:
        return f"`{pipeline}` has no step `{step}`", did_you_mean(step, nodes)
    if output not in nodes[step].outputs:
        what = f"`{step}` of `{pipeline}` has no output `{output}`"
        return what, did_you_mean(output, nodes[step].outputs)
    return None


def _circle_faults(workspace: Workspace, declared: DeclaredDeployments) -> Iterator[Fault]:
    """Pipelines that would run one another for ever, each where the other's output changed."""
    followed: dict[str, set[str]] = {}
    numbers: dict[str, int] = {}
    for number, deployment in declared.deployments:
        pipeline = pipeline_of(workspace, deployment)
        if pipeline and deployment.on_change:
            sources = {s.partition(":")[0] for s in deployment.on_change if "#" not in s}
            followed.setdefault(pipeline, set()).update(sources)
            numbers.setdefault(pipeline, number)
    try:
        TopologicalSorter(followed).prepare()
    except CycleError as circle:
        names = list(circle.args[1])
        what = f"{' -> '.join(names)}: a change of each would run the other"
        place = declared.find_place(numbers[names[0]], "on_change")
        yield Fault(what, place, "remove one `on_change`")
