"""Pipelines that steps carry out: what of them becomes the outer pipeline's, and what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from towpath.config.parameter_declaration import flatten_values, list_groups, names_below
from towpath.config.pipeline_declaration import Pipeline, PipelineStep, list_bindings
from towpath.errors import DeclarationError, Fault, Place, did_you_mean
from towpath.pipeline.step_graph import FromItem, FromParam, FromRun, Literal, Node

if TYPE_CHECKING:
    from towpath.config.parameter_declaration import EnvironmentDeclaration
    from towpath.config.pipeline_file import DeclaredPipeline

ReadDeclared: TypeAlias = "Callable[[str], DeclaredPipeline]"

#: What is said of one step, and not of several.
_SINGLE = (
    *("retry", "timeout", "memory", "cache", "code", "env", "secrets", "environment"),
    *("on_failure", "priority"),
)


#: Each level is a call within a call, and two uses at each double the steps.
DEEPEST = 16


def nest_pipelines(
    declared: DeclaredPipeline,
    pipelines: Collection[str],
    read: ReadDeclared,
    around: tuple[str, ...] = (),
) -> DeclaredPipeline:
    """The declaration with the pipelines that its steps carry out, and theirs in turn.

    What a step does not give of their parameters and inputs is the outer pipeline's own, under the
    step's name. A pipeline that is not there, or holds itself, is a fault. ``pipelines`` are those
    of the project, ``read`` gives the declaration of one, ``around`` are those that this one is in.
    """
    steps = {n: s for n, s in declared.pipeline.steps.items() if isinstance(s, PipelineStep)}
    if not steps:
        return declared
    inside = (*around, declared.pipeline.name)
    faults: list[Fault] = []
    for name, step in steps.items():
        place = declared.places.find_place("steps", name, "pipeline")
        try:
            if step.pipeline not in pipelines:
                _refuse_unknown(step.pipeline, pipelines)
            if step.pipeline in inside:
                _refuse_circle(step.pipeline, inside)
            if len(inside) > DEEPEST:
                raise DeclarationError(f"pipelines stand in each other {DEEPEST} deep at most")
            body = nest_pipelines(read(step.pipeline), pipelines, read, inside)
            declared = _take_body(declared, name, step, body)
        except DeclarationError as error:
            faults += [replace(fault, place=place) for fault in error.faults]
            declared = _without_step(declared, name, step)
    return replace(declared, faults=(*declared.faults, *faults))


def _refuse_unknown(name: str, pipelines: Collection[str]) -> None:
    listed = f"there is {', '.join(pipelines)}" if pipelines else None
    hint = did_you_mean(name, pipelines) or listed
    raise DeclarationError(Fault(f"there is no pipeline `{name}`", hint=hint))


def _refuse_circle(name: str, inside: tuple[str, ...]) -> None:
    shown = " -> ".join([*inside[inside.index(name) :], name])
    what = f"the pipeline holds itself: {shown}" if len(set(inside)) > 1 else "it holds itself"
    raise DeclarationError(Fault(what, hint="a pipeline carries out others, and never itself"))


def _without_step(declared: DeclaredPipeline, name: str, step: PipelineStep) -> DeclaredPipeline:
    """The declaration in which a step counts as one that could not be read."""
    pipeline = declared.pipeline
    steps = {other: value for other, value in pipeline.steps.items() if other != name}
    words = [t for key in ("inputs", "params") for _, t, _ in list_bindings(step, key)]
    lists = [text for text in step.each.values() if isinstance(text, str)]
    mentioned = {word.partition(".")[0] for text in (*words, *lists) for word in text.split()}
    return replace(
        declared,
        pipeline=pipeline.model_copy(update={"steps": steps}),
        malformed=declared.malformed | {name},
        mentioned=declared.mentioned | mentioned,
    )


def _bound_names(step: PipelineStep) -> set[str]:
    """The parameters, groups and inputs of the inner pipeline that a step gives."""
    bound = {name for key in ("inputs", "params") for name, _, _ in list_bindings(step, key)}
    return bound | step.literals.keys()


def _take_body(
    declared: DeclaredPipeline, step: str, use: PipelineStep, body: DeclaredPipeline
) -> DeclaredPipeline:
    """The declaration with what its step does not give of an inner pipeline."""
    bound = _bound_names(use)
    own = declared.pipeline.params.keys()
    # One that is declared here, in a group of the step's name, is the inner pipeline's too.
    inner_params = {
        f"{step}.{name}": body.inner_params.get(name, (body.file, name))
        for name in body.pipeline.params
        if name.partition(".")[0] not in bound and f"{step}.{name}" not in own
    }
    file_params = {f"{step}.{name}": place for name, place in body.file_params.items()}
    return replace(
        declared,
        pipeline=_merge_pipelines(declared.pipeline, step, use, body.pipeline),
        places=replace(declared.places, bodies={**declared.places.bodies, step: body.places}),
        file_params={
            **declared.file_params,
            **{name: place for name, place in file_params.items() if name in inner_params},
        },
        bodies={**declared.bodies, step: body},
        inner_params={**declared.inner_params, **inner_params},
    )


def _merge_pipelines(pipeline: Pipeline, step: str, use: PipelineStep, inner: Pipeline) -> Pipeline:
    bound = _bound_names(use)

    def list_open(declarations: Mapping[str, Any]) -> dict[str, Any]:
        """What the step does not give, under its name."""
        names = [name for name in declarations if name.partition(".")[0] not in bound]
        return {f"{step}.{name}": declarations[name] for name in names}

    for name in inner.formats.keys() & pipeline.formats.keys():
        if inner.formats[name] != pipeline.formats[name]:
            what = f"format `{name}` is another in pipeline `{use.pipeline}`"
            raise DeclarationError(Fault(what, hint="rename one of them"))
    for name, file in list_open(inner.inputs).items():
        if file.last is not None:
            own_name = name.removeprefix(f"{step}.")
            what = f"input `{own_name}` of pipeline `{use.pipeline}` is what its own last run made"
            raise DeclarationError(Fault(what, hint=f"give it: `inputs: {{{own_name}: ...}}`"))
    params = {n: p for n, p in list_open(inner.params).items() if n not in pipeline.params}
    environments = {
        name: _with_inner(values, inner.environments.get(name), step, bound)
        for name, values in pipeline.environments.items()
    }
    update = {
        "params": {**pipeline.params, **params},
        "inputs": {**pipeline.inputs, **list_open(inner.inputs)},
        "environments": environments,
        "formats": {**inner.formats, **pipeline.formats},
    }
    return pipeline.model_copy(update=update)


def _with_inner(
    values: EnvironmentDeclaration,
    inner: EnvironmentDeclaration | None,
    step: str,
    bound: Collection[str],
) -> EnvironmentDeclaration:
    """What a pipeline takes for an environment, with what the inner one takes for it."""
    if inner is None:
        return values
    update = {
        section: {
            **{
                f"{step}.{name}": value
                for name, value in getattr(inner, section).items()
                if name.partition(".")[0] not in bound
            },
            **getattr(values, section),
        }
        for section in ("params", "inputs")
    }
    return values.model_copy(update=update)


def list_inherited(declared: DeclaredPipeline) -> set[str]:
    """The parameters and inputs that are there for the pipelines that steps carry out."""
    return {
        f"{step}.{name}"
        for step, body in declared.bodies.items()
        for name in (*body.pipeline.params, *body.pipeline.inputs)
    }


def locate_bodies(declared: DeclaredPipeline) -> dict[str, str]:
    """The file of each inner pipeline, by the name that its steps have before their own."""
    files: dict[str, str] = {}
    for step, body in declared.bodies.items():
        files[step] = body.file
        files |= {f"{step}.{name}": file for name, file in locate_bodies(body).items()}
    return files


# what is wrong with what a step gives


def find_nested_faults(declared: DeclaredPipeline, uses: Mapping[str, Node]) -> Iterator[Fault]:
    """Everything that is wrong with what steps give to pipelines, each fault with its place.

    ``uses`` are these steps with their references resolved.
    """
    for name, step in declared.pipeline.steps.items():
        if isinstance(step, PipelineStep) and name not in declared.bodies:  # made in Python
            place = declared.places.find_place("steps", name, "pipeline")
            yield Fault(f"pipeline `{step.pipeline}` is not known", place, "see `nest_pipelines`")
    for name, use in uses.items():
        body = declared.bodies.get(name)
        if body is not None and isinstance(use.step, PipelineStep):
            case = _Use(declared, body, use, use.step)
            yield from case.key_faults()
            yield from case.name_faults()
            yield from case.group_faults()
    defaults = {n: p.default for n, p in declared.pipeline.params.items() if not p.required}
    yield from find_value_faults(declared, uses, defaults)


def find_value_faults(
    declared: DeclaredPipeline, uses: Mapping[str, Node], values: Mapping[str, Any]
) -> Iterator[Fault]:
    """Values that the parameters of inner pipelines do not take; ``values`` are those of the outer
    one's parameters, as far as they are known."""
    for name, use in uses.items():
        body = declared.bodies.get(name)
        if body is None:
            continue
        for inner, param in body.pipeline.params.items():
            for value in _given_values(use, inner, values):
                if problem := param.find_problem(value):
                    what = f"parameter `{inner}` of pipeline `{body.pipeline.name}` {problem}"
                    place = declared.places.find_place("steps", name, "params", inner)
                    if inner.partition(".")[0] in getattr(use.step, "literals", ()):
                        place = declared.places.find_place("steps", name, "with", *inner.split("."))
                    yield Fault(what, place, param.description)


