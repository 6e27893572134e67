"""A graph as SVG: one file that needs nothing from elsewhere, for light and dark pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from towpath.control_characters import escape_markup
from towpath.drawing.graph_layout import GraphLayout, lay_out_picture, write_path
from towpath.drawing.level_layout import Point
from towpath.drawing.picture import BoxShape, GraphBox, GraphLine, GraphPicture, picture_graph
from towpath.drawing.svg_parts import draw_rect, draw_text, guess_width

if TYPE_CHECKING:
    from towpath.pipeline.step_graph import Graph


DOWN = 40.0  # pixels between two layers
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
  .frame { fill: #94a3b8; fill-opacity: 0.08; stroke: #94a3b8; stroke-dasharray: 6 4; }
  .frame-title { font-size: 12px; font-weight: 600; fill: #64748b; }
  .pill { fill: #fef3c7; stroke: #f59e0b; stroke-width: 0.8; }
  @media (prefers-color-scheme: light) { .title { fill: #1f2937; } .mono { fill: #475569; } }
  @media (prefers-color-scheme: dark) { .title { fill: #e5e7eb; } .mono { fill: #94a3b8; } }
"""


def svg(graph: Graph | GraphPicture) -> str:
    drawn = graph if isinstance(graph, GraphPicture) else picture_graph(graph)
    sizes = {name: _box_size(box) for name, box in drawn.boxes.items()}
    placed = lay_out_picture(drawn, sizes, _label_width, DOWN)
    width = max(placed.width, guess_width(drawn.title, 9.5)) + 2 * MARGIN
    height = placed.height + TITLE + 2 * MARGIN
    title = escape_markup(drawn.title)
    lines = [_draw_line(line, placed) for line in drawn.lines]
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'width="{width:.0f}" height="{height:.0f}" role="img" aria-label="{title}">',
        f"<style>{_STYLE}</style>",
        _HEADS,
        f'<text class="title" x="{MARGIN:.0f}" y="{MARGIN + 14:.0f}">{title}</text>',
        f'<g transform="translate({(width - placed.width) / 2:.1f} {TITLE + MARGIN:.1f})">',
        *(_draw_frame(drawn.frames[name], frame) for name, frame in placed.frames.items()),
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
        return max(_diamond_width(box), guess_width(_second_line(box), 6.5)), DIAMOND + CAPTION
    return max(guess_width(box.name, 8.1), guess_width(_second_line(box), 6.3)) + 32, 48.0


def _diamond_width(box: GraphBox) -> float:
    return guess_width(box.name, 8.1) * 1.35 + 52


def _second_line(box: GraphBox) -> str:
    if box.shape not in (BoxShape.INPUT, BoxShape.CONDITION):
        return box.kind
    return box.detail if len(box.detail) <= LONGEST else f"{box.detail[: LONGEST - 1]}…"


def _draw_box(box: GraphBox, middle: Point, size: tuple[float, float]) -> str:
    x, y = middle
    left, top = x - size[0] / 2, y - size[1] / 2
    if box.shape is BoxShape.CONDITION:
        half, y = _diamond_width(box) / 2, top + DIAMOND / 2
        tips = ((x - half, y), (x, top), (x + half, y), (x, top + DIAMOND))
        points = " ".join(f"{px:.1f},{py:.1f}" for px, py in tips)
        body = f'<polygon class="box" points="{points}" stroke-linejoin="round"/>'
        body += draw_text("name", x, y + 4.5, box.name)
        body += draw_text("mono", x, top + DIAMOND + 13, _second_line(box))
    else:
        body = draw_rect("box", left, top, *size, 24 if box.shape is BoxShape.INPUT else 10)
        body += draw_text("name", x, y - 3, box.name)
        body += draw_text("small", x, y + 13, _second_line(box))
    tip = f"{box.name}: {box.kind}" + (f", {box.detail}" if box.detail else "")
    kind = box.shape.name.lower()
    return f'<g class="{kind}"><title>{escape_markup(tip)}</title>{body}</g>'


def _draw_line(line: GraphLine, placed: GraphLayout) -> tuple[str, str]:
    """A line, and its label: from the lower edge of one box to the upper edge of the next."""
    ends = (line.start, line.end)
    kind = "line ordering" if line.ordering else "line branch" if line.label else "line"
    head = "branch-head" if line.label else "head"
    path = write_path(placed.routes[ends], STUB)
    drawn = f'<path class="{kind}" d="{path}" marker-end="url(#{head})"/>'
    if ends not in placed.labels:
        return drawn, ""
    (x, y), wide = placed.labels[ends], _label_width(line.label)
    pill = draw_rect("pill", x - wide / 2, y - 8.5, wide, 17, 8.5)
    return drawn, pill + draw_text("label", x, y + 4, line.label)


def _draw_frame(box: GraphBox, place: tuple[float, float, float, float]) -> str:
    left, top, *_ = place
    title = f"{box.name}: {box.detail}" if box.detail else box.name
    return draw_rect("frame", *place, 14) + draw_text("frame-title", left + 14, top + 20, title)


def _label_width(label: str) -> float:
    return guess_width(label, 6.6) + 14 if label else 0.0
