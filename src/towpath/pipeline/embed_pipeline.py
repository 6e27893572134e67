"""The steps of an inner pipeline as nodes of the outer one's graph."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from towpath.config.pipeline_declaration import (
    Condition,
    RepeatedStep,
    Step,
)
from towpath.pipeline.nested_pipelines import source_of_param
from towpath.pipeline.step_graph import (
    Branch,
    FirstOf,
    FromInput,
    FromOutput,
    FromParam,
    Loop,
    Node,
    Source,
    beside_best,
)

if TYPE_CHECKING:
    from towpath.config.pipeline_file import DeclaredPipeline


def embed_body(
    use: Node, body: DeclaredPipeline, nodes: Mapping[str, Node], before: frozenset[str]
) -> dict[str, Node]:
    """The nodes of an inner pipeline, with the name of the step that carries it out before theirs.

    They take what ``use`` is given in place of the inner pipeline's parameters and inputs, and wait
    for the steps ``before`` and for the lists of its ``each``.
    """
    lists = use.loop.list_needs if use.loop else frozenset()
    embedding = _Embedding(use, body)
    embedded = [embedding.embed_node(node, before | lists) for node in nodes.values()]
    return {node.name: node for node in embedded}


class _Embedding(Struct, frozen=True):
    use: Node
    body: DeclaredPipeline

    def embed_node(self, node: Node, before: frozenset[str]) -> Node:
        embedded = replace(
            node,
            name=self._outer_name(node.name),
            step=self._name_outside(node.step),
            arguments={name: self._own_source(s) for name, s in node.arguments.items()},
            mentions={name: self._own_source(s) for name, s in node.mentions.items()},
            beside={name: self._own_source(s) for name, s in node.beside.items()},
            branch=node.branch and Branch(self._outer_name(node.branch[0]), node.branch.holds),
            loop=node.loop and self._own_loop(node.loop),
            folder=node.folder or self.body.folder,
        )
        taken, inner = embedded.taken_steps, self._outer_names(node.needs)
        return replace(
            embedded,
            data_needs=taken | self._outer_names(node.data_needs),
            needs=taken | inner | (frozenset() if inner else before),  # they wait for the first
        )

    def _outer_name(self, name: str) -> str:
        return f"{self.use.name}.{name}"

    def _outer_list(self, names: Iterable[str]) -> tuple[str, ...]:
        return tuple(map(self._outer_name, names))

    def _outer_names(self, names: Collection[str]) -> frozenset[str]:
        return frozenset(map(self._outer_name, names))

    def _name_outside(self, step: Any) -> Any:
        """The declaration with the names that the steps it speaks of have outside."""
        step = rename_steps(step, self._outer_list)
        if isinstance(step, Condition):
            named = {"then": step.then, "otherwise": step.otherwise}
            update = {key: self._outer_list(steps) for key, steps in named.items()}
            return step.model_copy(update=update)
        return step

    def _own_source(self, source: Source) -> Source:
        match source:
            case FromParam(name=name):
                return source_of_param(self.use, name) or FromParam(self._outer_name(name))
            case FromInput(name=name):
                return self.use.arguments.get(name) or FromInput(self._outer_name(name))
            case FromOutput():
                return replace(source, step=self._outer_name(source.step))
            case FirstOf(sources=choices):
                return FirstOf(tuple(replace(c, step=self._outer_name(c.step)) for c in choices))
        return source

    def _own_loop(self, loop: Loop) -> Loop:
        best = loop.best
        if best:
            number = replace(best.number, step=self._outer_name(best.number.step))
            best = replace(best, number=number)
        lists = {name: self._own_source(source) for name, source in loop.lists.items()}
        return replace(loop, lists=lists, best=best)


def rename_steps(step: Any, rename: Callable[[Iterable[str]], tuple[str, ...]]) -> Any:
    """The declaration with other names for the steps that it waits for and watches."""
    update: dict[str, Any] = {"after": rename(step.after)} if step.after else {}
    if watch := step.on_failure:
        update["on_failure"] = watch.model_copy(update={"steps": rename(watch.steps)})
    return step.model_copy(update=update) if update else step


def list_body_outputs(step: Step, nodes: Mapping[str, Node]) -> dict[str, Any]:
    """The outputs of an inner pipeline, by ``step.output``."""
    outputs = {f"{n.name}.{o}": file for n in nodes.values() for o, file in n.outputs.items()}
    if isinstance(step, RepeatedStep) and step.best_by:
        outputs |= {
            f"{node.name}.{name}": file
            for node in nodes.values()
            if isinstance(node.step, RepeatedStep) and not node.loop
            for name, file in beside_best(step).items()
        }
    return outputs
