"""Where boxes stand and lines run: layers from top to bottom, by grandalf."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Point = tuple[float, float]

BETWEEN = 34.0  # pixels between two boxes side by side
DOWN = 58.0  # pixels between two layers
PASSING = 8.0  # pixels that a line takes in a layer which it passes
APART = 40.0  # pixels between parts of the graph that no line joins


@dataclass(frozen=True)
class GraphLayout:
    """The middle of each box, the bends of each line between its two boxes, and the whole size."""

    middles: dict[str, Point]
    bends: dict[tuple[str, str], tuple[Point, ...]]
    width: float
    height: float


class _View:
    """The size of a box as grandalf asks for it; ``xy`` is its middle, which grandalf sets."""

    def __init__(self, size: tuple[float, float]) -> None:
        self.w, self.h = size
        self.xy: Point = (0.0, 0.0)


class _Path:
    """A line as grandalf asks for it: ``points`` are set by its router."""

    def __init__(self) -> None:
        self.points: list[Point] = []

    def setpath(self, points: list[Point]) -> None:
        self.points = points


def lay_out_boxes(
    sizes: dict[str, tuple[float, float]], lines: list[tuple[str, str]]
) -> GraphLayout:
    """Lay out boxes of given (width, height) in pixels; ``lines`` are (start, end)."""
    from grandalf.graphs import Edge, Graph, Vertex

    vertices = {name: Vertex(name) for name in sizes}
    for name, vertex in vertices.items():
        vertex.view = _View(sizes[name])
    edges = {line: Edge(vertices[line[0]], vertices[line[1]]) for line in dict.fromkeys(lines)}
    for edge in edges.values():
        edge.view = _Path()
    graph = Graph(list(vertices.values()), list(edges.values()))
    left, height = 0.0, 0.0
    for component in sorted(graph.C, key=lambda c: _first_index(c, sizes)):
        width, tall = _place_component(component, left)
        left, height = left + width + APART, max(height, tall)
    return GraphLayout(
        {name: vertex.view.xy for name, vertex in vertices.items()},
        {line: tuple(edge.view.points[1:-1]) for line, edge in edges.items()},
        max(0.0, left - APART),
        height,
    )


def _first_index(component: Any, sizes: dict[str, tuple[float, float]]) -> int:
    order = {name: index for index, name in enumerate(sizes)}
    return min(order[vertex.data] for vertex in component.V())


def _place_component(component: Any, left: float) -> tuple[float, float]:
    """Lay out one joined part with its left edge at ``left`` and its top at 0."""
    vertices, edges = list(component.V()), list(component.E())
    if len(vertices) > 1:
        _run_sugiyama(component)
    west, north, east, south = _find_extent(vertices, edges)
    for vertex in vertices:
        vertex.view.xy = _move_point(vertex.view.xy, left - west, -north)
    for edge in edges:
        edge.view.points = [_move_point(point, left - west, -north) for point in edge.view.points]
    return east - west, south - north


def _find_extent(vertices: list[Any], edges: list[Any]) -> tuple[float, float, float, float]:
    """The left, upper, right and lower edge of boxes and bends together."""
    views = [vertex.view for vertex in vertices]
    bends = [point for edge in edges for point in edge.view.points[1:-1]]
    xs = [v.xy[0] + side * v.w / 2 for v in views for side in (-1, 1)] + [x for x, _ in bends]
    ys = [v.xy[1] + side * v.h / 2 for v in views for side in (-1, 1)] + [y for _, y in bends]
    return min(xs), min(ys), max(xs), max(ys)


def _run_sugiyama(component: Any) -> None:
    from grandalf.layouts import SugiyamaLayout

    drawing = SugiyamaLayout(component)
    drawing.xspace, drawing.yspace = BETWEEN, DOWN
    drawing.route_edge = lambda edge, points: edge.view.setpath(list(points))
    roots = [vertex for vertex in component.V() if not vertex.e_in()]
    # A line that passes a layer takes the room of a line there, not that of a median box.
    drawing.dw, drawing.dh = PASSING, PASSING
    drawing.init_all(roots=roots, inverted_edges=[], optimize=True)
    drawing.draw(4)


def _move_point(point: Point, right: float, down: float) -> Point:
    return point[0] + right, point[1] + down
