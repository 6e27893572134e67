"""A run's record: a log of events, and the run as the fold of them."""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, TextIO, TypeAlias

from msgspec import Struct, field
from msgspec.structs import replace

from towpath.config import foreign_values as foreign
from towpath.config.artifact import Artifact, Json, Made, read_made
from towpath.config.foreign_paths import FileName
from towpath.config.foreign_values import Fields, ReadValue, describe_value
from towpath.errors import Fault, Malformed, Place, StoreError
from towpath.plain_data import list_fields
from towpath.regular_files import read_regular_file

EVENTS = "events.jsonl"
_CLOCK = 2.0  # seconds between the start of a process as the kernel and as a record tells it
_STEPPED = 600.0  # seconds by which a clock may have been set right while a run goes on


class ExecutionState(StrEnum):
    """What a step or a run has come to."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    REUSED = "reused"
    SKIPPED = "skipped"
    FAILED = "failed"
    REFUSED = "refused"
    INTERRUPTED = "interrupted"

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will come of it."""
        return self not in (ExecutionState.WAITING, ExecutionState.RUNNING)

    @property
    def in_words(self) -> str:
        """What a step or a run did, behind its name: `failed`, `was skipped`, `still runs`."""
        words = {
            ExecutionState.WAITING: "still waits",
            ExecutionState.RUNNING: "still runs",
            ExecutionState.FAILED: "failed",
        }
        return words.get(self, f"was {self}")


BAD_STATES = (ExecutionState.FAILED, ExecutionState.INTERRUPTED, ExecutionState.REFUSED)
#: What a person looks for, the first of these that one of them has: also while others run still,
#: for who hears of a failure early need not wait for the end.
LOUDEST_STATES = (*BAD_STATES, ExecutionState.RUNNING)
_QUIET_STATES = (ExecutionState.DONE, ExecutionState.REUSED, ExecutionState.SKIPPED)


class FailedAttempt(Struct, frozen=True):
    """An attempt at a step that another followed: when it began, UTC, and the first line of what
    ended it; "" in a record of a Towpath that kept no such lines."""

    number: int
    started: str
    error: str


class StepRun(Struct, frozen=True):
    """What became of one step in one run; ``reason`` says why so.

    ``seconds`` is wall time from its begin to its end, with the start of its process, its imports,
    and what is read and written; ``function_seconds`` is that of its function alone, None where
    none was called in this run. Of a cell ``cell_of`` is the step that has it, and ``items`` its
    items; of such a step ``cells`` is their number, of a search the most that there may be.
    """

    name: str
    kind: str
    state: ExecutionState = ExecutionState.WAITING
    reason: str = ""
    started: str = ""
    seconds: float = 0.0
    function_seconds: float | None = None
    attempt: int = 1
    key: str = ""
    ingredients: Mapping[str, str] = field(default_factory=dict)
    made: Made = field(default_factory=Made)
    error: tuple[str, ...] = ()
    cell_of: str = ""
    items: Mapping[str, Json] = field(default_factory=dict)
    cells: int | None = None
    failed_attempts: tuple[FailedAttempt, ...] = ()


