"""A metric of the version within bounds."""

from __future__ import annotations

import operator

from towpath.config.gate_declarations import BOUNDS, Metric
from towpath.delivery.gates import recorded_metric, verdict_text
from towpath.delivery.gates.gate_context import GateContext
from towpath.delivery.gates.gate_finding import GateFinding
from towpath.delivery.gates.gate_policy import GatePolicy

_HOLDS = {
    "above": operator.gt,
    "below": operator.lt,
    "at_least": operator.ge,
    "at_most": operator.le,
}


def bound(gate: Metric) -> str:
    """``mse at most 6``."""
    limits = [
        f"{key.replace('_', ' ')} {verdict_text.verdict_number(limit)}"
        for key, limit in _declared_bounds(gate)
    ]
    return f"{gate.metric} {' and '.join(limits)}"


def judge(gate: Metric, context: GateContext, policy: GatePolicy) -> GateFinding:  # noqa: ARG001
    """Whether the metric lies within all of them."""
    value = recorded_metric.find_metric_value(context.candidate, gate.metric)
    return GateFinding(
        all(_HOLDS[key](value, limit) for key, limit in _declared_bounds(gate)), value
    )


def _declared_bounds(gate: Metric) -> list[tuple[str, float]]:
    return [(key, getattr(gate, key)) for key in BOUNDS if getattr(gate, key) is not None]
