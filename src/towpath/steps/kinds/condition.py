"""Chooses between two branches by a small expression."""

from __future__ import annotations

from towpath.config import expression
from towpath.config.expression import Lookup
from towpath.config.pipeline_declaration import Condition


def evaluate_condition(step: Condition, lookup: Lookup) -> bool:
    """Whether the expression holds; ``lookup`` gives the data behind a reference's base.

    :raises StepFailed: where a value is missing or NaN, or it gives neither true nor false.
    """
    return expression.parse_condition(step.expression).evaluate(lookup)
