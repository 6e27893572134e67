"""A run and its steps as pages show them, in a line each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from towpath.execution import run_folders
from towpath.execution.run_record import ExecutionState
from towpath.studio.shown_values import show_duration, show_number

if TYPE_CHECKING:
    from towpath.execution.run_record import RecordedRun, StepRun

#: In which order states are counted: what a person looks for stands first.
_COUNTED = (
    ExecutionState.FAILED, ExecutionState.INTERRUPTED, ExecutionState.REFUSED,
    ExecutionState.RUNNING, ExecutionState.DONE, ExecutionState.REUSED, ExecutionState.SKIPPED,
    ExecutionState.WAITING,
)  # fmt: skip
_WORDS = {"done": "run"}


@dataclass(frozen=True)
class RunLine:
    """A run in a list."""

    id: str
    pipeline: str
    state: str
    started: str
    took: str
    seconds: float
    counts: tuple[tuple[str, str], ...]
    params: Mapping[str, str]
    metrics: Mapping[str, str]
    asked_for: str
    author: str
    environment: str
    versions: tuple[str, ...]
    is_trial: bool
    error: str


def line_of_run(run: RecordedRun) -> RunLine:
    return RunLine(
        id=run.id,
        pipeline=run.pipeline,
        state=str(run.state),
        started=run.started,
        took=show_duration(run.seconds) if run.ended else "",
        seconds=run.seconds,
        counts=count_states(run),
        params={name: show_number(value) for name, value in run.params.items()},
        metrics={n: show_number(v) for n, v in short_metrics(run).items()},
        asked_for=_asked_words(run),
        author=str(run.origin.get("user", "")),
        environment=run.environment,
        versions=run.registered_versions,
        is_trial=bool(run.tried),
        error="; ".join(run.error),
    )


def count_states(run: RecordedRun) -> tuple[tuple[str, str], ...]:
    """``("done", "3 run")`` and the like, those that are not none."""
    counts = ((state, run.count(state)) for state in _COUNTED)
    return tuple(
        (str(state), f"{count} {_WORDS.get(str(state), str(state))}")
        for state, count in counts
        if count
    )


def _asked_words(run: RecordedRun) -> str:
    values = run.asked.get("params")
    params = values if isinstance(values, Mapping) else {}
    return ", ".join(f"{name} = {show_number(value)}" for name, value in params.items())


def short_metrics(run: RecordedRun) -> dict[str, object]:
    """A run's numbers by their last name where that is one only, else by the whole."""
    metrics = {
        name: value
        for name, value in run_folders.run_metrics(run).items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
    endings = Counter(name.rpartition(".")[2] for name in metrics)
    return {
        short if endings[short := name.rpartition(".")[2]] == 1 else name: value
        for name, value in metrics.items()
    }


def step_took(step: StepRun) -> str:
    return show_duration(step.seconds) if step.seconds >= 0.05 else ""
