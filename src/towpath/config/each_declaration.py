"""What a step with ``each`` may say: its lists, and which of its cells is the best."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, TypeAlias

from pydantic import (
    BeforeValidator,
    Field,
    PlainSerializer,
    PlainValidator,
    model_validator,
)

from towpath.config import names_and_paths as grammar
from towpath.config.declaration import Declaration, Ref
from towpath.config.expression import parse_value_reference


def read_each_list(value: Any) -> str | tuple[Any, ...]:
    """A list of items as it is written, or the reference to one.

    The items of a list are JSON values; none stands twice, for each has a result of its own.
    """
    if isinstance(value, str):
        try:
            parse_value_reference(value)
        except ValueError as error:
            grammar.refuse_value(str(error), "a list, a parameter, or a list in a JSON output")
        return value
    if not isinstance(value, list | tuple):
        grammar.refuse_value(
            "`each` takes lists, or names of lists", "write `[1, 2]`, a parameter, or `split.folds`"
        )
    if problem := find_list_problem(value):
        grammar.refuse_value(f"a list of `each` {problem}")
    return tuple(value)


def find_list_problem(items: list[Any] | tuple[Any, ...]) -> str:
    """What is wrong with the items of a list, in words that follow its name; empty for nothing."""
    if not items:
        return "is empty: there is nothing to make"
    texts: set[str] = set()
    for item in items:
        text = json.dumps(item, sort_keys=True, default=str)
        if text in texts:
            return f"holds {text[:60]} twice: each item is made once"
        texts.add(text)
    return ""


class BestBy(Declaration):
    """The number that says which cell is the best one."""

    minimize: Ref | None = None
    """A number in a JSON output, of which the least is the best: `score.metrics.mse`."""
    maximize: Ref | None = None
    """A number in a JSON output, of which the greatest is the best."""

    @property
    def reference(self) -> str:
        """The number that is compared."""
        return self.minimize or self.maximize or ""

    @property
    def key(self) -> str:
        """The key under which it is declared."""
        return "minimize" if self.minimize else "maximize"

    @model_validator(mode="after")
    def _require_one_way(self) -> BestBy:
        if bool(self.minimize) == bool(self.maximize):
            hint = "write `best_by: {minimize: score.metrics.mse}`"
            grammar.refuse_value("`best_by` says either `minimize` or `maximize`", hint)
        return self


def say_which_way(value: Any) -> Any:
    """A mapping as it is; of a reference alone nobody knows which way is better."""
    if isinstance(value, str):
        hint = f"write `{{minimize: {value}}}` or `{{maximize: {value}}}`"
        grammar.refuse_value("`best_by` does not say which way is better", hint)
    if not isinstance(value, Mapping | BestBy):
        grammar.refuse_value("`best_by` must be a mapping", "write `{minimize: score.metrics.mse}`")
    return value


# Written as it is: of a tuple of anything pydantic would make a copy, and a union two faults.
EachList: TypeAlias = Annotated[
    Any, PlainValidator(read_each_list), PlainSerializer(lambda items: items, return_type=Any)
]


class Repetition(Declaration):
    """What a step may say that is made once for each item."""

    each: Mapping[grammar.Name, EachList] = Field(default_factory=dict)
    """The step is made once for each item: of a list, a parameter, or a list in a JSON output; of
    several for each combination. In `params` and `with` an item has the name that stands here."""
    at_once: int | None = Field(default=None, ge=1)
    """How many of its cells may run at a time."""
    best_by: Annotated[BestBy, BeforeValidator(say_which_way)] | None = None
    """Hands on the outputs of the best cell, by a number of each."""
    may_fail: bool = False
    """Whether cells that fail are left out of what the step hands on, and the run goes on."""
