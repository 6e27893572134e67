"""The kinds of gate, each a module: what its bound is, and how a version is held against it."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from towpath.gates.finding import Finding

if TYPE_CHECKING:
    from towpath.gates.context import Context
    from towpath.gates.policy import Policy
    from towpath.spec.gates import AnyGate

KINDS = {
    "metric": "towpath.gates.kinds.metric",
    "no_worse": "towpath.gates.kinds.no_worse",
    "signature": "towpath.gates.kinds.signature",
    "soak": "towpath.gates.kinds.soak",
    "expectations": "towpath.gates.kinds.expectations",
    "golden": "towpath.gates.kinds.golden",
    "safe": "towpath.gates.kinds.safe",
    "fairness": "towpath.gates.kinds.fairness",
    "latency": "towpath.gates.kinds.latency",
    "function": "towpath.gates.kinds.function",
}
"""Kinds with ``bound(gate) -> str`` and ``judge(gate, context, policy) -> Finding``.

Those that open a model, a table or the project's own code do so in a process of its own, by their
``work(asked) -> answer``, both of JSON's types.
"""


def module(kind: str) -> Any:
    """The module of a kind; imported when asked for."""
    return importlib.import_module(KINDS[kind])


def bound(gate: AnyGate) -> str:
    """The bound of a gate in words."""
    said: str = module(gate.kind).bound(gate)
    return said


def judge(gate: AnyGate, context: Context, policy: Policy) -> Finding:
    """Hold the candidate of a context against a gate.

    :raises Unjudged: where it cannot be evaluated; so does any other exception mean that.
    """
    found: Finding = module(gate.kind).judge(gate, context, policy)
    return found
