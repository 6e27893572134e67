"""A step's key: a digest of everything that decides what the step makes."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from towpath.config.artifact import Artifact, Json
from towpath.config.pipeline_declaration import (
    BatchTransform,
    CommandStep,
    FunctionStep,
    Output,
    QualityCheck,
)
from towpath.config.table_options import OPTION_NAMES
from towpath.pipeline import command_code, file_formats
from towpath.pipeline.step_graph import FromInput, outputs_of
from towpath.steps import formats

if TYPE_CHECKING:
    from towpath.dependencies import CodeReader
    from towpath.pipeline.step_graph import Graph, Node
    from towpath.steps.work_order import Value
    from towpath.workspace import Workspace

#: What a kind does by itself; a change in the meaning of a kind raises its number.
REVISIONS = {"quality_check": 1, "batch_transform": 1, "command": 1}

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

#: What of a declaration does not touch what the step makes.
_INDIFFERENT = {"description", "after", "retry", "timeout", "memory", "cache"}

#: The packages that a kind of ours uses on the user's data.
_OWN_PACKAGES = {
    QualityCheck: ("great-expectations", "pandas"),
    BatchTransform: ("scikit-learn", "pandas"),
}


def gather_ingredients(
    graph: Graph, node: Node, arguments: Mapping[str, Artifact | Value], workspace: Workspace
) -> dict[str, str]:
    """What goes into a step's key, by a label that a person understands.

    Every argument's bytes or value, the declaration apart from what does not touch the result,
    the code that the function reaches, Python's minor version, and the packages' versions.
    """
    reader = workspace.code
    by_label = {"declaration": digest_value(_key_declaration(node))}
    for name, argument in arguments.items():
        if isinstance(argument, Artifact):
            by_label[f"input {name}"] = argument.digest
            by_label[f"format {name}"] = _format_ingredient(graph, node, name, argument)
            options = file_formats.declared_options(graph, node.arguments[name]).declared_options()
            if options:
                by_label[f"options {name}"] = canonical_text(options)
        else:
            by_label[f"parameter {name}"] = canonical_text(argument.value)
    taken = {n: a for n, a in arguments.items() if isinstance(a, Artifact)}
    by_label |= code_of(graph, node, reader)
    by_label |= _code_of_formats(graph, node, reader, taken)
    by_label |= _trusted_code(graph, node, workspace)
    by_label |= _package_versions(graph, node, reader, taken)
    by_label["python"] = ".".join(platform.python_version_tuple()[:2])
    return by_label


def digest_ingredients(ingredients: Mapping[str, str]) -> str:
    """The digest of the ingredients: 64 hexadecimal digits of SHA-256."""
    return digest_value(dict(ingredients))


def canonical_text(value: Json | Any) -> str:
    """A value as text, the same for equal values: JSON with sorted keys."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)


def digest_value(value: Json | Any) -> str:
    """SHA-256 of a value's canonical text, in hexadecimal."""
    return hashlib.sha256(canonical_text(value).encode()).hexdigest()


def _key_declaration(node: Node) -> dict[str, Any]:
    document = node.step.model_dump(mode="json", exclude=_INDIFFERENT)
    if outputs := document.get("outputs"):
        files = outputs.values() if isinstance(outputs, dict) else outputs
        for file in files:  # what is not said keeps the key that it had before it could be said
            for option in OPTION_NAMES:
                if not file[option] and file[option] != []:
                    del file[option]
    return {**document, "revision": REVISIONS.get(node.step.kind, 0)}


def _carried_code(graph: Graph, node: Node, reader: CodeReader) -> dict[str, str]:
    """The code that comes with objects a step is given: a model's file holds its class's name only.

    An object may hold what its maker was given in turn, so the way back goes on through objects.
    """
    digests: dict[str, str] = {}
    for maker in _find_makers(graph, node):
        if isinstance(maker.step, FunctionStep):
            digests |= reader.digest_carried(graph.folder, maker.step.run)
        elif isinstance(maker.step, CommandStep):  # any class of its code may be in what it wrote
            digests |= reader.digest_modules(
                command_code.list_command_modules(reader, graph.folder, maker.step)
            )
    return digests


def _trusted_code(graph: Graph, node: Node, workspace: Workspace) -> dict[str, str]:
    """The project's modules whose classes a model may name that is an input, and no step's."""
    inputs = [graph.inputs[s.name] for s in node.arguments.values() if isinstance(s, FromInput)]
    if all(_file_extension(path) in _PLAIN for path in inputs):
        return {}
    files = {
        file for name in workspace.project.trust if (file := _find_module(graph, workspace, name))
    }
    digests = workspace.code.files(graph.folder, sorted(files))
    return {f"code {label} (trusted)": value for label, value in digests.items()}


