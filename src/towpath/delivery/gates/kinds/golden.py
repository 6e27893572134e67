"""Inputs with the outputs that the model must give, within a tolerance; and those samples as a
commit has them."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from towpath.backends.git import Repository, large_files, refs
from towpath.config.gate_declarations import Golden
from towpath.delivery.gates import gate_process, verdict
from towpath.delivery.gates.gate_context import (
    GateContext,
    GatePolicy,
    policy_file_path,
    read_policy_file,
)
from towpath.delivery.gates.gate_process import read_golden
from towpath.delivery.gates.verdict import GateFinding, Unjudged
from towpath.errors import TowpathError
from towpath.quantities import readable_size

if TYPE_CHECKING:
    from towpath.config.project_declaration import Project

_SHOWN = 3
_ROUNDED = 1e-9  # what is nearer than this differs by the machine, not by the model


def bound(gate: Golden) -> str:
    """``all of tests/golden.csv within 0.1``."""
    return f"all of {gate.samples} {describe_tolerance(gate)}"


def describe_tolerance(gate: Golden) -> str:
    """``within 0.1 + 5 %``, or ``exactly``."""
    parts = [verdict.verdict_number(gate.absolute)] if gate.absolute else []
    parts += [f"{gate.relative * 100:g} %"] if gate.relative else []
    return f"within {' + '.join(parts)}" if parts else "exactly"


def judge(gate: Golden, context: GateContext, policy: GatePolicy) -> GateFinding:
    question = {
        **gate_process.candidate_question(context),
        "samples": str(policy.lay_out_file(gate.samples)),
        "file": gate.samples,
        "expected": gate.expected,
    }
    answer, _ = gate_process.ask_gate_process(gate, context, question, read_golden)
    pairs = list(zip(answer.given, answer.expected, strict=True))
    off = [
        f"sample {number} gives {_value_in_words(prediction)}, not {_value_in_words(expected)}"
        for number, (prediction, expected) in enumerate(pairs, 1)
        if not _is_close(prediction, expected, gate)
    ]
    count = f"{len(pairs) - len(off)} of {len(pairs)}"
    return GateFinding(not off, count, "; ".join(off[:_SHOWN]))


# As `judge` writes them, and evidence keeps them.
_OFF = re.compile(r"(?:^|; )sample (\d{1,9}) gives (.*?), not ")


def read_off_samples(detail: str) -> dict[int, str]:
    """What the model gave for the samples that a verdict names, by their numbers from 1: those
    that came out otherwise, the first of them."""
    return {int(number): answer for number, answer in _OFF.findall(detail)}


def work(question: dict[str, Any]) -> dict[str, Any]:
    inputs, expected = _read_samples(question)
    model = gate_process.load_candidate(question)
    return {"given": gate_process.predict_rows(model, inputs), "expected": expected}


def _read_samples(question: dict[str, Any]) -> tuple[Any, list[Any]]:
    path, name, column = question["samples"], question["file"], question["expected"]
    if name.lower().endswith(".json"):
        return _read_json_samples(Path(path), name)
    from towpath.steps.formats.jsons import plain_json

    frame = gate_process.read_gate_table(path, name)
    expected = gate_process.read_gate_column(frame, column, name)
    if expected.isna().any():
        raise Unjudged(f"{name} has rows without `{column}`")
    values = plain_json(expected.tolist())
    assert isinstance(values, list)
    return frame.drop(columns=[column]), values


def _read_json_samples(path: Path, name: str) -> tuple[Any, list[Any]]:
    import pandas

    listed = json.loads(path.read_bytes())
    sound = isinstance(listed, list) and all(
        isinstance(sample, dict) and isinstance(sample.get("inputs"), dict) and "expected" in sample
        for sample in listed
    )
    if not sound or not listed:
        raise Unjudged(f'{name} must be a list of {{"inputs": {{...}}, "expected": ...}}')
    expected = [sample["expected"] for sample in listed]
    return pandas.DataFrame([sample["inputs"] for sample in listed]), expected


def _is_close(prediction: Any, expected: Any, gate: Golden) -> bool:
    if isinstance(expected, list):
        if not isinstance(prediction, list) or len(prediction) != len(expected):
            return False
        return all(_is_close(*pair, gate) for pair in zip(prediction, expected, strict=True))
    if _is_number(prediction) and _is_number(expected):
        slack = gate.absolute + gate.relative * math.fabs(expected)
        return math.isclose(prediction, expected, rel_tol=_ROUNDED, abs_tol=max(slack, _ROUNDED))
    return type(prediction) is type(expected) and prediction == expected


def _is_number(value: Any) -> bool:
    # True is an int to Python, and no number to who wrote the samples.
    return isinstance(value, int | float) and not isinstance(value, bool)


def _value_in_words(value: Any) -> str:
    return verdict.verdict_number(value) if _is_number(value) else json.dumps(value)


MOST_SAMPLES = 1 << 20  # bytes of a file of samples that are read to be shown


class GoldenSamples(Struct, frozen=True):
    """A golden gate and the bytes of its samples; ``missing`` says why they cannot be shown, and is
    "" where they can."""

    stage: str
    gate: str
    declared: Golden
    content: bytes
    missing: str


def read_golden_samples(
    repository: Repository, base: str, folder: str, project: Project
) -> Iterator[GoldenSamples]:
    """Those of all stages that ``project`` declares, from the commit ``base``, where ``folder`` is
    the project's."""
    for stage, declared in project.stages.items():
        for name, gate in declared.gates.items():
            if isinstance(gate, Golden):
                content, missing = _attempt_samples(repository, base, folder, gate.samples)
                yield GoldenSamples(stage, name, gate, content, missing)


def _attempt_samples(
    repository: Repository, base: str, folder: str, path: str
) -> tuple[bytes, str]:
    """The bytes, or a word of why they are not shown."""
    try:
        size = _measure_samples(repository, base, policy_file_path(folder, path))
        if size > MOST_SAMPLES:
            return b"", f"{path} is too large to be shown here ({readable_size(size)})"
        return read_policy_file(repository, base, folder, path), ""
    except Unjudged as unjudged:
        return b"", str(unjudged)
    except TowpathError as away:
        return b"", away.faults[0].what


def _measure_samples(repository: Repository, base: str, place: str) -> int:
    """Bytes, before they are read: of a pointer those that it stands for; 0 for no file at all."""
    measured = repository.attempt_git("cat-file", "-s", f"{base}:{place}")
    size = int(measured.text) if measured.code == 0 else 0
    if 0 < size < MOST_SAMPLES:
        return large_files.pointed_size(refs.read_content(repository, base, place) or b"") or size
    return size