def _given_values(use: Node, inner: str, values: Mapping[str, Any]) -> Iterator[Any]:
    """The values that a use gives to a parameter, as far as they are known: of an item all."""
    source = source_of_param(use, inner) or FromParam(f"{use.name}.{inner}")
    if isinstance(source, Literal):
        yield source.value
    elif isinstance(source, FromParam) and source.name in values:
        yield values[source.name]
    elif isinstance(source, FromItem) and not source.keys and use.loop:
        items = use.loop.lists.get(source.name)
        if isinstance(items, Literal):
            yield from items.value
        elif isinstance(items, FromParam) and isinstance(values.get(items.name), list):
            yield from values[items.name]


def source_of_param(use: Node, name: str) -> Literal | FromParam | FromItem | FromRun | None:
    """What a use gives to a parameter of its pipeline, be it as a part of a group; None where it
    gives nothing."""
    parts = name.split(".")
    for size in range(len(parts), 0, -1):
        source, rest = use.arguments.get(".".join(parts[:size])), parts[size:]
        match source:
            case Literal(value=value):
                for key in rest:
                    value = value.get(key) if isinstance(value, Mapping) else None
                return Literal(value)
            case FromParam(name=outer):
                return FromParam(".".join([outer, *rest]))
            case FromItem(name=item, keys=keys):
                return FromItem(item, (*keys, *rest))
            case FromRun() if not rest:  # what a run has is a text, and has no parts
                return source
    return None


