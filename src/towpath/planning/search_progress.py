"""How far a search has come in a run, and when no further trial begins."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

from msgspec import Struct, field

from towpath.config.pipeline_declaration import Tuning

if TYPE_CHECKING:
    from towpath.backends.optuna.parameter_search import ParameterSearch

#: Trials of which the first are tried, and none gave a number, before a search gives up.
_HOPELESS = 3


class SearchProgress(Struct):
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
        has_none = all(number is None for number in self.numbers)
        if has_none and len(self.numbers) >= max(_HOPELESS, self.step.at_once or 1):
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
