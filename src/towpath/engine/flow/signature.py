"""A pipeline's parameters as a typed signature: Prefect makes its form and its checks of it."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from towpath.spec.param import Param
from towpath.spec.pipeline import Pipeline

_TYPES: Mapping[str, Any] = {
    "string": str,
    "integer": int,
    "number": float,
    "boolean": bool,
    "list": list[Any],
}


def signature(pipeline: Pipeline) -> inspect.Signature:
    """Keyword parameters with types, bounds and defaults; those without a default come first."""
    parameters = [_parameter(name, param) for name, param in pipeline.params.items()]
    return inspect.Signature(sorted(parameters, key=lambda p: p.default is not p.empty))


def docstring(pipeline: Pipeline) -> str:
    """The description, and an ``Args:`` section, from which Prefect takes each field's words."""
    described = {n: p.description for n, p in pipeline.params.items() if p.description}
    lines = [pipeline.description or f"The pipeline {pipeline.name}."]
    if described:
        lines += ["", "Args:", *(f"    {name}: {text}" for name, text in described.items())]
    return "\n".join(lines)


def _parameter(name: str, param: Param) -> inspect.Parameter:
    default = inspect.Parameter.empty if param.required else param.default
    kind = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(name, kind, default=default, annotation=_annotation(param))


def _annotation(param: Param) -> Any:
    if param.choices:
        nothing = () if param.required or param.default is not None else (None,)
        return Literal[*param.choices, *nothing]
    bounds = {"gt": param.above, "lt": param.below, "ge": param.at_least, "le": param.at_most}
    given: dict[str, Any] = {n: bound for n, bound in bounds.items() if bound is not None}
    kind = _TYPES[param.accepts]
    bounded = Annotated[kind, Field(**given)] if given else kind
    return bounded if param.required or param.default is not None else bounded | None
