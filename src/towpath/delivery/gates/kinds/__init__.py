"""The kinds of gate, each a module: what its bound is, and how a version is held against it."""

from __future__ import annotations

import importlib
from typing import Any

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
    # Imported when it is asked for: some bring pandas and scikit-learn, which import slowly.
    return importlib.import_module(KINDS[kind])
