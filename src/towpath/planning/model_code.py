"""The code that a `create_model` step puts beside its model: whole files of the project."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from towpath.config import model_parts
from towpath.config.names_and_paths import is_model_reference
from towpath.config.pipeline_declaration import CreateModel
from towpath.dependencies.command_program import Module
from towpath.errors import DeclarationError
from towpath.pipeline import file_formats
from towpath.pipeline.step_graph import Graph, Node
from towpath.steps.project_functions import locate_function

if TYPE_CHECKING:
    from towpath.dependencies import CodeReader
    from towpath.workspace import Workspace


def list_model_modules(reader: CodeReader, folder: str, node: Node) -> tuple[Module, ...]:
    """The modules of the functions that a model calls; importing one runs it whole."""
    assert isinstance(node.step, CreateModel)
    runs = model_parts.list_model_functions(node.step, node.arguments)
    files = (locate_function(reader.root, folder, run).file for run in runs)
    paths = (file.relative_to(reader.root).as_posix() for file in files if file.is_file())
    return tuple(dict.fromkeys(Module(path, folder) for path in paths))


def list_model_sources(reader: CodeReader, folder: str, node: Node) -> tuple[str, ...]:
    """The files of these modules and of what they import, from the root; absolute outside of it."""
    return reader.named_sources(list_model_modules(reader, folder, node))


def digest_trusted_sources(graph: Graph, node: Node, workspace: Workspace) -> dict[str, str]:
    """A digest of each file, byte for byte, of the modules whose classes a part may hold."""
    if not isinstance(node.step, CreateModel):
        return {}
    return workspace.code.files("", list(_list_trusted_sources(graph, node, workspace)))


def list_bundle_files(graph: Graph, node: Node, workspace: Workspace) -> tuple[str, ...]:
    """All files, from the root, that stand beside the model, and the text for its card."""
    assert isinstance(node.step, CreateModel)
    reader, card, folder = workspace.code, node.step.card, graph.folder_of(node)
    named = reader.file_names(folder, (*node.step.code, *([card] if card else [])))
    sources = list_model_sources(reader, folder, node)
    trusted = _list_trusted_sources(graph, node, workspace)
    return tuple(sorted({*named, *sources, *trusted}))


def _list_trusted_sources(graph: Graph, node: Node, workspace: Workspace) -> Iterator[str]:
    reader, folder = workspace.code, graph.folder_of(node)
    parts = (node.arguments[name] for name in model_parts.part_names(node.arguments))
    files = [file.path for part in parts for file in file_formats.files_of(graph, part)]
    if not any(file.endswith(".skops") or is_model_reference(file) for file in files):
        return
    for name in workspace.project.trust:
        module, _, last = name.rpartition(".")
        try:
            reader.format_class(folder, f"{module}:{last}")
        except DeclarationError:  # a function, or a package's
            continue
        if path := find_trusted_module(folder, workspace, name):
            beside = f"{folder}/{path}"
            file = beside if (workspace.root / beside).is_file() else path
            yield from reader.named_sources([Module(file, folder)])


def find_trusted_module(folder: str, workspace: Workspace, name: str) -> str | None:
    """The file, beside the pipeline's or from the root, that defines what ``trust`` names."""
    # `trust:` names types; those of packages have no file here, and their versions count.
    parts = name.split(".")[:-1]
    paths = ("/".join(parts[:count]) + ".py" for count in range(len(parts), 0, -1))
    starts = workspace.root / folder, workspace.root
    return next((p for p in paths if any((start / p).is_file() for start in starts)), None)
