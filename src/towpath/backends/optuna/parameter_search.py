"""A search over parameters: the values of each trial, by the numbers of those before it."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field

from towpath.config.artifact import Json
from towpath.config.tuning_declaration import Range

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.study import Study
    from optuna.trial import Trial


class ParameterSearch(Struct):
    """Proposes values trial by trial; the same numbers told in the same order, the same values.

    Optuna's own storage is not used: what was tried is in the store as what a step made.
    """

    ranges: Mapping[str, Range]
    least: bool
    seed: int
    _trials: list[Trial] = field(default_factory=list)
    _told: int = 0
    _opened: Study | None = None

    def propose_values(self) -> dict[str, Json]:
        """The values of the next trial."""
        from optuna.samplers import TPESampler

        study = self._study
        # Seeded by the trial's number, so that a search that was stopped and is asked anew goes on
        # as it would have: the state of a generator would hang on all that was asked before.
        number = len(self._trials)
        study.sampler = TPESampler(seed=(self.seed * 1_000_003 + number) % (1 << 32))
        trial = study.ask({name: make_distribution(values) for name, values in self.ranges.items()})
        self._trials.append(trial)
        return {name: trial.params[name] for name in self.ranges}

    def tell_number(self, number: float | None) -> None:
        """What came of the first trial that was not told of yet; None where it has no number."""
        from optuna.trial import TrialState

        trial = self._trials[self._told]
        self._told += 1
        if number is None or not math.isfinite(number):
            self._study.tell(trial, state=TrialState.FAIL)
        else:
            self._study.tell(trial, number)

    @property
    def _study(self) -> Study:
        if self._opened is None:
            import optuna

            optuna.logging.set_verbosity(optuna.logging.ERROR)
            self._opened = optuna.create_study(direction="minimize" if self.least else "maximize")
        return self._opened


def make_distribution(values: Range) -> BaseDistribution:
    """A declared range as Optuna has it; of open bounds the nearest number inside."""
    from optuna.distributions import (
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )

    if values.choices is not None:
        choices: list[Any] = list(values.choices)
        return CategoricalDistribution(choices)
    low, high = values.lowest, values.highest
    if values.is_integer:
        step = int(values.step or 1)
        # Optuna takes no range whose last step is a shorter one without a warning.
        return IntDistribution(
            int(low), int(high) - (int(high) - int(low)) % step, log=values.log, step=step
        )
    with warnings.catch_warnings():  # that the last step is a shorter one
        warnings.simplefilter("ignore", UserWarning)
        return FloatDistribution(low, high, log=values.log, step=values.step)
