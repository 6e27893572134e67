"""The figure by which a board tells versions apart, and whether a change of it is better."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from msgspec import Struct

from towpath.config.gate_declarations import Metric, NoWorse

if TYPE_CHECKING:
    from towpath.config.project_declaration import Project
    from towpath.registry import ModelVersion


class MetricDirection(Struct, frozen=True):
    """Which way a metric is better, as a gate of the project says; 0 where none does."""

    sign: int  # of a difference that is an improvement: -1 for an error, +1 for an accuracy

    def judge_change(self, before: float | None, after: float | None) -> str:
        """``better``, ``worse``, ``same``, or "" where nothing can be said."""
        if before is None or after is None:
            return ""
        if before == after:
            return "same"
        if self.sign == 0:
            return "other"
        return "better" if (after - before) * self.sign > 0 else "worse"


class MainMetric(Struct, frozen=True):
    """A version's main metric against the version before; ``verdict`` as ``judge_change`` says."""

    name: str
    value: float | None
    before: float | None
    verdict: str

    @property
    def change(self) -> float | None:
        if self.value is None or self.before is None:
            return None
        return self.value - self.before


class MetricPolicy(Struct, frozen=True, dict=True):
    """What the gates of a project say of its metrics; None where no policy can be read."""

    policy: Project | None

    @cached_property
    def _signs(self) -> Mapping[str, int]:
        return dict(self._gate_directions())

    def find_direction(self, metric: str) -> MetricDirection:
        short = metric.rpartition(".")[2]
        return MetricDirection(self._signs.get(metric, self._signs.get(short, 0)))

    def _gate_directions(self) -> Iterator[tuple[str, int]]:
        for stage in self.policy.stages.values() if self.policy else ():
            for gate in stage.gates.values():
                if isinstance(gate, NoWorse):
                    yield gate.metric, -1 if gate.better == "lower" else 1
                elif isinstance(gate, Metric):
                    is_bound_above = gate.at_most is not None or gate.below is not None
                    is_bound_below = gate.at_least is not None or gate.above is not None
                    if is_bound_above != is_bound_below:
                        yield gate.metric, -1 if is_bound_above else 1

    def choose_metric(self, metrics: Mapping[str, float]) -> str | None:
        """The metric that a board shows: the first that a gate judges, else the first there is."""
        judged = (name for name in metrics if self.find_direction(name).sign)
        return next(judged, next(iter(metrics), None))

    def read_main_metric(
        self, version: ModelVersion | None, before: ModelVersion | None
    ) -> MainMetric | None:
        """None of a version that is not here, or has no metric."""
        name = self.choose_metric(version.metrics) if version else None
        if version is None or name is None:
            return None
        value = version.metrics.get(name)
        earlier = before.metrics.get(name) if before else None
        return MainMetric(
            name, value, earlier, self.find_direction(name).judge_change(earlier, value)
        )
