"""A metric of the version within bounds."""

from __future__ import annotations

import operator

from towpath.gates import metrics, text
from towpath.gates.context import Context
from towpath.gates.finding import Finding
from towpath.gates.policy import Policy
from towpath.spec.gates import BOUNDS, Metric

_HOLDS = {
    "above": operator.gt,
    "below": operator.lt,
    "at_least": operator.ge,
    "at_most": operator.le,
}


def bound(gate: Metric) -> str:
    """``mse at most 6``."""
    said = [f"{key.replace('_', ' ')} {text.number(limit)}" for key, limit in _bounds(gate)]
    return f"{gate.metric} {' and '.join(said)}"


def judge(gate: Metric, context: Context, policy: Policy) -> Finding:  # noqa: ARG001
    """Whether the metric lies within all of them."""
    value = metrics.number(context.candidate, gate.metric)
    return Finding(all(_HOLDS[key](value, limit) for key, limit in _bounds(gate)), value)


def _bounds(gate: Metric) -> list[tuple[str, float]]:
    return [(key, getattr(gate, key)) for key in BOUNDS if getattr(gate, key) is not None]
