"""The kinds of gate, each a module: what its bound is, and how a version is held against it."""

from __future__ import annotations

import importlib
from typing import Any

KINDS = (
    "metric", "no_worse", "signature", "soak", "expectations", "golden", "safe", "fairness",
    "latency", "function",
)  # fmt: skip
"""Modules of that name with ``bound(gate) -> str`` and
``judge(gate, context, policy) -> GateFinding``.

Those that open a model, a table or the project's own code do so in a process of its own, by their
``work(question) -> answer``, both of JSON's types.
"""


def gate_kind_module(kind: str) -> Any:
    if kind not in KINDS:
        raise KeyError(kind)
    # Imported when it is asked for: some bring pandas and scikit-learn, which import slowly.
    return importlib.import_module(f"{__name__}.{kind}")
