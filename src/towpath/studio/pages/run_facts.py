"""A run and its steps as pages show them, in a line each."""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct, field

from towpath.credentials import hide_credentials
from towpath.errors import StoreError, UsageError
from towpath.execution import run_folders, run_record
from towpath.execution.run_summary import CheckSummary, find_input_place, summarise_run
from towpath.planning.run_request import describe_asked
from towpath.studio.page_threads import NICENESS
from towpath.studio.pages.page_kind import NoSuchPage
from towpath.studio.shown_values import show_duration

if TYPE_CHECKING:
    from towpath.config.artifact import Json
    from towpath.execution.run_folders import RunSections
    from towpath.execution.run_record import RecordedRun, StepRun
    from towpath.studio.project_facts import ProjectFacts

_WORDS = {"done": "run"}


class RunLine(Struct, frozen=True):
    """A run in a list; what is kept of an ended one, so that its record is read once.

    ``params`` are parameters, and where inputs came from; ``data`` are digests of its inputs by
    name, ``places`` their paths or versions; ``sections`` are what it is compared by;
    ``engine_run`` is the id at Prefect of a run of a deployment.
    """

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
    data: Mapping[str, Json]
    sections: RunSections
    places: Mapping[str, str]
    checks: tuple[CheckSummary, ...]
    engine_run: str


class StepLine(Struct, frozen=True):
    """A step in a list; ``counts`` are its cells by state."""

    name: str
    kind: str
    state: str
    took: str
    reason: str
    error: tuple[str, ...]
    cells: int | None
    counts: tuple[tuple[str, str], ...] = ()


_LOOKED = 50  # runs that are looked at for the one before


def find_run_before(facts: ProjectFacts, run: RecordedRun) -> str:
    """The run of the same pipeline before; "" where none of the runs just before is one."""
    runs = facts.workspace.runs
    older = [name for name in run_folders.list_run_names(runs) if name < run.id]
    lines = (RUN_LINES.read_line(f"{runs}/{name}") for name in reversed(older[-_LOOKED:]))
    return next((line.id for line in lines if line and line.pipeline == run.pipeline), "")


def find_page_run(facts: ProjectFacts, name: str) -> RecordedRun:
    """The run of a whole name. NoSuchPage where there is none."""
    try:
        run = run_folders.find_run(facts.workspace.runs, name)
    except UsageError as unknown:
        if facts.has_run_page(name):  # it is there, and its record cannot be read
            raise
        raise NoSuchPage(unknown.faults[0].what) from None
    if run.id != name:
        raise NoSuchPage(f"no run `{name}`")
    return run


def line_of_run(run: RecordedRun, is_compared: bool = True) -> RunLine:
    """``is_compared`` is that the line has what runs are compared by, which takes a while of a run
    of a thousand steps."""
    summary = summarise_run(run)
    return RunLine(
        id=summary.id,
        pipeline=summary.pipeline,
        state=summary.state,
        started=summary.started,
        took=show_duration(summary.seconds) if run.ended else "",
        seconds=summary.seconds,
        counts=show_counts(summary.counts),
        params=summary.params,
        metrics=summary.metrics,
        asked_for=describe_asked(run.asked),
        author=summary.author,
        environment=summary.environment,
        versions=summary.versions,
        is_trial=summary.is_trial,
        error="; ".join(summary.error),
        has_ended=run.state.has_ended,
        data=run.inputs,
        sections=_share_sections(run) if is_compared else {},
        places={n: place for n, s in run.sources.items() if (place := find_input_place(s))},
        checks=summary.checks,
        engine_run=str(run.origin.get("engine_run") or ""),
    )


def list_run_lines(
    facts: ProjectFacts, count: int | None = None, pipeline: str | None = None
) -> Iterator[RunLine]:
    """The runs, the newest first; a record that cannot be read hides no other."""
    runs = facts.workspace.runs
    names = reversed(run_folders.list_run_names(runs))
    lines = (RUN_LINES.read_line(f"{runs}/{name}") for name in names)
    wanted_lines = (line for line in lines if line and pipeline in (None, line.pipeline))
    return itertools.islice(wanted_lines, count)


