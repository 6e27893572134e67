"""The runs of a project: found by name, listed, laid side by side, and rid of what they left."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from msgspec import Struct

from towpath.config.artifact import Json
from towpath.config.foreign_values import is_same
from towpath.errors import StoreError, UsageError, did_you_mean
from towpath.execution import run_record
from towpath.execution.run_record import RecordedRun, StepRun
from towpath.scratch import sweep_folders
from towpath.steps.work_order import BYTES

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
            _warn_broken(broken)
            continue
        if run is None or (pipeline and run.pipeline != pipeline):
            continue
        yielded_count += 1
        yield run


def _warn_broken(broken: StoreError) -> None:
    import logging  # nearly no run needs it

    logging.getLogger("towpath.execution").warning("%s", broken.faults[0])


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
        "run": _run_fields(run),
        "parameters": run.params,
        "metrics": run_metrics(run),
        "data": run.inputs,
        "code": run_code_digests(run),
        "outputs": _output_digests(run),
        "steps": _step_states(run),
    }


def compare_sections(runs: Sequence[RunSections]) -> list[ComparedValue]:
    """Any number of runs side by side, by ``list_run_sections`` of each; an output that differs
    is left out where a number of it tells so."""
    rows = [row for section in (runs[0] if runs else ()) for row in _compare_section(runs, section)]
    metric_names = tuple(r.name for r in rows if r.section == "metrics" and r.is_different)
    return [
        row
        for row in rows
        if row.section != "outputs" or not row.is_different or not _is_told(row.name, metric_names)
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


def _run_fields(run: RecordedRun) -> dict[str, Json]:
    return {"for": run.environment} if run.environment else {}


def _is_told(output: str, metrics: tuple[str, ...]) -> bool:
    return any(name.startswith(f"{output}.") for name in metrics)


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


def _output_digests(run: RecordedRun) -> dict[str, Json]:
    return {
        f"{step.name}.{name}": artifact.digest
        for step in run.steps.values()
        for name, artifact in step.made.outputs.items()
    }


def _step_states(run: RecordedRun) -> dict[str, Json]:
    plain = {"reused": "done"}
    return {name: plain.get(step.state, str(step.state)) for name, step in run.steps.items()}


def discard_folder(run: Path) -> None:
    """Take away a run's folder that holds no record."""
    shutil.rmtree(run, ignore_errors=True)


def sweep_leftovers(runs: Path) -> None:
    """Remove the bytes of steps whose runs were killed; records and logs stay."""
    # Of a run that still goes on in another process nothing is touched: its steps write there.
    sweep_folders()
    for name in list_run_names(runs)[-LATEST:]:
        left = [runs / name / step for step in _bytes_of_steps(runs / name)]
        if left and not _is_in_progress(runs / name):
            for folder in left:
                shutil.rmtree(folder, ignore_errors=True)


def _bytes_of_steps(run: Path) -> list[Path]:
    return [path for name in BYTES for path in run.glob(f"*/{name}")]


def _is_in_progress(run: Path) -> bool:
    recorded_run = run_record.read_run(run)
    return recorded_run is not None and not recorded_run.state.has_ended
