"""One step on the files of the work tree, as stock DVC asks for it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from towpath.engine import checking, inputs, libraries, tree
from towpath.engine.decisions import Decision, Verdict
from towpath.engine.known import Known
from towpath.engine.orders import order
from towpath.errors import Fault, StepFailed, UsageError, did_you_mean
from towpath.spec.artifact import Artifact, Json, Made
from towpath.spec.pipeline import QualityCheck
from towpath.steps.kinds import IN_A_PROCESS

if TYPE_CHECKING:
    from towpath.engine.graph import Graph, Node
    from towpath.workspace import Workspace


def carry_out(workspace: Workspace, pipeline: str, step: str) -> Made:
    """Run a step on what the work tree holds, and put its outputs there; nothing is recorded."""
    from towpath.steps import process

    graph = checking.compiled(workspace, pipeline)
    node = graph.nodes.get(step)
    if node is None or node.step.kind not in IN_A_PROCESS:
        raise UsageError(
            f"{pipeline} has no step `{step}` to run", hint=did_you_mean(step, graph.nodes)
        )
    known = Known(graph, inputs.artifacts(workspace, graph))
    for name in graph.nodes:
        if name in node.data_needs:
            known.take(
                Decision(name, Verdict.REUSE), read_from_tree(workspace, known, graph.nodes[name])
            )
    directory = workspace.state / "steps" / graph.name / node.name
    asked = order(workspace, graph, node, known, directory)
    imported = libraries.of_steps(workspace, graph.folder, [node])
    with process.warm(workspace.root, graph.folder, [node], imported):
        made = process.call(asked, node.step.timeout, print)
    for name in tree.own_outputs(node):
        target = workspace.root / tree.output_path(graph, step, name)
        workspace.store.link(made.outputs[name].digest, target)
    return made


def read_from_tree(workspace: Workspace, known: Known, node: Node) -> Made:
    """What a step made, as far as the work tree holds it."""
    found: dict[str, Artifact] = {}
    values: dict[str, Json] = {}
    for name in node.outputs:
        path = workspace.root / _path(workspace, known.graph, node, name)
        found[name] = workspace.store.put(path)
        if path.suffix == ".json":
            values[name] = json.loads(path.read_text(encoding="utf-8"))
    return Made(found, values)


def _path(workspace: Workspace, graph: Graph, node: Node, output: str) -> str:
    path = tree.output_path(graph, node.name, output)
    if not (workspace.root / path).exists():
        first = "towpath run" if isinstance(node.step, QualityCheck) else "dvc pull, or towpath run"
        raise StepFailed(Fault(f"{path} of step `{node.name}` is not there", hint=first))
    return path
