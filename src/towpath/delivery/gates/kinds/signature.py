"""Columns and types such that whoever calls the incumbent can call the candidate."""

from __future__ import annotations

from towpath.config.gate_declarations import Signature
from towpath.delivery.gates.gate_context import Context
from towpath.delivery.gates.gate_finding import Finding, Unjudged
from towpath.delivery.gates.gate_policy import Policy
from towpath.registry import Record
from towpath.registry import Signature as Columns
from towpath.registry.model_signature import breaks


def bound(gate: Signature) -> str:  # noqa: ARG001
    """Always the same."""
    return "the incumbent's callers can call it"


def judge(gate: Signature, context: Context, policy: Policy) -> Finding:  # noqa: ARG001
    """Whether it fits; a version passes where there is no incumbent."""
    now = _known(context.candidate)
    if context.incumbent is None:
        return Finding(True, bound=f"none yet: {context.stage} has no incumbent")
    found = breaks(_known(context.incumbent), now)
    before = f"{context.incumbent.model}@{context.incumbent.version}"
    if found:
        return Finding(False, f"{len(found)} broken", f"against {before}: {', '.join(found)}")
    return Finding(True, "compatible", f"with {before}")


def _known(record: Record) -> Columns:
    """The signature; to know neither its inputs' names nor their number is to know nothing."""
    known = record.signature
    if known is None or (known.inputs is None and known.features is None):
        raise Unjudged(f"the record of {record.model}@{record.version} has no signature")
    return known
