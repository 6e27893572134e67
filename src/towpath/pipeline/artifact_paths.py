"""Where a pipeline's bytes stand in the work tree: ``artifacts/<pipeline>/<step>/<file>``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from towpath.backends.dvc.dvc_yaml import LOCK, PIPELINE
from towpath.config import names_and_paths
from towpath.config.pipeline_declaration import QualityCheck, is_json
from towpath.pipeline.step_cells import cell_file, is_list_per_cell
from towpath.pipeline.step_graph import FirstOf, FromInput, FromOutput, outputs_of

if TYPE_CHECKING:
    from towpath.pipeline.step_graph import Cell, Graph, Node, Source

#: Named in docs/pipeline.md, and in the paths of inputs that other pipelines make: never changed.
FOLDER = "artifacts"


def is_written(path: str) -> bool:
    """Whether runs write a path of a project, which is no change of the user's."""
    return path in (PIPELINE, LOCK) or f"{path}/".startswith((f"{FOLDER}/", ".towpath/"))


def output_path(graph: Graph, step: str, output: str) -> str:
    """The path of an output from the project's root; a folder's without its slash.

    The ``data`` that a quality check hands on are the bytes it was given, so they stand where
    those stand.
    """
    node = graph.nodes[step]
    if isinstance(node.step, QualityCheck) and output == "data":
        paths = source_paths(graph, node.arguments["data"])
        if path := next(paths, None):  # what stands beside a version has none
            return path
    if node.cell:
        return _cell_path(graph, node, node.cell, output)
    return f"{FOLDER}/{graph.name}/{step}/{node.outputs[output].path.rstrip('/')}"


def _cell_path(graph: Graph, node: Node, cell: Cell, output: str) -> str:
    """Where a cell's output stands: among those of all, or nowhere but in the store."""
    if not graph.nodes[cell.step].is_gathered(output):
        return f"{FOLDER}/{graph.name}/{node.name}/{node.outputs[output].path.rstrip('/')}"
    whole = output_path(graph, cell.step, output)
    name = node.outputs[output].path.rstrip("/").rpartition("/")[2]
    return whole if is_json(node.outputs[output]) else f"{whole}/{cell_file(cell.label, name)}"


def source_paths(graph: Graph, source: Source) -> Iterator[str]:
    """The paths that an argument's bytes may come from; none for a value or a model."""
    if isinstance(source, FromInput):
        path = graph.inputs[source.name].rstrip("/")
        is_last = graph.files[source.name].last is not None
        if path and not is_last and not names_and_paths.is_model_reference(path):
            yield path
    elif isinstance(source, FromOutput):
        yield output_path(graph, source.step, source.output)
    elif isinstance(source, FirstOf):
        for option in source.sources:
            yield from source_paths(graph, option)


def own_outputs(node: Node) -> list[str]:
    """The outputs that a step writes itself."""
    return [
        name
        for name in node.outputs
        if not (isinstance(node.step, QualityCheck) and name == "data")
    ]


def certain_nodes(graph: Graph) -> Iterator[Node]:
    """The steps that every successful run carries out on files and parameters alone: those behind
    no condition, that take no value of the run and nothing that may be missing, and whose cells
    leave a file each."""
    doubtful: set[str] = set()
    # Those behind a condition may leave no output, and DVC takes a missing one for a fault.
    for node in graph.steps.values():
        taken = [choice for source in node.taken_sources for choice in outputs_of(source)]
        is_unsaid = any(_is_of_cell(graph.nodes[choice.step], node) for choice in taken)
        is_unsaid |= bool(node.loop and node.loop.best and node.loop.best.number.step != node.name)
        is_unsaid |= _has_list_per_cell(graph, node)
        is_unsaid |= bool(node.branch or node.step.on_failure)
        is_unsaid |= bool(node.run_arguments)  # of which DVC knows nothing
        is_unsaid |= any(_is_optional(graph, source) for source in node.taken_sources)
        if is_unsaid or {choice.step for choice in taken} & doubtful:
            doubtful.add(node.name)
        else:
            yield node


def _has_list_per_cell(graph: Graph, node: Node) -> bool:
    # What each cell made of a list is in no file of its own.
    loop = node.loop
    return loop is not None and any(is_list_per_cell(graph, loop, s) for s in loop.lists.values())


def _is_of_cell(maker: Node, node: Node) -> bool:
    # Of cells of which the best is handed on the others stand in the store alone.
    return bool(maker.loop and maker.loop.best and maker.loop.is_within(node.loop))


def _is_optional(graph: Graph, source: Source) -> bool:
    # A dependency that is not there is a fault to DVC; one that it was not told of may come. Nor
    # does it know of earlier runs.
    if not isinstance(source, FromInput):
        return False
    file = graph.files[source.name]
    return file.optional or file.last is not None
