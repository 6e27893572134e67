"""Where the boxes, lines, labels and frames of a graph stand: in layers, on lines that run through
none of them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from msgspec import Struct

from towpath.drawing.level_layout import (
    LevelLayout,
    LevelMember,
    LineKey,
    Point,
    Segment,
    lay_out_level,
)

if TYPE_CHECKING:
    from towpath.drawing.picture import GraphPicture

Size = tuple[float, float]

APART = 40.0  # pixels between parts of the graph that no line joins
WIDEST_ROW = 1240.0  # pixels of such parts in a row
FRAME_TITLE, FRAME_EDGE = 34.0, 14.0  # pixels above and around what stands in a frame


class JoinedBoxes(Struct, frozen=True):
    """A line to be laid out: ``label_width`` in pixels, 0 for none."""

    start: str
    end: str
    label_width: float = 0.0


class LayoutRequest(Struct, frozen=True):
    """What is to be laid out: the boxes' (width, height) in pixels, in the order of the graph; the
    frame that a box or a frame stands in; and of each frame how wide its title is."""

    sizes: tuple[tuple[str, Size], ...]
    lines: tuple[JoinedBoxes, ...]
    inside: tuple[tuple[str, str], ...] = ()
    titles: tuple[tuple[str, float], ...] = ()
    down: float = 34.0  # pixels between two layers


class GraphLayout(Struct, frozen=True):
    """The middle of each box; the points of each line from the side of its first box to that of
    its last, of which two follow each other straight down or slanted from layer to layer; the
    middle of each label; each frame's (left, top, width, height); the whole size; and how often
    lines cross."""

    middles: Mapping[str, Point]
    routes: Mapping[tuple[str, str], tuple[Point, ...]]
    labels: Mapping[tuple[str, str], Point]
    frames: Mapping[str, tuple[float, float, float, float]]
    width: float
    height: float
    crossings: int = 0


# A page of a run that goes on draws the same graph again and again.
@functools.lru_cache(maxsize=32)
def lay_out_graph(request: LayoutRequest) -> GraphLayout:
    """Lay out a graph; the same one always in the same way."""
    plan = _LayoutPlan(request)
    whole = plan.lay_out_frame("", (), ())
    middles, frames, origins = plan.locate_all(whole)
    routes: dict[tuple[str, str], tuple[Point, ...]] = {}
    labels: dict[tuple[str, str], Point] = {}
    for line in plan.lines:
        ends = (line.start, line.end)
        routes[ends] = tuple(_merge_points(plan.trace_line(line, origins)))
        _, level, _ = plan.find_levels(line)
        segment = plan.find_segment(line, level)
        if line.label_width and segment in plan.levels[level].labels:
            (x, y), (left, top) = plan.levels[level].labels[segment], origins[level]
            labels[ends] = (x + left, y + top)
    crossings = sum(level.crossings for level in plan.levels.values())
    return GraphLayout(middles, routes, labels, frames, whole.width, whole.height, crossings)


def lay_out_picture(
    picture: GraphPicture,
    sizes: Mapping[str, Size],
    label_width: Callable[[str], float],
    down: float,
) -> GraphLayout:
    """Lay out a picture whose boxes have these sizes, and whose labels are that wide."""
    lines = (JoinedBoxes(n.start, n.end, label_width(n.label)) for n in picture.lines)
    titles = ((n, 7.0 * len(f"{n}: {f.detail}") + 30) for n, f in picture.frames.items())
    places = tuple(picture.inside.items())
    request = LayoutRequest(tuple(sizes.items()), tuple(lines), places, tuple(titles), down)
    return lay_out_graph(request)


def _merge_points(points: list[Point]) -> list[Point]:
    """The points without those in the middle of a straight line down."""
    kept: list[Point] = []
    for point in points:
        if kept and abs(kept[-1][0] - point[0]) + abs(kept[-1][1] - point[1]) < 0.1:
            continue
        if len(kept) > 1 and kept[-2][0] == kept[-1][0] == point[0]:
            kept.pop()
        kept.append(point)
    return kept


class _LayoutPlan:
    """The levels of a request, which are laid out from the outermost to the innermost order, and
    sized from the innermost to the outermost."""

    def __init__(self, request: LayoutRequest) -> None:
        self.request = request
        self.sizes = dict(request.sizes)
        self.inside = dict(request.inside)
        self.titles = dict(request.titles)
        self.lines = tuple({(line.start, line.end): line for line in request.lines}.values())
        children: dict[str, dict[str, None]] = {"": {}}
        self.levels: dict[str, LevelLayout] = {}
        for name in self.sizes:  # frames stand where the first of their boxes does
            for inner in reversed(self._path_of(name)):
                children.setdefault(self.inside.get(inner, ""), {})[inner] = None
        self.children = {level: list(names) for level, names in children.items()}

    def _path_of(self, name: str) -> list[str]:
        """The box, the frame it stands in, the frame of that, and so on."""
        path = [name]
        while path[-1] in self.inside:
            path.append(self.inside[path[-1]])
        return path

    def _member_of(self, name: str, level: str) -> str:
        """What of a level holds a box; "" where none does."""
        path = self._path_of(name)
        if not level:
            return path[-1]
        return path[path.index(level) - 1] if level in path[1:] else ""

    def list_segments(self, level: str) -> dict[Segment, float]:
        """The parts of lines in a level, and how wide the label of each is."""
        widths = {self.find_segment(line, level): line.label_width for line in self.lines}
        return {(a, b, key): w if a and b else 0.0 for (a, b, key), w in widths.items() if a != b}

    def find_segment(self, line: JoinedBoxes, level: str) -> Segment:
        """The part of a line in a level."""
        start, end = self._member_of(line.start, level), self._member_of(line.end, level)
        return start, end, (line.start, line.label_width)

    def lay_out_frame(
        self, level: str, entries: Sequence[LineKey], exits: Sequence[LineKey]
    ) -> LevelLayout:
        """Lay out a level whose lines come in and go out in the given order."""
        segments, names = self.list_segments(level), self.children[level]
        sheets = []
        for part in [names] if entries or exits else _split_parts(names, segments):
            members, ports = set(part), (entries, exits)
            own = {s: width for s, width in segments.items() if members & {s[0], s[1]}}
            sheets.append(lay_out_level(part, own, ports, self._size_member, self.request.down))
        self.levels[level] = sheets[0] if len(sheets) == 1 else _pack_sheets(sheets)
        return self.levels[level]

    def _size_member(
        self, name: str, entries: Sequence[LineKey], exits: Sequence[LineKey]
    ) -> LevelMember:
        if name in self.sizes:
            return LevelMember(*self.sizes[name], {}, {})
        inner = self.lay_out_frame(name, entries, exits)
        shift = -inner.width / 2  # a frame's inside stands in its middle
        comes_in, goes_out = (
            {key: x + shift for key, x in side.items()} for side in (inner.entries, inner.exits)
        )
        return LevelMember(*self._frame_size(name), comes_in, goes_out, is_frame=True)

    def _frame_size(self, name: str) -> Size:
        inner = self.levels[name]
        width = max(inner.width, self.titles.get(name, 0.0)) + 2 * FRAME_EDGE
        return width, inner.height + FRAME_TITLE + FRAME_EDGE

    def locate_all(
        self, whole: LevelLayout
    ) -> tuple[dict[str, Point], dict[str, tuple[float, float, float, float]], dict[str, Point]]:
        """The middles of all boxes, the frames, and each level's left upper corner."""
        middles: dict[str, Point] = {}
        frames: dict[str, tuple[float, float, float, float]] = {}
        origins: dict[str, Point] = {"": (0.0, 0.0)}
        todo = [("", whole)]
        while todo:
            level, laid_out = todo.pop()
            left, top = origins[level]
            for name, (x, y) in laid_out.middles.items():
                if name in self.sizes:
                    middles[name] = (x + left, y + top)
                    continue
                inner = self.levels[name]
                width, height = self._frame_size(name)
                west, north = x + left - width / 2, y + top - height / 2
                frames[name] = (west, north, width, height)
                origins[name] = (west + (width - inner.width) / 2, north + FRAME_TITLE)
                todo.append((name, inner))
        return {name: middles[name] for name in self.sizes}, frames, origins

    def trace_line(self, line: JoinedBoxes, origins: Mapping[str, Point]) -> list[Point]:
        """The points of a line through all levels that it crosses, from its start to its end."""
        outer, shared, inner = self.find_levels(line)
        points: list[Point] = []
        for level in (*outer, shared, *inner):
            left, top = origins[level]
            traced = self.levels[level].segments[self.find_segment(line, level)]
            points += ((x + left, y + top) for x, y in traced)
        return points

    def find_levels(self, line: JoinedBoxes) -> tuple[list[str], str, list[str]]:
        """The levels that a line leaves, the one that holds both its ends, those it enters."""
        outwards, inwards = self._path_of(line.start)[1:], self._path_of(line.end)[1:]
        shared = next((level for level in outwards if level in inwards), "")
        outer = [level for level in outwards if level not in inwards]
        return outer, shared, [level for level in reversed(inwards) if level not in outwards]


