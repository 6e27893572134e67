"""The parameters of a pipeline's flow: its parameters, nested as they are declared, and inputs."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, create_model

from towpath.config.file_declaration import Input
from towpath.config.parameter_declaration import flatten_values, nest_values

if TYPE_CHECKING:
    from towpath.config.parameter_declaration import Param
    from towpath.config.pipeline_declaration import Pipeline
    from towpath.pipeline.step_graph import Graph

_TYPES: Mapping[str, Any] = {
    "string": str,
    "integer": int,
    "number": float,
    "boolean": bool,
    "list": list[Any],
}
_KIND = inspect.Parameter.KEYWORD_ONLY


def flow_signature(pipeline: Pipeline) -> inspect.Signature:
    """Keyword parameters with types, bounds and defaults; those without a default come first.

    A group of parameters is a model of its own; an input takes a path, or a model's version.
    """
    inner = {name: file for name, file in pipeline.inputs.items() if "." in name}
    tree = nest_values({**pipeline.params, **inner})
    parameters = [
        _group_parameter(name, item) if isinstance(item, dict) else _flow_parameter(name, item)
        for name, item in tree.items()
    ]
    parameters += [
        inspect.Parameter(name, _KIND, default=file.path, annotation=str)
        for name, file in pipeline.inputs.items()
        if name not in inner
    ]
    return inspect.Signature(sorted(parameters, key=lambda p: p.default is not p.empty))


def flow_docstring(pipeline: Pipeline) -> str:
    """The description, and an ``Args:`` section, from which Prefect takes each field's words."""
    described = {n: p.description for n, p in pipeline.params.items() if p.description}
    lines = [pipeline.description or f"The pipeline {pipeline.name}."]
    top_level = {name: text for name, text in described.items() if "." not in name}
    own = [name for name in pipeline.inputs if "." not in name]
    inputs = dict.fromkeys(own, "A path from the project's root, or a model.")
    if top_level or inputs:
        rows = {**top_level, **inputs}.items()
        lines += ["", "Args:", *(f"    {name}: {text}" for name, text in rows)]
    return "\n".join(lines)


def flow_arguments(graph: Graph) -> dict[str, Any]:
    """What the flow of a graph is called with for its run."""
    return nest_values({**graph.params, **graph.inputs})


def plain_arguments(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a call as JSON's types: a group is a mapping."""
    return {
        name: value.model_dump() if isinstance(value, BaseModel) else value
        for name, value in arguments.items()
    }


def split_arguments(
    pipeline: Pipeline, arguments: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The arguments of a call as parameters by dotted name, and as inputs."""
    values = flatten_values(plain_arguments(arguments))
    inputs = {name: value for name, value in values.items() if name in pipeline.inputs}
    return {name: value for name, value in values.items() if name not in inputs}, inputs


def _group_parameter(name: str, group: Mapping[str, Any]) -> inspect.Parameter:
    annotation, default = _group_field(name, group)
    default = inspect.Parameter.empty if default is ... else default
    return inspect.Parameter(name, _KIND, default=default, annotation=annotation)


def _group_field(name: str, group: Mapping[str, Any]) -> tuple[Any, Any]:
    """The type of a group and its default, which is ``...`` where one of its values has none."""
    fields: dict[str, Any] = {
        # Prefect's form knows types by name: `fit` of one inner pipeline is not another's.
        key: _group_field(f"{name}_{key}", item) if isinstance(item, dict) else _leaf_field(item)
        for key, item in group.items()
    }
    defaults = {key: default for key, (_, default) in fields.items()}
    default = ... if ... in defaults.values() else defaults
    # A file of values may have keys that are no names of Python's, which no model can have.
    if not all(key.isidentifier() and not key.startswith("_") for key in fields):
        return dict[str, Any], default
    config = ConfigDict(extra="forbid", protected_namespaces=())
    model: Any = create_model(name, __config__=config, **fields)
    return model, default


def _leaf_field(param: Param | Input) -> tuple[Any, Any]:
    if isinstance(param, Input):  # of a pipeline in this one, beside its parameters
        return str, param.path
    annotation = _parameter_annotation(param)
    if param.description:
        annotation = Annotated[annotation, Field(description=param.description)]
    return annotation, ... if param.required else param.default


def _flow_parameter(name: str, param: Param) -> inspect.Parameter:
    default = inspect.Parameter.empty if param.required else param.default
    return inspect.Parameter(name, _KIND, default=default, annotation=_parameter_annotation(param))


def _parameter_annotation(param: Param) -> Any:
    if param.choices:
        nothing = () if param.required or param.default is not None else (None,)
        return Literal[*param.choices, *nothing]
    bounds = {"gt": param.above, "lt": param.below, "ge": param.at_least, "le": param.at_most}
    given_bounds: dict[str, Any] = {n: bound for n, bound in bounds.items() if bound is not None}
    kind = _TYPES[param.accepted_type]
    bounded = Annotated[kind, Field(**given_bounds)] if given_bounds else kind
    return bounded if param.required or param.default is not None else bounded | None
