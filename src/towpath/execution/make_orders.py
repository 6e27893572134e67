"""What a step's process needs to carry it out, in a run or for itself alone, and how often."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from towpath.config.artifact import Artifact
from towpath.config.pipeline_declaration import CommandStep, FunctionStep
from towpath.errors import StepFailed
from towpath.pipeline import command_code, file_formats
from towpath.steps import step_process
from towpath.steps.work_order import Order

if TYPE_CHECKING:
    from towpath.config.pipeline_declaration import Retry
    from towpath.pipeline.step_graph import Graph, Node
    from towpath.planning.run_state import RunState
    from towpath.workspace import Workspace


def make_order(
    workspace: Workspace, graph: Graph, node: Node, known: RunState, directory: Path
) -> Order:
    """The order for a node whose inputs are known; ``directory`` is for its log and outputs."""
    declared = {name: file_formats.declared_format(graph, s) for name, s in node.arguments.items()}
    options = {name: file_formats.declared_options(graph, s) for name, s in node.arguments.items()}
    arguments = known.arguments(node)
    artifacts = {name: value for name, value in arguments.items() if isinstance(value, Artifact)}
    own_formats = file_formats.own_formats(graph, node, artifacts)
    return Order(
        root=workspace.root,
        pipeline=graph.name,
        folder=graph.folder,
        name=node.name,
        step=node.step,
        arguments=arguments,
        outputs=node.outputs,
        directory=directory,
        formats={name: form for name, form in declared.items() if form},
        facts={name: known.made[name].facts for name in node.data_needs if name in known.made},
        trust=workspace.project.trust,
        code=_code_files(workspace, graph, node),
        libraries=step_process.find_step_libraries(workspace, graph.folder, node.step),
        annotations=_argument_types(workspace, graph, node),
        options={name: value for name, value in options.items() if value.declared_options()},
        own_formats=own_formats,
    )


def _code_files(workspace: Workspace, graph: Graph, node: Node) -> tuple[str, ...]:
    """The files that the step names as its code; of a command also those that it runs."""
    if isinstance(node.step, CommandStep):
        return command_code.list_command_sources(workspace.code, graph.folder, node.step)
    return workspace.code.file_names(graph.folder, node.step.code)


def _argument_types(workspace: Workspace, graph: Graph, node: Node) -> dict[str, str]:
    """The plain type that a step's function asks for, by argument."""
    if not isinstance(node.step, FunctionStep):
        return {}
    signature = workspace.code.step_signature(graph.folder, node.step.run)
    return {argument.name: argument.asks for argument in signature.arguments if argument.asks}


def find_pauses(retry: Retry | None) -> Iterator[float]:
    """The seconds before each further attempt, without what is added at random."""
    for number in range((retry.attempts if retry else 1) - 1):
        assert retry
        yield retry.delay * retry.backoff**number


def is_worth_another(error: object, retry: Retry, order: Order) -> bool:
    """Whether what ended an attempt is worth another; never where the run was interrupted."""
    from towpath.steps import step_process

    if step_process.is_stopped(order):
        return False
    names = error.causes if isinstance(error, StepFailed) else ()
    return not retry.errors or not set(names).isdisjoint(retry.errors)
