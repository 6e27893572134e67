"""What is drawn of a graph, whatever it is drawn with: boxes, and lines between them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from towpath.config.pipeline_declaration import (
    BatchTransform,
    Callback,
    CommandStep,
    Condition,
    Fail,
    FunctionStep,
    NotebookStep,
    Notify,
    QualityCheck,
    RegisterModel,
    Stop,
    Tuning,
)
from towpath.pipeline.step_graph import FromInput, Node, outputs_of

if TYPE_CHECKING:
    from towpath.pipeline.step_graph import Graph


class BoxShape(Enum):
    """What a box stands for; its value is the sign that text drawings use."""

    INPUT = "○"
    STEP = "●"
    CHECK = "✓"
    CONDITION = "◆"
    REGISTER = "★"
    FAIL = "✗"
    STOP = "■"


@dataclass(frozen=True)
class GraphBox:
    """One thing of the drawing: its name, what kind it is, and a line about it."""

    name: str
    shape: BoxShape
    kind: str
    detail: str


@dataclass(frozen=True)
class GraphLine:
    """From one box to another: data flows along it, or a branch; ``ordering`` is only waiting."""

    start: str
    end: str
    label: str = ""
    ordering: bool = False


@dataclass(frozen=True)
class GraphPicture:
    """Boxes in the order of the graph, inputs first, and the lines between them, under a title."""

    boxes: dict[str, GraphBox]
    lines: tuple[GraphLine, ...]
    title: str = ""
    description: str = ""


def picture_graph(graph: Graph, cells: bool = False) -> GraphPicture:
    """The boxes and lines of a graph; waiting that data already implies has no line.

    A step with ``each`` is one box; with ``cells`` so is each of its cells, as far as they are
    known without a run.
    """
    nodes = graph.nodes if cells else graph.steps
    boxes = {
        name: GraphBox(name, BoxShape.INPUT, "input", path) for name, path in graph.inputs.items()
    }
    boxes |= {name: _make_box(node) for name, node in nodes.items()}
    lines = [line for node in nodes.values() for line in _flow_lines(node, cells)]
    lines += _waiting_lines(nodes, lines)
    return GraphPicture(boxes, tuple(lines), graph.name, graph.pipeline.description or "")


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
            return GraphBox(node.name, BoxShape.CHECK, kind, step.expectations)
        case Stop():
            return GraphBox(node.name, BoxShape.STOP, kind, " ".join(step.message.split()))
        case Notify() | Callback():
            return GraphBox(node.name, BoxShape.STEP, kind, " ".join(step.message.split()))
        case NotebookStep():
            return GraphBox(node.name, BoxShape.STEP, kind, step.notebook)
        case FunctionStep() | BatchTransform() | CommandStep() if output_names:
            return GraphBox(node.name, BoxShape.STEP, kind, f"makes {output_names}")
    return GraphBox(node.name, BoxShape.STEP, kind, "")


def _flow_lines(node: Node, cells: bool) -> Iterator[GraphLine]:
    for start in dict.fromkeys(_flow_starts(node, cells)):
        if node.branch is None or start != node.branch.condition:
            yield GraphLine(start, node.name)
    if node.branch:
        yield GraphLine(node.branch.condition, node.name, "yes" if node.branch.holds else "no")
    if watch := node.step.on_failure:
        for watched in watch.steps:
            yield GraphLine(watched, node.name, watch.when)


def _flow_starts(node: Node, cells: bool) -> Iterator[str]:
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
