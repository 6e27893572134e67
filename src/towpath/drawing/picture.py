"""What is drawn of a graph, boxes and lines; as text for a terminal, and as Mermaid."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from enum import Enum
from typing import TYPE_CHECKING

from msgspec import Struct, field
from msgspec.structs import replace

from towpath.config import model_parts
from towpath.config.pipeline_declaration import (
    BatchTransform,
    BiasCheck,
    Callback,
    CommandStep,
    Condition,
    CreateModel,
    DuckDBStep,
    Explain,
    Fail,
    FunctionStep,
    NotebookStep,
    Notify,
    PipelineStep,
    QualityCheck,
    RegisterModel,
    Stop,
    Tuning,
)
from towpath.control_characters import show_controls
from towpath.pipeline.step_graph import FromInput, Graph, Node, outputs_of

if TYPE_CHECKING:
    from towpath.config.file_declaration import Input


class BoxShape(Enum):
    """What a box stands for; its value is the sign that text drawings use."""

    INPUT = "○"
    STEP = "●"
    CHECK = "✓"
    CONDITION = "◆"
    REGISTER = "★"
    FAIL = "✗"
    STOP = "■"


class GraphBox(Struct, frozen=True):
    """One thing of the drawing: its name, what kind it is, and a line about it."""

    name: str
    shape: BoxShape
    kind: str
    detail: str


class GraphLine(Struct, frozen=True):
    """From one box to another: data flows along it, or a branch; ``ordering`` is only waiting."""

    start: str
    end: str
    label: str = ""
    ordering: bool = False


class GraphPicture(Struct, frozen=True):
    """Boxes in the order of the graph, inputs first, and the lines between them, under a title.

    ``frames`` are the pipelines in this one whose steps have boxes, each as the box that it would
    be; ``inside`` says of a box or a frame in which frame it stands.
    """

    boxes: dict[str, GraphBox]
    lines: tuple[GraphLine, ...]
    title: str = ""
    description: str = ""
    frames: Mapping[str, GraphBox] = field(default_factory=dict)
    inside: Mapping[str, str] = field(default_factory=dict)


def picture_graph(graph: Graph, cells: bool = False, nested: bool = False) -> GraphPicture:
    """The boxes and lines of a graph; waiting that data already implies has no line.

    A step with ``each`` is one box; with ``cells`` so is each of its cells, as far as they are
    known without a run. A pipeline in this one is one box; with ``nested`` so is each of its steps.
    """
    nodes = graph.nodes if cells else graph.steps
    boxes = {
        name: GraphBox(name, BoxShape.INPUT, "input", _input_words(graph.files[name]))
        for name in graph.inputs
    }
    boxes |= {name: _make_box(node) for name, node in nodes.items()}
    lines = [line for node in nodes.values() for line in _flow_lines(node, cells)]
    lines += _waiting_lines(nodes, lines)
    picture = GraphPicture(
        boxes, tuple(lines), graph.name, graph.pipeline.description or "",
        frames={name: _frame_box(graph, name) for name in graph.bodies},
        inside=dict(_frame_places(graph, nodes)),
    )  # fmt: skip
    return picture if nested else fold_picture(picture)


def fold_picture(picture: GraphPicture, opened: Collection[str] = ()) -> GraphPicture:
    """The picture with a box for each frame, those ``opened`` apart that stand in no folded one."""
    shown = {name: _folded_name(picture, name, opened) for name in picture.boxes}
    boxes: dict[str, GraphBox] = {}
    for name, box in picture.boxes.items():  # a frame stands where the first of its steps did
        boxes.setdefault(shown[name], picture.frames.get(shown[name], box))
    frames = {
        name: frame
        for name, frame in picture.frames.items()
        if name in opened and _folded_name(picture, name, opened) == name
    }
    inside = {name: picture.inside[name] for name in (*boxes, *frames) if name in picture.inside}
    return replace(
        picture, boxes=boxes, lines=_fold_lines(picture.lines, shown), frames=frames, inside=inside
    )


def list_frames_around(picture: GraphPicture, name: str) -> list[str]:
    """The frames that a box or a frame stands in, the innermost first."""
    around: list[str] = []
    while name in picture.inside:
        name = picture.inside[name]
        around.append(name)
    return around


def _folded_name(picture: GraphPicture, name: str, opened: Collection[str]) -> str:
    """The outermost folded frame around a box, or around a frame and itself; else its name."""
    path = [name, *list_frames_around(picture, name)]
    closed = (part for part in reversed(path) if part in picture.frames and part not in opened)
    return next(closed, name)


def _frame_places(graph: Graph, names: Iterable[str]) -> Iterator[tuple[str, str]]:
    for name in (*names, *graph.bodies):
        if around := [frame for frame in graph.bodies if name.startswith(f"{frame}.")]:
            yield name, max(around, key=len)


def _frame_box(graph: Graph, name: str) -> GraphBox:
    step = graph.pipeline.steps.get(name)
    folder = graph.bodies[name].removesuffix("/pipeline.yaml")
    pipeline = step.pipeline if isinstance(step, PipelineStep) else folder.rpartition("/")[2]
    count = len(graph.list_steps(name))
    detail = f"{pipeline}, {count} step{'s' * (count != 1)}"
    if isinstance(step, PipelineStep) and step.each:
        detail += f" for each {', '.join(step.each)}"
    return GraphBox(name, BoxShape.STEP, "pipeline", detail)


def _fold_lines(lines: Iterable[GraphLine], shown: Mapping[str, str]) -> tuple[GraphLine, ...]:
    folded: dict[tuple[str, str], GraphLine] = {}
    # A line of data goes before one of mere waiting, and a branch's before both.
    for line in sorted(lines, key=lambda line: (not line.label, line.ordering)):
        start, end = shown[line.start], shown[line.end]
        if start != end:
            is_whole = (start, end) == (line.start, line.end)
            shown_line = line if is_whole else replace(line, start=start, end=end)
            folded.setdefault((start, end), shown_line)
    return tuple(folded.values())


def _input_words(file: Input) -> str:
    words = f"{file.output} of {file.path}" if file.output else file.path
    if file.last:
        words = f"{file.last} of the last run"
        return f"{words}, else {file.otherwise}" if file.otherwise else f"{words}, if there is one"
    return f"{words}, if it is there" if file.optional else words


def _make_box(node: Node) -> GraphBox:
    step = node.step
    output_names = ", ".join(node.outputs)
    kind = step.kind.replace("_", " ")
    if isinstance(step, Tuning):
        kind += f" x{step.trials}"
    elif node.loop:
        kind += f" x{len(node.loop.cells)}" if node.loop.cells else ", each"
        output_names += f" for each {', '.join(node.loop.lists)}"
    match step:
        case Condition():
            return GraphBox(node.name, BoxShape.CONDITION, kind, " ".join(step.expression.split()))
        case Fail():
            return GraphBox(node.name, BoxShape.FAIL, kind, " ".join(step.message.split()))
        case RegisterModel():
            return GraphBox(node.name, BoxShape.REGISTER, kind, f"as {step.model}")
        case QualityCheck():
            return GraphBox(node.name, BoxShape.CHECK, kind, step.expectations or "baseline")
        case BiasCheck():
            return GraphBox(node.name, BoxShape.CHECK, kind, f"by {', '.join(step.group)}")
        case Explain():
            return GraphBox(node.name, BoxShape.STEP, kind, f"by {step.method}")
        case Stop():
            return GraphBox(node.name, BoxShape.STOP, kind, " ".join(step.message.split()))
        case Notify() | Callback():
            return GraphBox(node.name, BoxShape.STEP, kind, " ".join(step.message.split()))
        case CreateModel():
            chain = step.predict or " > ".join(model_parts.chain_links(step, node.arguments))
            return GraphBox(node.name, BoxShape.STEP, kind, chain)
        case NotebookStep():
            return GraphBox(node.name, BoxShape.STEP, kind, step.notebook)
        case FunctionStep() | BatchTransform() | CommandStep() | DuckDBStep() if output_names:
            return GraphBox(node.name, BoxShape.STEP, kind, f"makes {output_names}")
    return GraphBox(node.name, BoxShape.STEP, kind, "")


def _flow_lines(node: Node, cells: bool) -> Iterator[GraphLine]:
    branch = node.branch
    for start in dict.fromkeys(_flow_starts(node, cells)):
        if not branch or start != branch.condition:
            yield GraphLine(start, node.name)
    if branch:
        yield GraphLine(branch.condition, node.name, "yes" if branch.holds else "no")
    if watch := node.step.on_failure:
        for watched in watch.steps:
            yield GraphLine(watched, node.name, watch.when)


def _flow_starts(node: Node, cells: bool) -> Iterator[str]:
    """The boxes that something flows from to a step: inputs and steps."""
    if cells and node.loop and node.loop.cells:
        yield from node.loop.cells
        return
    # What a message quotes is no flow of data: the branch's line says enough.
    quoting = isinstance(node.step, Fail | Stop | RegisterModel) and node.branch
    for source in node.arguments.values() if quoting else node.taken_sources:
        if isinstance(source, FromInput):
            yield source.name
        yield from (output.step for output in outputs_of(source))


def _waiting_lines(nodes: Mapping[str, Node], flows: list[GraphLine]) -> Iterator[GraphLine]:
    """Ordering that no flow implies; a step waits for its own cells without a word."""
    before: dict[str, set[str]] = {name: set() for name in nodes}
    direct: dict[str, list[str]] = {name: [] for name in nodes}
    for line in flows:
        if line.start in nodes:
            direct[line.end].append(line.start)
    for name, node in nodes.items():
        for start in direct[name]:
            before[name] |= {start, *before[start]}
        for needed in sorted((node.needs & nodes.keys()) - before[name]):
            yield GraphLine(needed, name, ordering=True)
            before[name] |= {needed, *before[needed]}


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


def _branch_rows(lines: Sequence[GraphLine], below: str) -> Iterator[tuple[str, str, str]]:
    # The last branch first: the first is then on top of the stack.
    for last, line in enumerate(reversed(lines)):
        label = f" {line.label:<3} " if line.label else " "
        deeper = below + ("│ " if last else "  ") + " " * len(label)
        yield line.end, f"{below}{'├─' if last else '└─'}{label}", deeper


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
            todo += _branch_rows(following, below)
        elif todo and not todo[-1][1]:
            yield "", None  # air before the next root


def _write_rows(
    rows: list[tuple[str, GraphBox | None]], drawn: GraphPicture, parents: dict[str, GraphLine]
) -> Iterator[str]:
    # A pipeline that is yet to be written has no box.
    name_widths = (len(lead) + len(box.name) + 2 for lead, box in rows if box)
    width = min(WIDEST, max(name_widths, default=0))
    kinds = max((len(box.kind) for box in drawn.boxes.values()), default=0)
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
    BoxShape.STOP: ("[[", "]]"),
}
_STRANGE = re.compile(r"[^a-zA-Z0-9_]")
_ESCAPES = {ord(sign): f"#{ord(sign)};" for sign in "\"'<>&#`\\|[]{}()"}


def mermaid(graph: Graph | GraphPicture) -> str:
    """The graph as Mermaid's text (https://mermaid.js.org/syntax/flowchart.html)."""
    drawn = graph if isinstance(graph, GraphPicture) else picture_graph(graph)
    lines = ["flowchart TD"]
    lines += [f"  {_write_node(box)}" for box in drawn.boxes.values()]
    lines += [f"  {_write_arrow(line)}" for line in drawn.lines]
    return "\n".join(lines)


def _node_id(name: str) -> str:
    # A bare `end` or `style` is a word of Mermaid's, and `--ofoo` an arrow with a circle.
    return "n_" + _STRANGE.sub(lambda found: f"_{ord(found[0]):x}_", name)


def _write_node(box: GraphBox) -> str:
    opening, closing = _SHAPES[box.shape]
    small = box.detail if box.shape in (BoxShape.INPUT, BoxShape.CONDITION) else box.kind
    name, below = _escape_text(box.name), _escape_text(small)
    return f'{_node_id(box.name)}{opening}"{name}<br/><small>{below}</small>"{closing}'


def _write_arrow(line: GraphLine) -> str:
    arrow = "-.->" if line.ordering else f"-->|{line.label}|" if line.label else "-->"
    return f"{_node_id(line.start)} {arrow} {_node_id(line.end)}"


def _escape_text(text: str) -> str:
    return show_controls(text).translate(_ESCAPES)
