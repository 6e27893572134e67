"""A parameter of a pipeline: its type, its bounds, and whether a value is within them."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import BeforeValidator, Field, model_validator

from towpath.config.declaration import Declaration
from towpath.config.names_and_paths import refuse_value

ParamType: TypeAlias = Literal["string", "integer", "number", "boolean", "list"]
_SHOWN: dict[str, str] = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "list": "a list",
}


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
            return (
                f"must be one of {', '.join(map(_quote_value, self.choices))}, not "
                f"{_quote_value(value)}"
            )
        outside = next(
            (key for key, bound in self.declared_bounds.items() if not _HOLDS[key](value, bound)),
            None,
        )
        if outside:
            words = outside.replace("_", " ")
            return f"must be {words} {self.declared_bounds[outside]:g}, not {_quote_value(value)}"
        return None

    @model_validator(mode="after")
    def _require_consistency(self) -> Self:
        if self.type is None and self.default is None and not self.choices:
            hint = "write `{type: number}`, or give it a default"
            refuse_value("without a default it needs a type", hint)
        if self.declared_bounds and self.accepted_type not in ("integer", "number"):
            refuse_value(
                f"`{next(iter(self.declared_bounds))}` bounds a number, not "
                f"{_SHOWN[self.accepted_type]}"
            )
        if self.choices is not None and not self.choices:
            refuse_value("`choices` is empty")
        if isinstance(self.default, Mapping):
            refuse_value("its default must be text, a number, true, false or a list, not a mapping")
        wrong = [] if self.required else [self.find_problem(self.default)]
        for what in filter(None, wrong):
            refuse_value(f"its default {what}")
        self._choices_fit()
        return self

    def _choices_fit(self) -> None:
        for choice in self.choices or ():
            if not _fits_type(choice, self.accepted_type):
                refuse_value(
                    f"the choice {_quote_value(choice)} is not {_SHOWN[self.accepted_type]}"
                )


def short_form(value: Any) -> Any:
    """``max_mse: 6.0`` is ``max_mse: {default: 6.0}``."""
    if isinstance(value, Mapping | Param):
        return value
    if value is None:
        hint = "write a default, or `{type: number}` for one that each run must give"
        refuse_value("it has no value", hint)
    return {"default": value}


AnyParam: TypeAlias = Annotated[Param, BeforeValidator(short_form)]


def _type_of(value: Any) -> ParamType:
    if isinstance(value, bool):
        return "boolean"
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
    """Whether a text has bytes: half of a character, as a wrong encoding leaves it, has none."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _quote_value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"`{value}`" if isinstance(value, str) else "null" if value is None else str(value)
