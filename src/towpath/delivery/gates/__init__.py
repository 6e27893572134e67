"""Gates: what a version must pass to enter a stage. A kind is a small file and a row in a table."""

from towpath.delivery.gates.gate_context import GateContext
from towpath.delivery.gates.verdict import GateVerdict

__all__ = ["GateContext", "GateVerdict"]
