"""How far a search has come: which trials it tries next, by what came of those before."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from towpath.config.artifact import Json
from towpath.config.expression import pick_value
from towpath.config.pipeline_declaration import Tuning
from towpath.errors import StepFailed
from towpath.pipeline.step_cells import add_trials

if TYPE_CHECKING:
    from towpath.backends.optuna.parameter_search import ParameterSearch
    from towpath.pipeline.step_graph import BestCell, Node
    from towpath.planning.run_state import RunState

#: Trials of which the first are tried, and none gave a number, before a search gives up.
_HOPELESS = 3


@dataclass
class SearchProgress:
    """One search in one run: what was proposed, and the numbers of the trials that it heard of."""

    step: Tuning
    proposing: ParameterSearch
    began: float = field(default_factory=time.monotonic)
    numbers: list[float | None] = field(default_factory=list)

    def hear_number(self, number: float | None) -> None:
        """What came of the next trial; None where it has no number."""
        self.numbers.append(number)
        self.proposing.tell_number(number)

    @property
    def has_enough(self) -> bool:
        """Whether no further trial is worth it, as the declaration says."""
        if len(self.numbers) >= max(_HOPELESS, self.step.at_once or 1) and not any(
            number is not None for number in self.numbers
        ):
            return True
        return bool(self.step.stop_early and self._since_best >= self.step.stop_early)

    @property
    def _since_best(self) -> int:
        best, place = math.inf, -1
        for position, number in enumerate(self.numbers):
            compared = math.inf if number is None else number if self.step.minimize else -number
            if compared < best:
                best, place = compared, position
        return len(self.numbers) - 1 - place

    @property
    def is_late(self) -> bool:
        """Whether its budget is spent."""
        return self.step.budget is not None and time.monotonic() - self.began > self.step.budget


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
