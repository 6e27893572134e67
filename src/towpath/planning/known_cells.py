"""The cells of steps with ``each`` and the trials of searches, as they become known in a run."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from msgspec.structs import replace

from towpath.config.artifact import Json
from towpath.config.each_declaration import find_list_problem
from towpath.config.expression import pick_value
from towpath.config.pipeline_declaration import Tuning
from towpath.errors import Fault, StepFailed, TowpathError
from towpath.pipeline.item_texts import find_name_problem
from towpath.pipeline.step_cells import (
    CellItems,
    add_trials,
    count_problem,
    is_list_per_cell,
    make_cells,
)
from towpath.pipeline.step_graph import (
    BestCell,
    FromItem,
    FromOutput,
    Loop,
    Node,
    Source,
    outputs_of,
)
from towpath.planning.run_state import RunState, StepNotEnded
from towpath.planning.search_progress import SearchProgress
from towpath.steps.work_order import Value


def walk_nodes(known: RunState) -> Iterator[Node]:
    """The nodes of a run's graph in order, the cells of each list as soon as it is known.

    What becomes of a node is noted in ``known`` by who walks, before the next one comes.
    """
    passed: set[str] = set()
    waiting = list(known.graph.nodes.values())[::-1]
    while waiting:
        node = waiting.pop()
        if node.awaits_cells and grow_graph(known, node.name):
            waiting = [n for name, n in known.graph.nodes.items() if name not in passed][::-1]
            continue
        passed.add(node.name)
        yield node


def grow_graph(known: RunState, search: str = "") -> dict[str, tuple[str, ...]]:
    """Make the cells that have become known: of each step whose lists are, and the next trials of
    ``search``, if that is one. The steps that have changed, with the names of their new cells."""
    node = known.graph.nodes.get(search)
    if node and node.loop and node.loop.searching:
        return grow_search(known, node)
    items = _known_items(known)
    if items:
        known.graph = make_cells(known.graph, items)
    loops = {name: known.graph.nodes[name].loop for name in items}
    return {name: (loop and loop.cells) or () for name, loop in loops.items()}


def _known_items(known: RunState) -> dict[str, CellItems]:
    items_by_step: dict[str, CellItems] = {}
    for name, node in known.graph.nodes.items():
        if node.loop and node.loop.cells is None and not known.has_ended(name):
            try:
                if items := read_items(known, node, node.loop):
                    items_by_step[name] = items
            except (StepNotEnded, TowpathError):  # its own turn comes, and says it
                continue
    return items_by_step


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


def grow_search(known: RunState, node: Node) -> dict[str, tuple[str, ...]]:
    """Add the trials that may begin now, and end the search where no more will come; the search
    with its new trials, or nothing where nothing has changed."""
    assert isinstance(node.step, Tuning)
    assert node.loop
    assert node.loop.best
    progress = known.searches.get(node.name)
    if progress is None:
        # Here, for Optuna takes a quarter of a second to import.
        from towpath.backends.optuna.parameter_search import ParameterSearch

        step = node.step
        search = ParameterSearch(step.ranges, step.minimize is not None, step.seed)
        progress = known.searches[node.name] = SearchProgress(step, search)
    trials = node.loop.cells or ()
    proposed, ended = _propose_trials(known, node.loop.best, progress, trials)
    if not proposed and not ended:
        return {}
    known.graph = add_trials(known.graph, node.name, proposed, ended)
    loop = known.graph.nodes[node.name].loop
    return {node.name: ((loop and loop.cells) or ())[len(trials) :]}


def _propose_trials(
    known: RunState, best: BestCell, progress: SearchProgress, trials: tuple[str, ...]
) -> tuple[list[Mapping[str, Json]], bool]:
    step = progress.step
    proposed: list[Mapping[str, Json]] = []
    is_over = progress.has_enough or progress.is_late
    is_over |= any(trial in known.skipped for trial in trials)
    # A trial knows of those before it but the last `at_once - 1`, whether these have ended or not:
    # so the same values are tried however long each takes, and again after a search was stopped.
    while not is_over and len(trials) + len(proposed) < step.trials:
        heard = len(progress.numbers)
        if heard + (step.at_once or 1) > len(trials) + len(proposed):
            proposed.append(progress.proposing.propose_values())
        elif heard < len(trials) and known.has_ended(trials[heard]):
            progress.hear_number(_number_of(known, best, trials[heard]))
            is_over = progress.has_enough
        else:
            return proposed, False
    return proposed, not proposed and all(map(known.has_ended, trials))


def _number_of(known: RunState, best: BestCell, trial: str) -> float | None:
    result = known.made.get(trial)
    try:
        document = result.values[best.number.output] if result else None
        number = pick_value(document, best.number.keys, trial)
    except (KeyError, StepFailed):
        return None
    is_number = isinstance(number, int | float) and not isinstance(number, bool)
    return float(number) if is_number and math.isfinite(number) else None