class RecordedRun(Struct, frozen=True):
    """One execution of a pipeline; times are UTC, ISO 8601.

    ``asked`` is what it was asked (parameters, inputs and steps that were given); ``params`` and
    ``inputs`` are the values and digests that all of them had; ``sources`` say where each input
    was read, ``tried`` names the parameters and inputs that make the run a trial; ``environment``
    is what it was for, ``origin`` says who, where, when. ``registered`` are versions that were made
    of it after it had ended.
    """

    id: str
    pipeline: str
    state: ExecutionState
    started: str
    ended: str = ""
    seconds: float = 0.0
    params: Mapping[str, Json] = field(default_factory=dict)
    inputs: Mapping[str, Json] = field(default_factory=dict)
    asked: Mapping[str, Json] = field(default_factory=dict)
    origin: Mapping[str, Json] = field(default_factory=dict)
    steps: Mapping[str, StepRun] = field(default_factory=dict)
    exit_code: int = 0
    error: tuple[str, ...] = ()
    published: tuple[str, ...] = ()
    sources: Mapping[str, Json] = field(default_factory=dict)
    tried: tuple[str, ...] = ()
    environment: str = ""
    registered: tuple[str, ...] = ()

    @property
    def registered_versions(self) -> tuple[str, ...]:
        """The versions that were registered of it, or before it of the same."""
        named = (step.made.facts.get("version") for step in self.steps.values())
        return tuple(dict.fromkeys([*(str(name) for name in named if name), *self.registered]))

    def count_states(self) -> Counter[ExecutionState]:
        """How many steps came to what; a condition is no work, nor is what hands on its cells'
        results, and they count only where they failed."""
        always = (ExecutionState.FAILED, ExecutionState.INTERRUPTED)
        return Counter(
            step.state
            for step in self.steps.values()
            if step.state in always or (step.kind != "condition" and not step.cells)
        )

    def cells_of(self, step: str) -> dict[str, StepRun]:
        """The cells of a step with ``each``, by name."""
        return {name: cell for name, cell in self.steps.items() if cell.cell_of == step}

    @property
    def outputs(self) -> dict[str, Artifact]:
        """All that it made and kept, by ``step.output``."""
        return {
            f"{step.name}.{name}": artifact
            for step in self.steps.values()
            for name, artifact in step.made.outputs.items()
        }

    @property
    def values(self) -> dict[str, Json]:
        """The contents of the JSON outputs, by ``step.output``."""
        return {
            f"{step.name}.{name}": value
            for step in self.steps.values()
            for name, value in step.made.values.items()
        }


def group_cells(run: RecordedRun) -> dict[str, list[StepRun]]:
    """The cells of each step that has some, by step."""
    groups: dict[str, list[StepRun]] = {}
    for step in run.steps.values():
        if step.cell_of:
            groups.setdefault(step.cell_of, []).append(step)
    return groups


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


def utc_now() -> str:
    """The time in UTC, ISO 8601, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def new_folder(runs: Path) -> Path:
    """A run's own new folder, whose name sorts by time: ``20261122-144200-3fa1``, UTC; the end
    is a fraction of the second."""
    while True:
        moment = datetime.now(UTC)
        fraction = moment.microsecond * 0x10000 // 1_000_000
        folder = runs / f"{moment:%Y%m%d-%H%M%S}-{fraction:04x}"
        with contextlib.suppress(FileExistsError):  # another run, in the same 15 microseconds
            folder.mkdir(parents=True)
            return folder


def made_as_json(made: Made) -> dict[str, Any]:
    """A step's result as plain data."""
    return {
        "outputs": {name: list_fields(artifact) for name, artifact in made.outputs.items()},
        "values": dict(made.values),
        "facts": dict(made.facts),
    }


class Recorder:
    """Appends a run's events to its log, each a line, and tells those who listen."""

    def __init__(self, folder: Path, listeners: Iterable[Callable[[Event], None]] = ()) -> None:
        self.folder = folder
        self._listeners = tuple(listeners)
        self._lock = threading.Lock()
        # What UTF-8 has no bytes for is written as JSON may write it: an escape.
        self._file: TextIO = (folder / EVENTS).open(
            "a", encoding="utf-8", errors="backslashreplace"
        )

    def __call__(self, event: str, **fields: Any) -> None:
        entry = {"event": event, "time": utc_now(), **fields}
        # Steps' threads may tell of an attempt at once: lines must not run into each other. It is
        # flushed, so that `towpath logs` and a kill find each event whole.
        with self._lock:
            self._file.write(json.dumps(entry, ensure_ascii=False) + "\n")
            self._file.flush()
            for listener in self._listeners:
                listener(entry)

    def announce(self, event: str, **fields: Any) -> None:
        """Tell those who listen of what the record need not hold, for another file has it."""
        entry = {"event": event, "time": utc_now(), **fields}
        with self._lock:
            for listener in self._listeners:
                listener(entry)

    def close(self) -> None:
        """No event will follow."""
        self._file.close()


