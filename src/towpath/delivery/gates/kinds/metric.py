"""A metric of the version within bounds."""

from __future__ import annotations

import operator

from towpath.config.gate_declarations import BOUNDS, Metric
from towpath.delivery.gates import recorded_metric, verdict_text
from towpath.delivery.gates.gate_context import Context
from towpath.delivery.gates.gate_finding import Finding
from towpath.delivery.gates.gate_policy import Policy

_HOLDS = {
    "above": operator.gt,
    "below": operator.lt,
    "at_least": operator.ge,
    "at_most": operator.le,
}


def bound(gate: Metric) -> str:
    """``mse at most 6``."""
    said = [f"{key.replace('_', ' ')} {verdict_text.number(limit)}" for key, limit in _bounds(gate)]
    return f"{gate.metric} {' and '.join(said)}"


def judge(gate: Metric, context: Context, policy: Policy) -> Finding:  # noqa: ARG001
    """Whether the metric lies within all of them."""
    value = recorded_metric.number(context.candidate, gate.metric)
    return Finding(all(_HOLDS[key](value, limit) for key, limit in _bounds(gate)), value)


def _bounds(gate: Metric) -> list[tuple[str, float]]:
    return [(key, getattr(gate, key)) for key in BOUNDS if getattr(gate, key) is not None]
