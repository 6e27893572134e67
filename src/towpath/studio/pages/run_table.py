"""Runs: the table of trials, filtered, sorted and laid side by side by what its address says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from towpath.execution import run_folders, run_record
from towpath.studio.pages.page_kind import NoSuchPage
from towpath.studio.pages.run_curves import (
    CurveChart,
    ParallelChart,
    PointChart,
    gather_curves,
    gather_parallel,
    gather_points,
)
from towpath.studio.pages.run_facts import RunLine, line_of_run, list_run_lines, short_metrics
from towpath.studio.shown_values import show_number

if TYPE_CHECKING:
    from towpath.studio.pages.page_kind import PageRequest
    from towpath.studio.project_facts import ProjectFacts

ON_A_PAGE = 100
_READ = 1000  # newest runs that are filtered and sorted
_MOST_METRICS = 6
MOST_COMPARED = 500


@dataclass(frozen=True)
class RunTable:
    """``params`` are the columns of parameters that differ between the runs; of those that do not,
    nothing is to be seen in a table."""

    runs: tuple[RunLine, ...]
    params: tuple[str, ...]
    metrics: tuple[str, ...]
    pipelines: tuple[str, ...]
    states: tuple[str, ...]
    pipeline: str
    state: str
    words: str
    sort: str
    total: int
    page: int
    pages: int


def gather_run_table(facts: ProjectFacts, request: PageRequest) -> RunTable:
    every = list(list_run_lines(facts, _READ))
    pipeline, state = request.first_value("pipeline"), request.first_value("state")
    words, sort = request.first_value("q").strip(), request.first_value("sort")
    kept = [
        run
        for run in every
        if pipeline in ("", run.pipeline) and state in ("", run.state) and _holds_words(run, words)
    ]
    if sort:
        kept = _sort_runs(kept, sort)
    number = request.first_value("page")
    page = max(1, int(number)) if number.isdecimal() and len(number) < 9 else 1
    pages = max(1, -(-len(kept) // ON_A_PAGE))
    shown = kept[(page - 1) * ON_A_PAGE : page * ON_A_PAGE]
    metrics = Counter(name for run in shown for name in run.metrics)
    return RunTable(
        tuple(shown),
        tuple(_differing_params(shown)),
        tuple(name for name, _ in metrics.most_common(_MOST_METRICS)),
        tuple(sorted({run.pipeline for run in every})),
        tuple(dict.fromkeys(run.state for run in every)),
        pipeline, state, words, sort, len(kept), page, pages,
    )  # fmt: skip


def _holds_words(run: RunLine, words: str) -> bool:
    """Whether a run has every word: in its name, what it was asked, its versions, its errors."""
    if not words:
        return True
    shown = (run.id, run.pipeline, run.asked_for, run.author, run.environment, run.error)
    text = " ".join((*shown, *run.versions)).lower()
    return all(word in text for word in words.lower().split())


def _sort_runs(runs: Sequence[RunLine], sort: str) -> list[RunLine]:
    """By a column, ``-`` before it for the highest first; runs that have none stand last."""
    name, descending = sort.removeprefix("-"), sort.startswith("-")

    def sorted_value(run: RunLine) -> object:
        if name in ("started", "seconds", "pipeline", "state"):
            return getattr(run, name)
        return run.metrics.get(name, run.params.get(name))

    kind = int | float if any(isinstance(sorted_value(run), int | float) for run in runs) else str
    having = [run for run in runs if isinstance(sorted_value(run), kind)]
    lacking = [run for run in runs if not isinstance(sorted_value(run), kind)]
    return sorted(having, key=sorted_value, reverse=descending) + lacking  # type: ignore[arg-type]


def _differing_params(runs: Sequence[RunLine]) -> list[str]:
    names = dict.fromkeys(name for run in runs for name in run.params)
    return [n for n in names if len({show_number(run.params.get(n)) for run in runs}) > 1]


@dataclass(frozen=True)
class ComparedRow:
    """A value of each run; ``best`` are the places of the best ones, where that is known."""

    name: str
    values: tuple[str, ...]
    is_different: bool
    best: frozenset[int] = frozenset()


@dataclass(frozen=True)
class RunComparison:
    runs: tuple[RunLine, ...]
    sections: tuple[tuple[str, tuple[ComparedRow, ...]], ...]
    hidden: int
    shows_all: bool
    curves: tuple[CurveChart, ...] = ()
    parallel: ParallelChart | None = None
    points: PointChart | None = None


def gather_run_comparison(facts: ProjectFacts, request: PageRequest) -> RunComparison:
    """The runs that the address names, side by side: what differs, unless all is asked for."""
    names = request.query.get("run", ())[:MOST_COMPARED]
    recorded = set(run_folders.list_run_names(facts.workspace.runs))
    if missing := [name for name in names if name not in recorded]:
        raise NoSuchPage(f"no run `{missing[0]}`")
    folders = (facts.workspace.runs / name for name in names)
    runs = [run for folder in folders if (run := run_record.read_run(folder))]
    shows_all = request.first_value("all") == "1"
    metrics = [short_metrics(run) for run in runs]
    tables = (
        ("Metrics", metrics),
        ("Parameters", [dict(run.params) for run in runs]),
        ("Data", [dict(run.inputs) for run in runs]),
        ("Code", [dict(run_folders.run_code_digests(run)) for run in runs]),
    )
    sections = []
    hidden = 0
    for title, columns in tables:
        rows = [
            _compare_row(facts, title, n, columns)
            for n in dict.fromkeys(n for c in columns for n in c)
        ]
        shown = tuple(row for row in rows if shows_all or row.is_different)
        hidden += len(rows) - len(shown)
        if shown:
            sections.append((title, shown))
    return RunComparison(
        tuple(map(line_of_run, runs)), tuple(sections), hidden, shows_all,
        gather_curves(facts, runs), gather_parallel(facts, runs), gather_points(facts, runs),
    )  # fmt: skip


def _compare_row(
    facts: ProjectFacts, title: str, name: str, columns: Sequence[Mapping[str, object]]
) -> ComparedRow:
    values = [column.get(name) for column in columns]
    shown = tuple(_shorten_digest(value) for value in values)
    sign = facts.metric_direction(name).sign if title == "Metrics" else 0
    numbers = {i: v for i, v in enumerate(values) if isinstance(v, int | float)}
    best: frozenset[int] = frozenset()
    if sign and len(set(numbers.values())) > 1:
        top = (max if sign > 0 else min)(numbers.values())
        best = frozenset(i for i, v in numbers.items() if v == top)
    return ComparedRow(name, shown, len(set(map(str, values))) > 1, best)


def _shorten_digest(value: object) -> str:
    text = show_number(value)
    return text[:12] if len(text) >= 32 and text.isalnum() else text