def fold_event(run: RecordedRun | None, event: Event) -> RecordedRun:
    """The run after one more event."""
    if event["event"] == "started":
        return _started_run(event)
    if run is None:
        raise Malformed("a run's log begins with `started`")
    if event["event"] == "step":
        return replace(run, steps={**run.steps, event["step"]: _fold_step(run.steps, event)})
    if event["event"] == "cells":
        return replace(run, steps=_with_cells(run.steps, event))
    if event["event"] == "published":
        return replace(run, published=tuple(event["versions"]))
    if event["event"] == "registered":
        return replace(run, registered=(*run.registered, *event["versions"]))
    if event["event"] == "finished":
        return replace(
            run,
            state=ExecutionState(event["state"]),
            ended=event["time"],
            seconds=event["seconds"],
            exit_code=event["exit_code"],
            error=tuple(event.get("error", ())),
            steps=_at_rest(run.steps),
        )
    return run


def _with_cells(steps: Mapping[str, StepRun], event: Event) -> dict[str, StepRun]:
    """The steps with the cells of one of them, which stand before it."""
    step, cells = event["step"], event["cells"]
    kind = steps[step].kind if step in steps else ""
    grown: dict[str, StepRun] = {}
    for name, before in steps.items():
        if name == step:
            for cell, items in cells.items():
                grown[cell] = StepRun(cell, kind, cell_of=step, items=items)
            before = replace(before, cells=event["number"])
        grown[name] = before
    return grown


def _at_rest(steps: Mapping[str, StepRun]) -> dict[str, StepRun]:
    # What was running when a run ended was interrupted: a kill leaves no word of the step.
    return {
        name: replace(step, state=ExecutionState.INTERRUPTED)
        if step.state is ExecutionState.RUNNING
        else step
        for name, step in steps.items()
    }


def _started_run(event: Event) -> RecordedRun:
    steps = {name: StepRun(name, kind) for name, kind in event["steps"].items()}
    return RecordedRun(
        event["run"], event["pipeline"], ExecutionState.RUNNING, event["time"],
        params=event["params"],
        inputs=event["inputs"], asked=event.get("asked", {}), origin=event["origin"], steps=steps,
        sources=event.get("sources", {}), tried=tuple(event.get("tried", ())),
        environment=event.get("for", ""),
    )  # fmt: skip


def _fold_step(steps: Mapping[str, StepRun], event: Event) -> StepRun:
    before = steps.get(event["step"]) or StepRun(event["step"], "")
    state = ExecutionState(event["state"])
    result: Made | Mapping[str, Any] = event.get("made", before.made)
    # An event that was read holds it typed; one that is new, for a listener, as plain data.
    result = result if isinstance(result, Made) else read_made(result)
    own = result.facts.get("function_seconds") if state is ExecutionState.DONE else None
    # Not `replace`, which takes half of the time of a fold of thousands of records.
    return StepRun(
        name=before.name,
        kind=before.kind,
        state=state,
        started=event["time"]
        if state is ExecutionState.RUNNING
        else event.get("began", before.started),
        reason=event.get("reason", before.reason),
        seconds=event.get("seconds", before.seconds),
        attempt=event.get("attempt", before.attempt),
        key=event.get("key", before.key),
        ingredients=event.get("ingredients", before.ingredients),
        function_seconds=float(own) if isinstance(own, int | float) else None,
        made=result,
        error=tuple(event.get("error", before.error)),
        cell_of=before.cell_of,
        items=before.items,
        cells=before.cells,
        failed_attempts=_fold_attempts(before, event),
    )


