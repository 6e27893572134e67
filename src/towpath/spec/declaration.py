"""The border: what every declared type has in common, and the unions that have short forms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, Tag

from towpath.spec import expression, reference, template, words


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


def shape(value: Any) -> str:
    """Which branch of a union a value means to be, by its look alone: one fault, not one each."""
    if isinstance(value, Mapping | BaseModel):
        return "mapping"
    return "switch" if isinstance(value, bool) else "list"


by_shape = Discriminator(shape)


def one_or_more(value: Any) -> Any:
    """A single name stands for a list of one."""
    return (value,) if isinstance(value, str) else value


_ALLOWED = "comparisons, `and`, `or`, `not`, `in` and arithmetic are"
_EXAMPLE = "write it like `evaluate.metrics.mse <= max_mse`"


def _reference(text: str) -> str:
    try:
        reference.alternatives(text)
    except ValueError as error:
        words.refuse(str(error))
    return text


def _condition(text: str) -> str:
    try:
        expression.parse(text)
    except ValueError as error:
        words.refuse(str(error), _ALLOWED if "not allowed" in str(error) else _EXAMPLE)
    return text


def _message(text: str) -> str:
    try:
        template.parse(text)
    except ValueError as error:
        words.refuse(str(error), "write `{evaluate.metrics.mse:.2f}`")
    return text


Ref: TypeAlias = Annotated[str, AfterValidator(_reference)]
ConditionText: TypeAlias = Annotated[str, AfterValidator(_condition)]
MessageText: TypeAlias = Annotated[str, AfterValidator(_message)]
Bindings: TypeAlias = Annotated[
    Annotated[tuple[Ref, ...], Field(strict=False), Tag("list")]
    | Annotated[Mapping[words.Name, Ref], Tag("mapping")],
    by_shape,
]
"""References: a list takes each item's last name, a mapping renames."""
