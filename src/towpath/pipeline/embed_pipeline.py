"""The steps of an inner pipeline as nodes of the outer one's graph."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from towpath.config.declaration import Places
from towpath.config.pipeline_declaration import (
    Condition,
    PipelineStep,
    QualityCheck,
    RegisterModel,
    RepeatedStep,
    Step,
    is_json,
    output_files,
)
from towpath.errors import Fault
from towpath.pipeline.nested_pipelines import source_of_param
from towpath.pipeline.step_graph import (
    Branch,
    FirstOf,
    FromInput,
    FromItem,
    FromOutput,
    FromParam,
    Literal,
    Loop,
    Node,
    Source,
    beside_best,
    outputs_of,
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


def spread_loops(
    nodes: Mapping[str, Node], uses: Mapping[str, Node], places: Places
) -> tuple[dict[str, Node], list[Fault]]:
    """The nodes, in which the steps of a pipeline that is carried out for each item are made for
    each: those that take something of an item, be it by way of others. The nodes are in order."""
    result = dict(nodes)
    faults: list[Fault] = []
    for name, node in nodes.items():
        owner, dot, inner = name.partition(".")
        use = uses.get(owner) if dot else None
        if use is None or use.loop is None:
            continue
        items, step = set(_items_of(node, use.loop, result)), node.step
        if not items:
            continue
        assert isinstance(use.step, PipelineStep)
        if node.loop or not isinstance(step, RepeatedStep) or isinstance(step, RegisterModel):
            what = f"step `{inner}` ({step.kind}) of pipeline `{use.step.pipeline}` "
            what += "has `each` itself" if node.loop else "cannot be made for each item"
            faults.append(Fault(what, places.find_place("steps", owner, "each")))
        else:
            result[name] = _make_repeated(node, step, use.loop, use.step, items)
    return result, [*faults, *_best_faults(uses, result, places)]


def _best_faults(
    uses: Mapping[str, Node], nodes: Mapping[str, Node], places: Places
) -> Iterator[Fault]:
    """A number that is not one of each cell."""
    for name, use in uses.items():
        best = use.loop.best if use.loop else None
        if best is None or best.number.step not in nodes:
            continue
        maker, place = nodes[best.number.step], places.find_place("steps", name, "best_by")
        shown = f"{best.number.step}.{best.number.output}"
        if maker.loop is None or use.name != maker.name.partition(".")[0]:
            yield Fault(f"`{shown}` is not made for each item of `{name}`", place)
        elif not is_json(maker.file_of(best.number.output)):
            yield Fault(f"`{shown}` holds no number: only a JSON output does", place)


def _make_repeated(
    node: Node, step: RepeatedStep, whole: Loop, declared: PipelineStep, items: Collection[str]
) -> Node:
    # Where one cell is the best, cells are compared with those of the same items.
    names = [item for item in whole.lists if whole.best or item in items]
    # A check hands on nothing of which one cell's could be the best.
    best = None if isinstance(step, QualityCheck) else whole.best
    update = {
        "each": {name: declared.each[name] for name in names},
        "at_once": declared.at_once,
        "best_by": best and declared.best_by,
        "may_fail": declared.may_fail,
    }
    repeated: Any = step.model_copy(update=update)
    loop = Loop({name: whole.lists[name] for name in names}, output_files(step), best)
    return replace(
        node,
        step=repeated,
        loop=loop,
        outputs={**output_files(repeated), **beside_best(repeated)},
        needs=node.needs | loop.list_needs,
        data_needs=node.data_needs | loop.list_needs,
    )


def _items_of(node: Node, loop: Loop, nodes: Mapping[str, Node]) -> Iterator[str]:
    """The items that a step takes something of: itself, or by a step that is made for each."""
    for source in node.taken_sources:
        if isinstance(source, FromItem):
            yield source.name
        elif isinstance(source, Literal):
            yield from (name for name in loop.lists if f"{{{name}}}" in str(source.value))
        for choice in outputs_of(source):
            maker = nodes[choice.step].loop if choice.step in nodes else None
            if maker and maker.is_within(loop):
                yield from maker.lists


def list_output_faults(nodes: Mapping[str, Node], places: Places) -> Iterator[Fault]:
    """What is taken of steps of inner pipelines that are not made for each, though the pipeline is:
    they have no best cell."""
    for node in nodes.values():
        for source in node.taken_sources:
            for choice in outputs_of(source):
                maker = nodes.get(choice.step)
                if maker and "." in maker.name and choice.output not in maker.outputs:
                    what = f"`{choice.step}` takes nothing of an item: no `{choice.output}`"
                    yield Fault(what, places.find_place("steps", node.name))


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
