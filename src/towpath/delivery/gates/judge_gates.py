"""A version held against the gates of a stage."""

from __future__ import annotations

from typing import TYPE_CHECKING

from towpath.delivery.gates import kinds, verdict
from towpath.delivery.gates.gate_context import GateContext, GatePolicy
from towpath.delivery.gates.verdict import GateFinding, GateVerdict, Unjudged
from towpath.errors import Fault, TowpathError, UsageError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping

    from towpath.config.gate_declarations import AnyGate, When


def judge_stage_gates(context: GateContext, when: When) -> tuple[GateVerdict, ...]:
    """The verdicts of the stage's gates of that time, in the order declared.

    A gate that cannot be evaluated has failed, and says why; nothing of it is raised.
    """
    policy = GatePolicy(context)
    return tuple(
        _judge_gate(name, gate, context, policy)
        for name, gate in _stage_gates(context).items()
        if gate.when == when
    )


def list_deploy_gates(context: GateContext) -> tuple[str, ...]:
    """The names of the gates that are judged on deploying only."""
    return tuple(name for name, gate in _stage_gates(context).items() if gate.when == "deploy")


def _stage_gates(context: GateContext) -> Mapping[str, AnyGate]:
    stages = context.project.stages
    if context.stage not in stages:
        near = did_you_mean(context.stage, stages) or f"there is {', '.join(stages)}"
        raise UsageError(Fault(f"there is no stage `{context.stage}`", hint=near))
    return stages[context.stage].gates


def _judge_gate(name: str, gate: AnyGate, context: GateContext, policy: GatePolicy) -> GateVerdict:
    finding = _evaluate_gate(gate, context, policy)
    bound = finding.bound
    if bound is None:
        bound = kinds.gate_kind_module(gate.kind).bound(gate)
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
