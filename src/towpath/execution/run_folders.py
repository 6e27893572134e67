"""The runs of a project: found by name, listed, laid side by side, ended, and cleared up after."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from msgspec import Struct

from towpath.config.artifact import Json
from towpath.config.foreign_values import is_same
from towpath.errors import EngineError, Fault, StoreError, UsageError, did_you_mean
from towpath.execution import run_record
from towpath.execution.run_record import RecordedRun, StepRun, is_of_run
from towpath.scratch import sweep_folders
from towpath.steps.work_order import BYTES

CancelRun: TypeAlias = Callable[[str], None]
"""Has an engine end one of its runs, by the id that it has there."""

_PATIENCE = 30.0  # seconds in which a run ends its steps and writes down that it ended
_LOOK = 0.1
#: Runs that are looked at: each run clears what the ones before it left.
LATEST = 20


def list_run_names(folder: Path) -> list[str]:
    """The names of the runs recorded in ``folder``, the oldest first."""
    if not folder.is_dir():
        return []
    with os.scandir(folder) as entries:  # five thousand of them in 20 ms: paths are dear
        names = [entry.name for entry in entries]
    return sorted(n for n in names if os.path.isfile(f"{folder}/{n}/{run_record.EVENTS}"))  # noqa: PTH113


def recent_runs(
    folder: Path, count: int | None = None, pipeline: str | None = None
) -> Iterator[RecordedRun]:
    """The runs, the newest first; at most ``count`` of them. A record that cannot be read is
    named in a warning, and hides no other."""
    yielded_count = 0
    for name in reversed(list_run_names(folder)):
        if count is not None and yielded_count >= count:
            return
        try:
            run = run_record.read_run(folder / name)
        except StoreError as broken:
            import logging  # nearly no run needs it

            logging.getLogger("towpath.execution").warning("%s", broken.faults[0])
            continue
        if run is None or (pipeline and run.pipeline != pipeline):
            continue
        yielded_count += 1
        yield run


def find_run(folder: Path, word: str) -> RecordedRun:
    """The run that ``word`` names: ``last``, a whole name, or the part that tells it apart."""
    run_names = list_run_names(folder)
    if not run_names:
        raise UsageError("no run is recorded here", hint="`towpath run` makes one")
    if word == "last":
        matches = run_names[-1:]
    else:
        matches = [word] if word in run_names else [n for n in run_names if word in n]
    if len(matches) != 1:
        some = ", ".join((matches or run_names)[-3:])
        what = f"no run `{word}`" if not matches else f"`{word}` names {len(matches)} runs"
        near = did_you_mean(word, run_names) if not matches else None
        raise UsageError(what, hint=near or f"for example {some}; `towpath runs` lists them")
    run = run_record.read_run(folder / matches[0])
    if run is None:
        raise UsageError(f"the record of run {matches[0]} cannot be read")
    return run


class RunDifference(Struct, frozen=True):
    """One thing in which two runs differ; None where a run has no such thing."""

    section: str
    name: str
    left: Json
    right: Json


def diff_runs(left: RecordedRun, right: RecordedRun) -> list[RunDifference]:
    """In what two runs differ: parameters, metrics, data, code, steps; and outputs of which no
    number tells it."""
    sections = list_run_sections(left), list_run_sections(right)
    return [
        RunDifference(row.section, row.name, *row.values)
        for row in compare_sections(sections)
        if row.is_different
    ]


class ComparedValue(Struct, frozen=True):
    """One thing of several runs, in their order; None where a run has no such thing."""

    section: str
    name: str
    values: tuple[Json, ...]
    is_different: bool


RunSections: TypeAlias = Mapping[str, Mapping[str, Json]]


def list_run_sections(run: RecordedRun) -> dict[str, Mapping[str, Json]]:
    """What runs are compared by: parameters, metrics, data, code, outputs, steps."""
    return {
        "run": {"for": run.environment} if run.environment else {},
        "parameters": run.params,
        "metrics": run_metrics(run),
        "data": run.inputs,
        "code": run_code_digests(run),
        "outputs": {name: artifact.digest for name, artifact in run.outputs.items()},
        "steps": {n: str(step.state).replace("reused", "done") for n, step in run.steps.items()},
    }


def compare_sections(runs: Sequence[RunSections]) -> list[ComparedValue]:
    """Any number of runs side by side, by ``list_run_sections`` of each; an output that differs
    is left out where a number of it tells so."""
    rows = [row for section in (runs[0] if runs else ()) for row in _compare_section(runs, section)]
    metric_names = [r.name for r in rows if r.section == "metrics" and r.is_different]
    return [
        row
        for row in rows
        if row.section != "outputs"
        or not row.is_different
        or not any(name.startswith(f"{row.name}.") for name in metric_names)
    ]


def _compare_section(runs: Sequence[RunSections], section: str) -> Iterator[ComparedValue]:
    columns = [run[section] for run in runs]
    if all(column is columns[0] for column in columns):
        columns = columns[:1]  # of the same code, which is kept once
    for name in sorted({name for column in columns for name in column}):
        values = tuple(column.get(name) for column in columns)
        is_different = any(not is_same(value, values[0]) for value in values[1:])
        whole = values if len(values) == len(runs) else values * len(runs)
        yield ComparedValue(section, name, whole, is_different)


def run_metrics(run: RecordedRun) -> dict[str, Json]:
    """The numbers in a run's JSON outputs, flat: ``evaluate.metrics.mse``; and the last of what
    its steps logged: ``train.loss``."""
    flat: dict[str, Json] = {}
    for step in run.steps.values():
        if step.kind in ("quality_check", "bias_check"):
            continue
        flat.update({f"{step.name}.{name}": value for name, value in flatten_step(step).items()})
    return flat


def flatten_step(step: StepRun) -> dict[str, Json]:
    """The last of what a step logged, and its JSON outputs: ``loss``, ``metrics.mse``."""
    flat = dict(flatten_leaves(step.made.facts.get("metrics"), ""))
    for output, value in step.made.values.items():
        flat.update(flatten_leaves(value, output))
    return {name.removeprefix("."): value for name, value in flat.items()}


def flatten_leaves(value: Json, prefix: str) -> Iterator[tuple[str, Json]]:
    """The leaves of a document that are numbers, strings or booleans, by dotted path."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from flatten_leaves(inner, f"{prefix}.{key}")
    elif isinstance(value, (int, float, str, bool)):
        yield prefix, value


