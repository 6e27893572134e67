"""Proposing: that a version enter a stage, that a stage go back, that a model leave one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from towpath import registry
from towpath.backends.git import Repository, refs
from towpath.delivery.promotion import promotion_branch, promotion_gates, promotion_rules, proposal
from towpath.delivery.promotion import promotion_case as cases
from towpath.delivery.promotion.approval_rule import ASK, ApprovalRule
from towpath.delivery.promotion.promotion_case import Case
from towpath.delivery.promotion.promotion_place import Place, find
from towpath.delivery.promotion.proposal import GatesRefused, Proposed
from towpath.delivery.promotion.rollback_target import before
from towpath.delivery.promotion.stored_bytes import look_at_bytes
from towpath.errors import Fault, Refused, UsageError
from towpath.registry import Record, Reference, Version, version_record

if TYPE_CHECKING:
    from towpath.workspace import Workspace


def promote(
    workspace: Workspace,
    reference: str,
    stage: str,
    *,
    dry_run: bool = False,
    push: bool | None = None,
    why: str | None = None,
) -> Proposed:
    """Propose that a version enter a stage: a branch, and where there is a forge a pull request.

    ``push`` is by default whether there is a forge to open a pull request at. Raises
    ``UsageError`` for what cannot be promoted (unknown, rejected, a rung skipped, there already),
    ``GatesRefused`` where a review gate says no; then nothing is written.
    """
    place = find(workspace, push, dry_run, why)
    found = promotion_rules.promotable(place.repository, reference)
    return _propose(place, _case(place, stage, found.version.model, found.record))


def rollback(
    workspace: Workspace,
    model: str,
    stage: str,
    *,
    to: str | None = None,
    dry_run: bool = False,
    push: bool | None = None,
    why: str | None = None,
) -> Proposed:
    """Propose that a stage go back to the version it ran before, or to one of those before that.

    The ladder and the gates do not hold a rollback up: the version passed them when it came.
    """
    place = find(workspace, push, dry_run, why)
    known = registry.known_model(place.repository, model)
    asked = Version.parse(to) if to else None
    if to and asked is None:
        raise UsageError(f"`{to}` is no version", hint="write --to v1.0.0")
    now = _case(place, stage, model, None)
    rejected = {v.version for v in known.versions if v.rejected is not None}
    try:
        number = before(now, rejected, asked)
    except UsageError as nowhere:
        if now.unproved is None:
            raise
        raise UsageError(*nowhere.faults, Fault(now.unproved, hint=ASK)) from nowhere
    found = promotion_rules.promotable(place.repository, f"{model}@{number}")
    return _propose(place, replace(now, candidate=found.record, back=True))


def demote(
    workspace: Workspace,
    model: str,
    stage: str,
    *,
    dry_run: bool = False,
    push: bool | None = None,
    why: str | None = None,
) -> Proposed:
    """Propose that a model leave a stage."""
    place = find(workspace, push, dry_run, why)
    if registry.stages(place.repository, place.base).at(stage, model) is None:
        registry.known_model(place.repository, model)  # else main knows it, be its tags lost
    return _propose(place, _case(place, stage, model, None))


def _case(place: Place, stage: str, model: str, candidate: Record | None) -> Case:
    folder = place.workspace.folder
    case = cases.gather(place.repository, folder, place.base, stage, model, candidate)
    return promotion_rules.count_approved(place.repository, case, place.forge)


def _propose(place: Place, case: Case) -> Proposed:
    ApprovalRule(place.repository, case.base, case.folder, place.forge).refuse_unsound()
    faults = promotion_rules.faults(place.repository, case, place.forge)
    contradictions = promotion_rules.contradictions(place.repository, case)
    unsigned = promotion_rules.unsigned(place.repository, case)
    if said := [*faults, *contradictions, *unsigned]:
        raise UsageError(*said)
    stored = look_at_bytes(place.workspace, case)
    if stored.faults:
        raise Refused(*stored.faults)
    verdicts = promotion_gates.judge(place.workspace, place.repository, case)
    made = proposal.draft(case, verdicts, recorded(place.repository, case), place.why)
    unproved = (case.unproved,) if case.unproved and case.version else ()
    made = replace(made, unchecked=(*stored.unchecked, *unproved))
    if not made.passed:
        raise GatesRefused(made)
    return made if place.dry_run else promotion_branch.write(place, made)


def recorded(repository: Repository, case: Case) -> bytes | None:
    """The record's bytes as the tag's commit has them: the copy on main is the very same."""
    if case.version is None:
        return None
    version = registry.find(repository, Reference(case.model, case.version))
    name = f"{version.commit}:{version_record.place(case.model, case.version)}"
    return refs.contents(repository, [name])[name]
