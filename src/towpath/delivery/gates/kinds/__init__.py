"""The kinds of gate, each a module: what its bound is, and how a version is held against it."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from towpath.delivery.gates.verdict import GateFinding

if TYPE_CHECKING:
    from towpath.config.gate_declarations import AnyGate
    from towpath.delivery.gates.gate_context import GateContext, GatePolicy

KINDS = {
    "metric": "towpath.delivery.gates.kinds.metric",
    "no_worse": "towpath.delivery.gates.kinds.no_worse",
    "signature": "towpath.delivery.gates.kinds.signature",
    "soak": "towpath.delivery.gates.kinds.soak",
    "expectations": "towpath.delivery.gates.kinds.expectations",
    "golden": "towpath.delivery.gates.kinds.golden",
    "safe": "towpath.delivery.gates.kinds.safe",
    "fairness": "towpath.delivery.gates.kinds.fairness",
    "latency": "towpath.delivery.gates.kinds.latency",
    "function": "towpath.delivery.gates.kinds.function",
}
"""Kinds with ``bound(gate) -> str`` and ``judge(gate, context, policy) -> GateFinding``.

Those that open a model, a table or the project's own code do so in a process of its own, by their
``work(question) -> answer``, both of JSON's types.
"""


def gate_kind_module(kind: str) -> Any:
    """The module of a kind; imported when asked for."""
    return importlib.import_module(KINDS[kind])


def gate_bound(gate: AnyGate) -> str:
    """The bound of a gate in words."""
    words: str = gate_kind_module(gate.kind).bound(gate)
    return words


def judge_by_kind(gate: AnyGate, context: GateContext, policy: GatePolicy) -> GateFinding:
    """Hold the candidate of a context against a gate.

    :raises Unjudged: where it cannot be evaluated; so does any other exception mean that.
    """
    finding: GateFinding = gate_kind_module(gate.kind).judge(gate, context, policy)
    return finding
