"""Columns and types such that whoever calls the incumbent can call the candidate."""

from __future__ import annotations

from towpath.config.gate_declarations import SignatureGate
from towpath.delivery.gates.gate_context import GateContext, GatePolicy
from towpath.delivery.gates.verdict import GateFinding, Unjudged
from towpath.registry import ModelSignature as Columns
from towpath.registry import VersionRecord
from towpath.registry.version_record import find_signature_breaks


def bound(gate: SignatureGate) -> str:  # noqa: ARG001
    return "the incumbent's callers can call it"


def judge(gate: SignatureGate, context: GateContext, policy: GatePolicy) -> GateFinding:  # noqa: ARG001
    candidate = _known_signature(context.candidate)
    if context.incumbent is None:
        return GateFinding(True, bound=f"none yet: {context.stage} has no incumbent")
    breakages = find_signature_breaks(_known_signature(context.incumbent), candidate)
    before = f"{context.incumbent.model}@{context.incumbent.version}"
    if breakages:
        detail = f"against {before}: {', '.join(breakages)}"
        return GateFinding(False, f"{len(breakages)} broken", detail)
    return GateFinding(True, "compatible", f"with {before}")


def _known_signature(record: VersionRecord) -> Columns:
    signature = record.signature
    # To know neither the inputs' names nor their number is to know nothing of who can call it.
    if signature is None or (signature.inputs is None and signature.features is None):
        raise Unjudged(f"the record of {record.model}@{record.version} has no signature")
    return signature
