"""The border: what every declared type has in common, its short forms, and its unions by kind."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, TypeAlias, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from towpath.config import expression, message_template, names_and_paths, output_reference
from towpath.config.names_and_paths import refuse_value
from towpath.errors import did_you_mean


class Declaration(BaseModel):
    """Frozen; an unknown key is a fault, and so is text where a number belongs."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        validate_by_name=True,
        validate_by_alias=True,
        defer_build=True,  # a command pays for the kinds that it meets
    )


def value_shape(value: Any) -> str:
    """Which branch of a union a value means to be, by its look alone: one fault, not one each."""
    if isinstance(value, Mapping | BaseModel):
        return "mapping"
    return "switch" if isinstance(value, bool) else "list"


by_shape = Discriminator(value_shape)


def one_or_more(value: Any) -> Any:
    """A single name stands for a list of one."""
    return (value,) if isinstance(value, str) else value


@dataclass(frozen=True)
class ShortForm:
    """A value of one type stands for a mapping: ``retry: 3`` is ``retry: {attempts: 3}``."""

    kind: type
    key: str

    def __call__(self, value: Any) -> Any:
        is_short = isinstance(value, self.kind) and not isinstance(value, bool)
        return {self.key: value} if is_short else value


def kinds_of(union: Any, key: str = "kind") -> Mapping[str, Any]:
    """The types of a union by the word that ``key`` has in each."""
    return {get_args(model.model_fields[key].annotation)[0]: model for model in get_args(union)}


@dataclass(frozen=True)
class Kinds:
    """A validator of a union by a key that says the kind: a command imports and builds only the
    kinds that it meets. ``module`` has the types by kind, in ``KINDS``; ``noun`` is what messages
    call one."""

    module: str
    noun: str
    key: str = "kind"

    @property
    def types_by_kind(self) -> Mapping[str, type[Declaration]]:
        """The types by kind."""
        types: Mapping[str, type[Declaration]] = importlib.import_module(self.module).KINDS
        return types

    def find_type(self, branch: str) -> type[Declaration] | None:
        """The type of a branch as pydantic's ``loc`` names it: ``[metric]``."""
        return self.types_by_kind.get(branch.strip("[]"))

    def __call__(self, value: Any) -> Any:
        """The declaration that a mapping holds.

        Raises:
            ValidationError: with the kind, in brackets, before the place of each error.
        """
        if isinstance(value, tuple(self.types_by_kind.values())):
            return value
        if not isinstance(value, Mapping):
            raise _validation_error(
                InitErrorDetails(type="mapping_type", input=value, ctx={"error": ""})
            )
        kind = value.get(self.key)
        if not isinstance(kind, str) or kind not in self.types_by_kind:
            raise _validation_error(self._unknown_kind_error(value))
        try:
            return self.types_by_kind[kind].model_validate(value, by_alias=True, by_name=False)
        except ValidationError as error:
            raise _validation_error(
                *(_error_below(f"[{kind}]", detail) for detail in error.errors())
            ) from None

    def _unknown_kind_error(self, value: Mapping[str, Any]) -> InitErrorDetails:
        hint = f"the kinds are {', '.join(self.types_by_kind)}"
        if self.key in value:
            word = str(value[self.key])
            what = f"`{word}` is no kind of {self.noun}"
            hint = did_you_mean(word, self.types_by_kind) or hint
        else:
            what = f"the {self.noun} does not say its `{self.key}`"
        error = PydanticCustomError("towpath", "{what}", {"what": what, "hint": hint})
        return InitErrorDetails(type=error, loc=(self.key,), input=value)


def _validation_error(*details: InitErrorDetails) -> ValidationError:
    return ValidationError.from_exception_data("declaration", list(details))


def _error_below(branch: str, error: Any) -> InitErrorDetails:
    kind = error["type"]
    if kind == "towpath":
        kind = PydanticCustomError("towpath", "{what}", error["ctx"])
    return InitErrorDetails(
        type=kind, loc=(branch, *error["loc"]), input=error["input"], ctx=error.get("ctx", {})
    )


@dataclass(frozen=True)
class Parsed:
    """A validator of text that a parser of ours must be able to read, and which stays text."""

    parse: Callable[[str], object]
    hint: str | None = None

    def __call__(self, text: str) -> str:
        try:
            self.parse(text)
        except ValueError as error:
            is_forbidden = "not allowed" in str(error)
            refuse_value(str(error), _ALLOWED if is_forbidden else self.hint)
        return text


_ALLOWED = "comparisons, `and`, `or`, `not`, `in` and arithmetic are"

REFERENCE = Parsed(output_reference.parse_alternatives)
CONDITION = Parsed(expression.parse_condition, "write it like `evaluate.metrics.mse <= max_mse`")
MESSAGE = Parsed(message_template.parse_message, "write `{evaluate.metrics.mse:.2f}`")

Ref: TypeAlias = Annotated[str, AfterValidator(REFERENCE)]
ConditionText: TypeAlias = Annotated[str, AfterValidator(CONDITION)]
MessageText: TypeAlias = Annotated[str, AfterValidator(MESSAGE)]
Bindings: TypeAlias = Annotated[
    Annotated[tuple[Ref, ...], Field(strict=False), Tag("list")]
    | Annotated[Mapping[names_and_paths.Name, Ref], Tag("mapping")],
    by_shape,
]
"""References: a list takes each item's last name, a mapping renames."""
