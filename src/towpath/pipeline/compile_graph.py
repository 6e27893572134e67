"""From a declared pipeline to a graph in which every name is resolved: pure, all faults at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from towpath.config.pipeline_declaration import Pipeline
from towpath.config.pipeline_file import DeclaredPipeline
from towpath.errors import DeclarationError, Fault, UsageError
from towpath.pipeline.file_formats import given_input
from towpath.pipeline.resolve_names import resolve_pipeline
from towpath.pipeline.run_arguments import bind_arguments, declare_check_data
from towpath.pipeline.step_graph import Graph, Node


def compile_with_arguments(
    declared: DeclaredPipeline | Pipeline,
    arguments: Mapping[str, object] | None = None,
    inputs: Mapping[str, str] | None = None,
) -> Graph:
    """The graph of a pipeline with the arguments of one run.

    ``arguments`` are values of parameters, typed or as text from a command line; ``inputs`` other
    paths for the pipeline's inputs. Raises DeclarationError with every fault of the declaration,
    UsageError with every argument that does not fit.
    """
    declared, nodes = _resolve_sound(declared)
    bound = bind_arguments(declared.pipeline, arguments or {}, inputs or {})
    if bound.faults:
        raise UsageError(*bound.faults)
    return _build_graph(declared, nodes, bound.params, bound.inputs, bound.given)


def outline_graph(declared: DeclaredPipeline | Pipeline) -> Graph:
    """The graph for a look at it: a parameter that each run must give is None.

    Raises DeclarationError with every fault of the declaration.
    """
    declared, nodes = _resolve_sound(declared)
    pipeline = declared.pipeline
    defaults = {name: param.default for name, param in pipeline.params.items()}
    paths = {name: file.path for name, file in pipeline.inputs.items()}
    return _build_graph(declared, nodes, defaults, paths, frozenset())


def find_static_faults(declared: DeclaredPipeline | Pipeline) -> tuple[Fault, ...]:
    """Every fault of a declaration that can be known without reading the functions it names."""
    return resolve_pipeline(_as_declared(declared)).faults


def _as_declared(declared: DeclaredPipeline | Pipeline) -> DeclaredPipeline:
    return DeclaredPipeline(declared) if isinstance(declared, Pipeline) else declared


def _resolve_sound(
    declared: DeclaredPipeline | Pipeline,
) -> tuple[DeclaredPipeline, Mapping[str, Node]]:
    declared = _as_declared(declared)
    resolved = resolve_pipeline(declared)
    if resolved.faults:
        raise DeclarationError(*resolved.faults)
    return declared, resolved.nodes


def _build_graph(
    declared: DeclaredPipeline,
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
        nodes=declare_check_data(nodes, files),
        given=given,
        files=files,
        formats=declared.own_formats,
    )
