"""What a step's process needs to carry it out, in a run or for itself alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from towpath.engine import command_code, keys, libraries
from towpath.spec.pipeline import CommandStep
from towpath.steps.order import Order

if TYPE_CHECKING:
    from towpath.engine.graph import Graph, Node
    from towpath.engine.known import Known
    from towpath.workspace import Workspace


def order(workspace: Workspace, graph: Graph, node: Node, known: Known, directory: Path) -> Order:
    """The order for a node whose inputs are known; ``directory`` is for its log and outputs."""
    declared = {name: keys.declared_format(graph, s) for name, s in node.arguments.items()}
    return Order(
        root=workspace.root,
        pipeline=graph.name,
        folder=graph.folder,
        name=node.name,
        step=node.step,
        arguments=known.arguments(node),
        outputs=node.outputs,
        directory=directory,
        formats={name: form for name, form in declared.items() if form},
        facts={name: known.made[name].facts for name in node.data_needs if name in known.made},
        trust=workspace.project.trust,
        code=_code(workspace, graph, node),
        libraries=libraries.of_step(workspace, graph.folder, node.step),
    )


def _code(workspace: Workspace, graph: Graph, node: Node) -> tuple[str, ...]:
    """The files that the step names as its code; of a command also those that it runs."""
    if isinstance(node.step, CommandStep):
        return command_code.sources(workspace.code, graph.folder, node.step)
    return workspace.code.file_names(graph.folder, node.step.code)
