"""A graph as a Mermaid flowchart, which GitHub and Prefect's pages draw."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from towpath.control_characters import show_controls
from towpath.drawing.picture import Box, Line, Picture, Shape, picture

if TYPE_CHECKING:
    from towpath.pipeline.step_graph import Graph

_SHAPES = {
    Shape.INPUT: ("[(", ")]"),
    Shape.STEP: ("(", ")"),
    Shape.CHECK: ("(", ")"),
    Shape.CONDITION: ("{", "}"),
    Shape.REGISTER: ("([", "])"),
    Shape.FAIL: ("[[", "]]"),
}
_STRANGE = re.compile(r"[^a-zA-Z0-9_]")
_ESCAPES = {ord(sign): f"#{ord(sign)};" for sign in "\"'<>&#`\\|[]{}()"}


def mermaid(graph: Graph | Picture) -> str:
    """The graph as Mermaid's text (https://mermaid.js.org/syntax/flowchart.html)."""
    drawn = graph if isinstance(graph, Picture) else picture(graph)
    lines = ["flowchart TD"]
    lines += [f"  {_box(box)}" for box in drawn.boxes.values()]
    lines += [f"  {_line(line)}" for line in drawn.lines]
    return "\n".join(lines)


def _id(name: str) -> str:
    # A bare `end` or `style` is a word of Mermaid's, and `--ofoo` an arrow with a circle.
    return "n_" + _STRANGE.sub(lambda found: f"_{ord(found[0]):x}_", name)


def _box(box: Box) -> str:
    opening, closing = _SHAPES[box.shape]
    small = box.detail if box.shape in (Shape.INPUT, Shape.CONDITION) else box.kind
    return f'{_id(box.name)}{opening}"{_text(box.name)}<br/><small>{_text(small)}</small>"{closing}'


def _line(line: Line) -> str:
    arrow = "-.->" if line.ordering else f"-->|{line.label}|" if line.label else "-->"
    return f"{_id(line.start)} {arrow} {_id(line.end)}"


def _text(text: str) -> str:
    return show_controls(text).translate(_ESCAPES)