def run_code_digests(run: RecordedRun) -> Mapping[str, Json]:
    """The digests of the code that a run's steps reached, its packages, and by step what the
    declaration says of it, by label."""
    digests: dict[str, Json] = {}
    for step in run.steps.values():
        for label, digest in step.ingredients.items():
            if label.startswith(("code ", "package ")):
                digests[label] = digest
            elif label == "declaration":
                digests[f"declaration of {step.cell_of or step.name}"] = digest
    return digests


def sweep_leftovers(runs: Path) -> None:
    """Remove the bytes of steps whose runs were killed; records and logs stay."""
    # Of a run that still goes on in another process nothing is touched: its steps write there.
    sweep_folders()
    for name in list_run_names(runs)[-LATEST:]:
        left = [path for part in BYTES for path in (runs / name).glob(f"*/{part}")]
        run = run_record.read_run(runs / name) if left else None
        if run is None or run.state.has_ended:
            for folder in left:
                shutil.rmtree(folder, ignore_errors=True)


def stop_run(runs: Path, word: str, cancel: CancelRun) -> RecordedRun:
    """End the run that ``word`` names, as its own Ctrl-C would; it is recorded as interrupted.

    ``cancel`` ends a deployed run, of which its engine must know.

    Raises:
        UsageError: where it has ended, or runs on another machine.
        EngineError: where it does not end.
    """
    run = find_run(runs, word)
    if run.state.has_ended:
        raise UsageError(f"run {run.id} does not go on: it {run.state.in_words}")
    engine_run = run.origin.get("engine_run")
    if isinstance(engine_run, str):
        cancel(engine_run)
    else:
        _interrupt_process(run)
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end:
        ended = find_run(runs, run.id)
        if ended.state.has_ended:
            return ended
        time.sleep(_LOOK)
    what = f"run {run.id} was told to end, and goes on after {_PATIENCE:.0f} seconds"
    raise EngineError(Fault(what, hint=f"`towpath logs {run.id}` shows what it does"))


def _interrupt_process(run: RecordedRun) -> None:
    host, process = run.origin.get("host"), run.origin.get("pid")
    if host != os.uname().nodename or not isinstance(process, int):
        raise UsageError(f"run {run.id} goes on at {host}", hint="stop it there")
    if not is_of_run(process, run.started):
        raise UsageError(f"run {run.id} does not go on: its process is gone")
    os.kill(process, signal.SIGINT)
