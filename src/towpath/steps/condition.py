"""Chooses between two branches by a small expression."""

from __future__ import annotations

from towpath.spec import expression
from towpath.spec.pipeline import Condition
from towpath.spec.reference import Lookup


def evaluate(step: Condition, lookup: Lookup) -> bool:
    """Whether the expression holds; ``lookup`` gives the data behind a reference's base.

    :raises StepFailed: where a value is missing or NaN, or it gives neither true nor false.
    """
    return expression.parse(step.expression).evaluate(lookup)
