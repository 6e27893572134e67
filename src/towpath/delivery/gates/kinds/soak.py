"""Time that the version has spent in the stage below."""

from __future__ import annotations

from towpath.config.foreign_values import format_second
from towpath.config.gate_declarations import Soak
from towpath.delivery.gates import verdict
from towpath.delivery.gates.gate_context import GateContext, GatePolicy
from towpath.delivery.gates.verdict import GateFinding, Unjudged


def bound(gate: Soak) -> str:
    """``at least 1d in the stage below``."""
    return f"at least {verdict.verdict_duration(gate.at_least)} in the stage below"


def judge(gate: Soak, context: GateContext, policy: GatePolicy) -> GateFinding:  # noqa: ARG001
    below = next(iter(context.project.lower_stages(context.stage)), None)
    if below is None:
        raise Unjudged(f"{context.stage} is the first stage: there is none below it")
    # Not 0: a version that never was there does not wait, it has to be promoted there first.
    if context.lower_since is None:
        raise Unjudged(f"the version is not in {below}")
    spent = context.now - context.lower_since
    entered = format_second(context.lower_since)
    if spent < 0:
        raise Unjudged(f"it entered {below} at {entered}, which is to come yet")
    passed = spent >= gate.at_least
    detail = f"in {below} since {entered}"
    if not passed:
        detail += f": long enough from {format_second(context.lower_since + gate.at_least)} on"
    return GateFinding(passed, verdict.verdict_duration(spent), detail)
