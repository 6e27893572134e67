"""A metric over versions or runs, as a small line."""

from __future__ import annotations

import math
from collections.abc import Sequence

from msgspec import Struct

from towpath.studio.shown_values import show_number
from towpath.studio.svg_charts import AxisSpan

_WIDE, _HIGH, _EDGE = 120.0, 28.0, 4.0


class TrendLine(Struct, frozen=True):
    """A metric over versions or runs, as a path in a box of 120 by 28; ``words`` say it without
    eyes."""

    metric: str
    path: str
    end: tuple[float, float]
    words: str


def lay_trend(metric: str, values: Sequence[float], what: str) -> TrendLine | None:
    """The line through values, the oldest first; None where fewer than two are numbers."""
    values = [value for value in values if math.isfinite(value)]
    if len(values) < 2:
        return None
    axis = AxisSpan.of_values(values, _HIGH - _EDGE, _EDGE)
    step = (_WIDE - 2 * _EDGE) / (len(values) - 1)
    placed = [(round(_EDGE + i * step, 1), round(axis.place(v), 1)) for i, v in enumerate(values)]
    path = "M" + " L".join(f"{x:.1f} {y:.1f}" for x, y in placed)
    ends = f"{show_number(values[0])} to {show_number(values[-1])}"
    return TrendLine(metric, path, placed[-1], f"{metric} of {len(values)} {what}: {ends}")
