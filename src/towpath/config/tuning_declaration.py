"""The ranges of a search: the values that a step of kind ``tuning`` may try."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import Field, PlainSerializer, PlainValidator, model_validator

from towpath.config import names_and_paths as grammar
from towpath.config.declaration import Declaration, Ref, show_value


def read_range_bound(value: Any) -> int | float:
    """A finite number as it is written: whole ones stay so, and mean whole values."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value):
        grammar.refuse_value(f"a bound of a range is a number, not {show_value(value)}")
    return value  # type: ignore[no-any-return]


# One validator and no union of pydantic's, which would find two faults.
Bound: TypeAlias = Annotated[
    Any, PlainValidator(read_range_bound), PlainSerializer(lambda number: number, return_type=Any)
]


class Range(Declaration):
    """The values that one parameter may have in a search."""

    at_least: Bound | None = None
    """The least value."""
    at_most: Bound | None = None
    """The greatest value."""
    above: Bound | None = None
    """Each value is greater."""
    below: Bound | None = None
    """Each value is less."""
    log: bool = False
    """Whether 0.01 to 0.1 is as wide as 0.1 to 1."""
    step: Bound | None = None
    """The distance between two values."""
    type: Literal["integer", "number"] | None = None
    """By default whole numbers where `at_least` and `at_most` are whole."""
    choices: Annotated[tuple[Any, ...], Field(strict=False)] | None = None
    """The values, where they are no numbers between two."""

    @property
    def is_integer(self) -> bool:
        """Whether the values are whole numbers."""
        bounds = (self.at_least, self.at_most)
        return self.type == "integer" or (
            self.type is None
            and all(isinstance(bound, int) for bound in bounds)
            and (self.step is None or float(self.step).is_integer())
        )

    @property
    def lowest(self) -> float:
        """The least value that a trial may have."""
        if self.above is None:
            return float(self.at_least or 0)
        inside = math.floor(self.above) + 1
        return inside if self.is_integer else math.nextafter(self.above, math.inf)

    @property
    def highest(self) -> float:
        """The greatest value that a trial may have."""
        if self.below is None:
            return float(self.at_most or 0)
        inside = math.ceil(self.below) - 1
        return inside if self.is_integer else math.nextafter(self.below, -math.inf)

    @model_validator(mode="after")
    def _require_range(self) -> Self:
        numbers = ("at_least", "at_most", "above", "below", "step", "type")
        written = [key for key in numbers if getattr(self, key) is not None]
        if self.choices is not None:
            self._require_choices(written)
            return self
        for least, most in (("at_least", "above"), ("at_most", "below")):
            if (least in written) == (most in written):
                what = f"a range says either `{least}` or `{most}`"
                grammar.refuse_value(what, "write `{at_least: 1, at_most: 10}`")
        self._require_numbers()
        return self

    def _require_choices(self, written: list[str]) -> None:
        if written or self.log:
            grammar.refuse_value(
                f"`choices` are all there is: `{(*written, 'log')[0]}` says no more"
            )
        if not self.choices:
            grammar.refuse_value("`choices` is empty")
        if any(isinstance(choice, dict | list | tuple) for choice in self.choices or ()):
            grammar.refuse_value("a choice is text, a number, true, false or null")
        if len({(type(choice), choice) for choice in self.choices or ()}) < len(self.choices or ()):
            grammar.refuse_value("a choice stands twice in `choices`")

    def _require_numbers(self) -> None:
        bounds = filter(None, (self.at_least, self.at_most, self.step))
        if self.is_integer and not all(float(bound).is_integer() for bound in bounds):
            grammar.refuse_value("a range of whole numbers has whole bounds")
        if self.step is not None and self.step <= 0:
            grammar.refuse_value("the `step` of a range is above 0")
        if self.lowest > self.highest:
            grammar.refuse_value("no value lies between the bounds of the range")
        if self.log and (self.above == 0 or self.lowest <= 0):
            hint = "write `{at_least: 0.001, ...}`"
            grammar.refuse_value("on a logarithmic scale the least value is above 0", hint)
        if self.log and self.step is not None:
            grammar.refuse_value("`log` has no `step`")


class ParameterRanges(Declaration):
    """What a search says: what it tries, by which number, and for how long."""

    ranges: Mapping[grammar.Name, Range]
    """The values that each argument may have."""
    minimize: Ref | None = None
    """A number in a JSON output of the function, of which the least is the best: `score.mse`."""
    maximize: Ref | None = None
    """A number in a JSON output of the function, of which the greatest is the best."""
    trials: int = Field(ge=1, le=10_000)
    """How many times the function is called at most."""
    at_once: int | None = Field(default=1, ge=1)
    """How many trials may run at a time; each knows of those that began so many before it."""
    stop_early: int | None = Field(default=None, ge=1)
    """After so many trials without a better one no further begins."""
    budget: grammar.Duration | None = None
    """After so long no further trial begins."""
    seed: int = Field(default=0, ge=0)
    """Another number is another search."""

    @property
    def objective(self) -> str:
        """The number that is compared."""
        return self.minimize or self.maximize or ""

    @model_validator(mode="after")
    def _require_objective(self) -> Self:
        if not self.ranges:
            hint = "write `ranges: {rate: {at_least: 0, at_most: 1}}`"
            grammar.refuse_value("a search has `ranges`", hint)
        if bool(self.minimize) == bool(self.maximize):
            hint = "write `minimize: score.mse`"
            grammar.refuse_value("a search says either `minimize` or `maximize`", hint)
        for key in ("each", "best_by", "may_fail"):
            if key in self.model_fields_set:
                grammar.refuse_value(f"a tuning has trials of its own, and takes no `{key}`")
        return self
