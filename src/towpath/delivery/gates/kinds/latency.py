"""How long predicting takes."""

from __future__ import annotations

import time
from typing import Any

from towpath.config.gate_declarations import Latency
from towpath.delivery.gates import gate_prediction, gate_process, verdict_text
from towpath.delivery.gates.gate_answers import read_latency
from towpath.delivery.gates.gate_context import Context
from towpath.delivery.gates.gate_finding import Finding, Unjudged
from towpath.delivery.gates.gate_policy import Policy

_PERCENTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}


def bound(gate: Latency) -> str:
    """``p95 at most 50 ms for 1 row``."""
    rows = "1 row" if gate.rows == 1 else f"{gate.rows:,} rows"
    return f"{gate.percentile} at most {verdict_text.duration(gate.at_most)} for {rows}"


def judge(gate: Latency, context: Context, policy: Policy) -> Finding:
    """Whether it is quick enough, on the machine that judges."""
    file = gate.samples or gate.data or ""
    path = str(policy.file(file)) if gate.samples else gate_prediction.data(context, file)
    asked = {
        **gate_prediction.asked(context),
        "table": path,
        "file": file,
        **gate.model_dump(include={"rows", "calls", "warm_up"}),
    }
    taken = sorted(gate_process.ask(gate, context, asked, read_latency).answer)
    if len(taken) != gate.calls:
        raise Unjudged(f"{len(taken)} of {gate.calls} calls were made")
    found = {name: _percentile(taken, share) for name, share in _PERCENTILES.items()}
    said = ", ".join(f"{name} {verdict_text.duration(seconds)}" for name, seconds in found.items())
    value = found[gate.percentile]
    detail = f"{said} over {gate.calls:,} calls"
    return Finding(value <= gate.at_most, verdict_text.duration(value), detail)


def work(asked: dict[str, Any]) -> dict[str, Any]:
    """The seconds of each call."""
    from towpath.steps.kinds.batch_transform import features

    frame = gate_prediction.table(asked["table"], asked["file"])
    model = gate_prediction.model(asked)
    count = asked["rows"]
    repeated = -(-count // len(frame))
    rows = frame.iloc[[*range(len(frame))] * repeated].head(count).reset_index(drop=True)
    taken_in = features(model, rows)
    for _ in range(asked["warm_up"]):
        model.predict(taken_in)
    return {"seconds": [_timed(model, taken_in) for _ in range(asked["calls"])]}


def _timed(model: Any, rows: Any) -> float:
    begun = time.perf_counter()
    model.predict(rows)
    return time.perf_counter() - begun


def _percentile(ordered: list[float], share: float) -> float:
    """The least value that so great a share of them does not exceed."""
    return ordered[max(0, -(-len(ordered) * round(share * 100) // 100) - 1)]
