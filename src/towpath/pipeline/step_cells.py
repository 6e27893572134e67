"""The cells of a step with ``each`` as nodes of the graph, for items that are known."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from msgspec.structs import replace

from towpath.config.declaration import NO_PLACES, Places
from towpath.config.each_declaration import find_list_problem
from towpath.config.expression import pick_value
from towpath.config.file_declaration import Output
from towpath.config.pipeline_declaration import (
    QualityCheck,
    RepeatedStep,
    Step,
    is_json,
    output_files,
)
from towpath.errors import DeclarationError, Fault, StepFailed
from towpath.pipeline import item_texts, step_order
from towpath.pipeline.step_graph import (
    Cell,
    FirstOf,
    FromItem,
    FromOutput,
    FromParam,
    Graph,
    Literal,
    Loop,
    Node,
    Source,
    beside_best,
    outputs_of,
)

#: A folder of a run holds one for each cell, and every list of steps goes through them.
MOST_CELLS = 100_000
_LONGEST = 60  # characters of a label: it is a folder's name, and stands in tables
_PLAIN = re.compile(r"[A-Za-z0-9_.+-]+")
_STRANGE = re.compile(r"[^A-Za-z0-9_.]+")


def cell_file(label: str, name: str) -> str:
    """The path of a cell's file in the folder of all: its label, with the file's extension."""
    stem, dot, extension = name.partition(".")
    return f"{label}{dot}{extension}" if stem else f"{label}{name}"


Lists = Mapping[str, Sequence[Any]]
"""The items of a step's lists by name."""
CellItems = Sequence[Mapping[str, Any]]
"""The items of each of a step's cells, in their order."""


def is_list_per_cell(graph: Graph, loop: Loop, source: Source) -> bool:
    """Whether a list is another one for each combination of others: what each cell of a step made
    of whose cells each of this one's has one as its own."""
    if not isinstance(source, FromOutput):
        return False
    maker = graph.nodes[source.step]
    return maker.is_gathered(source.output) and maker.is_cell_by_cell(loop)


def handed_outputs(step: Step) -> dict[str, Output]:
    """What other steps take of a step: of one with ``each`` a list for a JSON output, a folder with
    a file for each cell for others; with ``best_by`` the best cell's own. The data of checks stays
    where it was: with what made it."""
    outputs = output_files(step)
    if not isinstance(step, RepeatedStep) or not step.each or step.best_by:
        return {**outputs, **beside_best(step)}
    return {
        name: Output(path=f"{name}.json" if is_json(output) else f"{name}/")
        for name, output in outputs.items()
        if not (isinstance(step, QualityCheck) and name == "data")
    }


def make_cells(graph: Graph, items: Mapping[str, CellItems]) -> Graph:
    """The graph in which the steps that ``items`` names are made cell by cell.

    Raises DeclarationError where a step that compares its cells waits for what it hands on.
    """
    nodes: dict[str, Node] = {}
    labels = _known_labels(graph)
    for name, node in graph.nodes.items():
        if name not in items or node.loop is None:
            nodes[name] = node
            continue
        cells = _list_cells(name, items[name])
        labels[name] = {_item_text(cell.items): cell.label for cell in cells}
        cell_nodes = {c.name: c for c in (_make_cell(graph, node, cell, labels) for cell in cells)}
        nodes |= cell_nodes
        nodes[name] = _gather_node(node, node.loop, tuple(cell_nodes))
    return replace(graph, nodes=_with_compared(nodes, items))


def _known_labels(graph: Graph) -> dict[str, dict[str, str]]:
    """The labels of the cells that are there, by step and items: those of a step may have been
    made before, and the cells of one whose list was not known then take from them."""
    labels: dict[str, dict[str, str]] = {}
    for node in graph.nodes.values():
        if node.cell:
            items = _item_text(node.cell.items)
            labels.setdefault(node.cell.step, {})[items] = node.cell.label
    return labels


