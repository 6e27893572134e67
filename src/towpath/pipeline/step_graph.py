"""A pipeline as a graph: steps with their names resolved, and where their arguments come from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, TypeAlias

from msgspec import Struct, field

from towpath.config.expression import Key
from towpath.config.file_declaration import Input, Output
from towpath.config.pipeline_declaration import (
    AnyStep,
    Pipeline,
    RegisterModel,
    RepeatedStep,
    Step,
    Tuning,
)


class FromParam(Struct, frozen=True):
    """The value of a parameter, by its dotted name, or of a group of parameters."""

    name: str


class FromRun(Struct, frozen=True):
    """What only a run has, such as its `id`."""

    name: str


#: What a run has, and of it what no two runs have in common.
RUN_VALUES = ("id", "started", "pipeline", "for", "commit")
_OF_ONE_RUN = ("id", "started")


class FromInput(Struct, frozen=True):
    """A file, a folder or a model that the pipeline takes."""

    name: str


class FromOutput(Struct, frozen=True):
    """An output of a step, or what stands under keys in its JSON document."""

    step: str
    output: str
    keys: tuple[Key, ...] = ()


class FirstOf(Struct, frozen=True):
    """``a.x or b.y``: the first of these whose step was not skipped."""

    sources: tuple[FromOutput, ...]


class Literal(Struct, frozen=True):
    """A value that the declaration holds itself (``with:``)."""

    value: Any


class FromItem(Struct, frozen=True):
    """An item of the step's own ``each``, or what stands under keys in it."""

    name: str
    keys: tuple[Key, ...] = ()


Source: TypeAlias = FromParam | FromRun | FromInput | FromOutput | FirstOf | Literal | FromItem


def beside_best(step: Step) -> dict[str, Output]:
    """What a step that hands on its best cell, or its best trial, makes beside that one's."""
    if isinstance(step, Tuning):
        return {"best": Output(path="best.json"), "trials": Output(path="trials.csv")}
    if isinstance(step, RepeatedStep) and step.best_by:
        return {"best": Output(path="best.json"), "cells": Output(path="cells.json")}
    return {}


class Branch(NamedTuple):
    """The condition that decides about a step, and the answer that the step waits for."""

    condition: str
    holds: bool


class Cell(Struct, frozen=True):
    """What one cell of a step with ``each`` is of: the step, and its own item of each list.

    ``label`` tells it from the step's other cells, and is made of its items alone.
    """

    step: str
    label: str
    items: Mapping[str, Any]


class BestCell(Struct, frozen=True):
    """By which number of each cell the best one is found."""

    number: FromOutput
    least: bool


class Loop(Struct, frozen=True):
    """The lists that a step is made over, in declared order.

    ``outputs`` are the files of one cell. ``cells`` are the names of the nodes that are its cells;
    None while a list is not known. Of a search the cells are its trials, which come one after the
    other; ``searching`` is true until no more will come.
    """

    lists: Mapping[str, Source]
    outputs: Mapping[str, Output]
    best: BestCell | None = None
    cells: tuple[str, ...] | None = None
    searching: bool = False

    @property
    def list_needs(self) -> frozenset[str]:
        """The steps whose outputs hold a list."""
        return frozenset(o.step for source in self.lists.values() for o in outputs_of(source))

    def is_within(self, other: Loop | None) -> bool:
        """Whether each cell of ``other`` has one of these as its own: all lists are among its."""
        if other is None or not self.lists:
            return False
        return all(other.lists.get(name) == source for name, source in self.lists.items())


