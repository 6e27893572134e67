"""A step's key: a digest of everything that decides what the step makes."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from towpath.engine.source import FromInput, outputs_of
from towpath.spec.artifact import Artifact, Json
from towpath.spec.pipeline import BatchTransform, FunctionStep, Output, QualityCheck
from towpath.steps import formats

if TYPE_CHECKING:
    from towpath.code import Reader
    from towpath.engine.graph import Graph, Node
    from towpath.engine.source import Source
    from towpath.steps.order import Value
    from towpath.workspace import Workspace

#: What a kind does by itself; a change in the meaning of a kind raises its number.
REVISIONS = {"quality_check": 1, "batch_transform": 1}

#: The packages that write a step's outputs, whether its code names them or not.
_WRITERS = {".parquet": ("pandas", "pyarrow"), ".csv": ("pandas",), ".skops": ("skops",)}

#: What a package reads in the project's root by itself and that changes what it makes.
_SETTINGS = {"matplotlib": "matplotlibrc"}

#: Files that hold data alone.
_PLAIN = {".csv", ".tsv", ".parquet", ".json", ".txt", ".html", ".png", ".npy"}

#: What of a declaration does not touch what the step makes.
_INDIFFERENT = {"description", "after", "retry", "timeout", "cache"}

#: The packages that a kind of ours uses on the user's data.
_OWN_PACKAGES = {
    QualityCheck: ("great-expectations", "pandas"),
    BatchTransform: ("scikit-learn", "pandas"),
}


def ingredients(
    graph: Graph, node: Node, arguments: Mapping[str, Artifact | Value], workspace: Workspace
) -> dict[str, str]:
    """What goes into a step's key, by a label that a person understands.

    Every argument's bytes or value, the declaration apart from what does not touch the result,
    the code that the function reaches, Python's minor version, and the packages' versions.
    """
    reader = workspace.code
    found = {"declaration": digest(_declaration(node))}
    for name, argument in arguments.items():
        if isinstance(argument, Artifact):
            found[f"input {name}"] = argument.digest
            found[f"format {name}"] = _format(graph, node, name, argument)
        else:
            found[f"parameter {name}"] = canonical(argument.value)
    found |= code_of(graph, node, reader)
    found |= _trusted(graph, node, workspace)
    read = [each.name for each in arguments.values() if isinstance(each, Artifact)]
    found |= _packages(graph, node, reader, read)
    found["python"] = ".".join(platform.python_version_tuple()[:2])
    return found


def key(ingredients: Mapping[str, str]) -> str:
    """The digest of the ingredients: 64 hexadecimal digits of SHA-256."""
    return digest(dict(ingredients))


def canonical(value: Json | Any) -> str:
    """A value as text, the same for equal values: JSON with sorted keys."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)


def digest(value: Json | Any) -> str:
    """SHA-256 of a value's canonical text, in hexadecimal."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()


def _declaration(node: Node) -> dict[str, Any]:
    said = node.step.model_dump(mode="json", exclude=_INDIFFERENT)
    return {**said, "revision": REVISIONS.get(node.step.kind, 0)}


def _carried(graph: Graph, node: Node, reader: Reader) -> dict[str, str]:
    """The code that comes with objects a step is given: a model's file holds its class's name only.

    An object may hold what its maker was given in turn, so the way back goes on through objects.
    """
    found: dict[str, str] = {}
    for maker in _makers(graph, node):
        if isinstance(maker.step, FunctionStep):
            found |= reader.carried(graph.folder, maker.step.run)
    return found


def _trusted(graph: Graph, node: Node, workspace: Workspace) -> dict[str, str]:
    """The project's modules whose classes a model may name that is an input, and no step's."""
    inputs = [graph.inputs[s.name] for s in node.arguments.values() if isinstance(s, FromInput)]
    if all(Path(path).suffix in _PLAIN for path in inputs):
        return {}
    files = {file for name in workspace.project.trust if (file := _module(graph, workspace, name))}
    found = workspace.code.files(graph.folder, sorted(files))
    return {f"code {label} (trusted)": value for label, value in found.items()}


def _module(graph: Graph, workspace: Workspace, name: str) -> str | None:
    """The file of the project that a type's full name begins with; None for a package's type."""
    parts = name.split(".")[:-1]
    paths = ("/".join(parts[:count]) + ".py" for count in range(len(parts), 0, -1))
    starts = workspace.root / graph.folder, workspace.root
    return next((p for p in paths if any((start / p).is_file() for start in starts)), None)


def _makers(graph: Graph, node: Node) -> list[Node]:
    """The steps that made the objects that a step is given, and the objects that those were."""
    found: dict[str, Node] = {}
    waiting = [node]
    while waiting:
        for source in waiting.pop().arguments.values():
            for choice in outputs_of(source):
                maker = graph.nodes[choice.step]
                if maker.name not in found and not _is_plain(maker.outputs[choice.output]):
                    found[maker.name] = maker
                    waiting.append(maker)
    return list(found.values())


def _is_plain(output: Output) -> bool:
    """Whether a file holds data alone, and no objects of some class."""
    return not output.format and Path(output.path).suffix in _PLAIN


def code_of(graph: Graph, node: Node, reader: Reader) -> dict[str, str]:
    """The digests of the code that a step reaches, by label: its own, and that of its objects."""
    step = node.step
    if isinstance(step, FunctionStep):
        reached = reader.digests(graph.folder, step.run, step.code)
    else:
        extra = (*step.code, step.expectations) if isinstance(step, QualityCheck) else step.code
        reached = reader.files(graph.folder, extra)
    found = {**_carried(graph, node, reader), **reached}
    return {f"code {label}": value for label, value in found.items()}


def sources(graph: Graph, node: Node, reader: Reader) -> Iterator[str]:
    """The files, from the root, whose change may change what ``code_of`` gives."""
    step = node.step
    extra = (*step.code, step.expectations) if isinstance(step, QualityCheck) else step.code
    yield from reader.file_names(graph.folder, extra)
    for maker in (node, *_makers(graph, node)):
        if isinstance(maker.step, FunctionStep):
            yield from reader.sources(graph.folder, maker.step.run)


def _format(graph: Graph, node: Node, name: str, artifact: Artifact) -> str:
    """What reads an argument's bytes: of the same bytes another format makes another value."""
    declared = declared_format(graph, node.arguments[name])
    known = formats.known(artifact.name, declared)
    return known.name if known else artifact.name


def declared_format(graph: Graph, source: Source) -> str | None:
    """The format that is declared for what a source takes, where one is."""
    made = (graph.nodes[each.step].outputs[each.output] for each in outputs_of(source))
    return next((output.format for output in made if output.format), None)


def _packages(graph: Graph, node: Node, reader: Reader, read: Sequence[str]) -> dict[str, str]:
    """The versions of what the step's code imports, of what reads and writes its files, and of
    what the code imported that made the objects it is given."""
    step = node.step
    files = [*read, *(o.path for o in node.outputs.values())]
    own = [name for file in files for name in _WRITERS.get(Path(file).suffix, ())]
    found = reader.versions((*_OWN_PACKAGES.get(type(step), ()), *own))
    for each in (node, *_makers(graph, node)):
        if isinstance(each.step, FunctionStep):
            found |= reader.packages(graph.folder, each.step.run)
    files = [file for package, file in _SETTINGS.items() if package in found]
    settings = reader.files("", reader.file_names("", files)) if files else {}
    packages = {f"package {name}": version for name, version in found.items()}
    return {**packages, **{f"code {name}": value for name, value in settings.items()}}
