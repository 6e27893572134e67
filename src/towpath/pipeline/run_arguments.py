"""The values of one run: parameters and inputs as given, or as declared."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field
from msgspec.structs import replace
from pydantic_core import PydanticCustomError

from towpath import documents
from towpath.config import names_and_paths
from towpath.config.file_declaration import Input, Output, Readable
from towpath.config.parameter_declaration import (
    Param,
    flatten_values,
    list_groups,
    names_below,
    strip_prefix,
)
from towpath.config.pipeline_declaration import Pipeline, QualityCheck
from towpath.errors import DeclarationError, Fault, Place, UsageError, did_you_mean
from towpath.pipeline.file_formats import given_input
from towpath.pipeline.step_graph import FromInput, Node, Source, outputs_of

if TYPE_CHECKING:
    from towpath.config.pipeline_file import DeclaredPipeline


class RunValues(Struct, frozen=True):
    """What a run is given: parameters, typed or as text of a command line, by dotted name or
    nested; other paths for inputs; the environment that it is for. ``places`` are the lines of
    parameters that a file gave."""

    params: Mapping[str, object] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)
    environment: str = ""
    places: Mapping[str, Place] = field(default_factory=dict)


class BoundArguments(Struct, frozen=True):
    """The values of a run's parameters, its inputs, and what does not fit.

    ``pipeline`` has the defaults of the run's environment. ``given`` names the parameters and
    inputs whose value is not the one that the pipeline declares, ``tried`` those whose value is not
    the one that it declares for that environment.
    """

    pipeline: Pipeline
    params: Mapping[str, Any]
    inputs: Mapping[str, str]
    faults: tuple[Fault, ...]
    given: frozenset[str] = frozenset()
    tried: frozenset[str] = frozenset()


def bind_arguments(declared: DeclaredPipeline, values: RunValues) -> BoundArguments:
    """Give each parameter and input its value; every misfit is a fault.

    UsageError where the pipeline declares no such environment.
    """
    pipeline = apply_environment(declared.pipeline, values.environment)
    arguments: dict[str, object] = {}
    for name, value in values.params.items():  # `{"train": {"rate": 1}}` and `params.train.rate`
        arguments |= flatten_values({strip_prefix(name): value})
    faults: list[Fault] = [
        *_unknown_params(declared, arguments),
        *_unknown_inputs(pipeline, values.inputs),
    ]
    params: dict[str, Any] = {}
    for name, param in pipeline.params.items():
        try:
            params[name] = _parameter_value(name, param, arguments)
        except DeclarationError as error:
            faults += error.faults
    paths = {name: path for name, path in values.inputs.items() if name in pipeline.inputs}
    # `--input name=` takes nothing in the place of what may be missing.
    needed = {n: path for n, path in paths.items() if path or not pipeline.inputs[n].optional}
    faults += _input_faults(needed)
    taken = {n: _taken_path(file.path, paths.get(n)) for n, file in pipeline.inputs.items()}
    for index, fault in enumerate(faults):
        if named := next((n for n in values.places if f"`{n}`" in fault.what), None):
            faults[index] = replace(fault, place=values.places[named])
    given = _other_names(declared.pipeline, params, taken)
    tried = _other_names(pipeline, params, taken)
    return BoundArguments(pipeline, params, taken, tuple(faults), given, tried)


def _other_names(
    pipeline: Pipeline, params: Mapping[str, Any], inputs: Mapping[str, str]
) -> frozenset[str]:
    # These make a run a trial, so only what is another value counts, and not what was typed.
    names = {name for name, value in params.items() if _is_other(pipeline.params[name], value)}
    declared = pipeline.inputs
    others = {n for n, path in inputs.items() if not _is_same_path(path, declared[n].path)}
    return frozenset(names | others)


def declare_check_data(nodes: Mapping[str, Node], inputs: Mapping[str, Input]) -> dict[str, Node]:
    """The nodes, in which the ``data`` of a check has the extension of what it checks, and is read
    as that is.

    ``nodes`` are in order, so that a check of checked data finds the first one's.
    """
    filled_nodes: dict[str, Node] = {}
    for name, node in nodes.items():
        if isinstance(node.step, QualityCheck) and "data" in node.arguments:
            node = _with_data(node, _checked_file(node.arguments["data"], filled_nodes, inputs))
        filled_nodes[name] = node
    return filled_nodes


def _taken_path(declared: str, given: str | None) -> str:
    """What is given in its shortest form; the declared one, however that is written."""
    if given is None or _is_same_path(given, declared):
        return declared
    return _shortest_path(given)


def _is_same_path(path: str, other: str) -> bool:
    return _shortest_path(path).rstrip("/") == _shortest_path(other).rstrip("/")


def _shortest_path(path: str) -> str:
    if not path or names_and_paths.is_model_reference(path):
        return path
    return posixpath.normpath(path) + ("/" if names_and_paths.is_folder_path(path) else "")


def _is_other(param: Param, value: Any) -> bool:
    # For a required parameter nothing is declared, so that any value is another. A declared NaN,
    # given again, is the declared value: no trial.
    both_nan = value != value and param.default != param.default
    return param.required or not (value == param.default or both_nan)


def _unknown_params(declared: DeclaredPipeline, arguments: Mapping[str, object]) -> Iterator[Fault]:
    for name in arguments:
        if name not in declared.pipeline.params:
            what, hint = describe_unknown_param(declared, name)
            if name in declared.pipeline.inputs:
                hint = f"it is an input: write `--input {name}=...`"
            yield Fault(what, hint=hint or "it has no parameters")


def _unknown_inputs(pipeline: Pipeline, inputs: Mapping[str, str]) -> Iterator[Fault]:
    for name in inputs:
        if name not in pipeline.inputs:
            hint = _near_or_all(name, pipeline.inputs) or "it has no inputs"
            if name in pipeline.params:
                hint = f"it is a parameter: write `--param {name}=...`"
            yield Fault(f"the pipeline has no input `{name}`", hint=hint)


def _parameter_value(name: str, param: Param, arguments: Mapping[str, object]) -> Any:
    if name not in arguments:
        if param.required:
            hint = f"write `--param {name}=...`"
            raise DeclarationError(Fault(f"parameter `{name}` must be given", hint=hint))
        return param.default
    value = arguments[name]
    if isinstance(value, str) and param.accepted_type != "string":
        value = _parse_typed(name, value)
    # A form of Prefect's gives 100.0 for a default of 100: a library that counts wants 100.
    if isinstance(value, float) and type(param.default) is int and value.is_integer():
        value = int(value)
    value = list(value) if isinstance(value, tuple) else value
    if problem := param.find_problem(value):
        raise DeclarationError(Fault(f"parameter `{name}` {problem}", hint=param.description))
    # 1 for a declared 1.0 is the declared value: in a key the two would differ.
    return value if _is_other(param, value) else param.default


def _parse_typed(name: str, text: str) -> Any:
    """Text from a command line as the value that it would be in a file."""
    try:
        return documents.parse_value(text)
    except DeclarationError as error:
        fault = error.faults[0]
        hint = f"write `--param {name}={_plain_spelling(text)}`"
        raise DeclarationError(Fault(f"parameter `{name}`: {fault.what}", hint=hint)) from None


def _plain_spelling(text: str) -> str:
    # Quotes would be the shell's, and make it text: so the value in a form without doubt.
    word = text.strip().lower()
    if word in ("yes", "on", "no", "off"):
        return "true" if word in ("yes", "on") else "false"
    digits = text.replace("_", "")
    if digits.lstrip("+-").isdigit():
        return str(int(digits))
    return "..."


def _input_faults(given: Mapping[str, str]) -> Iterator[Fault]:
    for name, path in given.items():
        try:
            # An absolute path is of this machine; what registers refuses it, with the way in.
            if not PurePosixPath(path).is_absolute():
                names_and_paths.check_source(path)
        except PydanticCustomError as error:
            context = error.context or {}
            yield Fault(f"input `{name}`: {context['what']}", hint=context["hint"])


def _checked_file(
    source: Source, done: Mapping[str, Node], inputs: Mapping[str, Input]
) -> Input | Output | None:
    if isinstance(source, FromInput):
        return inputs[source.name]
    outputs = outputs_of(source)
    return done[outputs[0].step].outputs[outputs[0].output] if outputs else None


def _with_data(node: Node, checked: Input | Output | None) -> Node:
    path = checked.path if checked else ""
    name = PurePosixPath(path).name
    extension = name[name.find(".") :] if "." in name else ""
    suffix = "/" if names_and_paths.is_folder_path(path) else extension
    read = {key: getattr(checked, key) for key in Readable.model_fields} if checked else {}
    data = node.outputs["data"].model_copy(update={**read, "path": f"data{suffix}"})
    loop = node.loop and replace(node.loop, outputs={**node.loop.outputs, "data": data})
    return replace(node, outputs={**node.outputs, "data": data}, loop=loop)


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
    params, inputs = declared.pipeline.params, declared.pipeline.inputs
    for environment, values in declared.pipeline.environments.items():
        for name, value in values.params.items():
            place = declared.places.find_place("for", environment, "params", *name.split("."))
            if name in params:
                if problem := params[name].find_problem(value):
                    yield Fault(f"parameter `{name}` {problem}", place)
            elif not _may_be_there(declared, name.partition(".")[0]):
                what, hint = describe_unknown_param(declared, name)
                as_input = "it is an input: write it under `inputs`"
                yield Fault(what, place, as_input if name in inputs else hint)
        for name in values.inputs:
            if name not in inputs and not _may_be_there(declared, name):
                place = declared.places.find_place("for", environment, "inputs", name)
                as_param = "it is a parameter: write it under `params`"
                hint = as_param if name in params else _near_or_all(name, inputs)
                yield Fault(f"the pipeline has no input `{name}`", place, hint)


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


def _may_be_there(declared: DeclaredPipeline, name: str) -> bool:
    # What could not be read is told where it stands.
    return declared.blind or name in declared.malformed
