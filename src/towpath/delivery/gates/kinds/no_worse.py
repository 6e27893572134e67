"""A metric no worse than the incumbent's, by more than an amount or a share of it."""

from __future__ import annotations

from towpath.config.gate_declarations import NoWorse
from towpath.delivery.gates import verdict
from towpath.delivery.gates.gate_context import GateContext, GatePolicy
from towpath.delivery.gates.kinds import metric
from towpath.delivery.gates.verdict import GateFinding


def bound(gate: NoWorse) -> str:
    """``mse at most 5 % above the incumbent's``."""
    side, way = ("most", "above") if gate.better == "lower" else ("least", "below")
    if gate.relative:
        return f"{gate.metric} at {side} {gate.relative * 100:g} % {way} the incumbent's"
    if gate.by:
        return f"{gate.metric} at {side} {verdict.verdict_number(gate.by)} {way} the incumbent's"
    return f"{gate.metric} at {side} the incumbent's"


def judge(gate: NoWorse, context: GateContext, policy: GatePolicy) -> GateFinding:  # noqa: ARG001
    value = metric.find_metric_value(context.candidate, gate.metric)
    incumbent = context.incumbent
    if incumbent is None:
        return GateFinding(True, value, bound=f"none yet: {context.stage} has no incumbent")
    before = metric.find_metric_value(incumbent, gate.metric)
    limit = find_limit(gate, before)
    passed = value <= limit if gate.better == "lower" else value >= limit
    side = "most" if gate.better == "lower" else "least"
    bound_in_words = f"{gate.metric} at {side} {verdict.verdict_number(limit)}"
    name = f"{incumbent.model}@{incumbent.version}"
    detail = f"{name} has {verdict.verdict_number(before)}"
    return GateFinding(passed, value, detail, bound_in_words)


def find_limit(gate: NoWorse, before: float) -> float:
    """The worst value that is let in, where the incumbent has ``before``."""
    # Of the absolute value: a share of a negative metric would else turn the bound round.
    slack = (gate.by or 0) + (gate.relative or 0) * abs(before)
    return before + slack if gate.better == "lower" else before - slack
