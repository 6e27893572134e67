"""Measures a model; its JSON outputs are metrics."""

from __future__ import annotations

from towpath.spec.artifact import Made
from towpath.steps import function
from towpath.steps.order import Order


def execute(order: Order) -> Made:
    """Call the function, store what it made, and leave the signature of each model."""
    called = function.call(order)
    return function.signed(function.store(order, called), called)
