"""The cells of a step with ``each`` as a person sees them: one line for all of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from towpath.execution.run_record import ExecutionState, RecordedRun, StepRun

FAILED_STATES = (ExecutionState.FAILED, ExecutionState.REFUSED)
_SHOWN_ERRORS = 3
_VERDICTS = ("run", "undecided", "reuse", "skip")


def one_of_each(run: RecordedRun) -> Iterator[StepRun]:
    """The steps of a run, of those with cells only the first: what is so of one is so of all."""
    passed: set[str] = set()
    for step in run.steps.values():
        if step.cell_of not in passed:
            yield step
        if step.cell_of:
            passed.add(step.cell_of)


def brief_errors(run: RecordedRun) -> Iterator[str]:
    """The faults of a run, of the cells of a step only the first ones."""
    counts: Counter[str] = Counter()
    for line in run.error:
        failed = run.steps.get(line.partition(":")[0])
        step = failed.cell_of if failed else ""
        counts[step] += 1
        if not step or counts[step] <= _SHOWN_ERRORS:
            yield line
    for step, count in counts.items():
        if step and count > _SHOWN_ERRORS:
            yield f"{step}: {count - _SHOWN_ERRORS} more cells failed"


def cell_counts(step: StepRun, cells: Sequence[StepRun]) -> str:
    """How far a step has come: ``12 of 15``, and at its end what became of them."""
    counts = Counter(cell.state for cell in cells)
    ended = sum(count for state, count in counts.items() if state.has_ended)
    failed = sum(counts[state] for state in FAILED_STATES)
    # A search that stops early has fewer trials than it might.
    number = len(cells) if step.state.has_ended else step.cells or len(cells)
    if ended < number:
        words = [f"{ended} of {number}"]
    elif counts[ExecutionState.SKIPPED] == len(cells):
        words = [f"{len(cells)} skipped, {cells[0].reason}"]
    else:
        words_by_state = {
            ExecutionState.DONE: "run", ExecutionState.REUSED: "reused",
            ExecutionState.SKIPPED: "skipped", ExecutionState.INTERRUPTED: "interrupted",
        }  # fmt: skip
        words = [
            f"{counts[state]} {word}" for state, word in words_by_state.items() if counts[state]
        ]
    if failed:
        first = next(cell for cell in cells if cell.state in FAILED_STATES)
        words.append(f"{failed} failed, first {first.name}: {first.reason}")
    return ", ".join(words)


def collapse_plan(steps: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The rows of a plan, in which the cells of a step are one row, at the place of the step."""
    cells: dict[str, list[Mapping[str, Any]]] = {}
    for row in steps:
        if row["cell_of"]:
            cells.setdefault(row["cell_of"], []).append(row)
    return [
        {**row, **_summarise_verdicts(row, cells[row["step"]])}
        if row["step"] in cells
        else dict(row)
        for row in steps
        if not row["cell_of"]
    ]


def _summarise_verdicts(
    step: Mapping[str, Any], cells: Sequence[Mapping[str, Any]]
) -> dict[str, str]:
    counts = Counter(str(cell["verdict"]) for cell in cells)
    verdict = next(word for word in _VERDICTS if counts[word])
    reason = _summarise_reasons(verdict, [c["reason"] for c in cells if c["verdict"] == verdict])
    if step["verdict"] == "undecided" and "trials" in step["reason"]:
        return {"verdict": verdict, "reason": f"{step['reason']}; the next: {reason}"}
    total = len(cells)
    plural = "" if total == 1 else "s"
    part = "" if counts[verdict] == total else f"{counts[verdict]} of "
    number = f"{part}{total} cell{plural}"
    rest = [f"{counts[word]} {word}" for word in _VERDICTS if word != verdict and counts[word]]
    return {"verdict": verdict, "reason": "; ".join([f"{number}: {reason}", *rest])}


def _summarise_reasons(verdict: str, reasons: Sequence[str]) -> str:
    (reason, _), *others = Counter(reasons).most_common()
    if not others:
        return reason
    by_verdict = {"undecided": "after what they take", "reuse": f"{reason} (and others)"}
    return by_verdict.get(verdict, f"{reason}, {len(others)} more reasons")
