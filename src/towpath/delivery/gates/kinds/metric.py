"""A metric of the version within bounds."""

from __future__ import annotations

import math
import operator

from towpath.config.gate_declarations import BOUNDS, Metric
from towpath.delivery.gates import verdict
from towpath.delivery.gates.gate_context import GateContext, GatePolicy
from towpath.delivery.gates.verdict import GateFinding, Unjudged
from towpath.errors import did_you_mean
from towpath.registry import VersionRecord, tag_message

_HOLDS = {
    "above": operator.gt,
    "below": operator.lt,
    "at_least": operator.ge,
    "at_most": operator.le,
}


def bound(gate: Metric) -> str:
    """``mse at most 6``."""
    limits = [
        f"{key.replace('_', ' ')} {verdict.verdict_number(limit)}"
        for key, limit in declared_bounds(gate)
    ]
    return f"{gate.metric} {' and '.join(limits)}"


def judge(gate: Metric, context: GateContext, policy: GatePolicy) -> GateFinding:  # noqa: ARG001
    value = find_metric_value(context.candidate, gate.metric)
    passed = all(_HOLDS[key](value, limit) for key, limit in declared_bounds(gate))
    return GateFinding(passed, value)


def declared_bounds(gate: Metric) -> list[tuple[str, float]]:
    """``("at_most", 6.0)`` and the like."""
    return [(key, getattr(gate, key)) for key in BOUNDS if getattr(gate, key) is not None]


def find_metric_value(record: VersionRecord, name: str) -> float:
    """A metric by its name, dotted where it is nested; ``Unjudged`` for no finite number."""
    metrics = dict(tag_message.walk_leaves(record.metrics))
    who = f"{record.model}@{record.version}"
    if name not in metrics:
        has = f"it has {', '.join(list(metrics)[:9])}" if metrics else "it has none"
        raise Unjudged(f"{who} has no metric `{name}` ({did_you_mean(name, metrics) or has})")
    value = metrics[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise Unjudged(f"`{name}` of {who} is {value}, which is no number to compare")
    return value