def add_trials(
    graph: Graph, search: str, trials: Sequence[Mapping[str, Any]], ended: bool
) -> Graph:
    """The graph with further trials of a search, each by its values; ``ended`` where no more will
    come."""
    nodes: dict[str, Node] = {}
    for name, node in graph.nodes.items():
        if name == search and node.loop:
            cells = node.loop.cells or ()
            for number, values in enumerate(trials, len(cells) + 1):
                trial = _make_cell(graph, node, Cell(search, str(number), dict(values)), {})
                nodes[trial.name] = trial
                cells = (*cells, trial.name)
            node = _gather_node(node, replace(node.loop, searching=not ended), cells)
        nodes[name] = node
    return replace(graph, nodes=nodes)


def _with_compared(nodes: dict[str, Node], steps: Iterable[str]) -> dict[str, Node]:
    """The nodes, in which a step that compares its cells by another's waits for that one's."""
    compared = False
    for name in steps:
        node = nodes[name]
        if node.loop and node.loop.best and node.loop.best.number.step != name:
            compared = True
            others = frozenset(nodes[node.loop.best.number.step].loop.cells or ())  # type: ignore[union-attr]
            needs, data_needs = node.needs | others, node.data_needs | others
            nodes[name] = replace(node, needs=needs, data_needs=data_needs)
    if not compared:
        return nodes
    ordered, circles = step_order.order_nodes(nodes, NO_PLACES)
    if circles:
        raise DeclarationError(*circles)
    return ordered


def _gather_node(node: Node, loop: Loop, cells: tuple[str, ...]) -> Node:
    condition = {node.branch.condition} if node.branch else set()
    return replace(
        node,
        outputs=handed_outputs(node.step),
        needs=frozenset(cells) | loop.list_needs | condition,
        data_needs=frozenset(cells),
        loop=replace(loop, cells=cells),
    )


def _list_cells(step: str, each_items: CellItems) -> list[Cell]:
    plain = [_make_label(items) for items in each_items]
    # A folder is named after each, on file systems that do not tell capitals.
    count = Counter(label.lower() for label in plain)
    return [
        Cell(step, label if count[label.lower()] == 1 else _sign_label(label, items), items)
        for label, items in zip(plain, each_items, strict=True)
    ]


def _make_label(items: Mapping[str, Any]) -> str:
    texts = [text for item in items.values() for text in _leaf_texts(item)]
    label = "-".join(texts)
    if label and len(label) <= _LONGEST and all(map(_is_plain, texts)):
        return label
    return _sign_label(_STRANGE.sub("_", label).strip("_.")[:_LONGEST], items)


def _leaf_texts(item: Any) -> Iterator[str]:
    if isinstance(item, Mapping | list):
        for part in item.values() if isinstance(item, Mapping) else item:
            yield from _leaf_texts(part)
    else:
        yield item if isinstance(item, str) else json.dumps(item)


def _is_plain(text: str) -> bool:
    # A name that begins with a dot is hidden, and `..` is another folder.
    return bool(_PLAIN.fullmatch(text)) and not text.startswith(".") and not text.endswith(".")


def _sign_label(label: str, items: Mapping[str, Any]) -> str:
    digest = hashlib.sha256(_item_text(items).encode()).hexdigest()[:8]
    return f"{label}-{digest}" if label else digest


def _item_text(items: Mapping[str, Any]) -> str:
    return json.dumps(items, sort_keys=True, ensure_ascii=False)


def _take_own(
    graph: Graph, cell: Cell, loop: Loop, labels: Mapping[str, Mapping[str, str]], taken: FromOutput
) -> FromOutput:
    """What a cell takes of a step with the same lists: what its own cell made."""
    maker = graph.nodes[taken.step]
    if maker.loop is None or not maker.loop.is_within(loop):
        return taken
    if taken.step not in labels:  # skipped, or its own turn will fail it: so are its takers
        return taken
    items = {name: cell.items[name] for name in maker.loop.lists}
    return replace(taken, step=f"{taken.step}@{labels[taken.step][_item_text(items)]}")


