"""A suite of expectations, held against a file of the stage's data.

What it says of data that is not as expected is how many rows, never which: a verdict is read by
more people than the stage's data is.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from towpath.config.gate_declarations import Expectations
from towpath.delivery.gates import gate_process
from towpath.delivery.gates.gate_context import GateContext, GatePolicy
from towpath.delivery.gates.gate_process import read_expectations
from towpath.delivery.gates.verdict import GateFinding

_SHOWN = 3


def bound(gate: Expectations) -> str:
    """``all of expectations/scoring.yaml``."""
    return f"all of {gate.expectations}"


def judge(gate: Expectations, context: GateContext, policy: GatePolicy) -> GateFinding:
    question = {
        "suite": str(policy.lay_out_file(gate.expectations)),
        "shown": gate.expectations,
        "data": gate_process.find_stage_data(context, gate.data),
        "file": gate.data,
    }
    answer, _ = gate_process.ask_gate_process(gate, context, question, read_expectations)
    failed, warned = answer.failed, answer.warned
    counted = f"{gate.data}, {answer.rows:,} rows"
    parts = [f"{counted}: {'; '.join(failed[:_SHOWN])}" if failed else counted]
    parts += [f"{len(warned)} warned: {'; '.join(warned[:_SHOWN])}"] if warned else []
    return GateFinding(not failed, f"{answer.held} of {answer.count} hold", ". ".join(parts))


def work(question: dict[str, Any]) -> dict[str, Any]:
    """What came of the suite, without a value of any row."""
    from towpath.backends import great_expectations
    from towpath.steps.kinds import quality_check

    suite = great_expectations.read_suite(Path(question["suite"]), question["shown"])
    table = gate_process.read_gate_table(question["data"], question["file"])
    outcome = quality_check.run_suite(suite, table)
    return {
        "rows": outcome.rows,
        "count": len(outcome.results),
        "held": sum(result.passed for result in outcome.results),
        "failed": [sentence_of(result) for result in outcome.failed],
        "warned": [sentence_of(result) for result in outcome.warned],
    }


def sentence_of(result: Any) -> str:
    from towpath.backends.great_expectations import suite_outcome

    if result.error or not result.counts_rows:
        why = result.error or suite_outcome.without_values(result)
        return f"expected that {result.rule}, but {why}"
    share = suite_outcome.percent_text(result)
    count = f"{result.unexpected:,} of {result.rows:,} rows are not ({share})"
    return f"expected that {result.rule}, but {count}"
