"""Charts as SVG by Vega-Lite, which is what DVC's own plots are written in."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from importlib.util import find_spec
from typing import Any
from xml.etree import ElementTree

from msgspec import Struct

from towpath.control_characters import show_controls

POINTS = 1000  # of a line; more do not show on a page
LINES = 20  # of a chart
_WIDTH, _HEIGHT = 480, 220
_INK = "currentColor"  # the page's own, in the light and in the dark
_FAINT = "rgba(128,128,128,0.35)"
_BACKSLASH = "\N{REVERSE SOLIDUS OPERATOR}"  # looks like one, and escapes nothing

_ACTIVE = {"script", "foreignObject", "image", "a", "use", "animate", "set", "iframe", "style"}
INSTALL = "pip install 'towpath[report]'"


class ChartLine(Struct, frozen=True):
    """Points of one colour, by its name in the legend."""

    name: str
    points: Sequence[tuple[Any, Any]]


class Chart(Struct, frozen=True):
    """What is to be drawn: ``kind`` is ``line``, ``point``, ``bar`` or ``confusion``."""

    title: str
    lines: Sequence[ChartLine]
    x_label: str = ""
    y_label: str = ""
    kind: str = "line"
    notes: tuple[str, ...] = ()


class DrawnChart(Struct, frozen=True):
    """A chart with its SVG, which holds no script; "" where nothing draws it or there is nothing to
    draw. ``ends`` are the last values of its lines, for who cannot see it."""

    title: str
    svg: str
    notes: tuple[str, ...]
    ends: tuple[tuple[str, str], ...]


def can_draw() -> bool:
    """Whether the extra is installed that draws."""
    return find_spec("vl_convert") is not None


def draw_chart(chart: Chart) -> DrawnChart:
    """Draw a chart; values that are no finite numbers are left out, and counted in a note."""
    lines = [ChartLine(line.name, _finite_points(line.points)) for line in chart.lines[:LINES]]
    count = sum(len(line.points) for line in chart.lines[:LINES])
    lost = count - sum(len(line.points) for line in lines)
    notes = list(chart.notes)
    if lost:
        notes.append(f"{lost} values are NaN, infinite or none, and are not drawn")
    if len(chart.lines) > LINES:
        notes.append(f"{len(chart.lines) - LINES} more lines are not drawn")
    is_counted = chart.kind == "confusion"  # of all points, for a part of them has other counts
    rows = [
        {"x": _plain(x), "y": _plain(y), "s": show_controls(line.name)}
        for line in lines
        for x, y in (line.points if is_counted else _thin_points(line.points))
    ]
    ends = tuple((line.name, _last_value(line.points)) for line in chart.lines[:LINES])
    svg = _render(_write_spec(chart, rows)) if rows and can_draw() else ""
    return DrawnChart(chart.title, svg, tuple(notes), ends)


def _render(spec: Mapping[str, Any]) -> str:
    import vl_convert

    # Nothing is loaded from anywhere: the values stand in the specification.
    svg: str = vl_convert.vegalite_to_svg(dict(spec), allowed_base_urls=[])
    parts = list(ElementTree.fromstring(svg).iter())
    tags = {part.tag.rpartition("}")[2] for part in parts}
    attributes = {name for part in parts for name in part.attrib}
    # It writes none of them, and no drawing of ours needs one: what has one is not shown.
    is_active = tags & _ACTIVE or any("href" in n or n.startswith("on") for n in attributes)
    return "" if is_active else svg


def _finite_points(points: Iterable[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
    return [(x, y) for x, y in points if _is_shown(x) and _is_shown(y)]


def _is_shown(value: Any) -> bool:
    # pandas' NA, which reports import no pandas for, is neither equal to itself nor unequal.
    if value is None or type(value).__name__ == "NAType" or value != value:  # NaN, pandas' NaT
        return False
    return not isinstance(value, float) or math.isfinite(value)


def _plain(value: Any) -> Any:
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    # vl_convert ends the whole process at a character that XML does not take: it is spelled out.
    return show_controls(str(value)[:80])[:80]


def _thin_points(points: Sequence[tuple[Any, Any]]) -> Sequence[tuple[Any, Any]]:
    step = -(-len(points) // POINTS)
    return [*points[::step], points[-1]] if step > 1 else points


def _last_value(points: Sequence[tuple[Any, Any]]) -> str:
    if not points:
        return ""
    value = points[-1][1]
    return f"{value:.6g}" if isinstance(value, float) else str(value)[:80]


def _axis_title(label: str) -> str | None:
    # Vega-Lite puts a title into an expression with its quotes escaped, and not its backslashes:
    # there `\u0000` would act again, and `\"` end the text.
    return show_controls(label).replace("\\", _BACKSLASH) or None


def _axis_type(values: Iterable[Any], raw: Iterable[Any]) -> str:
    if all(isinstance(value, float) for value in values):
        return "quantitative"
    return "temporal" if all(hasattr(value, "isoformat") for value in raw) else "nominal"


def _write_spec(chart: Chart, rows: list[dict[str, Any]]) -> dict[str, Any]:
    spec: dict[str, Any] = {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "width": _WIDTH,
        "height": _HEIGHT,
        "background": None,
        "config": _CONFIG,
    }
    titles = {"x": _axis_title(chart.x_label), "y": _axis_title(chart.y_label)}
    if chart.kind == "confusion":
        return {**spec, **_confusion_parts(rows, titles)}
    raw = [point for line in chart.lines for point in _finite_points(line.points)]
    encoding: dict[str, Any] = {}
    for place, axis in enumerate("xy"):
        kind = _axis_type([row[axis] for row in rows], [point[place] for point in raw])
        scale = {"scale": {"zero": chart.kind == "bar"}} if kind == "quantitative" else {}
        encoding[axis] = {"field": axis, "type": kind, "title": titles[axis], **scale}
    if len(chart.lines) > 1:
        encoding["color"] = {"field": "s", "type": "nominal", "title": None, "sort": None}
    is_short = len(rows) < 40 * len(chart.lines)
    mark: dict[str, Any] = {"type": chart.kind, "clip": True}
    if chart.kind == "line":
        # A line in the order in which its values came, and not of x: it may go back.
        mark |= {"point": {"size": 18} if is_short else False, "strokeWidth": 1.6}
    return {**spec, "data": {"values": rows}, "mark": mark, "encoding": encoding}


def _confusion_parts(rows: list[dict[str, Any]], titles: Mapping[str, Any]) -> dict[str, Any]:
    counts = Counter((_class_name(row["x"]), _class_name(row["y"])) for row in rows)
    cells = [{"x": x, "y": y, "n": count} for (x, y), count in counts.most_common(POINTS)]
    place = {axis: {"field": axis, "type": "nominal", "title": titles[axis]} for axis in ("x", "y")}
    shade = {"field": "n", "type": "quantitative", "title": "count", "scale": {"scheme": "blues"}}
    number = {"field": "n", "type": "quantitative"}
    largest = max(counts.values())
    ink = {"condition": {"test": f"datum.n > {largest / 2:g}", "value": "white"}, "value": "#222"}
    return {
        "data": {"values": cells},
        "encoding": place,
        "layer": [
            {"mark": "rect", "encoding": {"color": shade}},
            {"mark": "text", "encoding": {"text": number, "color": ink}},
        ],
    }


def _class_name(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


_CONFIG = {
    "font": "system-ui, sans-serif",
    "view": {"stroke": _FAINT},
    "axis": {
        "labelColor": _INK, "titleColor": _INK, "gridColor": _FAINT, "domainColor": _FAINT,
        "tickColor": _FAINT, "titleFontWeight": "normal",
    },
    "legend": {"labelColor": _INK, "titleColor": _INK, "orient": "bottom", "columns": 4},
}  # fmt: skip
