"""What the steps of a run log while they run, for who looks at the run."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from msgspec import Struct, field

from towpath.steps.metric_log import MetricTail

LOOK_SECONDS = 0.5
"""Between two looks at what is logged; a file is looked at, for a step may run on another host."""


class StepMetrics(Struct, frozen=True):
    """The latest value of each name that a step logged since the last look, and its place."""

    step: str
    values: dict[str, float]
    place: float


class MetricWatch(Struct):
    """Looks at the files of the steps that run, each half second at most."""

    folder: Path
    looked: float = 0.0
    tails: dict[str, MetricTail] = field(default_factory=dict)

    def look(self, running: Iterable[str]) -> Iterator[StepMetrics]:
        """What is new of these steps; nothing so soon after the last look."""
        if time.monotonic() - self.looked < LOOK_SECONDS:
            return
        for step in running:
            tail = self.tails.setdefault(step, MetricTail(self.folder / step))
            values: dict[str, float] = {}
            place = 0.0
            for logged in tail.read_new():
                values[logged.name], place = logged.value, logged.step
            if values:
                yield StepMetrics(step, values, place)
        self.looked = time.monotonic()
