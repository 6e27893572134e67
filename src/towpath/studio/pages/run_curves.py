"""What the steps of runs logged while they trained, as charts that several runs share."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import TYPE_CHECKING

from msgspec import Struct

from towpath.reports.report_charts import LabelledRun, chart_logged_metrics
from towpath.studio.svg_charts import NamedLine

if TYPE_CHECKING:
    from towpath.execution.run_record import RecordedRun
    from towpath.studio.project_facts import ProjectFacts

_MOST_LINES, _MOST_CURVES = 24, 24
_POINTS, _FEWEST, _ALL_POINTS = 600, 30, 6000  # of a line, and of all lines of a page


class CurveChart(Struct, frozen=True):
    """A chart of lines; ``left_out`` lines are not drawn."""

    title: str
    x_label: str
    lines: tuple[NamedLine, ...]
    notes: tuple[str, ...]
    left_out: int
    most_points: int  # of a line: a page of many runs stays small


def gather_curves(facts: ProjectFacts, runs: Iterable[RecordedRun]) -> tuple[CurveChart, ...]:
    """The logged metrics of runs, each in one chart for all of them; of many runs the first."""
    drawn = list(itertools.islice(runs, _MOST_LINES))
    labelled = [LabelledRun("" if len(drawn) == 1 else run.id[-4:], run) for run in drawn]
    logged = chart_logged_metrics(facts.workspace, labelled)
    charts = [chart for _, chart in zip(range(_MOST_CURVES), logged, strict=False)]
    line_count = sum(min(len(chart.lines), _MOST_LINES) for chart in charts)
    points = min(_POINTS, max(_FEWEST, _ALL_POINTS // max(1, line_count)))
    return tuple(
        CurveChart(
            chart.title, chart.x_label,
            tuple(NamedLine(line.name, line.points) for line in chart.lines[:_MOST_LINES]),
            chart.notes, max(0, len(chart.lines) - _MOST_LINES), points,
        )
        for chart in charts
    )  # fmt: skip
