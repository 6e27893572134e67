"""A version held against the gates of a stage."""

from __future__ import annotations

from typing import TYPE_CHECKING

from towpath.delivery.gates import kinds, verdict_text
from towpath.delivery.gates.gate_context import Context
from towpath.delivery.gates.gate_finding import Finding, Unjudged
from towpath.delivery.gates.gate_policy import Policy
from towpath.delivery.gates.verdict import Verdict
from towpath.errors import Fault, TowpathError, UsageError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping

    from towpath.config.gate_declarations import AnyGate, When


def judge(context: Context, when: When) -> tuple[Verdict, ...]:
    """The verdicts of the stage's gates of that time, in the order declared.

    A gate that cannot be evaluated has failed, and says why; nothing of it is raised.
    """
    policy = Policy.of(context)
    return tuple(
        _verdict(name, gate, context, policy)
        for name, gate in _gates(context).items()
        if gate.when == when
    )


def waiting(context: Context) -> tuple[str, ...]:
    """The names of the gates that are judged on deploying only."""
    return tuple(name for name, gate in _gates(context).items() if gate.when == "deploy")


def _gates(context: Context) -> Mapping[str, AnyGate]:
    stages = context.project.stages
    if context.stage not in stages:
        near = did_you_mean(context.stage, stages) or f"there is {', '.join(stages)}"
        raise UsageError(Fault(f"there is no stage `{context.stage}`", hint=near))
    return stages[context.stage].gates


def _verdict(name: str, gate: AnyGate, context: Context, policy: Policy) -> Verdict:
    found = _finding(gate, context, policy)
    return Verdict(
        gate=name,
        kind=gate.kind,
        when=gate.when,
        passed=found.passed,
        value=verdict_text.value(found.value),
        bound=verdict_text.value(kinds.bound(gate) if found.bound is None else found.bound),
        source=policy.source(context.stage, name),
        detail=verdict_text.line(found.detail),
    )


def _finding(gate: AnyGate, context: Context, policy: Policy) -> Finding:
    try:
        return kinds.judge(gate, context, policy)
    except Unjudged as unjudged:
        why = str(unjudged)
    except TowpathError as error:
        why = verdict_text.of_faults(error)
    except Exception as error:  # whatever it is, it must not let a version through
        why = f"{type(error).__name__}: {error}"
    return Finding(False, detail=f"cannot be evaluated: {why}")
