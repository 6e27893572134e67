"""A promotion as who decides on it reads it: what records say, with no store and no code run, and
how it stands to each gate of its stage: what was judged, and against what."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from towpath import registry
from towpath.backends.git import Repository, refs
from towpath.config.artifact import Json
from towpath.config.gate_declarations import Metric, NoWorse
from towpath.delivery.gates.judge_gates import describe_bound, judge_stage_gates
from towpath.delivery.gates.kinds import metric, no_worse
from towpath.delivery.gates.verdict import verdict_value
from towpath.delivery.promotion import promotion_case
from towpath.delivery.promotion.main_line_approvals import ApprovalRule
from towpath.delivery.promotion.promotion_approval import allows_self_approval, named_people
from towpath.delivery.promotion.promotion_case import PromotionCase
from towpath.delivery.promotion.promotion_check import inspect_branch, unsigned_faults
from towpath.delivery.promotion.rulebook import least_level
from towpath.registry import VersionNumber, VersionReference, tag_message

if TYPE_CHECKING:
    from towpath.config.gate_declarations import AnyGate
    from towpath.config.project_declaration import Approval
    from towpath.delivery.gates import GateVerdict
    from towpath.errors import Fault


class CaseReview(Struct, frozen=True):
    """One case of a promotion. ``verdicts`` are those of the review gates for which records are
    enough, ``evidence`` the page that came with it, "" for none; ``people`` are whom the policy
    names to approve, none where anybody may."""

    case: PromotionCase
    verdicts: tuple[GateVerdict, ...]
    evidence: str
    needed: Approval
    is_own_allowed: bool
    people: tuple[str, ...]


class PromotionReview(Struct, frozen=True):
    """``faults`` are what would be refused already, as far as Git alone tells: before a forge is
    asked, a store opened or code run."""

    reviews: tuple[CaseReview, ...]
    faults: tuple[Fault, ...]


def review_promotion(repository: Repository, folder: str, base: str, head: str) -> PromotionReview:
    """What ``head`` would change upon the commit ``base`` of main, by the policy there. No forge is
    asked and nothing is fetched. Raises ``RegistryError`` in a shallow clone."""
    inspected = inspect_branch(repository, folder, base, head)
    reviews, faults = list[CaseReview](), list(inspected.faults)
    for case in inspected.cases:
        rule = ApprovalRule(repository, base, case.folder)
        reviews.append(_review_case(rule, case, head))
        faults += rule.unsound_faults() or unsigned_faults(rule, inspected, case)
    return PromotionReview(tuple(reviews), tuple(dict.fromkeys(faults)))


def review_decided(
    repository: Repository, folder: str, base: str, head: str, place: tuple[str, str, str | None]
) -> PromotionReview:
    """The same of what main took by the commit ``head`` upon ``base``: whether it was allowed is
    not asked again. ``place`` is the stage, the model and the version, None for one that left."""
    stage, model, version = place
    record = None
    if version:
        reference = VersionReference(model, VersionNumber.parse(version))
        record = registry.get_version(repository, reference).record
    case = promotion_case.gather_promotion_case(repository, folder, base, stage, model, record)
    rule = ApprovalRule(repository, case.base, case.folder)
    return PromotionReview((_review_case(rule, case, head),), ())


def _review_case(rule: ApprovalRule, case: PromotionCase, head: str) -> CaseReview:
    repository, rules = rule.repository, rule.rules_now()
    page = refs.read_content(repository, head, case.file_paths[2])
    verdicts: tuple[GateVerdict, ...] = ()
    if case.candidate:
        context = promotion_case.context_of_records(repository, case, case.candidate)
        verdicts = judge_stage_gates(context, "review", by_records=True)
    return CaseReview(
        case,
        verdicts,
        (page or b"").decode("utf-8", "replace"),
        least_level(case.project, case.stage),
        allows_self_approval(rules),
        named_people(rules, case.stage, case.file_paths[0]),
    )


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
    if case.candidate is None:
        return ()
    standings, numbers = [], {}
    if case.incumbent:
        numbers = tag_message.flatten_numbers(case.incumbent.metrics)
    for verdict in verdicts:
        gate = case.rules.gates.get(verdict.gate)
        incumbent = numbers.get(gate.metric) if isinstance(gate, Metric | NoWorse) else None
        lower, upper = _find_ends(gate, incumbent)
        standing = GateStanding(
            verdict.gate, verdict.kind, "passed" if verdict.passed else "failed", verdict.value,
            verdict.bound, lower, upper, incumbent, verdict.detail, verdict.source,
        )  # fmt: skip
        standings.append(standing)
    judged = {verdict.gate for verdict in verdicts}
    for name, gate in case.rules.gates.items():
        if name not in judged:
            state: GateState = "waits" if gate.when == "deploy" else "unjudged"
            bound = verdict_value(describe_bound(gate))
            standings.append(GateStanding(name, gate.kind, state, bound=bound))
    return tuple(standings)


def _find_ends(gate: AnyGate | None, incumbent: float | None) -> tuple[float | None, float | None]:
    """The lowest and the highest value that a gate lets in."""
    if isinstance(gate, Metric):
        bounds = dict(metric.declared_bounds(gate))
        lowest = bounds.get("at_least", bounds.get("above"))
        return lowest, bounds.get("at_most", bounds.get("below"))
    if isinstance(gate, NoWorse) and incumbent is not None:
        limit = no_worse.find_limit(gate, incumbent)
        return (None, limit) if gate.better == "lower" else (limit, None)
    return None, None
