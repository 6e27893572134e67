"""What is drawn of a graph, whatever it is drawn with: boxes, and lines between them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from towpath.config.pipeline_declaration import (
    BatchTransform,
    CommandStep,
    Condition,
    Fail,
    FunctionStep,
    QualityCheck,
    RegisterModel,
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


def picture_graph(graph: Graph) -> GraphPicture:
    """The boxes and lines of a graph; waiting that data already implies has no line."""
    boxes = {
        name: GraphBox(name, BoxShape.INPUT, "input", path) for name, path in graph.inputs.items()
    }
    boxes |= {name: _make_box(node) for name, node in graph.nodes.items()}
    lines = [line for node in graph.nodes.values() for line in _flow_lines(node)]
    lines += _waiting_lines(graph, lines)
    return GraphPicture(boxes, tuple(lines), graph.name, graph.pipeline.description or "")


def _make_box(node: Node) -> GraphBox:
    step = node.step
    output_names = ", ".join(node.outputs)
    kind = step.kind.replace("_", " ")
    match step:
        case Condition():
            return GraphBox(node.name, BoxShape.CONDITION, kind, " ".join(step.expression.split()))
        case Fail():
            return GraphBox(node.name, BoxShape.FAIL, kind, " ".join(step.message.split()))
        case RegisterModel():
            return GraphBox(node.name, BoxShape.REGISTER, kind, f"as {step.model}")
        case QualityCheck():
            return GraphBox(node.name, BoxShape.CHECK, kind, step.expectations)
        case FunctionStep() | BatchTransform() | CommandStep() if output_names:
            return GraphBox(node.name, BoxShape.STEP, kind, f"makes {output_names}")
    return GraphBox(node.name, BoxShape.STEP, kind, "")


def _flow_lines(node: Node) -> Iterator[GraphLine]:
    condition = node.branch.condition if node.branch else None
    # What a message quotes is no flow of data: the branch's line says enough.
    quoting = isinstance(node.step, Fail | RegisterModel) and node.branch
    starts: list[str] = []
    for source in node.arguments.values() if quoting else node.taken_sources:
        starts += [source.name] if isinstance(source, FromInput) else []
        starts += [output.step for output in outputs_of(source)]
    for start in dict.fromkeys(starts):
        if start != condition:
            yield GraphLine(start, node.name)
    if node.branch:
        yield GraphLine(node.branch.condition, node.name, "yes" if node.branch.holds else "no")


def _waiting_lines(graph: Graph, flows: list[GraphLine]) -> Iterator[GraphLine]:
    """Ordering that no flow implies."""
    before: dict[str, set[str]] = {name: set() for name in graph.nodes}
    direct: dict[str, list[str]] = {name: [] for name in graph.nodes}
    for line in flows:
        if line.start in graph.nodes:
            direct[line.end].append(line.start)
    for name, node in graph.nodes.items():
        for start in direct[name]:
            before[name] |= {start, *before[start]}
        for needed in sorted(node.needs - before[name]):
            yield GraphLine(needed, name, ordering=True)
            before[name] |= {needed, *before[needed]}
