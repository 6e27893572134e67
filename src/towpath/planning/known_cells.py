"""The cells of steps with ``each`` and the trials of searches, as they become known in a run."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from towpath.config.artifact import Json
from towpath.config.expression import pick_value
from towpath.config.pipeline_declaration import Tuning
from towpath.errors import StepFailed, TowpathError
from towpath.pipeline.step_cells import (
    CellItems,
    add_trials,
    make_cells,
)
from towpath.pipeline.step_graph import (
    BestCell,
    Node,
)
from towpath.planning.cell_items import read_items
from towpath.planning.run_state import RunState, StepNotEnded
from towpath.planning.search_progress import SearchProgress


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
