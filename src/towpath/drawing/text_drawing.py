"""A graph as text: for a terminal, and as Mermaid, which GitHub and Prefect's pages draw."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from towpath.control_characters import show_controls
from towpath.drawing.picture import BoxShape, GraphBox, GraphLine, GraphPicture, picture_graph

if TYPE_CHECKING:
    from towpath.pipeline.step_graph import Graph


AIRY = 40  # boxes up to which a line of air between them helps
WIDEST = 44  # columns of the names, so that deep forks do not push the rest off the screen


def text(graph: Graph | GraphPicture) -> str:
    """The graph for a terminal, in Unicode's box drawing signs, without colour.

    A step stands below the last of the steps it waits for; others that it takes from are named
    behind it.
    """
    drawn = graph if isinstance(graph, GraphPicture) else picture_graph(graph)
    parents = _find_parents(drawn)
    rows = list(_tree_rows(drawn, parents))
    if len(drawn.boxes) > AIRY:
        rows = [row for row in rows if row[1]]
    head = drawn.title + (f"  {drawn.description}" if drawn.description else "")
    return "\n".join([head, "", *_write_rows(rows, drawn, parents)])


def _find_parents(drawn: GraphPicture) -> dict[str, GraphLine]:
    """For each box the line by which it hangs: a branch's, else that of the last box before."""
    position = {name: index for index, name in enumerate(drawn.boxes)}
    parents: dict[str, GraphLine] = {}
    for line in drawn.lines:
        held, rank = parents.get(line.end), (bool(line.label), position[line.start])
        if held is None or rank > (bool(held.label), position[held.start]):
            parents[line.end] = line
    return parents


def _tree_rows(
    drawn: GraphPicture, parents: dict[str, GraphLine]
) -> Iterator[tuple[str, GraphBox | None]]:
    """Of each line what stands before the name, and the box; air has none."""
    children: dict[str, list[GraphLine]] = {name: [] for name in drawn.boxes}
    for name in drawn.boxes:
        if name in parents:
            children[parents[name].start].append(parents[name])
    todo = [(root, "", "") for root in reversed(drawn.boxes) if root not in parents]
    while todo:  # a stack and no recursion: a chain may have a thousand steps
        name, lead, below = todo.pop()
        yield lead, drawn.boxes[name]
        following = children[name]
        if len(following) == 1 and not following[0].label:
            yield f"{below}│", None
            todo.append((following[0].end, below, below))
        elif following:
            # The last branch first: the first is then on top of the stack.
            for last, line in enumerate(reversed(following)):
                label = f" {line.label:<3} " if line.label else " "
                deeper = below + ("│ " if last else "  ") + " " * len(label)
                todo.append((line.end, f"{below}{'├─' if last else '└─'}{label}", deeper))
        elif todo and not todo[-1][1]:
            yield "", None  # air before the next root


def _write_rows(
    rows: list[tuple[str, GraphBox | None]], drawn: GraphPicture, parents: dict[str, GraphLine]
) -> Iterator[str]:
    width = min(WIDEST, max(len(lead) + len(box.name) + 2 for lead, box in rows if box))
    kinds = max(len(box.kind) for box in drawn.boxes.values())
    sources: dict[str, list[str]] = {}
    for drawn_line in drawn.lines:
        parent = parents[drawn_line.end]
        if parent.start != drawn_line.start or not parent.label:
            sources.setdefault(drawn_line.end, []).append(drawn_line.start)
    for lead, box in rows:
        if box is None:
            yield lead
            continue
        # All that it takes from, where that is more than the one it hangs by.
        starts = sources.get(box.name, [])
        hangs_by_them = not starts or starts == [parents[box.name].start]
        behind = "" if hangs_by_them else f"  from {', '.join(starts)}"
        detail = ("if " if box.shape is BoxShape.CONDITION else "") + box.detail
        name = f"{lead}{box.shape.value} {box.name}"
        line = f"{name:<{width}}  {box.kind:<{kinds}}  {detail}{behind}".rstrip()
        yield show_controls(line)


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
