"""Pages about a version of a model, and about two runs or versions side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from towpath import registry
from towpath.audit.lineage import LineageReport, draw_lineage, trace_lineage
from towpath.errors import UsageError
from towpath.execution import output_copies, run_folders
from towpath.reports import report_charts
from towpath.reports.report_charts import LabelledRun
from towpath.reports.run_report import (
    Report,
    ReportSection,
    ReportTable,
    draw_all,
    list_tables,
    report_run,
    shorten_value,
)

if TYPE_CHECKING:
    from towpath.execution.run_record import RecordedRun
    from towpath.registry import VersionRecord
    from towpath.workspace import Workspace


def report_version(workspace: Workspace, reference: str) -> Report:
    """A version: its lineage, its record, and the run that made it where this machine has that.

    Raises UsageError where there is no such version.
    """
    lineage = trace_lineage(workspace, reference)
    record = lineage.record
    of_version = (
        ReportSection("Lineage", _lineage_tables(lineage), picture=draw_lineage(lineage)),
        ReportSection("Signature", _signature_tables(record)),
    )
    run = _find_recorded_run(workspace, record)
    made = report_run(workspace, run).sections if run else _record_sections(record)
    facts = [
        ("run", record.run or "unknown"),
        ("registered", record.time or "unknown"),
        ("by", record.author or "unknown"),
        ("commit", record.code.commit),
        ("sha256", record.sha256),
        *([("description", record.description)] if record.description else []),
        *sorted(record.labels.items()),
    ]
    state = f"rejected: {lineage.rejected}" if lineage.rejected is not None else "registered"
    shown = tuple((name, shorten_value(value)) for name, value in facts)
    sections = tuple(filter(None, (*of_version, *made)))
    return Report(lineage.version, state, shown, sections=sections)


def _find_recorded_run(workspace: Workspace, record: VersionRecord) -> RecordedRun | None:
    if record.run in run_folders.list_run_names(workspace.runs):
        return run_folders.find_run(workspace.runs, str(record.run))
    return None


def _record_sections(record: VersionRecord) -> tuple[ReportSection, ...]:
    """What the record alone tells, where another machine ran it."""
    note = "the run that made it is recorded on another machine: no curves, plots and logs"
    tables = {
        "Parameters": record.parameters,
        "Metrics": dict(run_folders.flatten_leaves(dict(record.metrics), record.model)),
        "Data": record.data,
        "Packages": record.packages,
    }
    rows = {
        title: [(n.lstrip("."), v) for n, v in table.items()] for title, table in tables.items()
    }
    listed = (ReportSection(title, list_tables(("name", "value"), rows[title])) for title in rows)
    return (*filter(None, listed), ReportSection("Run", notes=(note,)))


def _lineage_tables(lineage: LineageReport) -> tuple[ReportTable, ...]:
    rows = [
        (entry.stage, entry.approval.level, ", ".join(entry.approval.by), entry.merged,
         entry.entered, entry.until)
        for entry in lineage.promotions
    ]  # fmt: skip
    return list_tables(("stage", "approval", "by", "merged", "deployed", "until"), rows)


def _signature_tables(record: VersionRecord) -> tuple[ReportTable, ...]:
    if record.signature is None:
        return ()
    sides = (("takes", record.signature.inputs), ("gives", record.signature.outputs))
    rows = [(side, column.name, column.type) for side, columns in sides for column in columns or ()]
    return list_tables(("", "column", "type"), rows)


def compare_runs_page(workspace: Workspace, words: Sequence[str]) -> Report:
    """Runs side by side, each named by a run or by the version that was made of it: what differs,
    and their curves and plots in the same charts.

    Raises UsageError for what is not there, and for a version whose run is not recorded here.
    """
    runs = [_find_named_run(workspace, word) for word in words]
    # The whole name of a run: the end of one, or `last`, says nothing to who gets the page.
    labelled = [
        LabelledRun(word if output_copies.is_version(word) else run.id, run)
        for word, run in zip(words, runs, strict=True)
    ]
    names = [named.label for named in labelled]
    compared = run_folders.compare_sections([run_folders.list_run_sections(run) for run in runs])
    differences = [(row.section, row.name, *row.values) for row in compared if row.is_different]
    curves = list(report_charts.chart_logged_metrics(workspace, labelled))
    plots = list(report_charts.chart_declared_plots(workspace, labelled))
    sections = (
        ReportSection("What differs", list_tables(("", "name", *names), differences),
                      notes=() if differences else ("nothing",)),
        ReportSection("Curves", charts=draw_all(curves)),
        ReportSection("Plots", charts=draw_all(plots)),
    )  # fmt: skip
    facts = tuple((shorten_value(n.label), f"run {n.run.id}, {n.run.state}") for n in labelled)
    title = f"Comparison of {' and '.join(names)}"
    return Report(title, "", facts, sections=tuple(filter(None, sections)))


def _find_named_run(workspace: Workspace, word: str) -> RecordedRun:
    if not output_copies.is_version(word):
        return run_folders.find_run(workspace.runs, word)
    held = registry.get_version(workspace.registry, word)
    run = _find_recorded_run(workspace, held.record)
    if run is None:
        what = f"the run of {held.version}, {held.record.run or 'unknown'}, is not recorded here"
        raise UsageError(what, hint="without --plots the versions' own records are compared")
    return run
