"""What a page tells of a run: gathered from its record, its logs, and the store."""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field
from msgspec.structs import replace

from towpath.credentials import hide_credentials
from towpath.drawing.picture import BoxShape, GraphBox, GraphPicture
from towpath.execution import run_folders
from towpath.execution.run_picture import find_run_picture
from towpath.execution.run_record import ExecutionState, RecordedRun, StepRun
from towpath.execution.run_summary import list_run_inputs, list_run_origin
from towpath.reports import report_charts
from towpath.reports.charts import DrawnChart, draw_chart
from towpath.reports.check_tables import list_checked_rules
from towpath.reports.report_charts import LabelledRun

if TYPE_CHECKING:
    from towpath.workspace import Workspace

_ROWS = 1000  # of a table
_CHARTS = 60
_BOXES = 300  # of a graph that is drawn: more are a second's work, and nobody reads them
_LOG, _LEAST_LOG, _LOGS = 64 << 10, 2 << 10, 4 << 20  # bytes: of a step, at least, of all
_IMAGE, _IMAGES = 2 << 20, 16 << 20  # bytes: of a picture, of all
_PICTURES = {".png": "png", ".svg": "svg+xml", ".jpg": "jpeg", ".jpeg": "jpeg"}
_COLOUR = re.compile(rb"\x1b\[[0-9;]*m")


class ReportTable(Struct, frozen=True):
    """Rows of text under heads; ``left_out`` says how many rows are not shown."""

    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    left_out: int = 0

    @classmethod
    def of_rows(cls, heads: Sequence[str], rows: Sequence[Sequence[object]]) -> ReportTable:
        shown = tuple(tuple(map(shorten_value, row)) for row in rows[:_ROWS])
        return cls(tuple(heads), shown, len(rows) - len(shown))


class StepLog(Struct, frozen=True):
    """The end of what a step printed; ``skipped`` bytes stand before it."""

    step: str
    text: str
    skipped: int


class ReportImage(Struct, frozen=True):
    """A picture that a step made, as an address that holds it; "" and why it is not shown."""

    name: str
    address: str
    note: str = ""


class ReportSection(Struct, frozen=True):
    """A part of the page, as far as it has something to say."""

    title: str
    tables: tuple[ReportTable, ...] = ()
    charts: tuple[DrawnChart, ...] = ()
    images: tuple[ReportImage, ...] = ()
    logs: tuple[StepLog, ...] = ()
    picture: GraphPicture | None = None
    notes: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        parts = (self.tables, self.charts, self.images, self.logs, self.picture, self.notes)
        return any(parts)


class Report(Struct, frozen=True):
    """A page: its heading, a line of state, facts below it, and its sections."""

    title: str
    state: str
    facts: tuple[tuple[str, str], ...]
    errors: tuple[str, ...] = ()
    sections: tuple[ReportSection, ...] = field(default_factory=tuple)


def report_run(workspace: Workspace, run: RecordedRun) -> Report:
    """All that a page tells of one run; also of one that goes on, or that has no steps."""
    alone = [LabelledRun("", run)]
    images = tuple(_show_images(workspace, run))
    plots = report_charts.chart_declared_plots(workspace, alone, {image.name for image in images})
    trial = "a trial: not the declared value"
    params = [
        (name, value, trial if name in run.tried else "") for name, value in run.params.items()
    ]
    metrics = list(run_folders.run_metrics(run).items())
    sections = (
        _graph_section(workspace, run),
        ReportSection("Steps", _step_tables(run)),
        ReportSection("Parameters", list_tables(("parameter", "value", ""), params)),
        ReportSection("Metrics", list_tables(("metric", "value"), metrics)),
        ReportSection("Curves", charts=draw_all(
            list(report_charts.chart_logged_metrics(workspace, alone)))),
        ReportSection("Checks", tuple(_check_tables(run))),
        ReportSection("Plots", charts=draw_all(list(plots)), images=images),
        ReportSection("Outputs", _output_tables(run), notes=_page_notes(run)),
        ReportSection("Data", list_tables(("input", "digest", "from", ""), _input_rows(run))),
        ReportSection("Logs", logs=tuple(_read_logs(workspace.runs / run.id, run))),
    )  # fmt: skip
    return Report(
        f"{run.pipeline} {run.id}", str(run.state), tuple(_run_facts(run)), run.error,
        tuple(filter(None, sections)),
    )  # fmt: skip


def shorten_value(value: object) -> str:
    """A value as a cell holds it: figures short, documents as they are, nothing endless."""
    if isinstance(value, float):
        return f"{value:.6g}"
    return "" if value is None else hide_credentials(str(value)[:2000])


