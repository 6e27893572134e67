"""Runs side by side: the parameters in which they differ, their metrics, what became of them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from towpath.config.artifact import Json
from towpath.errors import Fault, UsageError, did_you_mean
from towpath.execution.run_folders import flatten_leaves, run_metrics
from towpath.execution.run_record import ExecutionState, RecordedRun


class RunsTableRow(Struct, frozen=True):
    """One run: values of parameters and inputs, and its numbers, by the table's columns."""

    run: str
    pipeline: str
    state: ExecutionState
    started: str
    seconds: float
    trial: bool
    versions: tuple[str, ...]
    params: Mapping[str, Json]
    metrics: Mapping[str, Json]


class RunsTable(Struct, frozen=True):
    """The rows, and the names of the columns that they have.

    ``params`` are the parameters and inputs in which the runs differ, or those that were asked
    for; ``metrics`` the numbers of their evaluations, each by the shortest name that is its own.
    """

    params: tuple[str, ...]
    metrics: tuple[str, ...]
    rows: tuple[RunsTableRow, ...]


class TableRequest(Struct, frozen=True):
    """What is asked of the table.

    ``params`` name the columns, where some are asked for; a ``name=value`` keeps the runs with that
    value. ``sort`` names a metric, a parameter, ``started`` or ``seconds``; a ``-`` before it puts
    the highest first. ``count`` bounds the rows, after they were sorted.
    """

    params: tuple[str, ...] = ()
    sort: str | None = None
    count: int | None = None


def tabulate_runs(runs: Iterable[RecordedRun], request: TableRequest) -> RunsTable:
    """The table of runs, the newest first unless it is sorted. UsageError for an unknown name."""
    listed = list(runs)
    if not listed:
        return RunsTable((), (), ())
    values = {run.id: list_run_values(run) for run in listed}
    columns = dict.fromkeys(chain.from_iterable(values.values()))
    wanted_values = _parse_columns(request.params, columns)
    kept = [run for run in listed if _is_kept(values[run.id], wanted_values)]
    numbers = {run.id: list_run_numbers(run) for run in kept}
    names = shorten_metric_names(dict.fromkeys(chain.from_iterable(numbers.values())))
    rows = [
        RunsTableRow(
            run=run.id,
            pipeline=run.pipeline,
            state=run.state,
            started=run.started,
            seconds=run.seconds,
            trial=bool(run.tried),
            versions=run.registered_versions,
            params=values[run.id],
            metrics={names[name]: value for name, value in numbers[run.id].items()},
        )
        for run in kept
    ]
    if request.sort:
        rows = _sort_rows(rows, request.sort, tuple(names.values()), tuple(columns))
    shown = tuple(wanted_values) or tuple(n for n in columns if _has_differences(n, rows))
    return RunsTable(shown, tuple(names.values()), tuple(rows[: request.count]))


def list_run_values(run: RecordedRun) -> dict[str, Json]:
    """A run's parameters, and where its inputs came from: what a trial may differ in."""
    # Inputs are columns too: a run that read other data is a trial like any.
    paths = {
        name: source.get("path") or source.get("version")
        for name, source in run.sources.items()
        if isinstance(source, dict)
    }
    return {**run.params, **{name: path for name, path in paths.items() if path}}


def list_run_numbers(run: RecordedRun) -> dict[str, Json]:
    """The numbers of a run's evaluations; of all its JSON outputs where it has no evaluation."""
    # The cells of a step are no columns: a run may have a thousand.
    run = replace(run, steps={n: step for n, step in run.steps.items() if not step.cell_of})
    kinds = {step.kind for step in run.steps.values()}
    measured = {
        f"{step.name}.{output}": value
        for step in run.steps.values()
        if step.kind == "evaluation"
        for output, value in step.made.values.items()
    }
    flat = run_metrics(run)
    if "evaluation" in kinds:
        flat = {n: v for path, value in measured.items() for n, v in flatten_leaves(value, path)}
    return {n: v for n, v in flat.items() if isinstance(v, int | float) and not isinstance(v, bool)}


