"""Judges a stage's gates, one after the other; one that cannot be evaluated has failed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from towpath.config.gate_declarations import Timed
from towpath.delivery.gates import kinds, verdict
from towpath.delivery.gates.gate_context import GateContext, GatePolicy
from towpath.delivery.gates.verdict import GateFinding, GateVerdict, Unjudged
from towpath.errors import TowpathError, UsageError, did_you_mean

if TYPE_CHECKING:
    from towpath.config.gate_declarations import AnyGate, When


def judge_stage_gates(
    context: GateContext, when: When, by_records: bool = False
) -> tuple[GateVerdict, ...]:
    """The verdicts of the stage's gates of that time, in the order declared. A gate that cannot be
    evaluated has failed, and says why; nothing of it is raised. ``by_records`` asks only those that
    need no more than the versions' records: no store is opened, and no process begun."""
    stages = context.project.stages
    if context.stage not in stages:
        near = did_you_mean(context.stage, stages) or f"there is {', '.join(stages)}"
        raise UsageError(f"there is no stage `{context.stage}`", hint=near)
    policy, declared = GatePolicy(context), stages[context.stage].gates.items()
    return tuple(
        _judge_gate(name, gate, context, policy)
        for name, gate in declared
        if gate.when == when and not (by_records and isinstance(gate, Timed))
    )


def describe_bound(gate: AnyGate) -> str:
    """What a gate asks for, as it is declared: ``mse at most 5 % above the incumbent's``."""
    words: str = kinds.gate_kind_module(gate.kind).bound(gate)
    return words


def _judge_gate(name: str, gate: AnyGate, context: GateContext, policy: GatePolicy) -> GateVerdict:
    finding = _evaluate_gate(gate, context, policy)
    bound = describe_bound(gate) if finding.bound is None else finding.bound
    return GateVerdict(
        gate=name,
        kind=gate.kind,
        when=gate.when,
        passed=finding.passed,
        value=verdict.verdict_value(finding.value),
        bound=verdict.verdict_value(bound),
        source=policy.source(name),
        detail=verdict.verdict_line(finding.detail),
    )


def _evaluate_gate(gate: AnyGate, context: GateContext, policy: GatePolicy) -> GateFinding:
    try:
        finding: GateFinding = kinds.gate_kind_module(gate.kind).judge(gate, context, policy)
        return finding
    except Unjudged as unjudged:
        why = str(unjudged)
    except TowpathError as error:  # a store that is down, a suite that cannot be read
        why = verdict.verdict_fault_words(error)
    except Exception as error:  # whatever it is, it must not let a version through
        why = f"{type(error).__name__}: {error}"
    return GateFinding(False, detail=f"cannot be evaluated: {why}")
