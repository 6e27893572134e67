"""A step's key: a digest of everything that decides what the step makes."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from towpath.spec.artifact import Artifact, Json
from towpath.spec.pipeline import BatchTransform, FunctionStep, QualityCheck

if TYPE_CHECKING:
    from towpath.code import Reader
    from towpath.engine.graph import Graph, Node
    from towpath.steps.order import Value

#: What a kind does by itself; a change in the meaning of a kind raises its number.
REVISIONS = {"quality_check": 1, "batch_transform": 1}

#: What of a declaration does not touch what the step makes.
_INDIFFERENT = {"description", "after", "retry", "timeout", "cache", "must_pass"}

#: The packages that a kind of ours uses on the user's data.
_OWN_PACKAGES = {
    QualityCheck: ("great-expectations", "pandas"),
    BatchTransform: ("scikit-learn", "pandas"),
}


def ingredients(
    graph: Graph, node: Node, arguments: Mapping[str, Artifact | Value], code: Reader
) -> dict[str, str]:
    """What goes into a step's key, by a label that a person understands.

    Every argument's bytes or value, the declaration apart from what does not touch the result,
    the code that the function reaches, Python's minor version, and the packages' versions.
    """
    found = {"declaration": digest(_declaration(node))}
    for name, argument in arguments.items():
        if isinstance(argument, Artifact):
            found[f"input {name}"] = argument.digest
        else:
            found[f"parameter {name}"] = canonical(argument.value)
    found |= _code(graph, node, code)
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


def _code(graph: Graph, node: Node, code: Reader) -> dict[str, str]:
    step = node.step
    if isinstance(step, FunctionStep):
        reached = code.digests(graph.folder, step.run, step.code)
        packages = code.packages(graph.folder, step.run)
    else:
        extra = (*step.code, step.expectations) if isinstance(step, QualityCheck) else step.code
        reached = code.files(graph.folder, extra)
        packages = code.versions(_OWN_PACKAGES.get(type(step), ()))
    return {
        **{f"code {label}": value for label, value in reached.items()},
        **{f"package {name}": version for name, version in packages.items()},
    }
