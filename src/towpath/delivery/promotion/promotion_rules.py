"""What no gate need be asked about: whether a version stands, has climbed, and is not there yet."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from towpath import registry
from towpath.backends.git import Repository
from towpath.delivery.promotion.approval_rule import ASK, ApprovalRule
from towpath.delivery.promotion.promotion_case import Case, was_in
from towpath.delivery.promotion.rule_changes import NOT_ASKED
from towpath.errors import Fault, UsageError
from towpath.registry import Found, ModelVersion, Reference
from towpath.registry.code_news import refuse_off_main
from towpath.registry.main_decisions import Decisions

if TYPE_CHECKING:
    from towpath.forge import Forge


def promotable(repository: Repository, reference: str) -> Found:
    """The version that a reference names, if it may be promoted at all.

    Raises ``UsageError`` for one that does not exist, waits for its number, or was rejected.
    """
    version = registry.find(repository, reference)
    said = list(standing(version))
    if said:
        raise UsageError(*said)
    return Found(version, registry.read_record(repository, version))


def standing(version: ModelVersion) -> Iterator[Fault]:
    """Why a version cannot be promoted, whatever the stage."""
    if version.rejected is not None:
        hint = f"towpath models {version.model} lists those in good standing"
        yield Fault(f"{version} was rejected: {version.rejected}", hint=hint)
    elif version.version is None:
        yield Fault(f"{version} has no number yet", hint="towpath push gives it one")


def faults(repository: Repository, case: Case, forge: Forge | None = None) -> Iterator[Fault]:
    """Why a version cannot enter this stage now."""
    if case.version is None:
        if case.incumbent is None:
            yield Fault(f"{case.stage} runs no {case.model}", hint="towpath models")
        return
    if case.version == case.replaces:
        if not case.by_hand and not is_short(repository, case, forge):
            yield Fault(f"{case.stage} runs {case.model}@{case.version} already")
    elif missing := rungs(case):
        skipped = f"{case.model}@{case.version} has not been in {' or '.join(missing)}"
        hint = f"towpath promote {case.model}@{case.version} --to {missing[0]}"
        what = f"{skipped}: {case.stage} is entered from {case.lower}"
        if case.unproved:
            what, hint = f"{what}, as far as Git alone proves it; {case.unproved}", ASK
        yield Fault(what, hint=hint)
    if case.candidate and not case.back:
        yield from refuse_off_main(repository, case.candidate, case.project, case.stage, case.base)


def contradictions(repository: Repository, case: Case) -> tuple[Fault, ...]:
    """In what the version is not what main decided upon under its number: its tag was moved, or
    the number was given again."""
    if case.version is None:
        return ()
    version = registry.find(repository, Reference(case.model, case.version))
    return Decisions(repository, case.base, case.log, case.model).contradictions(version)


def unsigned(repository: Repository, case: Case) -> tuple[Fault, ...]:
    """Why the version's tag does not count, where the policy wants each signed."""
    if case.version is None:
        return ()
    version = registry.find(repository, Reference(case.model, case.version))
    return ApprovalRule(repository, case.base, case.folder).version_faults(version)


def rungs(case: Case) -> tuple[str, ...]:
    """The stages below that a version has left out, the lowest first; none for what was here."""
    if not case.project.policy.ladder or case.back or case.version is None:
        return ()
    names = list(case.project.stages)
    missing: list[str] = []
    for stage in reversed(names[: names.index(case.stage)]):
        if was_in(case.stays, stage, case.version):
            break
        missing.insert(0, stage)
    return tuple(missing)


def count_approved(repository: Repository, case: Case, forge: Forge | None) -> Case:
    """The same with the promotions that count: what nobody approved was never in a stage, so that
    no version climbs over it, and none comes back to it."""
    rule = ApprovalRule(repository, case.base, case.folder, forge)
    counted = rule.counted(case.model)
    mine = [one for one in rule.log if one.model == case.model]
    unproved = rule.unproved(one for one in mine if case.version in (None, one.version))
    back = case.version is not None and bool(was_in(counted, case.stage, case.version))
    words = None
    if unproved:
        named = ", ".join(f"{one} ({one.commit[:7]})" for one in unproved[:3])
        words = f"whether {named} was approved could not be asked: {NOT_ASKED}"
    return replace(case, counted=counted, back=back, unproved=words)


def is_short(repository: Repository, case: Case, forge: Forge | None = None) -> bool:
    """Whether what a stage runs was approved at less than the rules ask for: it may then be
    promoted there again, to be approved as it should. Where only a forge could tell that is not
    asked, it is not said to be short."""
    rule = ApprovalRule(repository, case.base, case.folder, forge)
    mine = [one for one in rule.log if (one.stage, one.model) == (case.stage, case.model)]
    judged = [(rule.judge(one), rule.unproved([one])) for one in mine[-1:]]
    return any(one.backdated or not (one.is_enough or unproved) for one, unproved in judged)
