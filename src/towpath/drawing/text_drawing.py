"""A graph as text: for a terminal, and as Mermaid, which GitHub and Prefect's pages draw."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from towpath.control_characters import show_controls
from towpath.drawing.picture import BoxShape, GraphBox, GraphLine, GraphPicture, picture_graph

if TYPE_CHECKING:
    from towpath.pipeline.step_graph import Graph


AIRY = 40  # boxes up to which a line of air between them helps
WIDEST = 44  # columns of the names, so that deep forks do not push the rest off the screen


@dataclass(frozen=True)
class _Row:
    """One line: what stands before the name, and the box; air has none."""

    lead: str
    box: GraphBox | None = None


def text(graph: Graph | GraphPicture) -> str:
    """The graph for a terminal, in Unicode's box drawing signs, without colour.

    A step stands below the last of the steps it waits for; others that it takes from are named
    behind it.
    """
    drawn = graph if isinstance(graph, GraphPicture) else picture_graph(graph)
    parents = _find_parents(drawn)
    rows = list(_tree_rows(drawn, parents))
    if len(drawn.boxes) > AIRY:
        rows = [row for row in rows if row.box]
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


def _tree_rows(drawn: GraphPicture, parents: dict[str, GraphLine]) -> Iterator[_Row]:
    children: dict[str, list[GraphLine]] = {name: [] for name in drawn.boxes}
    for name in drawn.boxes:
        if name in parents:
            children[parents[name].start].append(parents[name])
    roots = [name for name in drawn.boxes if name not in parents]
    todo = [(root, "", "") for root in reversed(roots)]
    while todo:  # a stack and no recursion: a chain may have a thousand steps
        name, lead, below = todo.pop()
        yield _Row(lead, drawn.boxes[name])
        following = children[name]
        if len(following) == 1 and not following[0].label:
            yield _Row(f"{below}│")
            todo.append((following[0].end, below, below))
        elif following:
            todo += _fork_branches(following, below)
        elif todo and not todo[-1][1]:
            yield _Row("")  # air before the next root


def _fork_branches(lines: list[GraphLine], below: str) -> Iterator[tuple[str, str, str]]:
    """What follows a fork, the last branch first: the first is then on top of the stack."""
    for last, line in enumerate(reversed(lines)):
        label = f" {line.label:<3} " if line.label else " "
        deeper = below + ("│ " if last else "  ") + " " * len(label)
        yield line.end, f"{below}{'├─' if last else '└─'}{label}", deeper


def _write_rows(
    rows: list[_Row], drawn: GraphPicture, parents: dict[str, GraphLine]
) -> Iterator[str]:
    width = min(WIDEST, max(len(r.lead) + len(r.box.name) + 2 for r in rows if r.box))
    kinds = max(len(box.kind) for box in drawn.boxes.values())
    others = _other_sources(drawn, parents)
    for row in rows:
        if row.box is None:
            yield row.lead
            continue
        name = f"{row.lead}{row.box.shape.value} {row.box.name}"
        behind = f"  from {', '.join(others[row.box.name])}" if others.get(row.box.name) else ""
        detail = ("if " if row.box.shape is BoxShape.CONDITION else "") + row.box.detail
        line = f"{name:<{width}}  {row.box.kind:<{kinds}}  {detail}{behind}".rstrip()
        yield show_controls(line)


def _other_sources(drawn: GraphPicture, parents: dict[str, GraphLine]) -> dict[str, list[str]]:
    """For each box that takes from more than the one it hangs by: all it takes from."""
    sources: dict[str, list[str]] = {}
    for line in drawn.lines:
        if parents[line.end].start != line.start or not parents[line.end].label:
            sources.setdefault(line.end, []).append(line.start)
    return {name: starts for name, starts in sources.items() if starts != [parents[name].start]}


_SHAPES = {
    BoxShape.INPUT: ("[(", ")]"),
    BoxShape.STEP: ("(", ")"),
    BoxShape.CHECK: ("(", ")"),
    BoxShape.CONDITION: ("{", "}"),
    BoxShape.REGISTER: ("([", "])"),
    BoxShape.FAIL: ("[[", "]]"),
    BoxShape.STOP: ("[[", "]]"),
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
