"""In which order pipelines run that take what others make, and the circles in that."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, TypeAlias

from msgspec.structs import replace

from towpath.config import names_and_paths
from towpath.config.pipeline_declaration import QualityCheck
from towpath.errors import DeclarationError, Fault, Place, UsageError, did_you_mean
from towpath.pipeline import artifact_paths
from towpath.pipeline.compile_graph import list_declared_steps
from towpath.pipeline.run_arguments import apply_environment
from towpath.pipeline.step_cells import handed_outputs

if TYPE_CHECKING:
    from towpath.config.pipeline_file import DeclaredPipeline


Pipelines: TypeAlias = "Mapping[str, DeclaredPipeline]"


def makers_of(pipeline: str, inputs: Mapping[str, str], known: Collection[str]) -> dict[str, str]:
    """The other pipeline that makes an input, by the input's name."""
    makers = ((name, find_maker(path)) for name, path in inputs.items())
    return {name: maker for name, maker in makers if maker in known and maker != pipeline}


def find_maker(path: str) -> str:
    """The pipeline below whose folder of outputs a path lies; empty where it does not."""
    if names_and_paths.is_model_reference(path):
        return ""
    parts = PurePosixPath(path).parts
    return parts[1] if len(parts) > 1 and parts[0] == artifact_paths.FOLDER else ""


def order_pipelines(pipelines: Pipelines, environment: str) -> dict[str, tuple[str, ...]]:
    """Every pipeline after those whose outputs it takes for an environment, with their names; but
    for those that others carry out, unless one takes what they make by themselves.

    DeclarationError where they go in a circle.
    """
    pipelines = apply_environments(pipelines, environment)
    require_order(pipelines)
    needs = _pipeline_needs(pipelines)
    inner = {body.pipeline.name for p in pipelines.values() for body in p.bodies.values()}
    inner -= {maker for makers in needs.values() for maker in makers}
    return {n: needs[n] for n in TopologicalSorter(needs).static_order() if n not in inner}


def apply_environments(pipelines: Pipelines, environment: str) -> Pipelines:
    """The pipelines as they are for an environment, of which some may declare nothing."""
    return {
        name: replace(declared, pipeline=apply_environment(declared.pipeline, environment))
        if environment in declared.pipeline.environments
        else declared
        for name, declared in pipelines.items()
    }


def choose_environments(pipelines: Pipelines, environment: str) -> dict[str, str]:
    """For which environment each pipeline runs where all of them run for one: those that declare it
    for that, the others as they are.

    UsageError where none declares it, or where one that takes other values for it feeds one that
    does not: that would take what the first makes without it.
    """
    chosen = {
        name: environment if environment in declared.pipeline.environments else ""
        for name, declared in pipelines.items()
    }
    if environment and not any(chosen.values()):
        known = dict.fromkeys(e for d in pipelines.values() for e in d.pipeline.environments)
        listed = f"they declare {', '.join(known)}" if known else "write it under `for`"
        what = f"no pipeline declares anything for `{environment}`"
        raise UsageError(what, hint=did_you_mean(environment, known) or listed)
    if faults := list(_unfed_faults(pipelines, chosen, environment)):
        raise UsageError(*faults)
    return chosen


def _unfed_faults(
    pipelines: Pipelines, chosen: Mapping[str, str], environment: str
) -> Iterator[Fault]:
    """Pipelines as they are that would take what another makes for an environment."""
    applied = apply_environments(pipelines, environment)
    others = {name for name in pipelines if pipelines[name].pipeline != applied[name].pipeline}
    for name, makers in _pipeline_needs(applied).items():
        for maker in makers:
            if maker in others and not chosen[name]:
                what = f"pipeline `{name}` declares nothing for `{environment}`, and would take "
                what += f"what `{maker}` makes without it"
                place = Place(pipelines[name].path)
                yield Fault(what, place, f"write `for: {{{environment}: }}` in it")


