"""What is said of many: what a person looks for first."""

from __future__ import annotations

import pytest

from towpath.execution.run_record import ExecutionState, StepRun, fold_cells, fold_states

CASES = {
    "running failed done": "failed",
    "refused running interrupted": "interrupted",
    "running refused": "refused",
    "waiting done": "running",
    "waiting waiting": "waiting",
    "reused done skipped": "done",
    "skipped reused": "reused",
}


@pytest.mark.parametrize("states", CASES)
def test_the_loudest_speaks_for_all(states: str) -> None:
    assert fold_states(map(ExecutionState, states.split())) == CASES[states]


def fold(step: str, *cells: str, expected: int = 0) -> str:
    whole = StepRun("fit", "processing", ExecutionState(step), cells=expected or len(cells))
    return fold_cells(whole, [StepRun("c", "processing", ExecutionState(cell)) for cell in cells])


def test_a_step_speaks_for_itself_at_its_end() -> None:
    assert fold("done", "done", "failed") == "done"  # it may do without that cell
    assert fold("failed", "done", "done") == "failed"  # what it hands on could not be made
    assert fold("waiting", "done", "failed", "running") == "failed"
    assert fold("running", "done", expected=5) == "running"  # the next trial is yet to come
    assert fold("waiting") == "waiting"
