"""What is drawn of runs: the curves that steps logged, and the plots that they declare."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from towpath.config.file_declaration import Plot
from towpath.config.pipeline_declaration import named_outputs
from towpath.errors import TowpathError
from towpath.execution import output_copies, run_folders
from towpath.execution.run_record import ExecutionState, RecordedRun, StepRun
from towpath.pipeline.compile_graph import list_declared_steps
from towpath.planning.declared_pipelines import read_declared
from towpath.reports.charts import Chart, ChartLine
from towpath.scratch import scratch_folder
from towpath.steps import formats
from towpath.steps.metric_log import METRIC_FILE, LoggedValue, read_metrics

if TYPE_CHECKING:
    from towpath.workspace import Workspace

_LARGEST = 32 << 20  # bytes of a file that is drawn
_TABLES = ("csv", "tsv", "parquet", "feather", "jsonl", "json")
_KINDS = {"scatter": "point", "scatter_jitter": "point", "bar_horizontal": "bar",
          "bar_horizontal_sorted": "bar", "confusion": "confusion",
          "confusion_normalized": "confusion"}  # fmt: skip


class LabelledRun(Struct, frozen=True):
    """A run, and what its lines are called beside those of others; "" where it is alone."""

    label: str
    run: RecordedRun

    def name_line(self, name: str) -> str:
        return " ".join(filter(None, (self.label, name)))


def chart_logged_metrics(workspace: Workspace, runs: Sequence[LabelledRun]) -> Iterator[Chart]:
    """A chart for each thing that a step logged; `train/loss` and `valid/loss` share one."""
    lines: dict[tuple[str, str], list[ChartLine]] = {}
    notes: dict[str, str] = {}
    runs_folder = str(workspace.runs)
    steps = [(labelled, step) for labelled in runs for step in labelled.run.steps.values()]
    for labelled, step in steps:
        # Of a thousand steps hardly one has logged: a path would take longer than the look.
        folder = f"{runs_folder}/{labelled.run.id}/{step.name}"
        series, note = _read_series(workspace, folder, step)
        owner = step.cell_of or step.name  # the cells of a step share its charts
        notes |= {owner: labelled.name_line(note)} if note else {}
        for name, line in _logged_lines(labelled, step, series):
            lines.setdefault((owner, name.rpartition("/")[2] or name), []).append(line)
    for (step_name, title), drawn in lines.items():
        step_notes = (notes[step_name],) if step_name in notes else ()
        yield Chart(f"{step_name}: {title}", drawn, "step", title, notes=step_notes)
    for step_name in notes.keys() - {step_name for step_name, _ in lines}:
        yield Chart(f"{step_name}: what it logged", (), notes=(notes[step_name],))


def _logged_lines(
    labelled: LabelledRun, step: StepRun, series: Mapping[str, list[LoggedValue]]
) -> Iterator[tuple[str, ChartLine]]:
    cell = step.name.removeprefix(step.cell_of) if step.cell_of else ""
    for name, values in series.items():
        points = [(logged.step, logged.value) for logged in values]
        yield name, ChartLine(labelled.name_line(f"{name}{cell}"), points)


def _read_series(
    workspace: Workspace, folder: str, step: StepRun
) -> tuple[Mapping[str, list[LoggedValue]], str]:
    """What a step logged; of one that was reused what it logged then, and a word of that."""
    has_logged = os.path.isfile(f"{folder}/{METRIC_FILE}")  # noqa: PTH113
    series = read_metrics(Path(folder)) if has_logged else {}
    if series or step.state is not ExecutionState.REUSED or "metrics" not in step.made.facts:
        return series, ""
    entry = workspace.store.entry(step.key) if step.key else None
    maker = entry.made_by if entry else ""
    if maker in run_folders.list_run_names(workspace.runs):
        return read_metrics(workspace.runs / maker / step.name), f"as logged in run {maker}"
    return {}, f"reused; its curve stays with the run that logged it ({maker or 'unknown'})"


def chart_declared_plots(
    workspace: Workspace, runs: Sequence[LabelledRun], pictures: Collection[str] = ()
) -> Iterator[Chart]:
    """A chart for each output that declares `plot`, as it is declared now, but for ``pictures``."""
    for name, plot in _declared_plots(workspace, runs[0].run.pipeline).items():
        if name in pictures:
            continue
        lines: list[ChartLine] = []
        notes: list[str] = []
        for labelled in runs:
            if name not in labelled.run.outputs:
                continue
            try:
                columns = _read_columns(workspace, labelled.run, name)
                lines += _plot_lines(labelled, plot, columns)
            except (TowpathError, LookupError, ValueError, TypeError, OSError) as error:
                words = str(error).strip().splitlines() or [type(error).__name__]
                notes.append(labelled.name_line(f"is not drawn: {words[0][:200]}"))
        if lines or notes:
            yield _declared_chart(name, plot, lines, notes)


def _declared_chart(
    name: str, plot: Plot, lines: Sequence[ChartLine], notes: Sequence[str]
) -> Chart:
    title = f"{name}: {plot.title}" if plot.title else name
    columns = plot.y or ()
    y_label = plot.y_label or (columns[0] if len(columns) == 1 else "")
    kind = _KINDS.get(plot.template or "", "line")
    return Chart(title, lines, plot.x_label or plot.x or "", y_label, kind, tuple(notes))


def _declared_plots(workspace: Workspace, pipeline: str) -> dict[str, Plot]:
    if pipeline not in workspace.pipelines:
        return {}
    try:
        declared = list_declared_steps(read_declared(workspace, pipeline))
    except TowpathError:
        return {}
    return {
        f"{step_name}.{name}": output.plot if isinstance(output.plot, Plot) else Plot()
        for step_name, step in declared.items()
        for name, output in named_outputs(step)
        if output.plot
    }


def _read_columns(workspace: Workspace, run: RecordedRun, name: str) -> dict[str, list[Any]]:
    copyable = output_copies.find_copyable(workspace, run.id, name)
    artifact = copyable.artifact
    request = formats.ReadRequest(artifact.name, "", copyable.format, (), copyable.options)
    if request.format is None or request.format.name not in _TABLES:
        raise ValueError(f"{artifact.name} is no table")
    if artifact.size > _LARGEST:
        raise ValueError(f"{artifact.name} has {artifact.size >> 20} MB")
    if not workspace.store.has(artifact.digest):
        raise ValueError(f"{artifact.name} is not in the store here (towpath pull)")
    with scratch_folder() as scratch:
        output_copies.bring_copyable(workspace, copyable, scratch / artifact.name)
        content: Any = formats.read_file(scratch / artifact.name, request)
    if hasattr(content, "to_dict"):  # a pandas frame
        return {str(column): values for column, values in content.to_dict("list").items()}
    return _columns_of_document(content)


def _columns_of_document(content: Any) -> dict[str, list[Any]]:
    """The columns of a JSON document: of rows, or of a mapping that holds rows, as DVC takes it."""
    if isinstance(content, dict):
        listed = [part for part in content.values() if isinstance(part, list)]
        content = listed[0] if len(listed) == 1 else []
    rows = [row for row in content if isinstance(row, dict)] if isinstance(content, list) else []
    names = dict.fromkeys(name for row in rows for name in row)
    if not names:
        raise ValueError("it holds no rows")
    return {str(name): [row.get(name) for row in rows] for name in names}


def _plot_lines(
    labelled: LabelledRun, plot: Plot, columns: Mapping[str, list[Any]]
) -> Iterator[ChartLine]:
    needed_columns = [name for name in (plot.x, plot.by, *(plot.y or ())) if name is not None]
    if missing := [name for name in needed_columns if name not in columns]:
        raise LookupError(f"no column `{missing[0]}`; there are {', '.join(list(columns)[:8])}")
    names = plot.y or tuple(name for name in columns if name != plot.x)[-1:]
    for name in names:
        values = columns[name]
        xs = columns[plot.x] if plot.x else list(range(len(values)))
        points = list(zip(xs, values, strict=False))
        if plot.by is None:
            yield ChartLine(labelled.name_line(name), points)
            continue
        groups: dict[str, list[tuple[Any, Any]]] = {}
        for point, group in zip(points, columns[plot.by], strict=False):
            groups.setdefault(str(group), []).append(point)
        for group_name, group_points in groups.items():
            yield ChartLine(labelled.name_line(group_name), group_points)
