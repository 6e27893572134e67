"""Gates: what a version must pass to enter a stage. A kind is a small file and a row in a table."""

from towpath.delivery.gates.gate_context import GateContext
from towpath.delivery.gates.judge_gates import judge_stage_gates, list_deploy_gates
from towpath.delivery.gates.verdict import GateVerdict, verdict_rows, write_verdict_page

__all__ = [
    "GateContext",
    "GateVerdict",
    "judge_stage_gates",
    "list_deploy_gates",
    "verdict_rows",
    "write_verdict_page",
]
