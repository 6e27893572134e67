"""A step's key: a digest of everything that decides what the step makes."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from towpath.config.artifact import Artifact, Json
from towpath.pipeline import file_formats
from towpath.pipeline.step_graph import FromInput, Graph, Node
from towpath.steps import formats

if TYPE_CHECKING:
    from towpath.steps.work_order import Value

#: In the place of a digest, of an input that may be missing and is.
ABSENT = "absent"

#: What a kind does by itself; a change in the meaning of a kind raises its number.
REVISIONS = {
    "quality_check": 1,
    "bias_check": 1,
    "explain": 1,
    "batch_transform": 1,
    "command": 1,
    "notebook": 1,
    "duckdb": 1,
    "dask": 1,
    "create_model": 1,
}

#: What of a declaration does not touch what the step makes. `after` orders steps, and no more.
_INDIFFERENT = {
    "description",
    "after",
    "retry",
    "timeout",
    "memory",
    "cache",
    "secrets",
    "on_failure",
    "priority",
}
#: Of a step with `each`: its items are parameters of its cells, whose keys are those of such steps.
_INDIFFERENT |= {"each", "at_once", "best_by", "may_fail"}
#: Of a search: a trial is the same whichever search tries its values.
_INDIFFERENT |= {"ranges", "minimize", "maximize", "trials", "stop_early", "budget", "seed"}
#: Of a step on a cluster: the result is the same on any.
_INDIFFERENT |= {"address", "workers"}


def gather_ingredients(
    graph: Graph, node: Node, arguments: Mapping[str, Artifact | Value], code: Mapping[str, str]
) -> dict[str, str]:
    """What goes into a step's key, by a label that a person understands.

    Every argument's bytes or value, the declaration apart from what does not touch the result,
    Python's minor version, and ``code``: what ``step_code`` read of code and packages.
    """
    # A model's card holds the description.
    indifferent = _INDIFFERENT - ({"description"} if node.step.kind == "create_model" else set())
    document = node.step.model_dump(mode="json", exclude=indifferent)
    document["revision"] = REVISIONS.get(node.step.kind, 0)
    by_label = {"declaration": digest_value(document)}
    for name, argument in arguments.items():
        if isinstance(argument, Artifact):
            by_label[f"input {name}"] = argument.digest
            source = node.arguments[name]
            declared = file_formats.declared_format(graph, source)
            file_format = formats.find_format(argument.name, declared, graph.formats)
            # Of the same bytes another format makes another value.
            by_label[f"format {name}"] = file_format.name if file_format else argument.name
            options = file_formats.declared_options(graph, source).declared_options()
            if options:
                by_label[f"options {name}"] = canonical_text(options)
        elif isinstance(node.arguments.get(name), FromInput):
            by_label[f"input {name}"] = ABSENT
        else:
            by_label[f"parameter {name}"] = canonical_text(argument.value)
    by_label |= code
    # The minor version: a pickle of 3.12 may not open in 3.11, while patches change no result.
    by_label["python"] = ".".join(platform.python_version_tuple()[:2])
    return by_label


def canonical_text(value: Json | Any) -> str:
    """A value as text, the same for equal values: JSON with sorted keys."""
    # The text is in every key that was ever made: another separator would run each step again.
    return json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)


def digest_value(value: Json | Any) -> str:
    """SHA-256 of a value's canonical text, in hexadecimal."""
    return hashlib.sha256(canonical_text(value).encode()).hexdigest()
