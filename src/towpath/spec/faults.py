"""What pydantic found, in our words and with the place in the file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from towpath.errors import Fault, Place, did_you_mean

Locate = Callable[..., Place | None]
_MUST: Mapping[str, str] = {
    "string_type": "must be text",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "tuple_type": "must be a list",
    "mapping_type": "must be a mapping",
    "dict_type": "must be a mapping",
    "model_type": "must be a mapping",
    "model_attributes_type": "must be a mapping",
    "greater_than": "must be above {gt:g}",
    "greater_than_equal": "must be at least {ge:g}",
    "less_than": "must be below {lt:g}",
    "less_than_equal": "must be at most {le:g}",
    "literal_error": "must be {expected}",
}

_HOW: Mapping[str, str] = {
    "run": "`run: prepare` calls the function `prepare` of steps.py",
    "if": "write `if: evaluate.metrics.mse <= max_mse`",
    "as": "write `as:` and the model's name",
    "expectations": "write `expectations: expectations/raw.yaml`",
    "outputs": "write `outputs: [scored.parquet]`",
    "inputs": "write `inputs:` and what the step takes",
    "message": "write `message:` and what to say",
}


def faults_of(
    error: ValidationError, model: type[BaseModel], owner: str, locate: Locate
) -> Iterator[Fault]:
    """Each thing that pydantic found as a fault.

    ``owner`` is what the model is called in messages (``a training step``); ``locate`` gives the
    place of pydantic's ``loc``.
    """
    for found in error.errors(include_url=False):
        loc = tuple(found["loc"])
        yield _fault(found, loc, _model_at(model, loc), owner, locate(*loc))


def _fault(
    found: Any, loc: tuple[str | int, ...], model: type[BaseModel], owner: str, place: Place | None
) -> Fault:
    key = _key(loc)
    match found["type"]:
        case "towpath":
            return Fault(found["ctx"]["what"], place, found["ctx"]["hint"])
        case "missing":
            return Fault(f"`{key}` is missing in {owner}", place, _HOW.get(key))
        case "extra_forbidden":
            return Fault(f"{owner} has no key `{key}`", place, did_you_mean(key, keys(model)))
    must = _MUST.get(found["type"], found["msg"].lower())
    must = must.format(**found.get("ctx", {})).replace("'", "`")
    return Fault(f"`{key}` {must}, not {shown(found['input'])}", place, _mend(found))


def _mend(found: Any) -> str | None:
    value = found["input"]
    if found["type"] == "string_type" and isinstance(value, int | float):
        return "write it in quotes"
    if found["type"] == "literal_error" and isinstance(value, str):
        return did_you_mean(value, found["ctx"]["expected"].replace("'", "").split(" or "))
    return None


def keys(model: type[BaseModel]) -> list[str]:
    """The keys of a declared type as they are written."""
    return [field.alias or name for name, field in model.model_fields.items()]


def shown(value: Any) -> str:
    """A value of a document as a message says it."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            return f"`{value}`" if value else "empty text"
        case int() | float():
            return str(value)
        case Mapping():
            return "a mapping"
    return "a list"


def _key(loc: tuple[str | int, ...]) -> str:
    names = [part for part in loc if isinstance(part, str) and part not in _BRANCHES]
    return names[-1] if names else "it"


_BRANCHES = {"list", "mapping", "switch", "[key]"}


def _model_at(model: type[BaseModel], loc: tuple[str | int, ...]) -> type[BaseModel]:
    """The innermost declared type on the way to a place: whose keys are the near ones."""
    from towpath.spec.pipeline import Expiry, Output, Plot, Retry

    inner: dict[str | int, type[BaseModel]] = {
        "retry": Retry,
        "cache": Expiry,
        "outputs": Output,
        "plot": Plot,
    }
    on_the_way = [inner[part] for part in loc[:-1] if part in inner]
    return on_the_way[-1] if on_the_way else model
