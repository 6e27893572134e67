"""Proposing: that a version enter a stage, that a stage go back, that a model leave one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from towpath import registry
from towpath.backends.git import refs
from towpath.delivery.promotion import promotion_branch, promotion_rules
from towpath.delivery.promotion import promotion_case as cases
from towpath.delivery.promotion.main_line_approvals import ASK_FORGE, ApprovalRule
from towpath.delivery.promotion.promotion_branch import (
    PromotionPlace,
    ProposedPromotion,
    ReviewGatesRefused,
    find_promotion_place,
)
from towpath.delivery.promotion.promotion_case import PromotionCase
from towpath.delivery.promotion.promotion_rules import find_rollback_target
from towpath.delivery.promotion.stored_bytes import look_at_bytes
from towpath.errors import Fault, Refused, UsageError
from towpath.registry import VersionNumber, VersionRecord, VersionReference

if TYPE_CHECKING:
    from towpath.workspace import Workspace


def propose_promotion(
    workspace: Workspace,
    reference: str,
    stage: str,
    *,
    dry_run: bool = False,
    push: bool | None = None,
    why: str | None = None,
) -> ProposedPromotion:
    """Propose that a version enter a stage: a branch, and where there is a forge a pull request.

    ``push`` is by default whether there is a forge to open a pull request at. Raises
    ``UsageError`` for what cannot be promoted (unknown, rejected, a rung skipped, there already),
    ``ReviewGatesRefused`` where a review gate says no; then nothing is written.
    """
    place = find_promotion_place(workspace, push, dry_run, why)
    promotable = promotion_rules.find_promotable_version(place.repository, reference)
    case = _gather_case(place, stage, promotable.version.model, promotable.record)
    return _propose_case(place, case)


def propose_rollback(
    workspace: Workspace,
    model: str,
    stage: str,
    *,
    to: str | None = None,
    dry_run: bool = False,
    push: bool | None = None,
    why: str | None = None,
) -> ProposedPromotion:
    """Propose that a stage go back to the version it ran before, or to one of those before that."""
    # The ladder and the gates do not hold a rollback up: the version passed them when it came.
    place = find_promotion_place(workspace, push, dry_run, why)
    known_model = registry.known_model(place.repository, model)
    asked_version = VersionNumber.parse(to) if to else None
    if to and asked_version is None:
        raise UsageError(f"`{to}` is no version", hint="write --to v1.0.0")
    case = _gather_case(place, stage, model, None)
    rejected = {v.version for v in known_model.versions if v.rejected is not None}
    try:
        number = find_rollback_target(case, rejected, asked_version)
    except UsageError as nowhere:
        if case.unproved is None:
            raise
        raise UsageError(*nowhere.faults, Fault(case.unproved, hint=ASK_FORGE)) from nowhere
    target = promotion_rules.find_promotable_version(place.repository, f"{model}@{number}")
    return _propose_case(place, replace(case, candidate=target.record, back=True))


def propose_demotion(
    workspace: Workspace,
    model: str,
    stage: str,
    *,
    dry_run: bool = False,
    push: bool | None = None,
    why: str | None = None,
) -> ProposedPromotion:
    """Propose that a model leave a stage."""
    place = find_promotion_place(workspace, push, dry_run, why)
    stage_files = registry.read_stage_files(place.repository, place.base)
    if stage_files.find_stage_file(stage, model) is None:
        registry.known_model(place.repository, model)  # else main knows it, be its tags lost
    return _propose_case(place, _gather_case(place, stage, model, None))


def _gather_case(
    place: PromotionPlace, stage: str, model: str, candidate: VersionRecord | None
) -> PromotionCase:
    repository, folder = place.repository, place.workspace.folder
    case = cases.gather_promotion_case(repository, folder, place.base, stage, model, candidate)
    return promotion_rules.count_approved(repository, case, place.forge)


def _propose_case(place: PromotionPlace, case: PromotionCase) -> ProposedPromotion:
    # The cheap and the certain first: no store is opened, and none of the project's code run,
    # for what would be refused anyway, or by rules that nobody agreed to.
    ApprovalRule(place.repository, case.base, case.folder, place.forge).refuse_unsound()
    faults = promotion_rules.entry_faults(place.repository, case, place.forge)
    if refusals := [*faults, *promotion_rules.tag_faults(place.repository, case)]:
        raise UsageError(*refusals)
    stored = look_at_bytes(place.workspace, case)
    if stored.faults:
        raise Refused(*stored.faults)
    verdicts = promotion_rules.judge_review_gates(place.workspace, place.repository, case)
    record = None
    if case.candidate_version:  # as the tag's commit has it: the copy on main is the very same
        reference = VersionReference(case.model, case.candidate_version)
        commit = registry.find_version(place.repository, reference).commit
        record = refs.read_content(place.repository, commit, case.file_paths[1])
    proposed = promotion_branch.draft_promotion(case, verdicts, record, place.why)
    unproved = (case.unproved,) if case.unproved and case.candidate_version else ()
    proposed = replace(proposed, unchecked=(*stored.unchecked, *unproved))
    if not proposed.passed:
        raise ReviewGatesRefused(proposed)
    return proposed if place.dry_run else promotion_branch.write_promotion_branch(place, proposed)
