"""The cells of steps with ``each`` and the trials of searches, as they become known in a run."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from towpath.config.artifact import Json
from towpath.config.each_declaration import find_list_problem
from towpath.config.expression import pick_value
from towpath.config.pipeline_declaration import Tuning
from towpath.errors import Fault, StepFailed, TowpathError
from towpath.pipeline.step_cells import Lists, add_trials, count_problem, make_cells
from towpath.pipeline.step_graph import FromItem, FromOutput, outputs_of
from towpath.planning.run_state import RunState, StepNotEnded
from towpath.planning.search_progress import SearchProgress
from towpath.steps.work_order import Value

if TYPE_CHECKING:
    from towpath.pipeline.step_graph import BestCell, Loop, Node


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
    lists = _known_lists(known)
    if lists:
        known.graph = make_cells(known.graph, lists)
    loops = {name: known.graph.nodes[name].loop for name in lists}
    return {name: (loop and loop.cells) or () for name, loop in loops.items()}


def _known_lists(known: RunState) -> dict[str, Lists]:
    lists: dict[str, Lists] = {}
    for name, node in known.graph.nodes.items():
        if node.loop and node.loop.cells is None and not known.has_ended(name):
            try:
                if items := read_lists(known, node, node.loop):
                    lists[name] = items
            except (StepNotEnded, TowpathError):  # its own turn comes, and says it
                continue
    return lists


def read_lists(known: RunState, node: Node, loop: Loop) -> Lists:
    """The items of a step's lists; empty where one of them is.

    Raises StepNotEnded where a list is not known yet, StepFailed for what is no list of items.
    """
    lists: dict[str, list[Any]] = {}
    for name, source in loop.lists.items():
        items = _read_items(known, source) if isinstance(source, FromOutput) else None
        if items is None:
            resolved = known.resolve(source)
            items = resolved.value if isinstance(resolved, Value) else None
        shown = f"`{name}` of step `{node.name}`"
        if not isinstance(items, list | tuple):
            raise StepFailed(Fault(f"{shown} is {_describe_json(items)}, not a list"))
        lists[name] = list(items)
        if items and (problem := find_list_problem(items)):
            raise StepFailed(Fault(f"{shown} {problem}"))
    _require_keys(node, lists)
    if problem := count_problem(lists):
        raise StepFailed(Fault(f"step `{node.name}` {problem}"))
    return lists if all(lists.values()) else {}


def _require_keys(node: Node, lists: Mapping[str, list[Any]]) -> None:
    # Here, where the step's own turn can say it: as the graph grows it would end the whole run.
    for source in node.arguments.values():
        if isinstance(source, FromItem) and source.keys:
            for item in lists[source.name]:
                pick_value(item, source.keys, source.name)


def _read_items(known: RunState, source: FromOutput) -> Json:
    # In the words of a condition, which name the near key.
    if source.step not in known.made:
        raise StepNotEnded(source.step)
    document = known.value(FromOutput(source.step, source.output))
    return pick_value(document, source.keys, f"{source.step}.{source.output}")  # type: ignore[no-any-return]


def empty_list_reason(loop: Loop, lists: Mapping[str, Any]) -> str:
    """Why a step whose lists are known has no cells; empty where it has some."""
    if lists:
        return ""
    names = [f"{o.step}.{o.output}" for s in loop.lists.values() for o in outputs_of(s)]
    return f"a list in {' or '.join(f'`{name}`' for name in dict.fromkeys(names))} is empty"


def _describe_json(value: object) -> str:
    if value is None:
        return "null"
    return "a mapping" if isinstance(value, dict) else f"`{str(value)[:60]}`"


def grow_search(known: RunState, node: Node) -> dict[str, tuple[str, ...]]:
    """Add the trials that may begin now, and end the search where no more will come; the search
    with its new trials, or nothing where nothing has changed."""
    assert isinstance(node.step, Tuning)
    assert node.loop
    assert node.loop.best
    progress = known.searches.get(node.name)
    if progress is None:
        progress = known.searches[node.name] = _begin_search(node.step)
    trials = node.loop.cells or ()
    proposed, ended = _propose_trials(known, node.loop.best, progress, trials)
    if not proposed and not ended:
        return {}
    known.graph = add_trials(known.graph, node.name, proposed, ended)
    loop = known.graph.nodes[node.name].loop
    return {node.name: ((loop and loop.cells) or ())[len(trials) :]}


def _begin_search(step: Tuning) -> SearchProgress:
    # Here, for Optuna takes a quarter of a second to import.
    from towpath.backends.optuna.parameter_search import ParameterSearch

    search = ParameterSearch(step.ranges, step.minimize is not None, step.seed)
    return SearchProgress(step, search)


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
