"""What no gate need be asked about: whether a version stands, has climbed, and is not there yet."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from towpath import registry
from towpath.backends.git import Repository
from towpath.delivery.promotion.approval_rule import ASK_FORGE, ApprovalRule
from towpath.delivery.promotion.promotion_case import PromotionCase, find_stage_entries
from towpath.delivery.promotion.rule_changes import NOT_ASKED
from towpath.errors import Fault, UsageError
from towpath.registry import ModelVersion, RecordedVersion, VersionReference
from towpath.registry.main_decisions import MainDecisions
from towpath.registry.version_code import refuse_off_main

if TYPE_CHECKING:
    from towpath.forge import Forge


def find_promotable_version(repository: Repository, reference: str) -> RecordedVersion:
    """The version that a reference names, if it may be promoted at all.

    Raises ``UsageError`` for one that does not exist, waits for its number, or was rejected.
    """
    version = registry.find_version(repository, reference)
    faults_found = list(standing_faults(version))
    if faults_found:
        raise UsageError(*faults_found)
    return RecordedVersion(version, registry.read_record(repository, version))


def standing_faults(version: ModelVersion) -> Iterator[Fault]:
    """Why a version cannot be promoted, whatever the stage."""
    if version.rejected is not None:
        hint = f"towpath models {version.model} lists those in good standing"
        yield Fault(f"{version} was rejected: {version.rejected}", hint=hint)
    elif version.version is None:
        yield Fault(f"{version} has no number yet", hint="towpath push gives it one")


def entry_faults(
    repository: Repository, case: PromotionCase, forge: Forge | None = None
) -> Iterator[Fault]:
    """Why a version cannot enter this stage now."""
    if case.candidate_version is None:
        if case.incumbent is None:
            yield Fault(f"{case.stage} runs no {case.model}", hint="towpath models")
        return
    if case.candidate_version == case.incumbent_version:
        if not case.by_hand and not is_short(repository, case, forge):
            yield Fault(f"{case.stage} runs {case.model}@{case.candidate_version} already")
    elif missing := find_missing_rungs(case):
        skipped = f"{case.model}@{case.candidate_version} has not been in {' or '.join(missing)}"
        hint = f"towpath promote {case.model}@{case.candidate_version} --to {missing[0]}"
        what = f"{skipped}: {case.stage} is entered from {case.stage_below}"
        if case.unproved:
            what, hint = f"{what}, as far as Git alone proves it; {case.unproved}", ASK_FORGE
        yield Fault(what, hint=hint)
    if case.candidate and not case.back:
        yield from refuse_off_main(repository, case.candidate, case.project, case.stage, case.base)


def contradiction_faults(repository: Repository, case: PromotionCase) -> tuple[Fault, ...]:
    """In what the version is not what main decided upon under its number: its tag was moved, or
    the number was given again."""
    if case.candidate_version is None:
        return ()
    version = registry.find_version(
        repository, VersionReference(case.model, case.candidate_version)
    )
    return MainDecisions(repository, case.base, case.log, case.model).find_contradictions(version)


def unsigned_tag_faults(repository: Repository, case: PromotionCase) -> tuple[Fault, ...]:
    """Why the version's tag does not count, where the policy wants each signed."""
    if case.candidate_version is None:
        return ()
    version = registry.find_version(
        repository, VersionReference(case.model, case.candidate_version)
    )
    return ApprovalRule(repository, case.base, case.folder).version_faults(version)


def find_missing_rungs(case: PromotionCase) -> tuple[str, ...]:
    """The stages below that a version has left out, the lowest first; none for what was here."""
    if not case.project.policy.ladder or case.back or case.candidate_version is None:
        return ()
    names = list(case.project.stages)
    missing: list[str] = []
    for stage in reversed(names[: names.index(case.stage)]):
        if find_stage_entries(case.stays, stage, case.candidate_version):
            break
        missing.insert(0, stage)
    return tuple(missing)


def count_approved(
    repository: Repository, case: PromotionCase, forge: Forge | None
) -> PromotionCase:
    """The same with the promotions that count: what nobody approved was never in a stage, so that
    no version climbs over it, and none comes back to it."""
    rule = ApprovalRule(repository, case.base, case.folder, forge)
    counted = rule.find_counted(case.model)
    mine = [promotion for promotion in rule.log if promotion.model == case.model]
    unproved = rule.find_unproved(
        promotion for promotion in mine if case.candidate_version in (None, promotion.version)
    )
    back = case.candidate_version is not None and bool(
        find_stage_entries(counted, case.stage, case.candidate_version)
    )
    words = None
    if unproved:
        named = ", ".join(f"{promotion} ({promotion.commit[:7]})" for promotion in unproved[:3])
        words = f"whether {named} was approved could not be asked: {NOT_ASKED}"
    return replace(case, counted=counted, back=back, unproved=words)


def is_short(repository: Repository, case: PromotionCase, forge: Forge | None = None) -> bool:
    """Whether what a stage runs was approved at less than the rules ask for: it may then be
    promoted there again, to be approved as it should. Where only a forge could tell that is not
    asked, it is not said to be short."""
    rule = ApprovalRule(repository, case.base, case.folder, forge)
    mine = [entry for entry in rule.log if (entry.stage, entry.model) == (case.stage, case.model)]
    judged = [(rule.judge(entry), rule.find_unproved([entry])) for entry in mine[-1:]]
    return any(entry.backdated or not (entry.is_enough or unproved) for entry, unproved in judged)
