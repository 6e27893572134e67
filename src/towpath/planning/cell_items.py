"""Which cells a step with ``each`` has in a run: the items of its lists, in all combinations."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from towpath.config.artifact import Json
from towpath.config.each_declaration import find_list_problem
from towpath.config.expression import pick_value
from towpath.errors import Fault, StepFailed
from towpath.pipeline.item_texts import find_name_problem
from towpath.pipeline.step_cells import (
    CellItems,
    count_problem,
    is_list_per_cell,
)
from towpath.pipeline.step_graph import (
    FromItem,
    FromOutput,
    Loop,
    Node,
    Source,
    outputs_of,
)
from towpath.planning.run_state import RunState, StepNotEnded
from towpath.steps.work_order import Value


def read_items(known: RunState, node: Node, loop: Loop) -> CellItems:
    """The items of each of a step's cells; none where a list is empty.

    Raises StepNotEnded where a list is not known yet, StepFailed for what is no list of items.
    """
    own = {name for name in loop.lists if is_list_per_cell(known.graph, loop, loop.lists[name])}
    whole = {
        name: _read_list(known, source, f"`{name}` of step `{node.name}`")
        for name, source in loop.lists.items()
        if name not in own
    }
    number = math.prod(map(len, whole.values()))
    cells: list[dict[str, Any]] = [{}]
    for name, source in loop.lists.items():
        if problem := count_problem(max(number, len(cells))):
            raise StepFailed(Fault(f"step `{node.name}` {problem}"))
        lists = _OwnLists(known, source, name, node.name) if name in own else None
        cells = [
            {**before, name: item}
            for before in cells
            for item in (lists.read(before) if lists else whole[name])
        ]
    if problem := count_problem(len(cells)):
        raise StepFailed(Fault(f"step `{node.name}` {problem}"))
    _require_keys(node, cells)
    if fault := find_name_problem(node.step, cells):
        raise StepFailed(fault)
    return cells


def _read_list(known: RunState, source: Source, shown: str) -> list[Any]:
    items = _read_output(known, source) if isinstance(source, FromOutput) else None
    if items is None:
        resolved = known.resolve(source)
        items = resolved.value if isinstance(resolved, Value) else None
    return _require_list(items, shown)


def _require_list(items: object, shown: str) -> list[Any]:
    if not isinstance(items, list | tuple):
        value = "null" if items is None else f"`{str(items)[:60]}`"
        value = "a mapping" if isinstance(items, dict) else value
        raise StepFailed(f"{shown} is {value}, not a list")
    if items and (problem := find_list_problem(list(items))):
        raise StepFailed(Fault(f"{shown} {problem}"))
    return list(items)


class _OwnLists:
    """A list that each cell of another step made for itself."""

    def __init__(self, known: RunState, source: Source, name: str, step: str) -> None:
        assert isinstance(source, FromOutput)
        if source.step not in known.made:
            raise StepNotEnded(source.step)
        self._known, self._source = known, source
        self._shown = f"`{name}` of step `{step}`"
        maker = known.graph.nodes[source.step].loop
        self._cells = [known.graph.nodes[cell] for cell in (maker and maker.cells) or ()]
        self._lists: dict[str, list[Any]] = {}

    def read(self, items: Mapping[str, Any]) -> list[Any]:
        """That of the cell with these items; none where it was not made, and may be left out."""
        for node in self._cells:
            if node.cell and all(items[name] == item for name, item in node.cell.items.items()):
                return self._read_cell(node.name)
        return []

    def _read_cell(self, cell: str) -> list[Any]:
        if cell not in self._known.made:
            return []
        if cell not in self._lists:
            document = _read_output(self._known, replace(self._source, step=cell))
            self._lists[cell] = _require_list(document, f"{self._shown}, from `{cell}`,")
        return self._lists[cell]


def _require_keys(node: Node, cells: CellItems) -> None:
    # Here, where the step's own turn can say it: as the graph grows it would end the whole run.
    for source in node.arguments.values():
        if isinstance(source, FromItem) and source.keys:
            for items in cells:
                pick_value(items[source.name], source.keys, source.name)


def _read_output(known: RunState, source: FromOutput) -> Json:
    # In the words of a condition, which name the near key.
    if source.step not in known.made:
        raise StepNotEnded(source.step)
    document = known.value(FromOutput(source.step, source.output))
    return pick_value(document, source.keys, f"{source.step}.{source.output}")  # type: ignore[no-any-return]


def empty_list_reason(loop: Loop, cells: CellItems) -> str:
    """Why a step whose lists are known has no cells; empty where it has some."""
    if cells:
        return ""
    names = [f"{o.step}.{o.output}" for s in loop.lists.values() for o in outputs_of(s)]
    return f"a list in {' or '.join(f'`{name}`' for name in dict.fromkeys(names))} is empty"
