"""Runs: the table of trials, filtered, sorted and with the columns that its address says."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from towpath.execution import run_folders
from towpath.execution.run_record import ExecutionState
from towpath.studio.pages.deployed_runs import DeployedRuns, gather_deployed_runs
from towpath.studio.pages.page_kind import PageRequest, count_pages
from towpath.studio.pages.run_columns import ColumnChoice, RunColumn, choose_columns, sort_runs
from towpath.studio.pages.run_facts import RunLine
from towpath.studio.pages.run_filter import FoundRuns, RunFilter, find_named_runs, list_found_runs
from towpath.studio.project_facts import SITE_RUNS, ProjectFacts
from towpath.studio.shown_values import best_number
from towpath.studio.svg_charts import TrendLine, lay_trend

RUNS_ON_A_PAGE = 100
_STATES = tuple(str(state) for state in ExecutionState if state is not ExecutionState.REUSED)


class RunRow(Struct, frozen=True):
    """A run, and what it has in each column; ``best`` are the places of those in which no shown
    run is better, ``is_chosen`` is that it is marked for comparison."""

    run: RunLine
    cells: tuple[str, ...]
    best: frozenset[int]
    is_chosen: bool


class RunTable(Struct, frozen=True):
    """A page of runs; ``chosen`` are those marked on other pages."""

    rows: tuple[RunRow, ...]
    columns: ColumnChoice
    pipelines: tuple[str, ...]
    states: tuple[str, ...]
    filter: RunFilter
    sort: str
    chosen: tuple[str, ...]
    found_count: int
    total: int
    unread: int
    fault: str
    hint: str
    trend: TrendLine | None
    deployed: DeployedRuns
    page: int
    pages: int

    @property
    def site_pages(self) -> int:
        """How many of the pages a site of files has."""
        return min(self.pages, SITE_RUNS // RUNS_ON_A_PAGE)


def gather_run_table(facts: ProjectFacts, request: PageRequest) -> RunTable:
    run_filter = RunFilter.of_request(request)
    sort = request.last_value("sort")
    page = request.page_number
    is_plain = run_filter.is_empty and not sort
    hits = _read_page(facts, page) if is_plain else list_found_runs(facts, run_filter)
    kept = sort_runs(hits.runs, sort) if sort else list(hits.runs)
    count = hits.total if is_plain else len(kept)
    begin = (page - 1) * RUNS_ON_A_PAGE
    shown = kept if is_plain else kept[begin : begin + RUNS_ON_A_PAGE]
    columns = choose_columns(request.query.get("col", ()), hits.every, shown)
    chosen = tuple(dict.fromkeys(request.query.get("run", ())))
    pipelines = {run.pipeline for run in hits.every}
    return RunTable(
        tuple(_make_rows(facts, shown, columns.shown, frozenset(chosen))),
        columns,
        tuple(sorted({*facts.workspace.pipelines, *pipelines})),
        _STATES, run_filter, sort,
        tuple(name for name in chosen if name not in {run.id for run in shown}),
        count, hits.total, hits.unread, hits.fault, hits.hint,
        trend_of_runs(facts, shown),
        gather_deployed_runs(facts),
        page, count_pages(count, RUNS_ON_A_PAGE),
    )  # fmt: skip


def _read_page(facts: ProjectFacts, page: int) -> FoundRuns:
    """The runs of a page of all of them: no record of another is read."""
    names = run_folders.list_run_names(facts.workspace.runs)[::-1]
    shown_names = names[(page - 1) * RUNS_ON_A_PAGE : page * RUNS_ON_A_PAGE]
    return replace(find_named_runs(facts, shown_names), total=len(names))


def _make_rows(
    facts: ProjectFacts, runs: Sequence[RunLine], columns: Sequence[RunColumn],
    chosen: frozenset[str],
) -> list[RunRow]:  # fmt: skip
    best = [find_best_runs(facts, runs, column) for column in columns]
    return [
        RunRow(
            run,
            tuple(column.show_value(run) for column in columns),
            frozenset(i for i, ids in enumerate(best) if run.id in ids),
            run.id in chosen,
        )
        for run in runs
    ]


def find_best_runs(
    facts: ProjectFacts, runs: Sequence[RunLine], column: RunColumn
) -> frozenset[str]:
    """The runs that have the best value of a metric; none where no gate says which way is better,
    or all are the same."""
    sign = facts.metric_policy.find_sign(column.title) if column.kind == "metrics" else 0
    values = {r.id: r.metrics[column.title] for r in runs if sign and column.title in r.metrics}
    top = best_number(values.values(), sign)
    return frozenset(run for run, value in values.items() if top is not None and value == top)


def trend_of_runs(facts: ProjectFacts, runs: Sequence[RunLine]) -> TrendLine | None:
    """The main metric over runs, in the order in which they began."""
    metric = facts.main_metric(run.metrics for run in runs)
    if metric is None:
        return None
    ordered = sorted(runs, key=lambda run: run.id)
    values = [run.metrics[metric] for run in ordered if metric in run.metrics]
    return lay_trend(metric, values, "runs")
