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


class Shape(Enum):
    """What a box stands for; its value is the sign that text drawings use."""

    INPUT = "○"
    STEP = "●"
    CHECK = "✓"
    CONDITION = "◆"
    REGISTER = "★"
    FAIL = "✗"


@dataclass(frozen=True)
class Box:
    """One thing of the drawing: its name, what kind it is, and a line about it."""

    name: str
    shape: Shape
    kind: str
    detail: str


@dataclass(frozen=True)
class Line:
    """From one box to another: data flows along it, or a branch; ``ordering`` is only waiting."""

    start: str
    end: str
    label: str = ""
    ordering: bool = False


@dataclass(frozen=True)
class Picture:
    """Boxes in the order of the graph, inputs first, and the lines between them, under a title."""

    boxes: dict[str, Box]
    lines: tuple[Line, ...]
    title: str = ""
    description: str = ""


def picture(graph: Graph) -> Picture:
    """The boxes and lines of a graph; waiting that data already implies has no line."""
    boxes = {name: Box(name, Shape.INPUT, "input", path) for name, path in graph.inputs.items()}
    boxes |= {name: _box(node) for name, node in graph.nodes.items()}
    lines = [line for node in graph.nodes.values() for line in _flows(node)]
    lines += _waits(graph, lines)
    return Picture(boxes, tuple(lines), graph.name, graph.pipeline.description or "")


def _box(node: Node) -> Box:
    step = node.step
    made = ", ".join(node.outputs)
    kind = step.kind.replace("_", " ")
    match step:
        case Condition():
            return Box(node.name, Shape.CONDITION, kind, " ".join(step.expression.split()))
        case Fail():
            return Box(node.name, Shape.FAIL, kind, " ".join(step.message.split()))
        case RegisterModel():
            return Box(node.name, Shape.REGISTER, kind, f"as {step.model}")
        case QualityCheck():
            return Box(node.name, Shape.CHECK, kind, step.expectations)
        case FunctionStep() | BatchTransform() | CommandStep() if made:
            return Box(node.name, Shape.STEP, kind, f"makes {made}")
    return Box(node.name, Shape.STEP, kind, "")


def _flows(node: Node) -> Iterator[Line]:
    for start in dict.fromkeys(_starts(node)):
        if node.branch is None or start != node.branch.condition:
            yield Line(start, node.name)
    if node.branch:
        yield Line(node.branch.condition, node.name, "yes" if node.branch.holds else "no")


def _starts(node: Node) -> Iterator[str]:
    # What a message quotes is no flow of data: the branch's line says enough.
    quoting = isinstance(node.step, Fail | RegisterModel) and node.branch
    for source in node.arguments.values() if quoting else node.sources:
        if isinstance(source, FromInput):
            yield source.name
        yield from (output.step for output in outputs_of(source))


def _waits(graph: Graph, flows: list[Line]) -> Iterator[Line]:
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
            yield Line(needed, name, ordering=True)
            before[name] |= {needed, *before[needed]}
