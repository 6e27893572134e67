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
    stage_below = next(iter(context.project.lower_stages(context.stage)), None)
    if stage_below is None:
        raise Unjudged(f"{context.stage} is the first stage: there is none below it")
    # Not 0: a version that never was there does not wait, it has to be promoted there first.
    stayed = context.below
    if stayed is None:
        raise Unjudged(f"the version is not in {stage_below}")
    entered = format_second(stayed.entered)
    if stayed.entered > context.now:
        raise Unjudged(f"it entered {stage_below} at {entered}, which is to come yet")
    passed = stayed.seconds >= gate.at_least
    if stayed.left is not None:
        detail = f"it left {stage_below} at {format_second(stayed.left)}"
        detail += "" if passed else ", and counts no further: promote it there again"
        return GateFinding(passed, verdict.verdict_duration(stayed.seconds), detail)
    detail = f"in {stage_below} since {entered}"
    if earlier := stayed.seconds - (context.now - stayed.entered):
        detail += f", and {verdict.verdict_duration(earlier)} before"
    if not passed:
        reached = context.now + gate.at_least - stayed.seconds
        detail += f": long enough from {format_second(reached)} on"
    return GateFinding(passed, verdict.verdict_duration(stayed.seconds), detail)