def _find_module(graph: Graph, workspace: Workspace, name: str) -> str | None:
    """The file of the project that a type's full name begins with; None for a package's type."""
    parts = name.split(".")[:-1]
    paths = ("/".join(parts[:count]) + ".py" for count in range(len(parts), 0, -1))
    starts = workspace.root / graph.folder, workspace.root
    return next((p for p in paths if any((start / p).is_file() for start in starts)), None)


def _find_makers(graph: Graph, node: Node) -> list[Node]:
    """The steps that made the objects that a step is given, and the objects that those were."""
    makers: dict[str, Node] = {}
    waiting = [node]
    while waiting:
        for source in waiting.pop().arguments.values():
            for choice in outputs_of(source):
                maker = graph.nodes[choice.step]
                if maker.name not in makers and not _is_plain(maker.outputs[choice.output]):
                    makers[maker.name] = maker
                    waiting.append(maker)
    return list(makers.values())


def _is_plain(output: Output) -> bool:
    """Whether a file holds data alone, and no objects of some class."""
    return not output.format and _file_extension(output.path) in _PLAIN


def code_of(graph: Graph, node: Node, reader: CodeReader) -> dict[str, str]:
    """The digests of the code that a step reaches, by label: its own, and that of its objects."""
    step = node.step
    if isinstance(step, FunctionStep):
        reached = reader.digests(graph.folder, step.run, step.code)
    elif isinstance(step, CommandStep):
        reached = command_code.digest_command_code(reader, graph.folder, step)
    else:
        extra = (*step.code, step.expectations) if isinstance(step, QualityCheck) else step.code
        reached = reader.files(graph.folder, extra)
    digests = {**_carried_code(graph, node, reader), **reached}
    return {
        **{f"code {label}": value for label, value in digests.items()},
        **_code_of_formats(graph, node, reader),
    }


def _code_of_formats(
    graph: Graph, node: Node, reader: CodeReader, taken: Mapping[str, Artifact] | None = None
) -> dict[str, str]:
    """The digests of the classes that read and write a step's files, by label."""
    reached: dict[str, str] = {}
    for run in file_formats.own_formats(graph, node, taken).values():
        reader.format_class(graph.folder, run)
        reached |= reader.digests(graph.folder, run)
    return {f"code {label}": value for label, value in reached.items()}


def list_code_files(graph: Graph, node: Node, reader: CodeReader) -> Iterator[str]:
    """The files, from the root, whose change may change what ``code_of`` gives."""
    step = node.step
    extra = (*step.code, step.expectations) if isinstance(step, QualityCheck) else step.code
    yield from reader.file_names(graph.folder, extra)
    for maker in (node, *_find_makers(graph, node)):
        if isinstance(maker.step, FunctionStep):
            yield from reader.source_files(graph.folder, maker.step.run)
        elif isinstance(maker.step, CommandStep):
            yield from command_code.list_command_sources(reader, graph.folder, maker.step)
    for run in file_formats.own_formats(graph, node).values():
        reader.format_class(graph.folder, run)
        yield from reader.source_files(graph.folder, run)


def _format_ingredient(graph: Graph, node: Node, name: str, artifact: Artifact) -> str:
    """What reads an argument's bytes: of the same bytes another format makes another value."""
    declared = file_formats.declared_format(graph, node.arguments[name])
    file_format = formats.find_format(artifact.name, declared, graph.formats)
    return file_format.name if file_format else artifact.name


def _package_versions(
    graph: Graph, node: Node, reader: CodeReader, taken: Mapping[str, Artifact]
) -> dict[str, str]:
    """The versions of what the step's code imports, of what reads and writes its files, and of
    what the code imported that made the objects it is given."""
    step = node.step
    files = [
        *(artifact.name for artifact in taken.values()),
        *(o.path for o in node.outputs.values()),
    ]
    own = [name for file in files for name in _WRITERS.get(_file_extension(file), ())]
    versions = reader.versions_of_modules((*_OWN_PACKAGES.get(type(step), ()), *own))
    for step_node in (node, *_find_makers(graph, node)):
        if isinstance(step_node.step, FunctionStep):
            versions |= reader.package_versions(graph.folder, step_node.step.run)
        elif isinstance(step_node.step, CommandStep):
            versions |= command_code.find_command_packages(reader, graph.folder, step_node.step)
    for run in file_formats.own_formats(graph, node, taken).values():
        versions |= reader.package_versions(graph.folder, run)
    files = [file for package, file in _SETTINGS.items() if package in versions]
    settings = reader.files("", reader.file_names("", files)) if files else {}
    packages = {f"package {name}": version for name, version in versions.items()}
    return {**packages, **{f"code {name}": value for name, value in settings.items()}}


def _file_extension(name: str) -> str:
    """A file's extension; of one that is gzipped that of what is packed."""
    return Path(name.removesuffix(".gz")).suffix