def shorten_metric_names(names: Iterable[str]) -> dict[str, str]:
    """The shortest end of each name that no other has: `mse`, else as much of `holdout.mse` as
    tells it apart."""
    parts_by_name = {name: name.split(".") for name in names}
    endings = {
        name: [".".join(parts[start:]) for start in reversed(range(len(parts)))]
        for name, parts in parts_by_name.items()
    }
    counts = Counter(chain.from_iterable(endings.values()))
    return {
        name: next((end for end in ends if counts[end] == 1), name)
        for name, ends in endings.items()
    }


def _parse_columns(params: Sequence[str], known: Iterable[str]) -> dict[str, str | None]:
    """The columns that were asked for, and the value that each must have, if one."""
    columns: dict[str, str | None] = {}
    for word in params:
        name, equals, value = word.partition("=")
        columns[name] = value if equals else None
    names = list(known)
    listed = f"there is {', '.join(names)}" if names else "no run is recorded with any"
    faults = [
        Fault(f"no run has a parameter `{name}`", hint=did_you_mean(name, names) or listed)
        for name in columns
        if name not in names
    ]
    if faults:
        raise UsageError(*faults)
    return columns


def _is_kept(values: Mapping[str, Json], wanted: Mapping[str, str | None]) -> bool:
    return all(
        value is None or (name in values and _is_equal(values[name], value))
        for name, value in wanted.items()
    )


def _is_equal(value: Json, text: str) -> bool:
    # As a person types it: 0.10 is 0.1, and true is True.
    if isinstance(value, bool):
        return text.lower() == str(value).lower()
    if isinstance(value, int | float):
        try:
            return float(text) == value
        except ValueError:
            return False
    return str(value) == text


def _has_differences(name: str, rows: Sequence[RunsTableRow]) -> bool:
    values = [row.params.get(name) for row in rows]
    return any(type(value) is not type(values[0]) or value != values[0] for value in values[1:])


def _sort_rows(
    rows: Sequence[RunsTableRow], sort: str, numbers: Sequence[str], params: Sequence[str]
) -> list[RunsTableRow]:
    # Rows without a value, or with NaN, come last either way: nobody looks for those.
    name = sort.removeprefix("-")
    value = _sort_value(name, numbers, params)
    sound = [row for row in rows if _is_sound(value(row))]
    rest = [row for row in rows if not _is_sound(value(row))]
    texts = any(isinstance(value(row), str) for row in sound)
    key: Callable[[RunsTableRow], Any] = (lambda row: str(value(row))) if texts else value
    sound.sort(key=key, reverse=sort != name)
    return [*sound, *rest]


def _sort_value(
    name: str, numbers: Sequence[str], params: Sequence[str]
) -> Callable[[RunsTableRow], Json]:
    if name in ("started", "seconds"):
        return lambda row: getattr(row, name)
    ends = [number for number in numbers if f".{number}".endswith(f".{name}")]
    longer = [number for number in numbers if f".{name}".endswith(f".{number}")]
    exact = [number for number in numbers if number == name]
    matches = exact or ends or longer
    if len(matches) > 1:
        what = f"`{name}` names {len(matches)} metrics"
        raise UsageError(what, hint=f"write {' or '.join(matches)}")
    if matches:
        return lambda row: row.metrics.get(matches[0])
    if name in params:
        return lambda row: row.params.get(name)
    sortable_names = [*numbers, *params, "started", "seconds"]
    hint = did_you_mean(name, sortable_names) or f"there is {', '.join(sortable_names)}"
    raise UsageError(f"no run has a metric or a parameter `{name}`", hint=hint)


def _is_sound(value: Json) -> bool:
    return value is not None and not (isinstance(value, float) and math.isnan(value))
