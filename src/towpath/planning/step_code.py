"""The code and the packages that a step depends on: what of them goes into its key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from towpath.config.artifact import Artifact
from towpath.config.file_declaration import Output
from towpath.config.pipeline_declaration import (
    BatchTransform,
    BiasCheck,
    CreateModel,
    DuckDBStep,
    Explain,
    QualityCheck,
)
from towpath.pipeline import file_formats
from towpath.pipeline.step_graph import FromInput, Graph, Node, outputs_of
from towpath.planning import kind_code, model_code
from towpath.steps.own_environment import digest_requirements, find_requirements

if TYPE_CHECKING:
    from towpath.dependencies import CodeReader
    from towpath.steps.work_order import Value
    from towpath.workspace import Workspace

#: Why a command's step is not reused.
UNKNOWN = "what code its command runs is not known: `code:` names it"

#: The packages that write a step's outputs, whether its code names them or not.
_WRITERS = {
    ".parquet": ("pandas", "pyarrow"),
    ".feather": ("pandas", "pyarrow"),
    ".csv": ("pandas",),
    ".jsonl": ("pandas",),
    ".xlsx": ("pandas", "openpyxl"),
    ".skops": ("skops",),
}

#: What a package reads in the project's root by itself and that changes what it makes.
_SETTINGS = {"matplotlib": "matplotlibrc"}

#: Files that hold data alone.
_PLAIN = {
    *(".csv", ".tsv", ".parquet", ".json", ".txt", ".html", ".png", ".npy"),
    *(".xlsx", ".feather", ".jsonl", ".npz"),
}

#: The packages that a kind of ours uses on the user's data.
_OWN_PACKAGES = {
    QualityCheck: ("great-expectations", "pandas"),
    BiasCheck: ("scikit-learn", "pandas"),
    Explain: ("scikit-learn", "pandas", "pyarrow"),
    BatchTransform: ("scikit-learn", "pandas"),
    CreateModel: ("numpy", "pandas", "skops"),
    DuckDBStep: ("duckdb",),
}


def read_step_code(
    graph: Graph, node: Node, arguments: Mapping[str, Artifact | Value], workspace: Workspace
) -> dict[str, str]:
    """The digests of the code that a step reaches and the versions of its packages, by label."""
    reader = workspace.code
    taken = {name: value for name, value in arguments.items() if isinstance(value, Artifact)}
    return {
        **code_of(graph, node, reader),
        **_code_of_formats(graph, node, reader, taken),
        **_trusted_code(graph, node, workspace),
        **_label_code(model_code.digest_trusted_sources(graph, node, workspace)),
        **_package_versions(graph, node, reader, taken),
    }


def code_of(graph: Graph, node: Node, reader: CodeReader) -> dict[str, str]:
    """The digests of the code that a step reaches, by label: its own, and that of its objects."""
    digests: dict[str, str] = {}
    for maker in _find_makers(graph, node):
        digests |= kind_code.find_step_code(reader, graph.folder_of(maker), maker).digest_carried()
    digests |= kind_code.find_step_code(reader, graph.folder_of(node), node).digest_own()
    if requirements := find_requirements(reader.root, graph.folder_of(node), node.step):
        digests[requirements] = digest_requirements(reader.root / requirements)
    return {**_label_code(digests), **_code_of_formats(graph, node, reader)}


def list_code_files(graph: Graph, node: Node, reader: CodeReader) -> Iterator[str]:
    """The files, from the root, whose change may change what ``code_of`` gives."""
    yield from reader.file_names(graph.folder_of(node), kind_code.list_named_files(node.step))
    for cell in (node.loop.cells if node.loop else None) or ():  # each may have its own suite
        if isinstance(node.step, QualityCheck):
            files = kind_code.list_named_files(graph.nodes[cell].step)
            yield from reader.file_names(graph.folder_of(node), files)
    if requirements := find_requirements(reader.root, graph.folder_of(node), node.step):
        yield requirements
    for maker in (node, *_find_makers(graph, node)):
        yield from kind_code.find_step_code(reader, graph.folder_of(maker), maker).list_sources()
    for run in file_formats.own_formats(graph, node).values():
        reader.format_class(graph.folder_of(node), run)
        yield from reader.source_files(graph.folder_of(node), run)


def _label_code(digests: Mapping[str, str]) -> dict[str, str]:
    return {f"code {label}": digest for label, digest in digests.items()}


def _find_makers(graph: Graph, node: Node) -> list[Node]:
    """The steps that made the objects that a step is given, and the objects that those were."""
    makers: dict[str, Node] = {}
    # An object may hold what its maker was given in turn, so the way back goes on through objects.
    waiting = [node]
    while waiting:
        for source in waiting.pop().arguments.values():
            for choice in outputs_of(source):
                maker = graph.nodes[choice.step]
                if maker.name not in makers and not _is_plain(maker.file_of(choice.output)):
                    makers[maker.name] = maker
                    waiting.append(maker)
    return list(makers.values())


def _is_plain(output: Output) -> bool:
    """Whether a file holds data alone, and no objects of some class."""
    # A format of the project's own may write whatever it likes under a harmless extension.
    return not output.format and _file_extension(output.path) in _PLAIN


def _trusted_code(graph: Graph, node: Node, workspace: Workspace) -> dict[str, str]:
    """The project's modules whose classes a model may name that is an input, and no step's."""
    inputs = [graph.inputs[s.name] for s in node.arguments.values() if isinstance(s, FromInput)]
    if all(_file_extension(path) in _PLAIN for path in inputs):
        return {}
    files = {
        file
        for name in workspace.project.trust
        if (file := model_code.find_trusted_module(graph.folder_of(node), workspace, name))
    }
    digests = workspace.code.files(graph.folder_of(node), sorted(files))
    return _label_code({f"{label} (trusted)": digest for label, digest in digests.items()})


def _code_of_formats(
    graph: Graph, node: Node, reader: CodeReader, taken: Mapping[str, Artifact] | None = None
) -> dict[str, str]:
    reached: dict[str, str] = {}
    for run in file_formats.own_formats(graph, node, taken).values():
        reader.format_class(graph.folder_of(node), run)
        reached |= reader.digests(graph.folder_of(node), run)
    return _label_code(reached)


def _package_versions(
    graph: Graph, node: Node, reader: CodeReader, taken: Mapping[str, Artifact]
) -> dict[str, str]:
    """The versions of what the step's code imports, of what reads and writes its files, and of
    what the code imported that made the objects it is given."""
    step = node.step
    files = [artifact.name for artifact in taken.values()]
    files += [output.path for output in node.outputs.values()]
    own = [name for file in files for name in _WRITERS.get(_file_extension(file), ())]
    used = _OWN_PACKAGES.get(type(step), ())
    if isinstance(step, Explain) and step.method == "shap":
        used = (*used, "shap")
    versions = reader.versions_of_modules((*used, *own))
    for maker in (node, *_find_makers(graph, node)):
        maker_code = kind_code.find_step_code(reader, graph.folder_of(maker), maker)
        versions |= maker_code.package_versions()
    for run in file_formats.own_formats(graph, node, taken).values():
        versions |= reader.package_versions(graph.folder_of(node), run)
    settings = [file for package, file in _SETTINGS.items() if package in versions]
    digests = reader.files("", reader.file_names("", settings)) if settings else {}
    return {
        **{f"package {name}": version for name, version in versions.items()},
        **_label_code(digests),
    }


def _file_extension(name: str) -> str:
    # Of a file that is gzipped that of what is packed: `table.csv.gz` is data.
    return Path(name.removesuffix(".gz")).suffix
