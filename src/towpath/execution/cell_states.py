"""What many steps, or the cells of one, have come to together: the one thing to say of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from towpath.execution.run_record import ExecutionState

if TYPE_CHECKING:
    from towpath.execution.run_record import StepRun

BAD_STATES = (ExecutionState.FAILED, ExecutionState.INTERRUPTED, ExecutionState.REFUSED)
#: What a person looks for, the first of these that one of them has: also while others run still,
#: for who hears of a failure early need not wait for the end.
LOUDEST_STATES = (*BAD_STATES, ExecutionState.RUNNING)
_QUIET_STATES = (ExecutionState.DONE, ExecutionState.REUSED, ExecutionState.SKIPPED)


def fold_states(states: Iterable[ExecutionState]) -> ExecutionState | None:
    """The state of many; None of none. Where some wait and others have ended, they run."""
    present = set(states)
    for state in LOUDEST_STATES:
        if state in present:
            return state
    if ExecutionState.WAITING in present:
        return ExecutionState.WAITING if len(present) == 1 else ExecutionState.RUNNING
    return next((state for state in _QUIET_STATES if state in present), None)


def fold_cells(step: StepRun, cells: Sequence[StepRun]) -> ExecutionState:
    """What a step with ``each`` has come to by its cells."""
    if step.state in BAD_STATES:  # what it hands on could not be made
        return step.state
    state = fold_states(cell.state for cell in cells) or step.state
    # A cell that the step may do without is no failure of it.
    if state in BAD_STATES and step.state.has_ended:
        return step.state
    # Of a search the next trial may be yet to come.
    goes_on = not step.state.has_ended and (step.cells or 0) > len(cells)
    return ExecutionState.RUNNING if goes_on and state in _QUIET_STATES else state
