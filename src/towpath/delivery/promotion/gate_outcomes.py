"""How a promotion stands to each gate of its stage: what was judged, and against what."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from towpath.config.artifact import Json
from towpath.config.gate_declarations import Metric, NoWorse
from towpath.delivery.gates import describe_bound
from towpath.delivery.gates.kinds import metric, no_worse
from towpath.delivery.gates.verdict import verdict_value
from towpath.registry import tag_message

if TYPE_CHECKING:
    from towpath.config.gate_declarations import AnyGate
    from towpath.delivery.gates import GateVerdict
    from towpath.delivery.promotion.promotion_case import PromotionCase
    from towpath.registry import VersionRecord

GateState = Literal["passed", "failed", "unjudged", "waits"]


class GateStanding(Struct, frozen=True):
    """A gate: ``unjudged`` is one for which more than records is needed, ``waits`` one that is
    judged at the deployment. ``value`` was found, ``incumbent`` is what the version that runs now
    has; of numbers ``lower`` and ``upper`` are what is let in, None for no end. ``source`` is where
    the gate is declared."""

    gate: str
    kind: str
    state: GateState
    value: Json = None
    bound: Json = None
    lower: float | None = None
    upper: float | None = None
    incumbent: float | None = None
    detail: str = ""
    source: str = ""

    @property
    def number(self) -> float | None:
        """The value, where it is a number that has an end to be held against."""
        has_end = self.lower is not None or self.upper is not None
        is_number = isinstance(self.value, int | float) and not isinstance(self.value, bool)
        return self.value if has_end and is_number else None  # type: ignore[return-value]


def list_gate_standings(
    case: PromotionCase, verdicts: Sequence[GateVerdict]
) -> tuple[GateStanding, ...]:
    """Those that were judged, in their order, then those that were not; none where a model is to
    leave a stage."""
    return tuple(_find_standings(case, verdicts)) if case.candidate else ()


def _find_standings(case: PromotionCase, verdicts: Sequence[GateVerdict]) -> Iterator[GateStanding]:
    judged = {verdict.gate for verdict in verdicts}
    for verdict in verdicts:
        gate = case.rules.gates.get(verdict.gate)
        incumbent = _incumbent_number(case.incumbent, gate)
        lower, upper = _find_ends(gate, incumbent)
        yield GateStanding(
            verdict.gate, verdict.kind, "passed" if verdict.passed else "failed", verdict.value,
            verdict.bound, lower, upper, incumbent, verdict.detail, verdict.source,
        )  # fmt: skip
    for name, gate in case.rules.gates.items():
        if name not in judged:
            state: GateState = "waits" if gate.when == "deploy" else "unjudged"
            bound = verdict_value(describe_bound(gate))
            yield GateStanding(name, gate.kind, state, bound=bound)


def _incumbent_number(record: VersionRecord | None, gate: AnyGate | None) -> float | None:
    if record is None or not isinstance(gate, Metric | NoWorse):
        return None
    return tag_message.flatten_numbers(record.metrics).get(gate.metric)


def _find_ends(gate: AnyGate | None, incumbent: float | None) -> tuple[float | None, float | None]:
    """The lowest and the highest value that a gate lets in."""
    if isinstance(gate, Metric):
        bounds = dict(metric.declared_bounds(gate))
        return bounds.get("at_least", bounds.get("above")), bounds.get(
            "at_most", bounds.get("below")
        )
    if isinstance(gate, NoWorse) and incumbent is not None:
        limit = no_worse.find_limit(gate, incumbent)
        return (None, limit) if gate.better == "lower" else (limit, None)
    return None, None
