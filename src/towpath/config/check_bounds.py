"""How far data and a model's answers may be from what they are held against."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, TypeAlias

from pydantic import BeforeValidator, Field

from towpath.config.bias_names import ALL_MEASURES, RATIO
from towpath.config.declaration import Declaration, one_or_more
from towpath.config.names_and_paths import refuse_value
from towpath.errors import did_you_mean

Share: TypeAlias = Annotated[float, Field(ge=0, le=1)]
"""A part of a whole, 0 to 1."""


class ColumnTolerances(Declaration):
    """How far one column may be from the baseline's; what is not said is as for the others."""

    completeness: Share | None = None
    """By so much the share of rows with a value may fall."""
    distribution: Share | None = None
    """So far its distribution may be from the baseline's; 1: it is not looked at."""
    new_values: Share | None = None
    """In this share of rows a category may be one that the baseline does not have."""


class BaselineTolerances(Declaration):
    """How far a table may be from the baseline that it is held against."""

    completeness: Share = 0.02
    """By so much the share of rows with a value may fall in a column."""
    distribution: Share = 0.1
    """So far a column's distribution may be: for numbers the greatest distance of the two
    distribution functions, for categories the greatest difference of a share; 1: not looked at."""
    new_values: Share = 0.01
    """In this share of rows a category may be one that the baseline does not have."""
    new_columns: bool = False
    """Whether the table may have columns that the baseline does not have."""
    rows: float | None = Field(default=None, ge=0)
    """By this part the number of rows may differ; by default it may be any."""
    columns: Mapping[str, ColumnTolerances] = Field(default_factory=dict)
    """Other tolerances for single columns: `{age: {distribution: 0.2}}`."""


def usual_tolerances(value: Any) -> Any:
    """``baseline: true`` is a baseline with the usual tolerances, ``false`` is none."""
    return ({} if value else None) if isinstance(value, bool) else value


BaselineBounds: TypeAlias = Annotated[BaselineTolerances | None, BeforeValidator(usual_tolerances)]


class BiasBound(Declaration):
    """Between what a measure of bias must be."""

    at_least: float | None = None
    """The measure must be this or greater."""
    at_most: float | None = None
    """The measure must be this or less."""


def bias_bounds(value: Any) -> Any:
    """Bounds by our names of the measures: ``{DPL: 0.1}`` is ``{label_difference: {at_least: -0.1,
    at_most: 0.1}}``, and ``{DI: 0.8}`` is ``{disparate_impact: {at_least: 0.8, at_most: 1.25}}``.
    """
    if not isinstance(value, Mapping):
        return value
    names = {clarify: name for name, clarify in ALL_MEASURES.items()}
    bounds: dict[str, Any] = {}
    for key, bound in value.items():
        name = names.get(key, key)
        if name not in ALL_MEASURES:
            near = did_you_mean(str(key), (*ALL_MEASURES, *names))
            refuse_value(f"`{key}` is no measure of bias", near or f"as {', '.join(ALL_MEASURES)}")
        if name in bounds:
            refuse_value(
                f"`{name}` has two bounds: `{ALL_MEASURES[name]}` is the same", "remove one"
            )
        bounds[name] = _long_bound(name, bound)
    return bounds


def _long_bound(name: str, bound: Any) -> Any:
    if isinstance(bound, bool) or not isinstance(bound, int | float):
        return bound
    if name == RATIO:
        if not 0 < bound < math.inf:
            refuse_value(f"the bound of `{name}` must be above 0", "write `disparate_impact: 0.8`")
        return {"at_least": min(bound, 1 / bound), "at_most": max(bound, 1 / bound)}
    if not 0 <= bound < math.inf:
        refuse_value(f"the bound of `{name}` must not be below 0", "it bounds both directions")
    return {"at_least": -bound, "at_most": bound}


BiasBounds: TypeAlias = Annotated[Mapping[str, BiasBound], BeforeValidator(bias_bounds)]


def outcome_values(value: Any) -> Any:
    """One value or a list of them, as they stand in a table."""
    values = value if isinstance(value, list | tuple) else [value]
    if not values or not all(isinstance(item, str | int | float) for item in values):
        refuse_value("it must be a value of the column, or a list", "write `positive: 1`")
    return tuple(values)


ColumnValues: TypeAlias = Annotated[tuple[Any, ...], BeforeValidator(outcome_values)]


def column_names(value: Any) -> Any:
    """One name of a column, or a list of them."""
    names = one_or_more(value)
    if not isinstance(names, list | tuple) or not names or len({*map(str, names)}) < len(names):
        refuse_value("it must be a column, or a list of columns", "write `group: sex`")
    return names


ColumnNames: TypeAlias = Annotated[
    tuple[str, ...], BeforeValidator(column_names), Field(strict=False)
]
"""Columns of a table, one or a list."""