def _fold_attempts(before: StepRun, event: Event) -> tuple[FailedAttempt, ...]:
    if event.get("attempt", 1) <= before.attempt or not before.started:
        return before.failed_attempts
    failed = FailedAttempt(before.attempt, before.started, event.get("previous_error", ""))
    return (*before.failed_attempts, failed)[-_MOST_ATTEMPTS:]


_MOST_ATTEMPTS = 100  # that are kept of a step: the last ones


def replay_events(events: Iterable[Event]) -> RecordedRun | None:
    """The run that a log adds up to; None for an empty log. Linear in the log."""
    run: RecordedRun | None = None
    steps: dict[str, StepRun] = {}
    # What all events of a step say together: it is made once.
    unfolded: dict[str, Event] = {}
    for event in events:
        if run is not None and event["event"] == "step":
            name = event["step"]
            if event.get("attempt", 1) > 1 and name in unfolded:  # what went before stays told
                steps[name] = _fold_step(steps, unfolded.pop(name))
            # One event that says what those before it and this one say after each other.
            began = {"began": event["time"]} if event["state"] == ExecutionState.RUNNING else {}
            unfolded[name] = {**unfolded.get(name, {}), **event, **began}
            continue
        if run is not None and event["event"] == "cells":
            steps = _with_cells(_fold_steps(steps, unfolded), event)
            unfolded = {}
            continue
        run = fold_event(run, event)
        steps = steps or dict(run.steps)
    if run is None:
        return None
    steps = _fold_steps(steps, unfolded)
    return replace(run, steps=_at_rest(steps) if run.state.has_ended else steps)


def _fold_steps(steps: dict[str, StepRun], events: Mapping[str, Event]) -> dict[str, StepRun]:
    return steps | {name: _fold_step(steps, event) for name, event in events.items()}


def read_run(folder: Path) -> RecordedRun | None:
    """The run recorded in ``folder``; a torn last line, as a kill leaves it, is left out.

    Raises ``StoreError``, with its place, for a record that was not written by a run.
    """
    shown = f"{folder.name}/{EVENTS}"
    try:
        lines = read_regular_file(folder / EVENTS).decode("utf-8").split("\n")
        run = replay_events(read_events(lines, shown))
    except OSError:
        return None
    except Malformed as wrong:
        fault = wrong.faults[0]
        raise _refuse_record(folder, f"cannot be read: {fault.what}", fault.place) from None
    except UnicodeDecodeError:
        raise _refuse_record(folder, "is not UTF-8") from None
    if run is not None and run.id != folder.name:
        raise _refuse_record(folder, f"is that of another, {describe_value(run.id)}")
    if run is None or run.state.has_ended or process_lives(run.origin, run.started):
        return run
    # A run that says it runs, whose process is gone, was killed.
    return replace(run, state=ExecutionState.INTERRUPTED, steps=_at_rest(run.steps))


def process_lives(origin: Mapping[str, Json], started: str) -> bool:
    """Whether the process of a run that began at ``started`` (ISO 8601) may still be at work."""
    # Of another host's process nothing is known here: a shared folder may show its run.
    pid = origin.get("pid")
    if not isinstance(pid, int) or origin.get("host") != os.uname().nodename:
        return True
    if not 0 < pid < 1 << 31:  # no process has such a number: a signal would go to a group
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's, and alive
        pass
    return is_of_run(pid, started, _STEPPED)


def is_of_run(process: int, started: str, tolerance: float = _CLOCK) -> bool:
    """Whether a process was there when the run began, give or take some seconds, and is none that
    was given its number afterwards."""
    import psutil

    try:
        created: float = psutil.Process(process).create_time()
        return created <= datetime.fromisoformat(started).timestamp() + tolerance
    except (psutil.Error, ValueError):
        return False


def _refuse_record(folder: Path, what: str, place: Place | None = None) -> StoreError:
    hint = f"no run wrote it so: remove {folder}, and the others are listed without it"
    place = place or Place(f"{folder.name}/{EVENTS}")
    return StoreError(Fault(f"the record of run {folder.name} {what}", place, hint))


