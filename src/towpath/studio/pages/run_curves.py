"""What the steps of runs logged while they trained, as charts that several runs share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from towpath.reports.report_charts import LabelledRun, chart_logged_metrics
from towpath.studio.pages.run_facts import short_metrics
from towpath.studio.svg_charts import NamedLine

if TYPE_CHECKING:
    from towpath.execution.run_record import RecordedRun
    from towpath.studio.project_facts import ProjectFacts

_MOST_LINES, _MOST_CURVES, _MOST_AXES = 24, 24, 9


@dataclass(frozen=True)
class CurveChart:
    """A chart of lines; ``left_out`` lines are not drawn."""

    title: str
    x_label: str
    lines: tuple[NamedLine, ...]
    notes: tuple[str, ...]
    left_out: int


@dataclass(frozen=True)
class ParallelChart:
    """An axis for each parameter and metric that differs; a row for each run."""

    axes: tuple[str, ...]
    rows: Mapping[str, tuple[float | None, ...]]
    best: frozenset[str]


@dataclass(frozen=True)
class PointChart:
    """The main metric over a parameter: a point for each run."""

    x_label: str
    y_label: str
    points: Mapping[str, tuple[float, float]]


def gather_curves(facts: ProjectFacts, runs: Sequence[RecordedRun]) -> tuple[CurveChart, ...]:
    """The logged metrics of runs, each in one chart for all of them."""
    alone = len(runs) == 1
    labelled = [LabelledRun("" if alone else run.id[-4:], run) for run in runs[:_MOST_LINES]]
    charts = chart_logged_metrics(facts.workspace, labelled)
    return tuple(
        CurveChart(
            chart.title,
            chart.x_label,
            tuple(NamedLine(line.name, line.points) for line in chart.lines[:_MOST_LINES]),
            chart.notes,
            max(0, len(chart.lines) - _MOST_LINES),
        )
        for _, chart in zip(range(_MOST_CURVES), charts, strict=False)
    )


def gather_parallel(facts: ProjectFacts, runs: Sequence[RecordedRun]) -> ParallelChart | None:
    """What differs between runs in numbers, parameters first; None where that is less than two."""
    columns = {run.id: {**dict(_number_params(run)), **_float_metrics(run)} for run in runs}
    names = dict.fromkeys(name for values in columns.values() for name in values)
    differing = [name for name in names if len({v.get(name) for v in columns.values()}) > 1]
    if len(differing) < 2 or len(runs) < 2:
        return None
    axes = tuple(differing[:_MOST_AXES])
    rows = {run: tuple(values.get(name) for name in axes) for run, values in columns.items()}
    return ParallelChart(axes, rows, _best_runs(facts, columns))


def gather_points(facts: ProjectFacts, runs: Sequence[RecordedRun]) -> PointChart | None:
    """The main metric over the first parameter that differs; None where there are not both."""
    columns = {run.id: (dict(_number_params(run)), _float_metrics(run)) for run in runs}
    metric = next((facts.main_metric(m) for _, m in columns.values() if m), None)
    params = dict.fromkeys(name for values, _ in columns.values() for name in values)
    differing = [n for n in params if len({values.get(n) for values, _ in columns.values()}) > 1]
    if metric is None or not differing:
        return None
    name = differing[0]
    points = {
        run: (values[name], metrics[metric])
        for run, (values, metrics) in columns.items()
        if name in values and metric in metrics
    }
    return PointChart(name, metric, points) if len(points) > 1 else None


def _number_params(run: RecordedRun) -> Iterator[tuple[str, float]]:
    for name, value in run.params.items():
        if isinstance(value, int | float) and not isinstance(value, bool):
            yield name, float(value)


def _float_metrics(run: RecordedRun) -> dict[str, float]:
    return {n: float(v) for n, v in short_metrics(run).items() if isinstance(v, int | float)}


def _best_runs(facts: ProjectFacts, columns: Mapping[str, Mapping[str, float]]) -> frozenset[str]:
    """The best by the first metric of which a gate says which way is better."""
    names = dict.fromkeys(name for values in columns.values() for name in values)
    metric = next((name for name in names if facts.metric_direction(name).sign), None)
    values = {run: row[metric] for run, row in columns.items() if metric and metric in row}
    if metric is None or not values:
        return frozenset()
    best = (max if facts.metric_direction(metric).sign > 0 else min)(values.values())
    return frozenset(run for run, value in values.items() if value == best)