class Node(Struct, frozen=True):
    """One step with its names resolved.

    A step with ``each`` is a node with a ``loop``, which hands on what its cells made; each cell,
    once its items are known, is a node of its own with a ``cell``.

    ``arguments`` feeds the step by argument name; ``mentions`` holds what its condition, message
    or labels refer to, by the base of the reference (``max_mse``, ``evaluate.metrics``: what
    ``Expression.evaluate`` and ``MessageTemplate.fill`` look up). ``needs`` are all steps it waits
    for: data, ``after``, its branch's condition, and for a registration the checks. ``data_needs``
    are those it takes something from: where one of them was skipped it is skipped too, the
    choices of a FirstOf apart, of which one must be left. ``folder`` is that of the inner pipeline
    that declares it, as a step of which its name has the outer step's before it (``clean.create``).
    """

    name: str
    step: AnyStep
    arguments: Mapping[str, Source] = field(default_factory=dict)
    mentions: Mapping[str, Source] = field(default_factory=dict)
    outputs: Mapping[str, Output] = field(default_factory=dict)
    beside: Mapping[str, Source] = field(default_factory=dict)
    needs: frozenset[str] = frozenset()
    data_needs: frozenset[str] = frozenset()
    branch: Branch | None = None
    loop: Loop | None = None
    cell: Cell | None = None
    folder: str = ""

    @property
    def declared_name(self) -> str:
        """The name of the step that declares it."""
        return self.cell.step if self.cell else self.name

    @property
    def awaits_cells(self) -> bool:
        """Whether it stands for cells that are not there yet: a list is not known, or a search
        goes on."""
        return self.loop is not None and (self.loop.cells is None or self.loop.searching)

    @property
    def gathers_cells(self) -> bool:
        """Whether it only hands on what its cells made."""
        return self.loop is not None and not self.awaits_cells

    @property
    def run_arguments(self) -> tuple[str, ...]:
        """The values of the run that it is given, apart from the pipeline's name."""
        sources = (s for s in self.arguments.values() if isinstance(s, FromRun))
        return tuple(source.name for source in sources if source.name != "pipeline")

    @property
    def own_to_run(self) -> str | None:
        """The value that it takes which no other run has: it is never reused."""
        return next((name for name in self.run_arguments if name in _OF_ONE_RUN), None)

    @property
    def taken_steps(self) -> frozenset[str]:
        """The steps that it takes something from, by way of outputs."""
        return frozenset(o.step for source in self.taken_sources for o in outputs_of(source))

    @property
    def taken_sources(self) -> Iterator[Source]:
        """All that it takes something from."""
        yield from self.arguments.values()
        yield from self.mentions.values()
        yield from self.beside.values()
        if self.loop:
            yield from self.loop.lists.values()

    def file_of(self, output: str) -> Output:
        """The declaration of an output's file; of one that holds a file of each cell, of those."""
        if self.loop and output in self.loop.outputs:
            return self.loop.outputs[output]
        return self.outputs[output]

    def is_cell_by_cell(self, other: Loop | None) -> bool:
        """Whether each cell of a step made over ``other`` has one of this one's as its own."""
        return self.loop is not None and self.loop.is_within(other)

    def is_gathered(self, output: str) -> bool:
        """Whether an output holds what every cell made of it."""
        return bool(self.loop and not self.loop.best and output in self.loop.outputs)


def outputs_of(source: Source) -> tuple[FromOutput, ...]:
    """The outputs of steps that a source may take from."""
    if isinstance(source, FirstOf):
        return source.sources
    return (source,) if isinstance(source, FromOutput) else ()


class Graph(Struct, frozen=True):
    """A pipeline ready to run.

    ``nodes`` are in an order in which each comes after what it needs, and otherwise as declared.
    ``params`` are the values of this run by dotted name, ``inputs`` its paths from the project's
    root or its models; ``given`` names the parameters and inputs whose value is not the declared
    one, ``tried`` those whose value is not the one declared for the run's ``environment``. The
    defaults of ``pipeline`` are those for that environment. ``files`` are the inputs with what is
    declared of how they are read, ``formats`` the project's own: the class of each, by name.
    ``param_files`` are the files that hold defaults, by parameter; ``bodies`` those that declare
    inner pipelines, by the name that their steps have before their own. ``inner_params`` are the
    parameters that those declare, with their file and their name in it.
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
    tried: frozenset[str] = field(default_factory=frozenset)
    environment: str = ""
    param_files: Mapping[str, str] = field(default_factory=dict)
    bodies: Mapping[str, str] = field(default_factory=dict)
    inner_params: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    def folder_of(self, node: Node) -> str:
        """The folder of the pipeline that declares a step."""
        return node.folder or self.folder

    def list_steps(self, name: str) -> tuple[str, ...]:
        """The steps that a name stands for: of an inner pipeline all of its own."""
        if name not in self.bodies:
            return (name,)
        return tuple(step for step in self.steps if step.startswith(f"{name}."))

    def locate_param(self, name: str) -> tuple[str, str]:
        """The file that declares a parameter, and its name there."""
        return self.inner_params.get(name, (f"{self.folder}/pipeline.yaml", name))

    def locate_step(self, name: str) -> tuple[str, str]:
        """The file that declares a step, and its name there."""
        prefixes = [prefix for prefix in self.bodies if name.startswith(f"{prefix}.")]
        if not prefixes:
            return f"{self.folder}/pipeline.yaml", name
        longest = max(prefixes, key=len)
        return self.bodies[longest], name.removeprefix(f"{longest}.")

    @property
    def tried_names(self) -> tuple[str, ...]:
        """The parameters and inputs that make a run a trial: those with another value than the
        one declared for its environment. A parameter without a default declares none, so no value
        of it is another."""
        params = self.pipeline.params
        return tuple(
            name
            for name in (*params, *self.inputs)
            if name in self.tried and not (name in params and params[name].required)
        )

    @property
    def steps(self) -> Mapping[str, Node]:
        """The nodes by declared step, without the cells."""
        return {name: node for name, node in self.nodes.items() if node.cell is None}

    def registers_model(self, step: str) -> bool:
        """Whether a step registers a model."""
        return isinstance(self.nodes[step].step, RegisterModel)