Event = Mapping[str, Any]

_TEXTS = foreign.table_of(foreign.read_text)
_VALUES = foreign.table_of(foreign.read_json)
_LINES = foreign.list_of(foreign.read_text)


def read_events(lines: Iterable[str], shown: str) -> Iterator[Event]:
    """The events of a log; a torn line, as a kill leaves the last, ends it.

    Raises ``Malformed``, with its place, at a line that is JSON and no event.
    """
    for number, line in enumerate(lines, 1):
        try:
            document = foreign.parse_json(line)
        except Malformed:  # torn by a kill or a full disk: what stands above it is true
            return
        try:
            yield _read_fields(document)
        except Malformed as wrong:
            raise Malformed(Fault(wrong.faults[0].what, Place(shown, number))) from None


def _read_fields(document: object) -> Event:
    """One event with every field of its type; fields that nobody reads are left out."""
    fields = Fields(document)
    kind = fields.get("event", foreign.read_text)
    event: dict[str, Any] = {"event": kind, "time": fields.get("time", foreign.read_moment)}
    required, optional = _FIELDS.get(kind, _NO_FIELDS)
    for name, read_value in required.items():
        event[name] = fields.get(name, read_value)
    for name in fields.names & optional.keys():
        value = fields.find_optional(name, optional[name])
        if value is not None:
            event[name] = value
    return event


def _read_asked(value: object) -> dict[str, Any]:
    # It may be asked again (`--retry`), so what is not known of it is kept as well.
    fields = Fields(value)
    readers: dict[str, ReadValue[Any]] = {"params": _VALUES, "inputs": _TEXTS, "only": _LINES}
    readers |= dict.fromkeys(("begin", "end", "for"), foreign.read_text)
    read = {name: fields.find_optional(name, reader) for name, reader in readers.items()}
    rest = {name: item for name, item in _VALUES(value).items() if name not in read}
    return {**rest, **{name: item for name, item in read.items() if item is not None}}


def _read_steps(value: object) -> dict[str, str]:
    # A step has a folder of its name in the run's: a name that leads out of it is refused.
    return {FileName(name): kind for name, kind in _TEXTS(value).items()}


def _read_cells(value: object) -> dict[str, dict[str, Json]]:
    return {FileName(name): items for name, items in foreign.table_of(_VALUES)(value).items()}


_EventFields: TypeAlias = tuple[Mapping[str, ReadValue[Any]], Mapping[str, ReadValue[Any]]]
_NO_FIELDS: _EventFields = ({}, {})


_STARTED: _EventFields = (
    {
        "run": FileName,
        "pipeline": foreign.read_text,
        "steps": _read_steps,
        "params": _VALUES,
        "inputs": _VALUES,
        "origin": _VALUES,
    },
    {"asked": _read_asked, "sources": _VALUES, "tried": _LINES, "for": foreign.read_text},
)
_STEP: _EventFields = (
    {"step": FileName, "state": foreign.one_of(*ExecutionState)},
    {
        "reason": foreign.read_text,
        "seconds": foreign.read_duration,
        "attempt": foreign.read_count,
        "previous_error": foreign.read_text,
        "key": foreign.read_text,
        "ingredients": _TEXTS,
        "made": read_made,
        "error": _LINES,
    },
)
_FINISHED: dict[str, ReadValue[Any]] = {
    "state": foreign.one_of(*ExecutionState),
    "seconds": foreign.read_duration,
    "exit_code": foreign.read_count,
}
_FIELDS: Mapping[str, _EventFields] = {
    "started": _STARTED,
    "step": _STEP,
    "cells": ({"step": FileName, "cells": _read_cells, "number": foreign.read_count}, {}),
    "published": ({"versions": _LINES}, {}),
    "registered": ({"versions": _LINES}, {}),
    "finished": (_FINISHED, {"error": _LINES}),
}
"""What each kind of event must say, and what it may."""
