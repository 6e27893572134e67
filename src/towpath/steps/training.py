"""Fits a model, and notes which columns and types it takes and gives."""

from __future__ import annotations

from dataclasses import replace

from towpath.spec.artifact import Made
from towpath.steps import function, signature
from towpath.steps.order import Order


def execute(order: Order) -> Made:
    """Call the function, store what it made, and leave each model's signature."""
    called = function.call(order)
    made = function.store(order, called)
    signatures = signature.of_models(called.returned, called.arguments)
    return replace(made, facts={**made.facts, "signature": signatures}) if signatures else made
