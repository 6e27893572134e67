"""Reads, cleans, splits, joins: any function of the project."""

from __future__ import annotations

from towpath.spec.artifact import Made
from towpath.steps import function
from towpath.steps.order import Order


def execute(order: Order) -> Made:
    """Call the function and store what it made."""
    return function.store(order, function.call(order))
