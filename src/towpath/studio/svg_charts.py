"""Curves, points, parallel lines and trends as SVG whose look stands in the page's style sheet."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from msgspec import Struct

from towpath.control_characters import escape_markup
from towpath.drawing.svg_parts import draw_text
from towpath.studio.shown_values import show_number

COLOURS = 8  # classes `c0` to `c7`; further lines begin again, and each is named beside its end
_WIDE, _HIGH = 460.0, 220.0  # pixels
_BROAD = 700.0  # of parallel lines, at least
_LEFT, _RIGHT, _TOP, _BOTTOM = 52.0, 14.0, 10.0, 30.0
_LARGEST, _TINY = 1e300, 1e-290
_SMALLEST = 1e-12  # of a value: a span below it is an error of rounding
_POINTS = 600  # of a line; more do not show
FEW = 120  # points or lines of which each says what it is

Point = tuple[float, float]


class NamedLine(Struct, frozen=True):
    """Points of one line; a value that is no finite number is a gap."""

    name: str
    points: Sequence[Point]


class AxisSpan(Struct, frozen=True):
    """The values that an axis shows, and the pixels between which it does."""

    low: float
    high: float
    begin: float
    end: float

    @classmethod
    def of_values(cls, values: Sequence[float], begin: float, end: float) -> AxisSpan:
        finite = [clamp_value(value) for value in values if math.isfinite(value)] or [0.0]
        low, high = min(finite), max(finite)
        # A line of equal values stands in the middle.
        if high - low <= max(abs(low), abs(high)) * _SMALLEST or high - low < _TINY:
            half = max(abs(low) / 2, 0.5)
            low, high = low - half, high + half
        return cls(low, high, begin, end)

    def place(self, value: float) -> float:
        share = (clamp_value(value) - self.low) / (self.high - self.low)
        return self.begin + share * (self.end - self.begin)

    def ticks(self, most: int = 5) -> list[float]:
        """Round values in the span: steps of 1, 2 or 5 times a power of ten."""
        raw = (self.high - self.low) / most
        power = 10.0 ** math.floor(math.log10(raw))
        step = next(power * size for size in (1, 2, 5, 10) if power * size >= raw)
        first = math.ceil(self.low / step)
        return [round(n * step, 12) for n in range(first, math.floor(self.high / step) + 1)]


def clamp_value(value: float) -> float:
    """A value whose differences are numbers still: nobody sees more of a larger one."""
    return max(-_LARGEST, min(_LARGEST, value))


def draw_curves(
    lines: Sequence[NamedLine], x_label: str, y_label: str, most_points: int = _POINTS
) -> str:
    """Lines over a common axis, with their last values for who does not see them."""
    points = [point for line in lines for point in line.points]
    x_axis = AxisSpan.of_values([x for x, _ in points], _LEFT, _WIDE - _RIGHT)
    y_axis = AxisSpan.of_values([y for _, y in points], _HIGH - _BOTTOM, _TOP)
    drawn = [
        f'<path class="curve c{index % COLOURS}" '
        f'd="{_write_path(line.points, x_axis, y_axis, most_points)}">'
        f"<title>{escape_markup(line.name)}</title></path>"
        for index, line in enumerate(lines)
    ]
    ends = "; ".join(f"{line.name} ends at {show_number(line.points[-1][1])}"
                     for line in lines if line.points)  # fmt: skip
    return _frame_chart([*_draw_axes(x_axis, y_axis, x_label), *drawn], f"{y_label}: {ends}")


def draw_points(
    points: Mapping[str, Point], links: Mapping[str, str], x_label: str, y_label: str,
    shades: Mapping[str, int] | None = None,
) -> str:  # fmt: skip
    """A point for each name, a link where ``links`` has its address; ``shades`` are classes of its
    colour."""
    shades = shades or {}
    x_axis = AxisSpan.of_values([x for x, _ in points.values()], _LEFT, _WIDE - _RIGHT)
    y_axis = AxisSpan.of_values([y for _, y in points.values()], _HIGH - _BOTTOM, _TOP)
    drawn = []
    for name, (x, y) in points.items():
        if not (math.isfinite(x) and math.isfinite(y)):
            continue
        values = f": {x_label} {show_number(x)}, {y_label} {show_number(y)}"
        words = name + ("" if len(points) > FEW else values)
        circle = (
            f'<circle class="point{_shade_class(shades, name)}" cx="{x_axis.place(x):.1f}" '
            f'cy="{y_axis.place(y):.1f}" r="5">'
            f"<title>{escape_markup(words)}</title></circle>"
        )
        address = links.get(name)
        drawn.append(f'<a href="{escape_markup(address)}">{circle}</a>' if address else circle)
    label = f"{y_label} over {x_label}, {len(points)} runs"
    # A picture to a screen reader, unless links stand in it.
    role = "group" if links else "img"
    return _frame_chart([*_draw_axes(x_axis, y_axis, x_label), *drawn], label, role=role)


def _shade_class(shades: Mapping[str, int], name: str) -> str:
    return f" k{shades[name]}" if name in shades else ""


def draw_parallel(
    names: Sequence[str], rows: Mapping[str, Sequence[float | None]], marked: frozenset[str],
    shades: Mapping[str, int] | None = None,
) -> str:  # fmt: skip
    """An axis for each name, and a line through them for each row; ``marked`` rows stand out, and
    ``shades`` are classes of its colour."""
    shades = shades or {}
    wide = max(_BROAD, 150.0 * len(names))
    gap = (wide - 2 * 60) / max(1, len(names) - 1)
    axes = [
        AxisSpan.of_values(
            [v for row in rows.values() if (v := row[i]) is not None], _HIGH - 34, 26
        )
        for i in range(len(names))
    ]
    drawn = []
    for i, (name, axis) in enumerate(zip(names, axes, strict=True)):
        x = 60 + i * gap
        drawn += [
            f'<path class="grid-line" d="M{x:.1f} 26 V{_HIGH - 34:.1f}"/>',
            draw_text("axis-name", x, 14, name[:40], "middle"),
            draw_text("tick-word", x, _HIGH - 18, show_number(axis.low), "middle"),
            draw_text("tick-word", x + 5, 30, show_number(axis.high)),
        ]
    # The best are drawn last, over the others.
    for name, row in sorted(rows.items(), key=lambda item: item[0] in marked):
        points = [
            (60 + i * gap, axes[i].place(value))
            for i, value in enumerate(row)
            if value is not None and math.isfinite(value)
        ]
        path = " ".join(f"{'L' if n else 'M'}{x:.1f} {y:.1f}" for n, (x, y) in enumerate(points))
        kind = f"thread{_shade_class(shades, name)}" + (" is-marked" if name in marked else "")
        # Of many lines nobody points at one; the table has their names.
        title = f"<title>{escape_markup(name)}</title>" if len(rows) <= FEW else ""
        drawn.append(f'<path class="{kind}" d="{path}">{title}</path>')
    return _frame_chart(drawn, f"{len(rows)} runs over {', '.join(names)}", wide)


def _write_path(
    points: Sequence[Point], x_axis: AxisSpan, y_axis: AxisSpan, most_points: int
) -> str:
    step = max(1, -(-len(points) // most_points))
    kept = [*points[::step], *points[-1:]] if step > 1 else points
    words: list[str] = []
    is_open = False
    for x, y in kept:
        if not (math.isfinite(x) and math.isfinite(y)):
            is_open = False
            continue
        words.append(f"{'L' if is_open else 'M'}{x_axis.place(x):.1f} {y_axis.place(y):.1f}")
        is_open = True
    return " ".join(words)


def _draw_axes(x_axis: AxisSpan, y_axis: AxisSpan, x_label: str) -> list[str]:
    floor = _HIGH - _BOTTOM
    parts = []
    for value in y_axis.ticks():
        y = y_axis.place(value)
        parts.append(f'<path class="grid-line" d="M{_LEFT:.0f} {y:.1f} H{_WIDE - _RIGHT:.0f}"/>')
        parts.append(draw_text("tick-word", _LEFT - 6, y + 4, show_number(value), "end"))
    for value in x_axis.ticks():
        word = show_number(value)
        parts.append(draw_text("tick-word", x_axis.place(value), floor + 14, word, "middle"))
    parts.append(draw_text("axis-name", _WIDE - _RIGHT, _HIGH - 3, x_label[:40], "end"))
    return parts


def _frame_chart(parts: Sequence[str], label: str, wide: float = _WIDE, role: str = "img") -> str:
    return (
        f'<svg class="chart" viewBox="0 0 {wide:.0f} {_HIGH:.0f}" width="{wide:.0f}" '
        f'height="{_HIGH:.0f}" role="{role}" aria-label="{escape_markup(label)}">'
        f"{''.join(parts)}</svg>"
    )


_TREND_WIDE, _TREND_HIGH, _TREND_EDGE = 120.0, 28.0, 4.0


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
    axis = AxisSpan.of_values(values, _TREND_HIGH - _TREND_EDGE, _TREND_EDGE)
    step = (_TREND_WIDE - 2 * _TREND_EDGE) / (len(values) - 1)
    placed = [
        (round(_TREND_EDGE + i * step, 1), round(axis.place(v), 1)) for i, v in enumerate(values)
    ]
    path = "M" + " L".join(f"{x:.1f} {y:.1f}" for x, y in placed)
    ends = f"{show_number(values[0])} to {show_number(values[-1])}"
    return TrendLine(metric, path, placed[-1], f"{metric} of {len(values)} {what}: {ends}")
