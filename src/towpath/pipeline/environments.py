"""What a pipeline declares for an environment: values and inputs in place of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from towpath.config.parameter_groups import list_groups, names_below
from towpath.errors import Fault, UsageError, did_you_mean
from towpath.pipeline.file_formats import given_input

if TYPE_CHECKING:
    from towpath.config.environment_declaration import EnvironmentDeclaration
    from towpath.config.pipeline_declaration import Pipeline
    from towpath.config.pipeline_file import DeclaredPipeline


def apply_environment(pipeline: Pipeline, environment: str) -> Pipeline:
    """The pipeline whose defaults and inputs are those of an environment; UsageError where it
    declares none of that name."""
    if not environment:
        return pipeline
    declared = pipeline.environments.get(environment)
    if declared is None:
        what = f"pipeline `{pipeline.name}` declares nothing for `{environment}`"
        hint = _near_or_all(environment, pipeline.environments)
        raise UsageError(what, hint=hint or f"write `for: {{{environment}: {{params: ...}}}}`")
    params: dict[str, Any] = dict(pipeline.params)
    for name, value in declared.params.items():
        params[name] = params[name].model_copy(update={"default": value})
    inputs: dict[str, Any] = dict(pipeline.inputs)
    for name, path in declared.inputs.items():
        # Another path is not where the data from elsewhere is brought to.
        inputs[name] = given_input(inputs[name], path).model_copy(update={"address": None})
    return pipeline.model_copy(update={"params": params, "inputs": inputs})


def environment_faults(declared: DeclaredPipeline) -> Iterator[Fault]:
    """Names that nothing has, and values that do not fit, in what is declared for environments."""
    for name, environment in declared.pipeline.environments.items():
        yield from _param_faults(declared, name, environment)
        yield from _input_faults(declared, name, environment)


def _param_faults(
    declared: DeclaredPipeline, environment: str, values: EnvironmentDeclaration
) -> Iterator[Fault]:
    params = declared.pipeline.params
    for name, value in values.params.items():
        place = declared.places.find_place("for", environment, "params", *name.split("."))
        if name in params:
            if problem := params[name].find_problem(value):
                yield Fault(f"parameter `{name}` {problem}", place)
        elif not _may_be_there(declared, name.partition(".")[0]):
            what, hint = describe_unknown_param(declared, name)
            if name in declared.pipeline.inputs:
                hint = "it is an input: write it under `inputs`"
            yield Fault(what, place, hint)


def describe_unknown_param(declared: DeclaredPipeline, name: str) -> tuple[str, str | None]:
    """What is said of a name that no parameter has, and the hint."""
    params = declared.pipeline.params
    what = f"the pipeline has no parameter `{name}`"
    if name in list_groups(params):
        listed = ", ".join(names_below(params, name))
        return f"`{name}` is a group of parameters", f"it has {listed}"
    if name in declared.unnamed_values:
        return what, f"no step names this value of {declared.param_file}"
    return what, _near_or_all(name, params)


def _near_or_all(name: str, names: Mapping[str, object]) -> str | None:
    return did_you_mean(name, names) or (f"it has {', '.join(names)}" if names else None)


def _input_faults(
    declared: DeclaredPipeline, environment: str, values: EnvironmentDeclaration
) -> Iterator[Fault]:
    inputs = declared.pipeline.inputs
    for name in values.inputs:
        if name in inputs or _may_be_there(declared, name):
            continue
        hint = _near_or_all(name, inputs)
        if name in declared.pipeline.params:
            hint = "it is a parameter: write it under `params`"
        place = declared.places.find_place("for", environment, "inputs", name)
        yield Fault(f"the pipeline has no input `{name}`", place, hint)


def _may_be_there(declared: DeclaredPipeline, name: str) -> bool:
    # What could not be read is told where it stands.
    return declared.blind or name in declared.malformed
