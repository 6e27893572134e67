"""A run and its steps as pages show them, in a line each."""

from __future__ import annotations

import functools
import itertools
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from towpath.credentials import hide_credentials
from towpath.errors import StoreError, UsageError
from towpath.execution import run_folders, run_record
from towpath.execution.run_record import ExecutionState
from towpath.studio.pages.page_kind import NoSuchPage
from towpath.studio.shown_values import show_duration, show_number

if TYPE_CHECKING:
    from pathlib import Path

    from towpath.config.artifact import Json
    from towpath.execution.run_record import RecordedRun, StepRun
    from towpath.studio.project_facts import ProjectFacts

#: In which order states are counted: what a person looks for stands first.
_COUNTED = (
    ExecutionState.FAILED, ExecutionState.INTERRUPTED, ExecutionState.REFUSED,
    ExecutionState.RUNNING, ExecutionState.DONE, ExecutionState.REUSED, ExecutionState.SKIPPED,
    ExecutionState.WAITING,
)  # fmt: skip
_WORDS = {"done": "run"}


@dataclass(frozen=True)
class RunLine:
    """A run in a list; what is kept of an ended one, so that its record is read once."""

    id: str
    pipeline: str
    state: str
    started: str
    took: str
    seconds: float
    counts: tuple[tuple[str, str], ...]
    params: Mapping[str, Json]
    metrics: Mapping[str, float]
    asked_for: str
    author: str
    environment: str
    versions: tuple[str, ...]
    is_trial: bool
    error: str
    has_ended: bool


@dataclass(frozen=True)
class StepLine:
    """A step in a list; ``counts`` are its cells by state."""

    name: str
    kind: str
    state: str
    took: str
    reason: str
    error: tuple[str, ...]
    cells: int | None
    counts: tuple[tuple[str, str], ...] = ()


def find_page_run(facts: ProjectFacts, name: str) -> RecordedRun:
    """The run of a whole name. NoSuchPage where there is none."""
    try:
        run = run_folders.find_run(facts.workspace.runs, name)
    except UsageError as unknown:
        raise NoSuchPage(unknown.faults[0].what) from None
    if run.id != name:
        raise NoSuchPage(f"no run `{name}`")
    return run


def line_of_run(run: RecordedRun) -> RunLine:
    return RunLine(
        id=run.id,
        pipeline=run.pipeline,
        state=str(run.state),
        started=run.started,
        took=show_duration(run.seconds) if run.ended else "",
        seconds=run.seconds,
        counts=count_states(run),
        params=run.params,
        metrics=short_metrics(run),
        asked_for=_asked_words(run),
        author=str(run.origin.get("user", "")),
        environment=run.environment,
        versions=run.registered_versions,
        is_trial=bool(run.tried),
        error="; ".join(run.error),
        has_ended=run.state.has_ended,
    )


def list_run_lines(
    facts: ProjectFacts, count: int | None = None, pipeline: str | None = None
) -> Iterator[RunLine]:
    """The runs, the newest first; a record that cannot be read hides no other."""
    runs = facts.workspace.runs
    lines = (_line_in_folder(runs / name) for name in reversed(run_folders.list_run_names(runs)))
    wanted_lines = (line for line in lines if line and pipeline in (None, line.pipeline))
    return itertools.islice(wanted_lines, count)


def _line_in_folder(folder: Path) -> RunLine | None:
    try:
        log = (folder / run_record.EVENTS).stat()
        line = _read_line(folder, log.st_mtime_ns, log.st_size)
        # Of one that runs the record stays as it is where its process is killed.
        return line if line is None or line.has_ended else _read_line.__wrapped__(folder, 0, 0)
    except (StoreError, OSError):
        return None


@functools.lru_cache(maxsize=5000)
def _read_line(folder: Path, _mtime: int, _size: int) -> RunLine | None:
    run = run_record.read_run(folder)
    return line_of_run(run) if run else None


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


def short_metrics(run: RecordedRun) -> dict[str, float]:
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


def line_of_step(run: RecordedRun, step: StepRun) -> StepLine:
    cells = run.cells_of(step.name) if step.cells else {}
    counts: dict[str, int] = {}
    for cell in cells.values():
        counts[str(cell.state)] = counts.get(str(cell.state), 0) + 1
    return StepLine(
        step.name, step.kind.replace("_", " "), str(step.state), step_took(step), step.reason,
        tuple(hide_credentials(line) for line in step.error), step.cells,
        tuple((state, f"{count} {state}") for state, count in counts.items()),
    )  # fmt: skip
