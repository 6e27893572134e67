"""Parameters as they are declared and given: alone, in groups, and for an environment."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Annotated, Any, Literal, Self, TypeAlias, get_args

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from towpath import documents
from towpath.config import names_and_paths as grammar
from towpath.config.declaration import Declaration, declared_keys
from towpath.errors import did_you_mean

#: What a reference to a parameter may begin with, and one to a nested parameter must.
PREFIX = "params"

ParamType: TypeAlias = Literal["string", "integer", "number", "boolean", "list"]
_SHOWN: dict[str, str] = {
    "string": "text", "integer": "a whole number", "number": "a number",
    "boolean": "true or false", "list": "a list",
}  # fmt: skip
_HOLDS: dict[str, Callable[[Any, float], bool]] = {
    "above": operator.gt,
    "at_least": operator.ge,
    "below": operator.lt,
    "at_most": operator.le,
}


class Param(Declaration):
    """A parameter; without a default it must be given for each run.

    ``default: null`` is a default too, and needs a ``type``.
    """

    default: Any = None
    """The value of a run that gives none; without it each run must give one."""
    type: ParamType | None = None
    """The type of its values: by default the default's; an integer takes no float."""
    choices: Annotated[tuple[Any, ...], Field(strict=False)] | None = None
    """The values that are allowed."""
    above: float | None = None
    """The value must be greater."""
    below: float | None = None
    """The value must be less."""
    at_least: float | None = None
    """The value must be this or greater."""
    at_most: float | None = None
    """The value must be this or less."""
    description: str | None = None
    """What it is for; Prefect's form shows it."""

    @property
    def required(self) -> bool:
        """Whether a run must give a value."""
        return "default" not in self.model_fields_set

    @property
    def accepted_type(self) -> ParamType:
        """The type of its values: as declared, or as the default or the choices have it."""
        if self.type:
            return self.type
        sample = self.default if self.default is not None else (self.choices or ("",))[0]
        return "list" if isinstance(sample, list) else _type_of(sample)

    @property
    def declared_bounds(self) -> Mapping[str, float]:
        """The bounds that are declared, by key."""
        return {key: getattr(self, key) for key in _HOLDS if getattr(self, key) is not None}

    def find_problem(self, value: Any) -> str | None:
        """What is wrong with a value, in words that follow its name, or None."""
        if value is None and not self.required and self.default is None:
            return None
        if not _fits_type(value, self.accepted_type):
            return f"must be {_SHOWN[self.accepted_type]}, not {_quote_value(value)}"
        if self.choices is not None and value not in self.choices:
            choices = ", ".join(map(_quote_value, self.choices))
            return f"must be one of {choices}, not {_quote_value(value)}"
        for key, bound in self.declared_bounds.items():
            if not _HOLDS[key](value, bound):
                return f"must be {key.replace('_', ' ')} {bound:g}, not {_quote_value(value)}"
        return None

    @model_validator(mode="after")
    def _require_consistency(self) -> Self:
        if self.type is None and self.default is None and not self.choices:
            hint = "write `{type: number}`, or give it a default"
            grammar.refuse_value("without a default it needs a type", hint)
        bound = next(iter(self.declared_bounds), None)
        if bound and self.accepted_type not in ("integer", "number"):
            grammar.refuse_value(f"`{bound}` bounds a number, not {_SHOWN[self.accepted_type]}")
        if self.choices is not None and not self.choices:
            grammar.refuse_value("`choices` is empty")
        if isinstance(self.default, Mapping):
            what = "its default must be text, a number, true, false or a list, not a mapping"
            grammar.refuse_value(what)
        if not self.required and (problem := self.find_problem(self.default)):
            grammar.refuse_value(f"its default {problem}")
        self._require_fitting_choices()
        return self

    def _require_fitting_choices(self) -> None:
        for choice in self.choices or ():
            if not _fits_type(choice, self.accepted_type):
                what = f"the choice {_quote_value(choice)} is not {_SHOWN[self.accepted_type]}"
                grammar.refuse_value(what)


def short_form(value: Any) -> Any:
    """``max_mse: 6.0`` is ``max_mse: {default: 6.0}``."""
    if isinstance(value, Mapping | Param):
        return value
    if value is None:
        hint = "write a default, or `{type: number}` for one that each run must give"
        grammar.refuse_value("it has no value", hint)
    return {"default": value}


def _type_of(value: Any) -> ParamType:
    if isinstance(value, bool):
        return "boolean"
    # `max_mse: 6` takes 6.5 too: who wants whole numbers alone says `type: integer`.
    return "number" if isinstance(value, int | float) else "string"


def _fits_type(value: Any, param_type: ParamType) -> bool:
    match param_type:
        case "boolean":
            return isinstance(value, bool)
        case "integer":
            return isinstance(value, int) and not isinstance(value, bool)
        case "number":
            number = isinstance(value, int | float) and not isinstance(value, bool)
            return number and (isinstance(value, int) or math.isfinite(value))
        case "list":
            return isinstance(value, list | tuple)
        case "string":
            return isinstance(value, str) and _is_whole(value)