class _KeptLine(Struct, frozen=True):
    """A run's line as its record said it at that time and size; of a run that goes on also where
    its process is, for the record stays as it is where that is killed."""

    state: tuple[int, int]
    line: RunLine
    origin: Mapping[str, Json] | None

    def is_true(self, state: tuple[int, int]) -> bool:
        """Whether a record of that time and size still says so."""
        if state != self.state:
            return False
        return self.origin is None or run_record.process_lives(self.origin, self.line.started)


class RunLineCache(Struct):
    """The lines of runs, by the time and size of their records. ``most`` bounds how many values of
    their own they hold together: the newest runs are kept, for who lists them all would push out
    what was listed first."""

    most: int = 500_000  # values of some 150 bytes
    _lines: dict[str, _KeptLine] = field(default_factory=dict)
    _held: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def read_line(self, folder: Path | str) -> RunLine | None:
        """The line of the run in a folder; None for a record that cannot be read."""
        name = str(folder)
        try:
            log = os.stat(f"{name}/{run_record.EVENTS}")  # noqa: PTH116
            state = log.st_mtime_ns, log.st_size
            kept = self._lines.get(name)
            return kept.line if kept and kept.is_true(state) else self._read_record(name, state)
        except (StoreError, OSError):
            return None

    def has_line(self, folder: Path | str) -> bool:
        """Whether a run's line is at hand, or was when it was looked at."""
        return str(folder) in self._lines

    def _read_record(self, name: str, state: tuple[int, int]) -> RunLine | None:
        run = run_record.read_run(Path(name))
        if run is None:
            return None
        line = line_of_run(run)
        with self._lock:  # requests have threads of their own
            self._forget_line(name)
            self._lines[name] = _KeptLine(state, line, None if line.has_ended else run.origin)
            self._held += _count_values(line)
            while self._held > self.most:
                self._forget_line(min(self._lines))  # a name begins with its time
        return line

    def _forget_line(self, name: str) -> None:
        if name in self._lines:
            self._held -= _count_values(self._lines.pop(name).line)


def _count_values(line: RunLine) -> int:
    own = (values for title, values in line.sections.items() if title not in _SHARED)
    return 30 + len(line.params) + len(line.metrics) + sum(map(len, own))


#: Of this process: what a record says does not change, whoever asks.
RUN_LINES = RunLineCache()


def read_ahead(runs: Path, pieces: Iterable[object] = ()) -> None:
    """Read the records below a folder, the newest first, in small pieces with longer pauses: a
    page that is asked for meanwhile is not slowed. What gives ``pieces`` reads more, before."""
    with contextlib.suppress(OSError):  # of this thread alone, as Linux counts; refused elsewhere
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
    for _ in pieces:
        time.sleep(_PAUSE)
    for name in reversed(run_folders.list_run_names(runs)):
        RUN_LINES.read_line(f"{runs}/{name}")
        time.sleep(_PAUSE)


_PAUSE = 0.005  # seconds, of which reading a record takes a fifth


def _share_sections(run: RecordedRun) -> RunSections:
    """What runs are compared by; what thousands have alike is held once."""
    return {
        title: _share_values(tuple(values.items())) if title in _SHARED else values
        for title, values in run_folders.list_run_sections(run).items()
    }


_SHARED = ("code", "steps", "data")


@functools.lru_cache(maxsize=512)
def _share_texts(items: tuple[tuple[str, Json], ...]) -> Mapping[str, Json]:
    return {sys.intern(name): value for name, value in items}


def _share_values(items: tuple[tuple[str, Json], ...]) -> Mapping[str, Json]:
    try:
        return _share_texts(items)
    except TypeError:  # an input of a record that is no digest
        return dict(items)


def show_counts(counts: Mapping[str, int]) -> tuple[tuple[str, str], ...]:
    """``("done", "3 run")`` and the like."""
    return tuple(
        (state, f"{count:,} {_WORDS.get(state, state)}") for state, count in counts.items()
    )


def step_took(step: StepRun) -> str:
    return show_duration(step.seconds) if step.seconds >= 0.05 else ""


def line_of_step(run: RecordedRun, step: StepRun) -> StepLine:
    cells = run.cells_of(step.name) if step.cells else {}
    counts = Counter(str(cell.state) for cell in cells.values())
    return StepLine(
        step.name, step.kind.replace("_", " "), str(step.state), step_took(step), step.reason,
        tuple(hide_credentials(line) for line in step.error), step.cells,
        tuple((state, f"{count:,} {state}") for state, count in counts.items()),
    )  # fmt: skip
