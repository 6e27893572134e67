"""A graph as a Mermaid flowchart, which GitHub and Prefect's pages draw."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from towpath.control_characters import show_controls
from towpath.drawing.picture import BoxShape, GraphBox, GraphLine, GraphPicture, picture_graph

if TYPE_CHECKING:
    from towpath.pipeline.step_graph import Graph

_SHAPES = {
    BoxShape.INPUT: ("[(", ")]"),
    BoxShape.STEP: ("(", ")"),
    BoxShape.CHECK: ("(", ")"),
    BoxShape.CONDITION: ("{", "}"),
    BoxShape.REGISTER: ("([", "])"),
    BoxShape.FAIL: ("[[", "]]"),
}
_STRANGE = re.compile(r"[^a-zA-Z0-9_]")
_ESCAPES = {ord(sign): f"#{ord(sign)};" for sign in "\"'<>&#`\\|[]{}()"}


def mermaid(graph: Graph | GraphPicture) -> str:
    """The graph as Mermaid's text (https://mermaid.js.org/syntax/flowchart.html)."""
    drawn = graph if isinstance(graph, GraphPicture) else picture_graph(graph)
    lines = ["flowchart TD"]
    lines += [f"  {_draw_box(box)}" for box in drawn.boxes.values()]
    lines += [f"  {_draw_line(line)}" for line in drawn.lines]
    return "\n".join(lines)


def _node_id(name: str) -> str:
    # A bare `end` or `style` is a word of Mermaid's, and `--ofoo` an arrow with a circle.
    return "n_" + _STRANGE.sub(lambda found: f"_{ord(found[0]):x}_", name)


def _draw_box(box: GraphBox) -> str:
    opening, closing = _SHAPES[box.shape]
    small = box.detail if box.shape in (BoxShape.INPUT, BoxShape.CONDITION) else box.kind
    name, below = _escape_text(box.name), _escape_text(small)
    return f'{_node_id(box.name)}{opening}"{name}<br/><small>{below}</small>"{closing}'


def _draw_line(line: GraphLine) -> str:
    arrow = "-.->" if line.ordering else f"-->|{line.label}|" if line.label else "-->"
    return f"{_node_id(line.start)} {arrow} {_node_id(line.end)}"


def _escape_text(text: str) -> str:
    return show_controls(text).translate(_ESCAPES)