def feeds_others(pipelines: Pipelines, pipeline: str) -> bool:
    """Whether another pipeline takes what one makes."""
    return any(pipeline in makers for makers in _pipeline_needs(pipelines).values())


def require_order(pipelines: Pipelines) -> None:
    """DeclarationError with every place where pipelines go in a circle."""
    if faults := tuple(circle_faults(pipelines)):
        raise DeclarationError(*faults)


def circle_faults(pipelines: Pipelines) -> Iterator[Fault]:
    """A fault for each input by which pipelines go in a circle, at its line."""
    needs = {name: set(makers) for name, makers in _pipeline_needs(pipelines).items()}
    while True:
        try:
            TopologicalSorter(needs).prepare()
        except CycleError as circle:
            # graphlib lists them in running order: each is needed by the next.
            names: list[str] = circle.args[1]
            first = names.index(min(names))
            ring = [*names[first:-1], *names[:first]]
            shown = " -> ".join([*ring, ring[0]])
            pairs = list(zip(ring, [*ring[1:], ring[0]], strict=True))
            for maker, taker in sorted(pairs, key=lambda pair: pair[1]):
                yield from _faults_in_circle(pipelines[taker], maker, shown)
                needs[taker].discard(maker)  # the ring is open: look for the next one
        else:
            return


def _faults_in_circle(declared: DeclaredPipeline, maker: str, shown: str) -> Iterator[Fault]:
    for name, file in declared.pipeline.inputs.items():
        if find_maker(file.path) == maker:
            what = f"the pipelines go in a circle: {shown}"
            hint = f"`{name}` is made by pipeline `{maker}`, which waits for this one"
            yield Fault(what, declared.places.find_place("inputs", name), hint)


def _pipeline_needs(pipelines: Pipelines) -> dict[str, tuple[str, ...]]:
    needs: dict[str, tuple[str, ...]] = {}
    for name, declared in pipelines.items():
        paths = {n: file.path for n, file in declared.pipeline.inputs.items()}
        needs[name] = tuple(dict.fromkeys(makers_of(name, paths, pipelines).values()))
    return needs


def input_faults(pipelines: Pipelines, declared: DeclaredPipeline) -> Iterator[Fault]:
    """Inputs that name an output of another pipeline which it does not make."""
    pipeline = declared.pipeline
    for name, file in pipeline.inputs.items():
        path, place = file.path, declared.places.find_place("inputs", name)
        maker = find_maker(path)
        if not maker or maker == pipeline.name:  # its own outputs: `step_faults` says that
            continue
        if maker in pipelines:
            yield from _output_faults(pipelines[maker], path, place)
        elif hint := did_you_mean(maker, pipelines):
            yield Fault(f"`{path}`: there is no pipeline `{maker}`", place, hint)


def _output_faults(maker: DeclaredPipeline, path: str, place: Place | None) -> Iterator[Fault]:
    _, pipeline, *rest = PurePosixPath(path).parts
    if not rest or maker.faults:  # what it makes is not known while its file is wrong
        return
    steps = list_declared_steps(maker)
    if rest[0] not in steps:
        hint = did_you_mean(rest[0], steps) or f"it has {', '.join(steps)}"
        yield Fault(f"`{path}`: pipeline `{pipeline}` has no step `{rest[0]}`", place, hint)
        return
    step = steps[rest[0]]
    if isinstance(step, QualityCheck):  # its data stand where the checked ones stand
        return
    written = [str(PurePosixPath(output.path)) for output in handed_outputs(step).values()]
    output_path = "/".join(rest[1:])
    if not any(overlaps(PurePosixPath(output_path), PurePosixPath(file)) for file in written):
        listed = f"it makes {', '.join(written) or 'nothing'}"
        what = f"`{path}`: step `{rest[0]}` of pipeline `{pipeline}` makes no {output_path}"
        yield Fault(what, place, did_you_mean(output_path, written) or listed)


def overlaps(path: PurePosixPath, other: PurePosixPath) -> bool:
    """Whether one of two paths is the other, or lies in it."""
    return path.is_relative_to(other) or other.is_relative_to(path)
