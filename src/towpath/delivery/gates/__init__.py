"""Gates: what a version must pass to enter a stage. A kind is a small file and a row in a table."""

from towpath.delivery.gates.gate_context import Context
from towpath.delivery.gates.judge_gates import judge, waiting
from towpath.delivery.gates.verdict import Verdict
from towpath.delivery.gates.verdict_table import page, rows

__all__ = ["Context", "Verdict", "judge", "page", "rows", "waiting"]
