"""Runs side by side: what differs first, charts over axes that the address chooses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from msgspec import Struct
from msgspec.structs import replace

from towpath.execution import run_folders, run_record
from towpath.studio.pages.compared_values import ComparedCell, ComparedSection, make_section
from towpath.studio.pages.page_kind import NoSuchPage, PageRequest
from towpath.studio.pages.run_axes import AxisChoice, choose_axes
from towpath.studio.pages.run_columns import RunColumn, sort_runs
from towpath.studio.pages.run_curves import CurveChart, gather_curves
from towpath.studio.pages.run_facts import RunLine
from towpath.studio.pages.run_filter import FoundRuns, RunFilter, find_named_runs, list_found_runs
from towpath.studio.pages.run_table import RUNS_ON_A_PAGE, find_best_runs

if TYPE_CHECKING:
    from towpath.execution.run_folders import ComparedValue
    from towpath.studio.project_facts import ProjectFacts

MOST_COMPARED = 500
_MOST_COLUMNS = 12  # runs in columns; more are rows, and their values columns
_TITLES = {
    "metrics": "Metrics", "parameters": "Parameters", "data": "Data", "code": "Code",
    "packages": "Packages", "outputs": "Outputs", "steps": "Steps", "run": "Run",
}  # fmt: skip


class TallRow(Struct, frozen=True):
    """One of many runs: its values in the columns, ``best`` where none is better."""

    run: RunLine
    cells: tuple[ComparedCell, ...]


class TallTable(Struct, frozen=True):
    """Many runs, a row each, the values that differ as columns, a page of them."""

    columns: tuple[RunColumn, ...]
    rows: tuple[TallRow, ...]
    sort: str
    page: int
    pages: int


class RunComparison(Struct, frozen=True):
    """``fields`` name the same runs in an address; ``labels`` are short names by run."""

    runs: tuple[RunLine, ...]
    labels: Mapping[str, str]
    sections: tuple[ComparedSection, ...]
    equal_count: int
    table: TallTable | None
    axes: AxisChoice
    curves: tuple[CurveChart, ...]
    fields: tuple[tuple[str, str], ...]
    export: str
    left_out: int
    unread: int
    fault: str


def select_runs(
    facts: ProjectFacts, request: PageRequest, patience: float | None = None
) -> FoundRuns:
    """The runs that an address names, or those of its filter, for which ``patience`` is the time
    to read, in seconds."""
    names = list(dict.fromkeys(request.list_values("run")))
    if not names:
        run_filter = RunFilter.of_request(request)
        hits = list_found_runs(facts, run_filter, patience) if request.query else FoundRuns()
        sort = request.last_value("sort")
        return replace(hits, runs=tuple(sort_runs(hits.runs, sort))) if sort else hits
    recorded = set(run_folders.list_run_names(facts.workspace.runs))
    if missing := [name for name in names if name not in recorded]:
        raise NoSuchPage(f"no run `{missing[0][:80]}`")
    return find_named_runs(facts, names, patience)


def gather_run_comparison(facts: ProjectFacts, request: PageRequest) -> RunComparison:
    """Runs side by side: what differs; what does not is folded."""
    hits = select_runs(facts, request)
    runs = hits.runs[:MOST_COMPARED]
    is_tall = len(runs) > _MOST_COLUMNS
    sections = tuple(_compare_sections(facts, runs, is_tall))
    axes = choose_axes(facts, runs, request)
    folders = (facts.workspace.runs / run.id for run in runs)
    records = (record for folder in folders if (record := run_record.read_run(folder)))
    labels = {run.id: run.id[-4:] for run in runs}  # the end of a name, where that is one run's
    if len(set(labels.values())) < len(labels):
        labels = {run.id: run.id for run in runs}
    return RunComparison(
        runs,
        labels,
        sections,
        sum(len(section.equal) for section in sections),
        _make_table(facts, runs, axes.offered, request) if is_tall else None,
        axes,
        gather_curves(facts, records),
        _selection_fields(request),
        urlencode(_selection_fields(request)),
        len(hits.runs) - len(runs),
        hits.unread,
        hits.fault,
    )


def _selection_fields(request: PageRequest) -> tuple[tuple[str, str], ...]:
    if names := ",".join(request.query.get("run", ())):
        return (("run", names),)
    fields = {**RunFilter.of_request(request).as_query(), "sort": request.last_value("sort")}
    return tuple((name, value) for name, value in fields.items() if value) or (("all", "1"),)


def _compare_sections(
    facts: ProjectFacts, runs: Sequence[RunLine], is_tall: bool
) -> Iterator[ComparedSection]:
    rows_by_section = _group_rows(run_folders.compare_sections([run.sections for run in runs]))
    for section, rows in rows_by_section.items():
        equal = [row for row in rows if not row.is_different]
        # Of many runs these two are the table; their names would stand there twice.
        is_table = is_tall and section in ("metrics", "parameters")
        different = () if is_table else [row for row in rows if row.is_different]
        columns = 0 if is_tall else len(runs)
        yield make_section(facts, _TITLES[section], different, equal, columns)


def _group_rows(rows: Sequence[ComparedValue]) -> dict[str, list[ComparedValue]]:
    """The rows of each section that has some, in the order of their titles."""
    grouped: dict[str, list[ComparedValue]] = {section: [] for section in _TITLES}
    for row in rows:
        is_package = row.section == "code" and row.name.startswith("package ")
        grouped["packages" if is_package else row.section].append(row)
    return {section: members for section, members in grouped.items() if members}


def _make_table(
    facts: ProjectFacts, runs: Sequence[RunLine], columns: Sequence[RunColumn], request: PageRequest
) -> TallTable:
    sort = request.last_value("order")
    part = request.cut_list(sort_runs(runs, sort) if sort else runs, RUNS_ON_A_PAGE)
    shown_columns = tuple(columns[:_MOST_COLUMNS])
    best = [find_best_runs(facts, runs, column) for column in shown_columns]
    rows = tuple(
        TallRow(run, tuple(
            ComparedCell(column.show_value(run), run.id in ids)
            for column, ids in zip(shown_columns, best, strict=True)
        ))
        for run in part.rows
    )  # fmt: skip
    return TallTable(shown_columns, rows, sort, part.page, part.pages)
