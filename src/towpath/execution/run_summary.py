"""A run as lists, documents and reports tell it: derived from its record, without words."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping

from msgspec import Struct

from towpath.config.artifact import Json
from towpath.execution.run_record import ExecutionState, RecordedRun
from towpath.execution.runs_table import list_run_numbers, list_run_values, shorten_metric_names

#: What a record says of where a run was, in the order in which it is told.
_ORIGIN = ("user", "host", "commit", "python", "towpath")
#: In which order states are counted: what a person looks for stands first.
_COUNTED = (
    ExecutionState.FAILED, ExecutionState.INTERRUPTED, ExecutionState.REFUSED,
    ExecutionState.RUNNING, ExecutionState.DONE, ExecutionState.REUSED, ExecutionState.SKIPPED,
    ExecutionState.WAITING,
)  # fmt: skip


class CheckSummary(Struct, frozen=True):
    """What a step that checks data found: of which, by its digest, and whether it passed."""

    step: str
    kind: str
    digest: str
    has_passed: bool
    rows: int | None
    failed: int
    warned: int


class RunInput(Struct, frozen=True):
    """What a run read: its digest, and ``place``, which is a version, an output of a pipeline or a
    path; "" for unknown. ``made_by`` are the pipeline, run and version that made it, as far as they
    are known; ``stale`` is why it was not the newest, "" where it was."""

    name: str
    digest: str
    place: str
    source: str
    made_by: tuple[str, ...]
    stale: str


class RunSummary(Struct, frozen=True):
    """A run: how many of its steps came to what, and what can be compared. Times are UTC, ISO 8601.

    ``params`` are parameters, and where inputs came from; ``metrics`` have the shortest names that
    are one number's only; ``versions`` were registered of it; ``is_trial`` is that its values are
    not the declared ones.
    """

    id: str
    pipeline: str
    state: str
    started: str
    seconds: float
    counts: Mapping[str, int]
    params: Mapping[str, Json]
    metrics: Mapping[str, float]
    versions: tuple[str, ...]
    is_trial: bool
    author: str
    environment: str
    error: tuple[str, ...]
    checks: tuple[CheckSummary, ...]


def summarise_run(run: RecordedRun) -> RunSummary:
    return RunSummary(
        id=run.id,
        pipeline=run.pipeline,
        state=str(run.state),
        started=run.started,
        seconds=run.seconds,
        counts=count_run_states(run),
        params=list_run_values(run),
        metrics=_measure_run(run),
        versions=run.registered_versions,
        is_trial=bool(run.tried),
        author=str(run.origin.get("user", "")),
        environment=run.environment,
        error=run.error,
        checks=tuple(_list_checks(run)),
    )


def count_run_states(run: RecordedRun) -> dict[str, int]:
    """How many steps came to what; of a state that none has, nothing."""
    counts = run.count_states()
    return {str(state): counts[state] for state in _COUNTED if counts[state]}


def _measure_run(run: RecordedRun) -> dict[str, float]:
    numbers = list_run_numbers(run)
    names = shorten_metric_names(numbers)
    # Thousands of runs have the same names: each is held once.
    return {
        sys.intern(names[name]): value
        for name, value in numbers.items()
        if isinstance(value, int | float)
    }


def _list_checks(run: RecordedRun) -> Iterator[CheckSummary]:
    for step in run.steps.values():
        result = step.made.values.get("result")
        if step.kind not in ("quality_check", "bias_check") or not isinstance(result, Mapping):
            continue
        data, counts = step.made.outputs.get("data"), result.get("counts")
        digest = data.digest if data else step.ingredients.get("input data", "")
        rows, numbers = result.get("rows"), counts if isinstance(counts, Mapping) else {}
        failed, warned = numbers.get("failed"), numbers.get("warned")
        yield CheckSummary(
            step.name, step.kind, digest, result.get("passed") is True,
            rows if isinstance(rows, int) else None,
            failed if isinstance(failed, int) else 0, warned if isinstance(warned, int) else 0,
        )  # fmt: skip


def list_run_inputs(run: RecordedRun) -> tuple[RunInput, ...]:
    """What a run read, and where it came from, in the order of its record."""
    return tuple(
        _describe_input(name, str(digest), run.sources.get(name))
        for name, digest in run.inputs.items()
    )


def _describe_input(name: str, digest: str, source: Json) -> RunInput:
    details = source if isinstance(source, Mapping) else {}
    version, path, pipeline, run, stale = (
        str(details.get(key) or "") for key in ("version", "path", "pipeline", "run", "stale")
    )
    made_by = tuple(filter(None, (pipeline, run, version)))
    place, origin = find_input_place(source), version or path or pipeline
    return RunInput(name, digest, place, origin, made_by, stale)


def find_input_place(source: Json) -> str:
    """What an input is called: a version, an output of a pipeline, or a path; "" for none."""
    if not isinstance(source, Mapping):
        return ""
    is_output = source.get("pipeline") and source.get("output")
    output = f"{source['pipeline']}:{source['output']}" if is_output else None
    return str(source.get("version") or output or source.get("path") or "").rstrip("/")


def list_run_origin(run: RecordedRun) -> Iterator[tuple[str, str]]:
    """Who ran it, where, and with what, as far as its record says."""
    for name in _ORIGIN:
        if value := run.origin.get(name):
            yield name, str(value)
