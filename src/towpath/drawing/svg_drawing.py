"""A graph as SVG: one file that needs nothing from elsewhere, for light and dark pages."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from html import escape
from itertools import pairwise
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from towpath.drawing.picture import BoxShape, GraphBox, GraphLine, GraphPicture, picture_graph

if TYPE_CHECKING:
    from towpath.pipeline.step_graph import Graph


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


def lay_out_boxes(
    sizes: dict[str, tuple[float, float]], lines: list[tuple[str, str]], down: float = DOWN
) -> GraphLayout:
    """Lay out boxes of given (width, height) in pixels; ``lines`` are (start, end), ``down`` the
    pixels between two layers."""
    from grandalf.graphs import Edge, Graph, Vertex

    vertices = {name: Vertex(name) for name in sizes}
    # What grandalf asks of a view: a box's size, and a place for its middle; of a line, `setpath`.
    for name, vertex in vertices.items():
        width, tall = sizes[name]
        vertex.view = SimpleNamespace(w=width, h=tall, xy=(0.0, 0.0))
    edges = {line: Edge(vertices[line[0]], vertices[line[1]]) for line in dict.fromkeys(lines)}
    for edge in edges.values():
        edge.view = SimpleNamespace(points=[])
        edge.view.setpath = partial(setattr, edge.view, "points")
    graph = Graph(list(vertices.values()), list(edges.values()))
    left, height = 0.0, 0.0
    order = {name: index for index, name in enumerate(sizes)}
    # The parts stand in the order in which the graph names them, whatever order grandalf has.
    for component in sorted(graph.C, key=lambda part: min(order[v.data] for v in part.V())):
        width, tall = _place_component(component, left, down)
        left, height = left + width + APART, max(height, tall)
    return GraphLayout(
        {name: vertex.view.xy for name, vertex in vertices.items()},
        {line: tuple(edge.view.points[1:-1]) for line, edge in edges.items()},
        max(0.0, left - APART),
        height,
    )


def _place_component(component: Any, left: float, down: float) -> tuple[float, float]:
    """Lay out one joined part with its left edge at ``left`` and its top at 0."""
    vertices, edges = list(component.V()), list(component.E())
    if len(vertices) > 1:  # one alone stands where it is
        _run_sugiyama(component, down)
    west, north, east, south = _find_extent(vertices, edges)
    for vertex in vertices:
        x, y = vertex.view.xy
        vertex.view.xy = x - west + left, y - north
    for edge in edges:
        edge.view.points = [(x - west + left, y - north) for x, y in edge.view.points]
    return east - west, south - north


def _find_extent(vertices: list[Any], edges: list[Any]) -> tuple[float, float, float, float]:
    views = [vertex.view for vertex in vertices]
    bends = [point for edge in edges for point in edge.view.points[1:-1]]
    xs = [v.xy[0] + side * v.w / 2 for v in views for side in (-1, 1)] + [x for x, _ in bends]
    ys = [v.xy[1] + side * v.h / 2 for v in views for side in (-1, 1)] + [y for _, y in bends]
    return min(xs), min(ys), max(xs), max(ys)


def _run_sugiyama(component: Any, down: float) -> None:
    from grandalf.layouts import SugiyamaLayout

    drawing = SugiyamaLayout(component)
    drawing.xspace, drawing.yspace = BETWEEN, down
    # Its own routers end a line where it meets the box, in any of the four sides; ours runs from
    # the lower side to the upper.
    drawing.route_edge = lambda edge, points: edge.view.setpath(list(points))
    roots = [vertex for vertex in component.V() if not vertex.e_in()]
    # A line that passes a layer takes the room of a line there, not that of a median box.
    drawing.dw, drawing.dh = PASSING, PASSING
    drawing.init_all(roots=roots, inverted_edges=[], optimize=True)
    drawing.draw(4)  # rounds of sorting the layers, each of which takes away crossings


MARGIN = 24.0
TITLE = 46.0
DIAMOND = 52.0  # pixels from tip to tip of a condition
CAPTION = 20.0  # pixels below it for its text
STUB = 9.0  # pixels that a line runs straight into a box, so that its head points down
LONGEST = 46  # characters of a line in a box; the whole text is its tooltip

_STYLE = """
  text { font-family: ui-sans-serif, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif; }
  .title { font-size: 16px; font-weight: 600; fill: #64748b; }
  .name { font-size: 13.5px; font-weight: 600; fill: #111827; text-anchor: middle; }
  .small { font-size: 11px; fill: #4b5563; text-anchor: middle; }
  .mono { font-size: 10.5px; fill: #64748b; text-anchor: middle; }
  .mono { font-family: ui-monospace, SFMono-Regular, Menlo, "DejaVu Sans Mono", monospace; }
  .box { stroke-width: 1.4; }
  .input .box { fill: #f3f4f6; stroke: #9ca3af; }
  .step .box { fill: #eff6ff; stroke: #60a5fa; }
  .check .box { fill: #ecfdf5; stroke: #34d399; }
  .condition .box { fill: #fffbeb; stroke: #f59e0b; }
  .register .box { fill: #f5f3ff; stroke: #8b5cf6; }
  .fail .box { fill: #fef2f2; stroke: #f87171; }
  .line { fill: none; stroke: #94a3b8; stroke-width: 1.5; }
  .branch { stroke: #f59e0b; }
  .ordering { stroke-dasharray: 4 4; }
  .head { fill: #94a3b8; }
  .branch-head { fill: #f59e0b; }
  .label { font-size: 11px; font-weight: 600; fill: #b45309; text-anchor: middle; }
  .pill { fill: #fef3c7; stroke: #f59e0b; stroke-width: 0.8; }
  @media (prefers-color-scheme: light) { .title { fill: #1f2937; } .mono { fill: #475569; } }
  @media (prefers-color-scheme: dark) { .title { fill: #e5e7eb; } .mono { fill: #94a3b8; } }
"""


def svg(graph: Graph | GraphPicture) -> str:
    drawn = graph if isinstance(graph, GraphPicture) else picture_graph(graph)
    sizes = {name: _box_size(box) for name, box in drawn.boxes.items()}
    placed = lay_out_boxes(sizes, [(line.start, line.end) for line in drawn.lines])
    width = max(placed.width, _text_width(drawn.title, 9.5)) + 2 * MARGIN
    height = placed.height + TITLE + 2 * MARGIN
    title = _escape_text(drawn.title)
    lines = [_draw_line(line, placed, sizes) for line in drawn.lines]
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'width="{width:.0f}" height="{height:.0f}" role="img" aria-label="{title}">',
        f"<style>{_STYLE}</style>",
        _HEADS,
        f'<text class="title" x="{MARGIN:.0f}" y="{MARGIN + 14:.0f}">{title}</text>',
        f'<g transform="translate({(width - placed.width) / 2:.1f} {TITLE + MARGIN:.1f})">',
        *(line for line, _ in lines),
        *(_draw_box(box, placed.middles[n], sizes[n]) for n, box in drawn.boxes.items()),
        *(label for _, label in lines if label),  # above the boxes that a line passes
        "</g>",
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


_MARKER = (
    '<marker id="{0}" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" '
    'orient="auto-start-reverse"><path class="{0}" d="M0 0.8 L10 5 L0 9.2 z"/></marker>'
)
_HEADS = f"<defs>{_MARKER.format('head')}{_MARKER.format('branch-head')}</defs>"


def _box_size(box: GraphBox) -> tuple[float, float]:
    """Width and height of a box; a condition's text stands below its diamond."""
    if box.shape is BoxShape.CONDITION:
        return max(_diamond_width(box), _text_width(_second_line(box), 6.5)), DIAMOND + CAPTION
    return max(_text_width(box.name, 8.1), _text_width(_second_line(box), 6.3)) + 32, 48.0


def _diamond_width(box: GraphBox) -> float:
    return _text_width(box.name, 8.1) * 1.35 + 52


def _second_line(box: GraphBox) -> str:
    is_named = box.shape in (BoxShape.INPUT, BoxShape.CONDITION)
    return _shorten_text(box.detail) if is_named else box.kind


def _draw_box(box: GraphBox, middle: Point, size: tuple[float, float]) -> str:
    x, y = middle
    left, top = x - size[0] / 2, y - size[1] / 2
    name, below = _escape_text(box.name), _escape_text(_second_line(box))
    if box.shape is BoxShape.CONDITION:
        half, y, foot = _diamond_width(box) / 2, top + DIAMOND / 2, top + DIAMOND + 13
        tips = ((x - half, y), (x, top), (x + half, y), (x, top + DIAMOND))
        points = " ".join(f"{px:.1f},{py:.1f}" for px, py in tips)
        body = (
            f'<polygon class="box" points="{points}" stroke-linejoin="round"/>'
            f'<text class="name" x="{x:.1f}" y="{y + 4.5:.1f}">{name}</text>'
            f'<text class="mono" x="{x:.1f}" y="{foot:.1f}">{below}</text>'
        )
    else:
        radius = 24 if box.shape is BoxShape.INPUT else 10
        body = (
            f'<rect class="box" x="{left:.1f}" y="{top:.1f}" width="{size[0]:.1f}" '
            f'height="{size[1]:.1f}" rx="{radius}"/>'
            f'<text class="name" x="{x:.1f}" y="{y - 3:.1f}">{name}</text>'
            f'<text class="small" x="{x:.1f}" y="{y + 13:.1f}">{below}</text>'
        )
    tip = f"{box.name}: {box.kind}" + (f", {box.detail}" if box.detail else "")
    kind = box.shape.name.lower()
    return f'<g class="{kind}"><title>{_escape_text(tip)}</title>{body}</g>'


def _draw_line(
    line: GraphLine, placed: GraphLayout, sizes: dict[str, tuple[float, float]]
) -> tuple[str, str]:
    """A line, and its label: from the lower edge of one box to the upper edge of the next."""
    (x1, y1), (end_x, y2) = placed.middles[line.start], placed.middles[line.end]
    end_y = y2 - sizes[line.end][1] / 2
    points = [(x1, y1 + sizes[line.start][1] / 2), *placed.bends[(line.start, line.end)]]
    path = [f"M{points[0][0]:.1f} {points[0][1]:.1f}"]
    for (x1, y1), (x2, y2) in pairwise([*points, (end_x, end_y - STUB)]):
        middle = (y1 + y2) / 2
        path.append(f"C{x1:.1f} {middle:.1f} {x2:.1f} {middle:.1f} {x2:.1f} {y2:.1f}")
    path.append(f"V{end_y:.1f}")
    kind = "line ordering" if line.ordering else "line branch" if line.label else "line"
    head = "branch-head" if line.label else "head"
    drawn = f'<path class="{kind}" d="{" ".join(path)}" marker-end="url(#{head})"/>'
    (x1, y1), (x2, y2) = [*points, (end_x, end_y)][:2]
    x, y, wide = (x1 + x2) / 2, (y1 + y2) / 2, _text_width(line.label, 6.6) + 14
    label = (
        f'<rect class="pill" x="{x - wide / 2:.1f}" y="{y - 8.5:.1f}" width="{wide:.1f}" '
        f'height="17" rx="8.5"/><text class="label" x="{x:.1f}" y="{y + 4:.1f}">{line.label}</text>'
    )
    return drawn, label if line.label else ""


def _text_width(text: str, each: float) -> float:
    # In pixels, guessed generously: there is no font to ask. Chinese signs are twice as wide.
    return sum(each * (1.9 if ord(sign) > 0x2E7F else 1.0) for sign in text)


def _shorten_text(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _escape_text(text: str) -> str:
    return escape("".join(sign for sign in text if sign.isprintable() or sign == " "))
