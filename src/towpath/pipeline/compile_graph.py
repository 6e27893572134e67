"""From a declared pipeline to a graph in which every name is resolved: pure, all faults at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from towpath.config.pipeline_declaration import Pipeline
from towpath.config.pipeline_file import Declared
from towpath.errors import DeclarationError, Fault, UsageError
from towpath.pipeline.file_formats import given_input
from towpath.pipeline.resolve_names import resolve
from towpath.pipeline.run_arguments import bind, filled
from towpath.pipeline.step_graph import Graph, Node


def compile(
    declared: Declared | Pipeline,
    arguments: Mapping[str, object] | None = None,
    inputs: Mapping[str, str] | None = None,
) -> Graph:
    """The graph of a pipeline with the arguments of one run.

    ``arguments`` are values of parameters, typed or as text from a command line; ``inputs`` other
    paths for the pipeline's inputs. Raises DeclarationError with every fault of the declaration,
    UsageError with every argument that does not fit.
    """
    declared, nodes = _sound(declared)
    bound = bind(declared.pipeline, arguments or {}, inputs or {})
    if bound.faults:
        raise UsageError(*bound.faults)
    return _graph(declared, nodes, bound.params, bound.inputs, bound.given)


def outline(declared: Declared | Pipeline) -> Graph:
    """The graph for a look at it: a parameter that each run must give is None.

    Raises DeclarationError with every fault of the declaration.
    """
    declared, nodes = _sound(declared)
    pipeline = declared.pipeline
    defaults = {name: param.default for name, param in pipeline.params.items()}
    paths = {name: file.path for name, file in pipeline.inputs.items()}
    return _graph(declared, nodes, defaults, paths, frozenset())


def check(declared: Declared | Pipeline) -> tuple[Fault, ...]:
    """Every fault of a declaration that can be known without reading the functions it names."""
    return resolve(_declared(declared)).faults


def _declared(declared: Declared | Pipeline) -> Declared:
    return Declared(declared) if isinstance(declared, Pipeline) else declared


def _sound(declared: Declared | Pipeline) -> tuple[Declared, Mapping[str, Node]]:
    declared = _declared(declared)
    resolved = resolve(declared)
    if resolved.faults:
        raise DeclarationError(*resolved.faults)
    return declared, resolved.nodes


def _graph(
    declared: Declared,
    nodes: Mapping[str, Node],
    params: Mapping[str, Any],
    inputs: Mapping[str, str],
    given: frozenset[str],
) -> Graph:
    pipeline = declared.pipeline
    files = {name: given_input(pipeline.inputs[name], path) for name, path in inputs.items()}
    return Graph(
        name=pipeline.name,
        folder=declared.folder,
        pipeline=pipeline,
        params=params,
        inputs=inputs,
        nodes=filled(nodes, files),
        given=given,
        files=files,
        formats=declared.own_formats,
    )
