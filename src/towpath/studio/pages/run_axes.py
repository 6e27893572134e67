"""The axes over which runs are drawn: parallel lines and points, chosen by the address."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from towpath.studio.pages.run_columns import RunColumn, find_column
from towpath.studio.shown_values import show_number

if TYPE_CHECKING:
    from towpath.studio.pages.page_kind import PageRequest
    from towpath.studio.pages.run_facts import RunLine
    from towpath.studio.project_facts import ProjectFacts

SHADES = 5  # classes `k0` to `k4`, from the lowest values to the highest
_MOST_PARAM_AXES, _MOST_METRIC_AXES, _MOST_AXES = 4, 3, 10
_MOST_OFFERED = 60


@dataclass(frozen=True)
class ParallelChart:
    """An axis for each parameter and metric; a row for each run."""

    axes: tuple[str, ...]
    rows: Mapping[str, tuple[float | None, ...]]
    best: frozenset[str]
    shades: Mapping[str, int]


@dataclass(frozen=True)
class PointChart:
    """One value over another: a point for each run that has both."""

    x_label: str
    y_label: str
    points: Mapping[str, tuple[float, float]]
    shades: Mapping[str, int]


@dataclass(frozen=True)
class ShadeScale:
    """What a shade means: the lowest and the highest value of each."""

    title: str
    bounds: tuple[tuple[int, str, str], ...]


@dataclass(frozen=True)
class AxisChoice:
    """The axes there are (numbers that differ), those chosen, and what is drawn over them."""

    offered: tuple[RunColumn, ...]
    chosen: tuple[str, ...]
    x: str
    y: str
    colour: str
    parallel: ParallelChart | None
    points: PointChart | None
    scale: ShadeScale | None


def choose_axes(facts: ProjectFacts, runs: Sequence[RunLine], request: PageRequest) -> AxisChoice:
    """By ``axis`` (several), ``x``, ``y`` and ``colour`` of the address; else parameters and the
    main metric."""
    metric = next((facts.main_metric(run.metrics) for run in runs if run.metrics), None)
    main = f"metrics.{metric}" if metric else ""
    offered = tuple(_differing_columns(runs))[:_MOST_OFFERED]
    keys = [column.key for column in offered]
    params = [key for key in keys if key.startswith("params.")]
    metrics = [key for key in keys if key.startswith("metrics.") and key != main]
    usual = params[:_MOST_PARAM_AXES] + metrics[: _MOST_METRIC_AXES - 1]
    usual += [main] if main in keys else metrics[_MOST_METRIC_AXES - 1 : _MOST_METRIC_AXES]
    chosen = [key for key in dict.fromkeys(request.query.get("axis", ())) if key in keys] or usual

    def pick_key(name: str, otherwise: str) -> str:
        value = (request.query.get(name) or ("",))[-1]
        return value if value in keys else otherwise if otherwise in keys else ""

    y = pick_key("y", main or (metrics[0] if metrics else ""))
    others = [key for key in (*params, *metrics, main) if key != y]
    x, colour = pick_key("x", others[0] if others else ""), pick_key("colour", main)
    shades, scale = _shade_runs(runs, colour)
    return AxisChoice(
        offered, tuple(chosen), x, y, colour,
        _draw_lines(facts, runs, chosen[:_MOST_AXES], main, shades),
        _draw_cloud(runs, x, y, shades), scale,
    )  # fmt: skip


def _differing_columns(runs: Sequence[RunLine]) -> Iterator[RunColumn]:
    for kind in ("params", "metrics"):
        for name in dict.fromkeys(name for run in runs for name in getattr(run, kind)):
            column = RunColumn(f"{kind}.{name}", name, kind)
            values = {number_of_run(column, run) for run in runs}
            if len(values) > 1 and values != {None}:
                yield column


def number_of_run(column: RunColumn, run: RunLine) -> float | None:
    """A run's value, where that is a finite number."""
    value = column.read_value(run)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None


def _shade_runs(runs: Sequence[RunLine], key: str) -> tuple[dict[str, int], ShadeScale | None]:
    """A shade for each run by the rank of its value, a fifth of them in each."""
    column = find_column(key, runs) if key else None
    if column is None:
        return {}, None
    numbers = ((run.id, number_of_run(column, run)) for run in runs)
    values = sorted((value, run) for run, value in numbers if value is not None)
    shades = {run: rank * SHADES // len(values) for rank, (_, run) in enumerate(values)}
    bounds = []
    for shade in range(SHADES):
        members = [value for value, run in values if shades[run] == shade]
        if members:
            bounds.append((shade, show_number(members[0]), show_number(members[-1])))
    return shades, ShadeScale(column.title, tuple(bounds))


def _draw_lines(
    facts: ProjectFacts, runs: Sequence[RunLine], keys: Sequence[str], main: str,
    shades: Mapping[str, int],
) -> ParallelChart | None:  # fmt: skip
    columns = [column for key in keys if (column := find_column(key, runs))]
    if len(columns) < 2 or len(runs) < 2:
        return None
    rows = {run.id: tuple(number_of_run(column, run) for column in columns) for run in runs}
    metric = main.removeprefix("metrics.")
    sign = facts.metric_direction(metric).sign if metric else 0
    values = {run.id: run.metrics[metric] for run in runs if metric in run.metrics} if sign else {}
    top = (max if sign > 0 else min)(values.values()) if values else None
    best = frozenset(run for run, value in values.items() if value == top)
    return ParallelChart(tuple(column.title for column in columns), rows, best, shades)


def _draw_cloud(
    runs: Sequence[RunLine], x: str, y: str, shades: Mapping[str, int]
) -> PointChart | None:
    across, up = find_column(x, runs) if x else None, find_column(y, runs) if y else None
    if across is None or up is None:
        return None
    pairs = {run.id: (number_of_run(across, run), number_of_run(up, run)) for run in runs}
    points = {run: (a, b) for run, (a, b) in pairs.items() if a is not None and b is not None}
    return PointChart(across.title, up.title, points, shades) if len(points) > 1 else None
