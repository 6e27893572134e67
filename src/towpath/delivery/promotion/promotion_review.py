"""A promotion as who decides on it reads it: what records say, with no store and no code run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from towpath import registry
from towpath.backends.git import Repository, refs
from towpath.delivery.promotion.main_line_approvals import ApprovalRule
from towpath.delivery.promotion.promotion_approval import allows_self_approval, named_people
from towpath.delivery.promotion.promotion_case import (
    PromotionCase,
    context_of_records,
    gather_promotion_case,
)
from towpath.delivery.promotion.promotion_check import inspect_branch
from towpath.delivery.promotion.rulebook import least_level
from towpath.registry import VersionNumber, VersionReference

if TYPE_CHECKING:
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
    """``faults`` are what would be refused already, before a gate opens a store or runs code."""

    reviews: tuple[CaseReview, ...]
    faults: tuple[Fault, ...]


def review_promotion(repository: Repository, folder: str, base: str, head: str) -> PromotionReview:
    """What ``head`` would change upon the commit ``base`` of main, by the policy there. No forge is
    asked and nothing is fetched. Raises ``RegistryError`` in a shallow clone."""
    inspected = inspect_branch(repository, folder, base, head)
    reviews = tuple(_review_case(repository, case, head) for case in inspected.cases)
    return PromotionReview(reviews, inspected.faults)


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
    case = gather_promotion_case(repository, folder, base, stage, model, record)
    return PromotionReview((_review_case(repository, case, head),), ())


def _review_case(repository: Repository, case: PromotionCase, head: str) -> CaseReview:
    rules = ApprovalRule(repository, case.base, case.folder).rules_now()
    page = refs.read_content(repository, head, case.file_paths[2])
    return CaseReview(
        case,
        _judge_by_records(repository, case),
        (page or b"").decode("utf-8", "replace"),
        least_level(case.project, case.stage),
        allows_self_approval(rules),
        named_people(rules, case.stage, case.file_paths[0]),
    )


def _judge_by_records(repository: Repository, case: PromotionCase) -> tuple[GateVerdict, ...]:
    if case.candidate is None:
        return ()
    from towpath.delivery import gates

    return gates.judge_record_gates(context_of_records(repository, case, case.candidate))
