"""A pipeline with ``each``: which of its steps are made for each item, and which cannot be."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from msgspec.structs import replace

from towpath.config.declaration import Places
from towpath.config.pipeline_declaration import (
    PipelineStep,
    QualityCheck,
    RegisterModel,
    RepeatedStep,
    is_json,
    output_files,
)
from towpath.errors import Fault
from towpath.pipeline.step_graph import (
    FromItem,
    Literal,
    Loop,
    Node,
    beside_best,
    outputs_of,
)


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