class _Use(Struct, frozen=True):
    declared: DeclaredPipeline
    body: DeclaredPipeline
    use: Node
    step: PipelineStep

    def _place_of(self, *loc: str | int) -> Place | None:
        return self.declared.places.find_place("steps", self.use.name, *loc)

    def key_faults(self) -> Iterator[Fault]:
        """What is for a single step."""
        for key in _SINGLE:
            if key in self.step.model_fields_set:
                hint = f"write it there, in {self.body.file}"
                what = f"`{key}` is for a step, and `{self.use.name}` is a pipeline"
                yield Fault(what, self._place_of(key), hint)

    def name_faults(self) -> Iterator[Fault]:
        """Names that the inner pipeline has not."""
        pipeline = self.body.pipeline
        groups = list_groups(pipeline.params)
        names_by_key = {"inputs": [n for n in pipeline.inputs if "." not in n]}
        names_by_key["params"] = names_by_key["with"] = [
            *(n for n in pipeline.params if "." not in n),
            *groups,
        ]
        for key, name, position in self._given_names():
            possible = names_by_key[key]
            if name in possible or self.body.blind or name in self.body.malformed:
                continue
            other, noun = ("params", "input") if key == "inputs" else ("inputs", "parameter")
            hint = did_you_mean(name, possible)
            if not hint and possible:
                hint = f"it has {', '.join(possible)}"
            if name in names_by_key[other]:
                hint = f"write it under `{other}`"
            what = f"pipeline `{pipeline.name}` has no {noun} `{name}`"
            yield Fault(what, self._place_of(key, position), hint)

    def _given_names(self) -> Iterator[tuple[str, str, str | int]]:
        for key in ("inputs", "params"):
            for name, _, position in list_bindings(self.step, key):
                if name:
                    yield key, name, position
        yield from (("with", name, name) for name in self.step.literals)

    def group_faults(self) -> Iterator[Fault]:
        """Groups that are given in part, or as something else."""
        outer, inner = self.declared.pipeline.params, self.body.pipeline.params
        for group in list_groups(inner) & self.use.arguments.keys():
            expected = _names_in(inner, group)
            key = "params"
            match self.use.arguments[group]:
                case Literal(value=value):
                    names = set(flatten_values(value)) if isinstance(value, Mapping) else set()
                    key = "with"
                case FromParam(name=name):
                    names = _names_in(outer, name)
                case FromRun():  # a text
                    names = set()
                case _:  # an item, whose keys are known when it is there
                    continue
            if names != expected:
                odd = sorted(names ^ expected)
                what = f"`{group}` is a group of {', '.join(sorted(expected))}"
                what += (
                    f": `{odd[0]}` is not given"
                    if odd[0] in expected
                    else f": it has no `{odd[0]}`"
                )
                yield Fault(what, self._place_of(key, group), "give all of it")


def _names_in(params: Iterable[str], group: str) -> set[str]:
    return {name.removeprefix(f"{group}.") for name in names_below(params, group)}
