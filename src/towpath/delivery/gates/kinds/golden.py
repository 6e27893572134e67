"""Inputs with the outputs that the model must give, within a tolerance."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from towpath.config.gate_declarations import Golden
from towpath.delivery.gates import gate_prediction, gate_process, verdict_text
from towpath.delivery.gates.gate_answers import read_golden
from towpath.delivery.gates.gate_context import GateContext
from towpath.delivery.gates.gate_finding import GateFinding, Unjudged
from towpath.delivery.gates.gate_policy import GatePolicy

_SHOWN = 3
_ROUNDED = 1e-9
"""What is nearer than this differs by the machine, not by the model."""


def bound(gate: Golden) -> str:
    """``all of tests/golden.csv within 0.1``."""
    parts = [verdict_text.verdict_number(gate.absolute)] if gate.absolute else []
    parts += [f"{gate.relative * 100:g} %"] if gate.relative else []
    how = f"within {' + '.join(parts)}" if parts else "exactly"
    return f"all of {gate.samples} {how}"


def judge(gate: Golden, context: GateContext, policy: GatePolicy) -> GateFinding:
    """Whether each sample comes out as expected."""
    question = {
        **gate_prediction.candidate_question(context),
        "samples": str(policy.lay_out_file(gate.samples)),
        "file": gate.samples,
        "expected": gate.expected,
    }
    answer = gate_process.ask_gate_process(gate, context, question, read_golden).answer
    pairs = list(zip(answer.given, answer.expected, strict=True))
    off = [
        (number, prediction, expected)
        for number, (prediction, expected) in enumerate(pairs, 1)
        if not _is_close(prediction, expected, gate)
    ]
    differences = "; ".join(
        f"sample {n} gives {_value_in_words(g)}, not {_value_in_words(e)}"
        for n, g, e in off[:_SHOWN]
    )
    return GateFinding(not off, f"{len(pairs) - len(off)} of {len(pairs)}", differences)


def work(question: dict[str, Any]) -> dict[str, Any]:
    """What the model gives for the samples, beside what it should."""
    inputs, expected = _read_samples(question)
    model = gate_prediction.load_candidate(question)
    return {"given": gate_prediction.predict_rows(model, inputs), "expected": expected}


def _read_samples(question: dict[str, Any]) -> tuple[Any, list[Any]]:
    path, name, column = question["samples"], question["file"], question["expected"]
    if name.lower().endswith(".json"):
        return _from_json(Path(path), name)
    from towpath.steps.formats.jsons import plain_json

    frame = gate_prediction.read_gate_table(path, name)
    expected = gate_prediction.read_gate_column(frame, column, name)
    if expected.isna().any():
        raise Unjudged(f"{name} has rows without `{column}`")
    values = plain_json(expected.tolist())
    assert isinstance(values, list)
    return frame.drop(columns=[column]), values


def _from_json(path: Path, name: str) -> tuple[Any, list[Any]]:
    import pandas

    listed = json.loads(path.read_bytes())
    sound = isinstance(listed, list) and all(
        isinstance(sample, dict) and isinstance(sample.get("inputs"), dict) and "expected" in sample
        for sample in listed
    )
    if not sound or not listed:
        raise Unjudged(f'{name} must be a list of {{"inputs": {{...}}, "expected": ...}}')
    return pandas.DataFrame([sample["inputs"] for sample in listed]), [
        e["expected"] for e in listed
    ]


def _is_close(prediction: Any, expected: Any, gate: Golden) -> bool:
    if isinstance(expected, list):
        alike = isinstance(prediction, list) and len(prediction) == len(expected)
        return alike and all(
            _is_close(g, e, gate) for g, e in zip(prediction, expected, strict=True)
        )
    if _is_number(prediction) and _is_number(expected):
        slack = gate.absolute + gate.relative * math.fabs(expected)
        return math.isclose(prediction, expected, rel_tol=_ROUNDED, abs_tol=max(slack, _ROUNDED))
    return type(prediction) is type(expected) and prediction == expected


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _value_in_words(value: Any) -> str:
    return verdict_text.verdict_number(value) if _is_number(value) else json.dumps(value)
