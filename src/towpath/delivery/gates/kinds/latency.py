"""How long predicting takes."""

from __future__ import annotations

import time
from typing import Any

from towpath.config.gate_declarations import Latency
from towpath.delivery.gates import gate_process, verdict
from towpath.delivery.gates.gate_context import GateContext, GatePolicy
from towpath.delivery.gates.gate_process import read_latency
from towpath.delivery.gates.verdict import GateFinding, Unjudged

_PERCENTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}


def bound(gate: Latency) -> str:
    """``p95 at most 50 ms for 1 row``."""
    rows = "1 row" if gate.rows == 1 else f"{gate.rows:,} rows"
    return f"{gate.percentile} at most {verdict.verdict_duration(gate.at_most)} for {rows}"


def judge(gate: Latency, context: GateContext, policy: GatePolicy) -> GateFinding:
    file = gate.samples or gate.data or ""
    in_stage = not gate.samples
    path = gate_process.find_stage_data(context, file) if in_stage else policy.lay_out_file(file)
    question = {
        **gate_process.candidate_question(context),
        "table": str(path),
        "file": file,
        **gate.model_dump(include={"rows", "calls", "warm_up"}),
    }
    answer, _ = gate_process.ask_gate_process(gate, context, question, read_latency)
    taken = sorted(answer)
    if len(taken) != gate.calls:
        raise Unjudged(f"{len(taken)} of {gate.calls} calls were made")
    percentiles = {name: _find_percentile(taken, share) for name, share in _PERCENTILES.items()}
    times = {name: verdict.verdict_duration(seconds) for name, seconds in percentiles.items()}
    shown = ", ".join(f"{name} {duration}" for name, duration in times.items())
    passed = percentiles[gate.percentile] <= gate.at_most
    return GateFinding(passed, times[gate.percentile], f"{shown} over {gate.calls:,} calls")


def work(question: dict[str, Any]) -> dict[str, Any]:
    from towpath.steps.kinds.batch_transform import select_features

    frame = gate_process.read_gate_table(question["table"], question["file"])
    model = gate_process.load_candidate(question)
    count = question["rows"]
    repeated = -(-count // len(frame))
    rows = frame.iloc[[*range(len(frame))] * repeated].head(count).reset_index(drop=True)
    taken_in = select_features(model, rows)
    for _ in range(question["warm_up"]):  # the first calls import, allocate and compile
        model.predict(taken_in)
    seconds = []
    for _ in range(question["calls"]):
        begun = time.perf_counter()
        model.predict(taken_in)
        seconds.append(time.perf_counter() - begun)
    return {"seconds": seconds}


def _find_percentile(ordered: list[float], share: float) -> float:
    """The least value that so great a share of them does not exceed."""
    return ordered[max(0, -(-len(ordered) * round(share * 100) // 100) - 1)]
