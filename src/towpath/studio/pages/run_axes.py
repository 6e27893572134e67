"""The axes over which runs are drawn: parallel lines and points, chosen by the address."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from msgspec import Struct

from towpath.studio.pages.run_columns import RunColumn, find_column
from towpath.studio.pages.run_table import find_best_runs
from towpath.studio.shown_values import finite_number, show_number

if TYPE_CHECKING:
    from towpath.studio.pages.page_kind import PageRequest
    from towpath.studio.pages.run_facts import RunLine
    from towpath.studio.project_facts import ProjectFacts

SHADES = 5  # classes `k0` to `k4`, from the lowest values to the highest
_MOST_PARAM_AXES, _MOST_METRIC_AXES, _MOST_AXES = 4, 3, 10
_MOST_OFFERED = 60


class ParallelChart(Struct, frozen=True):
    """An axis for each parameter and metric; a row for each run."""

    axes: tuple[str, ...]
    rows: Mapping[str, tuple[float | None, ...]]
    best: frozenset[str]
    shades: Mapping[str, int]


class PointChart(Struct, frozen=True):
    """One value over another: a point for each run that has both."""

    x_label: str
    y_label: str
    points: Mapping[str, tuple[float, float]]
    shades: Mapping[str, int]


class ShadeScale(Struct, frozen=True):
    """What a shade means: the lowest and the highest value of each."""

    title: str
    bounds: tuple[tuple[int, str, str], ...]


class AxisChoice(Struct, frozen=True):
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
    offered = tuple(_differing_columns(runs))[:_MOST_OFFERED]
    metric = facts.main_metric(run.metrics for run in runs)
    main = f"metrics.{metric}" if metric else ""
    keys = _AxisKeys(tuple(column.key for column in offered), main)
    asked_axes = dict.fromkeys(request.query.get("axis", ()))
    chosen = [key for key in asked_axes if key in keys.every] or keys.usual
    x, y = keys.choose_plane(request.last_value("x"), request.last_value("y"))
    colour = keys.pick(request.last_value("colour"), keys.main)
    shades, scale = _shade_runs(runs, colour)
    return AxisChoice(
        offered, tuple(chosen), x, y, colour,
        _draw_lines(facts, runs, chosen[:_MOST_AXES], keys.main, shades),
        _draw_cloud(runs, x, y, shades), scale,
    )  # fmt: skip


class _AxisKeys(Struct, frozen=True):
    """The keys of the columns that may be an axis; ``main`` is that of the main metric, or ""."""

    every: tuple[str, ...]
    main: str

    @property
    def _params(self) -> list[str]:
        return [key for key in self.every if key.startswith("params.")]

    @property
    def _other_metrics(self) -> list[str]:
        return [key for key in self.every if key.startswith("metrics.") and key != self.main]

    @property
    def usual(self) -> list[str]:
        """The axes where none are chosen: the main metric stands last, and is always there."""
        has_main = self.main in self.every
        metrics = self._other_metrics[: _MOST_METRIC_AXES - has_main]
        return self._params[:_MOST_PARAM_AXES] + metrics + [self.main] * has_main

    def pick(self, key: str, otherwise: str) -> str:
        """A key that there is; "" where ``otherwise`` is none either."""
        return next((name for name in (key, otherwise) if name in self.every), "")

    def choose_plane(self, x: str, y: str) -> tuple[str, str]:
        """The axes of the points: the main metric over the first parameter, if not told else."""
        params, metrics = self._params, self._other_metrics
        up = self.pick(y, self.main or next(iter(metrics), ""))
        others = (key for key in (*params, *metrics, self.main) if key != up)
        return self.pick(x, next(others, "")), up


def _differing_columns(runs: Sequence[RunLine]) -> Iterator[RunColumn]:
    for kind in ("params", "metrics"):
        for name in dict.fromkeys(name for run in runs for name in getattr(run, kind)):
            column = RunColumn(f"{kind}.{name}", name, kind)
            values = {number_of_run(column, run) for run in runs}
            if len(values) > 1 and values != {None}:
                yield column


def number_of_run(column: RunColumn, run: RunLine) -> float | None:
    """A run's value, where that is a finite number."""
    return finite_number(column.read_value(run))


def _shade_runs(runs: Sequence[RunLine], key: str) -> tuple[dict[str, int], ShadeScale | None]:
    """A shade for each run by the rank of its value, a fifth of them in each."""
    column = find_column(key, runs) if key else None
    if column is None:
        return {}, None
    numbers = ((run.id, number_of_run(column, run)) for run in runs)
    values = sorted((value, run) for run, value in numbers if value is not None)
    shades = {run: rank * SHADES // len(values) for rank, (_, run) in enumerate(values)}
    bounds = []
    for shade, members in groupby(values, key=lambda pair: shades[pair[1]]):
        ends = [show_number(value) for value, _ in members]
        bounds.append((shade, ends[0], ends[-1]))
    return shades, ShadeScale(column.title, tuple(bounds))


def _draw_lines(
    facts: ProjectFacts, runs: Sequence[RunLine], keys: Sequence[str], main: str,
    shades: Mapping[str, int],
) -> ParallelChart | None:  # fmt: skip
    columns = [column for key in keys if (column := find_column(key, runs))]
    if len(columns) < 2 or len(runs) < 2:
        return None
    rows = {run.id: tuple(number_of_run(column, run) for column in columns) for run in runs}
    metric = find_column(main, runs) if main else None
    best = find_best_runs(facts, runs, metric) if metric else frozenset()
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