def _make_cell(
    graph: Graph, node: Node, cell: Cell, labels: Mapping[str, Mapping[str, str]]
) -> Node:
    assert node.loop

    own_output = partial(_take_own, graph, cell, node.loop, labels)

    def own_source(source: Source) -> Source:
        match source:
            case FromItem(name=item, keys=keys):
                return Literal(_pick_item(cell, item, keys))
            case FromOutput():
                return own_output(source)
            case FirstOf(sources=choices):
                return FirstOf(tuple(own_output(choice) for choice in choices))
            case Literal(value=value):
                return Literal(fill_items(value, cell.items))
        return source

    arguments, mentions, beside = (
        {name: own_source(source) for name, source in sources.items()}
        for sources in (node.arguments, node.mentions, node.beside)
    )
    sources = [*arguments.values(), *mentions.values(), *beside.values()]
    taken = {o.step for source in sources for o in outputs_of(source)} | node.loop.list_needs
    # Its branch, and the checks that a registration waits for.
    before = node.needs - node.data_needs
    before |= {*node.step.after, *(node.step.on_failure.steps if node.step.on_failure else ())}
    return replace(
        node,
        name=f"{cell.step}@{cell.label}",
        step=item_texts.fill_step(node.step, cell.items),
        arguments=arguments,
        mentions=mentions,
        beside=beside,
        outputs=node.loop.outputs,
        needs=before | taken,
        data_needs=frozenset(taken),
        loop=None,
        cell=cell,
    )


def _pick_item(cell: Cell, item: str, keys: tuple[Any, ...]) -> Any:
    try:
        return pick_value(cell.items[item], keys, item)
    except StepFailed as failure:
        fault = failure.faults[0]
        raise StepFailed(Fault(f"step `{cell.step}`: {fault.what}", hint=fault.hint)) from None


def fill_items(value: Any, items: Mapping[str, Any]) -> Any:
    """A value of ``with``, in whose texts ``{item}`` stands for an item: for the item itself where
    it is the whole text."""
    if isinstance(value, list | tuple):
        return [fill_items(part, items) for part in value]
    if isinstance(value, Mapping):
        return {key: fill_items(part, items) for key, part in value.items()}
    if not isinstance(value, str) or "{" not in value:
        return value
    for name, item in items.items():
        if value == f"{{{name}}}":
            return item
        shown = item if isinstance(item, str) else json.dumps(item)
        value = value.replace(f"{{{name}}}", shown)
    return value


def find_static_lists(graph: Graph, places: Places) -> dict[str, Lists]:
    """The lists that are known before anything has run, of the steps all of whose are.

    Raises DeclarationError for one that holds nothing, or an item twice.
    """
    lists: dict[str, Lists] = {}
    faults: list[Fault] = []
    for name, node in graph.nodes.items():
        loop = node.loop
        if loop is None or loop.cells is not None or loop.list_needs or loop.searching:
            continue
        items = {item: _known_list(graph, source) for item, source in loop.lists.items()}
        lists_known = {item: listed for item, listed in items.items() if listed is not None}
        if len(lists_known) == len(items):  # in a look at the graph one may be unknown
            lists[name] = lists_known
            faults += _list_faults(graph, places, node, lists_known)
    if faults:  # of a list that several steps are made over it is one
        raise DeclarationError(*{fault.what: fault for fault in reversed(faults)}.values())
    return lists


def _known_list(graph: Graph, source: Source) -> Sequence[Any] | None:
    if isinstance(source, Literal):
        return tuple(source.value)
    assert isinstance(source, FromParam)
    value = graph.params[source.name]
    return tuple(value) if isinstance(value, list | tuple) else None


def _list_faults(graph: Graph, places: Places, node: Node, lists: Lists) -> Iterator[Fault]:
    assert node.loop
    place = places.find_place("steps", node.name, "each")
    for name, items in lists.items():
        source = node.loop.lists[name]
        if isinstance(source, FromParam) and (problem := find_list_problem(list(items))):
            is_given = source.name in graph.given
            where = None if is_given else places.find_place("params", *source.name.split("."))
            hint = f"step `{node.name}` is made once for each"
            yield Fault(f"parameter `{source.name}` {problem}", where, hint)
    if problem := count_problem(math.prod(map(len, lists.values()))):
        yield Fault(f"step `{node.name}` {problem}", place)
    elif fault := item_texts.find_name_problem(node.step, item_texts.combine_items(lists)):
        yield replace(fault, place=place)


def count_problem(number: int) -> str:
    """What is wrong with so many cells; empty for nothing."""
    return f"would be made {number:,} times: {MOST_CELLS:,} is the most" * (number > MOST_CELLS)