def list_tables(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> tuple[ReportTable, ...]:
    """A table, or none where there are no rows."""
    return (ReportTable.of_rows(heads, rows),) if rows else ()


def draw_all(charts: Sequence[Any]) -> tuple[DrawnChart, ...]:
    """The first charts, drawn; a last one says how many there are more."""
    drawn = [draw_chart(chart) for chart in charts[:_CHARTS]]
    if len(charts) > _CHARTS:
        note = f"{len(charts) - _CHARTS} more are not drawn"
        drawn.append(DrawnChart("", "", (note,), ()))
    return tuple(drawn)


def _run_facts(run: RecordedRun) -> Iterator[tuple[str, str]]:
    yield "started", run.started
    if run.ended:
        yield "took", f"{run.seconds:.1f} s"
    else:
        yield "ended", "not yet: this page shows what was known as it was written"
    for name, value in list_run_origin(run):
        yield name, shorten_value(value)
    if run.environment:
        yield "for", run.environment
    if run.tried:
        yield "a trial of", ", ".join(run.tried)
    if run.registered_versions:
        yield "registered", ", ".join(run.registered_versions)


def _graph_section(workspace: Workspace, run: RecordedRun) -> ReportSection:
    """The graph as it was when the run began."""
    if not run.steps:
        return ReportSection("Graph", notes=("the run has no steps",))
    picture = find_run_picture(workspace, run)
    if picture is None:
        note = "the pipeline is declared otherwise now, or not at all: the steps are below"
        return ReportSection("Graph", notes=(note,))
    count = len(picture.boxes)
    if count > _BOXES:
        return ReportSection("Graph", notes=(f"{count} boxes: towpath graph draws it",))
    boxes = {
        name: _mark_box(box, run.steps[name]) if name in run.steps else box
        for name, box in picture.boxes.items()
    }
    return ReportSection("Graph", picture=replace(picture, boxes=boxes, title=run.pipeline))


def _mark_box(box: GraphBox, step: StepRun) -> GraphBox:
    took = f" {step.seconds:.1f} s" if step.state is ExecutionState.DONE else ""
    if box.shape is BoxShape.CONDITION:
        chosen = step.made.facts.get("chosen")
        answer = "" if chosen is None else ": yes" if chosen else ": no"
        return replace(box, detail=f"{box.detail}{answer}")
    return replace(box, kind=f"{box.kind}, {step.state}{took}")


def _step_tables(run: RecordedRun) -> tuple[ReportTable, ...]:
    rows = [
        (step.name, step.kind, str(step.state), f"{step.seconds:.1f} s" if step.seconds else "",
         "; ".join(step.error) or step.reason)
        for step in run.steps.values()
    ]  # fmt: skip
    return list_tables(("step", "kind", "state", "time", "why"), rows)


def _check_tables(run: RecordedRun) -> Iterator[ReportTable]:
    for step in run.steps.values():
        checked_rules = list_checked_rules(step)
        if checked_rules is None:
            continue
        rows = [
            (step.name, row.rule, "held" if row.passed else "NOT", row.severity, row.observed)
            for row in checked_rules
        ]
        yield ReportTable.of_rows(("check", "expectation", "", "severity", "observed"), rows)


def _output_tables(run: RecordedRun) -> tuple[ReportTable, ...]:
    outputs = run.outputs
    rows = [(name, a.name, f"{a.size:,} B", a.digest) for name, a in outputs.items()]
    return list_tables(("output", "file", "size", "md5"), rows)


def _page_notes(run: RecordedRun) -> tuple[str, ...]:
    """Pages that steps made are named and not shown: they may hold scripts."""
    return tuple(
        f"{name} is a page of its own: towpath get {run.id} {name}"
        for name, artifact in run.outputs.items()
        if artifact.name.endswith((".html", ".htm", ".ipynb"))
    )


def _input_rows(run: RecordedRun) -> list[tuple[object, ...]]:
    return [
        (read.name, read.digest, " ".join(read.made_by) or read.source,
         f"stale: {read.stale}" if read.stale else "")
        for read in list_run_inputs(run)
    ]  # fmt: skip


def _show_images(workspace: Workspace, run: RecordedRun) -> Iterator[ReportImage]:
    shown = 0
    for name, artifact in run.outputs.items():
        kind = _PICTURES.get(Path(artifact.name).suffix.lower())
        if kind is None or artifact.files is not None:
            continue
        if artifact.size > _IMAGE or shown + artifact.size > _IMAGES:
            yield ReportImage(name, "", f"{artifact.size >> 20} MB: towpath get {run.id} {name}")
        elif not workspace.store.has(artifact.digest):
            yield ReportImage(name, "", "not in the store here (towpath pull)")
        else:
            shown += artifact.size
            # An image of a page runs no script and loads nothing, whatever an SVG holds.
            data = base64.b64encode(workspace.store.path(artifact.digest).read_bytes()).decode()
            yield ReportImage(name, f"data:image/{kind};base64,{data}")


def _read_logs(folder: Path, run: RecordedRun) -> Iterator[StepLog]:
    most = max(_LEAST_LOG, min(_LOG, _LOGS // max(1, len(run.steps))))
    for step in run.steps.values():
        try:
            with (folder / step.name / "log.txt").open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(0, size - most))
                content = file.read(most)
        except OSError:
            continue
        if size > most:  # from the next whole line
            content = content.partition(b"\n")[2] or content
        text = _COLOUR.sub(b"", content).decode("utf-8", "replace").replace("\r\n", "\n")
        if text.strip():
            yield StepLog(step.name, hide_credentials(text), size - len(content))