def _is_whole(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # half a character, as a wrong encoding leaves it, has no bytes
        return False
    return True


def _quote_value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"`{value}`" if isinstance(value, str) else "null" if value is None else str(value)


def declares_parameter(data: Mapping[str, Any]) -> bool:
    """Whether a mapping is the long form of one parameter, and no group of several.

    It is where it says ``default``, ``choices`` or one of the types, or has no keys but those of
    the long form; a group may have a key ``type`` with another value.
    """
    if "default" in data or isinstance(data.get("choices"), list | tuple):
        return True
    if "type" in data:
        word, words = data["type"], get_args(ParamType)
        return isinstance(word, str) and (word in words or did_you_mean(word, words) is not None)
    keys = declared_keys(Param)
    return all(key in keys or did_you_mean(str(key), keys) for key in data)


def _flatten_groups(values: Any, is_group: Callable[[Mapping[str, Any]], bool]) -> Any:
    """Values by dotted name. What is no mapping stays as it is, for the declared type to refuse."""
    if not isinstance(values, Mapping):
        return values
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping) and is_group(value):
            inside = _flatten_groups(value, is_group)
            flat |= {f"{name}.{inner}": item for inner, item in inside.items()}
        else:
            flat[name] = value
    return flat


def flatten_params(params: Any) -> Any:
    """Declared parameters by dotted name; a mapping that declares none is a group."""
    return _flatten_groups(params, lambda value: not declares_parameter(value))


def flatten_values(values: Any) -> Any:
    """Values by dotted name; every mapping that holds something is a group."""
    return _flatten_groups(values, bool)


def check_parameter_path(text: str) -> str:
    """A parameter's dotted name, each part of which is a name."""
    for part in text.split("."):
        grammar.check_parameter(grammar.check_argument_name(part))
    return text


AnyParam: TypeAlias = Annotated[Param, BeforeValidator(short_form)]
ParamPath: TypeAlias = Annotated[str, AfterValidator(check_parameter_path)]


# Several parameters: each value by its dotted name, and the values as they nest.


def list_leaves(
    entry: documents.DocumentEntry, above: tuple[str, ...] = (), values_alone: bool = False
) -> Iterator[tuple[tuple[str, ...], documents.DocumentEntry]]:
    """Each parameter below an entry with the keys that lead to it. With ``values_alone``, as in a
    file of values, every mapping is a group."""
    path = (*above, entry.key)
    node = entry.node
    is_mapping = isinstance(node, documents.Mapping) and bool(node.entries)
    if not is_mapping or not (values_alone or not declares_parameter(documents.plain_data(node))):
        yield path, entry
        return
    assert isinstance(node, documents.Mapping)
    for inner in node.entries:
        yield from list_leaves(inner, path, values_alone)


def nest_values(flat: Mapping[str, Any]) -> dict[str, Any]:
    """The values as they nest: ``{"train.rate": 1}`` is ``{"train": {"rate": 1}}``."""
    nested: dict[str, Any] = {}
    for name, value in flat.items():
        *groups, last = name.split(".")
        inner = nested
        for group in groups:
            inner = inner.setdefault(group, {})
        inner[last] = value
    return nested


def list_groups(names: Iterable[str]) -> set[str]:
    """The groups that dotted names lie in: of ``train.fit.rate`` ``train`` and ``train.fit``."""
    parts = (name.split(".") for name in names)
    return {".".join(path[:size]) for path in parts for size in range(1, len(path))}


def names_below(names: Iterable[str], group: str) -> list[str]:
    """The dotted names that lie in a group."""
    return [name for name in names if name.startswith(f"{group}.")]


def find_parameter(values: Mapping[str, Any], name: str) -> Any:
    """The value of a parameter, or of a group all of its values as they nest. KeyError for a name
    that is neither."""
    members = names_below(values, name)
    if name in values or not members:
        return values[name]
    return nest_values({member.removeprefix(f"{name}."): values[member] for member in members})


def strip_prefix(name: str) -> str:
    """``params.train.rate`` as it is kept: ``train.rate``."""
    return name.removeprefix(f"{PREFIX}.")


# What a pipeline declares for an environment, such as `prod`.


class EnvironmentDeclaration(Declaration):
    """What a run for an environment takes in place of what the pipeline declares."""

    description: str | None = None
    """What the environment is."""
    params: Annotated[Mapping[ParamPath, Any], BeforeValidator(flatten_values)] = Field(
        default_factory=dict
    )
    """Values of parameters, nested as they are declared."""
    inputs: Mapping[grammar.Name, grammar.InputSource] = Field(default_factory=dict)
    """Paths and models in place of those of inputs."""


def empty_mapping(value: Any) -> Any:
    """``dev:`` alone is an environment too, for which nothing differs."""
    return {} if value is None else value


AnyEnvironment: TypeAlias = Annotated[EnvironmentDeclaration, BeforeValidator(empty_mapping)]
