"""From a declared pipeline to a graph in which every name is resolved: pure, all faults at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from towpath.engine.arguments import bind, filled
from towpath.engine.file_formats import given_input
from towpath.engine.resolving import resolve
from towpath.engine.source import (
    Branch,
    FirstOf,
    FromInput,
    FromOutput,
    FromParam,
    Literal,
    Node,
    Source,
)
from towpath.errors import DeclarationError, Fault, UsageError
from towpath.spec import reference as references
from towpath.spec.pipeline import Input, Pipeline, RegisterModel
from towpath.spec.pipeline_file import Declared

__all__ = [
    "Branch",
    "FirstOf",
    "FromInput",
    "FromOutput",
    "FromParam",
    "Graph",
    "Literal",
    "Node",
    "Source",
    "check",
    "compile",
    "outline",
    "source_of",
]


@dataclass(frozen=True)
class Graph:
    """A pipeline ready to run.

    ``nodes`` are in an order in which each comes after what it needs, and otherwise as declared.
    ``params`` are the values of this run, ``inputs`` its paths from the project's root or its
    models; ``given`` names the parameters and inputs whose value is not the declared one.
    ``files`` are the inputs with what is declared of how they are read, ``formats`` the project's
    own: the class of each, by name.
    """

    name: str
    folder: str
    pipeline: Pipeline
    params: Mapping[str, Any]
    inputs: Mapping[str, str]
    nodes: Mapping[str, Node]
    given: frozenset[str] = field(default_factory=frozenset)
    files: Mapping[str, Input] = field(default_factory=dict)
    formats: Mapping[str, str] = field(default_factory=dict)

    @property
    def tried(self) -> tuple[str, ...]:
        """The parameters and inputs that make a run a trial: those with another value than the
        declared one. A parameter without a default declares none, so no value of it is another."""
        params = self.pipeline.params
        return tuple(
            name
            for name in (*params, *self.inputs)
            if name in self.given and not (name in params and params[name].required)
        )

    def registers(self, step: str) -> bool:
        """Whether a step registers a model."""
        return isinstance(self.nodes[step].step, RegisterModel)


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


def source_of(graph: Graph, reference: str) -> Source:
    """Where the value of a reference of this graph comes from; KeyError if it names nothing."""
    found = references.parse(reference)
    if found.name in graph.nodes and found.output:
        return FromOutput(found.name, found.output, found.keys)
    if found.name in graph.params:
        return FromParam(found.name)
    graph.inputs[found.name]
    return FromInput(found.name)


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