def _split_parts(names: Sequence[str], segments: Mapping[Segment, float]) -> list[list[str]]:
    """The names by what lines join, in the order in which the first of each is named."""
    near: dict[str, list[str]] = {name: [] for name in names}
    for start, end, _ in segments:
        near[start].append(end)
        near[end].append(start)
    parts: dict[str, list[str]] = {}  # by the first
    first_of: dict[str, str] = {}
    for name in names:
        todo = [name] if name not in first_of else []
        while todo:
            met = todo.pop()
            if met not in first_of:
                first_of[met] = name
                todo += near[met]
        parts.setdefault(first_of[name], []).append(name)
    return list(parts.values())


def _pack_sheets(sheets: Sequence[LevelLayout]) -> LevelLayout:
    """Parts that nothing joins side by side, in rows."""
    widest = max([WIDEST_ROW, *(sheet.width for sheet in sheets)])
    left = top = height = width = 0.0
    middles: dict[str, Point] = {}
    segments: dict[Segment, tuple[Point, ...]] = {}
    labels: dict[Segment, Point] = {}
    for sheet in sheets:
        if left and left + sheet.width > widest:
            left, top, height = 0.0, top + height + APART, 0.0
        middles |= {name: (x + left, y + top) for name, (x, y) in sheet.middles.items()}
        labels |= {segment: (x + left, y + top) for segment, (x, y) in sheet.labels.items()}
        for segment, points in sheet.segments.items():
            segments[segment] = tuple((x + left, y + top) for x, y in points)
        width, height = max(width, left + sheet.width), max(height, sheet.height)
        left += sheet.width + APART
    crossings = sum(sheet.crossings for sheet in sheets)
    return LevelLayout(middles, segments, labels, {}, {}, width, top + height, crossings)


def write_path(points: Sequence[Point], stub: float) -> str:
    """A route as the data of an SVG path: straight down, slanted parts as curves. Its last
    ``stub`` pixels are straight, so that an arrow's head points at the box."""
    path = [f"M{points[0][0]:.1f} {points[0][1]:.1f}"]
    for index, ((x1, y1), (x2, y2)) in enumerate(pairwise(points)):
        if abs(x1 - x2) < 0.05:
            path.append(f"V{y2:.1f}")
            continue
        is_last = index == len(points) - 2
        end = y2 - (stub if y2 > y1 else -stub) if is_last else y2
        middle = (y1 + end) / 2
        path.append(f"C{x1:.1f} {middle:.1f} {x2:.1f} {middle:.1f} {x2:.1f} {end:.1f}")
        if is_last:
            path.append(f"V{y2:.1f}")
    return "".join(path)
