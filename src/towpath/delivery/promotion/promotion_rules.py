"""What may enter a stage: a version that stands, has climbed, and passes the review gates; and to
which one a stage goes back."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Set
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from towpath import registry
from towpath.backends.git import Repository
from towpath.delivery.promotion.main_line_approvals import ASK_FORGE, ApprovalRule
from towpath.delivery.promotion.promotion_case import (
    PromotionCase,
    find_stage_entries,
    measure_time_in_stage,
)
from towpath.delivery.promotion.rule_changes import NOT_ASKED
from towpath.errors import Fault, StoreError, UsageError
from towpath.registry import (
    ModelVersion,
    Promotion,
    RecordedVersion,
    VersionNumber,
    VersionRecord,
    VersionReference,
)
from towpath.registry.main_decisions import MainDecisions
from towpath.registry.version_code import refuse_off_main
from towpath.scratch import scratch_folder
from towpath.versions import version_origin

if TYPE_CHECKING:
    from towpath.delivery.gates import GateVerdict
    from towpath.forge import Forge
    from towpath.registry.registry_state import Model
    from towpath.workspace import Workspace


def find_promotable_version(repository: Repository, reference: str) -> RecordedVersion:
    """The version that a reference names, if it may be promoted at all.

    Raises ``UsageError`` for one that does not exist, waits for its number, or was rejected.
    """
    version = registry.find_version(repository, reference)
    if faults := list(standing_faults(version)):
        raise UsageError(*faults)
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
        if not case.by_hand and not _is_short(repository, case, forge):
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


def tag_faults(repository: Repository, case: PromotionCase) -> Iterator[Fault]:
    """Why the version's tag does not count: it is not what main decided upon under its number (it
    was moved, or the number given again), or is unsigned where the policy wants each signed."""
    if case.candidate_version is None:
        return
    reference = VersionReference(case.model, case.candidate_version)
    version = registry.find_version(repository, reference)
    decisions = MainDecisions(repository, case.base, case.log, case.model)
    yield from decisions.find_contradictions(version)
    yield from ApprovalRule(repository, case.base, case.folder).version_faults(version)


def find_missing_rungs(case: PromotionCase) -> tuple[str, ...]:
    """The stages below that a version has left out, the lowest first; none for what was here."""
    if not case.project.policy.ladder or case.back or case.candidate_version is None:
        return ()
    missing: list[str] = []
    for stage in case.project.lower_stages(case.stage):
        if find_stage_entries(case.stays, stage, case.candidate_version):
            break
        missing.insert(0, stage)
    return tuple(missing)


def count_approved(
    repository: Repository, case: PromotionCase, forge: Forge | None
) -> PromotionCase:
    """The same with the promotions that count."""
    # What nobody approved was never in a stage, so that no version climbs over it, and none comes
    # back to it.
    rule = ApprovalRule(repository, case.base, case.folder, forge)
    counted = rule.find_counted(case.model)
    mine = [promotion for promotion in rule.log if promotion.model == case.model]
    unproved = rule.find_unproved(
        promotion for promotion in mine if case.candidate_version in (None, promotion.version)
    )
    version = case.candidate_version
    back = version is not None and bool(find_stage_entries(counted, case.stage, version))
    words = None
    if unproved:
        named = ", ".join(f"{promotion} ({promotion.commit[:7]})" for promotion in unproved[:3])
        words = f"whether {named} was approved could not be asked: {NOT_ASKED}"
    return replace(case, counted=counted, back=back, unproved=words)


def _is_short(repository: Repository, case: PromotionCase, forge: Forge | None) -> bool:
    """Whether what a stage runs was approved at less than the rules ask for."""
    # It may then be promoted there again, to be approved as it should. Where only a forge could
    # tell that is not asked, it is not said to be short.
    rule = ApprovalRule(repository, case.base, case.folder, forge)
    mine = [entry for entry in rule.log if (entry.stage, entry.model) == (case.stage, case.model)]
    judged = [(rule.judge(entry), rule.find_unproved([entry])) for entry in mine[-1:]]
    return any(entry.backdated or not (entry.is_enough or unproved) for entry, unproved in judged)


def find_rollback_target(
    case: PromotionCase, rejected: Set[VersionNumber | None], asked: VersionNumber | None = None
) -> VersionNumber:
    """The version that a stage ran before the one it runs; ``asked`` names another of those.

    Raises ``UsageError`` where there is nothing to go back to.
    """
    if case.incumbent_version is None:
        hint = f"towpath history {case.model} --stage {case.stage}"
        raise UsageError(f"{case.stage} runs no {case.model}", hint=hint)
    if asked:
        return _check_asked_version(case, asked)
    # Going back takes off what was above, so that going back twice goes two back.
    unfit = {case.incumbent_version, *rejected}
    ran = _versions_that_ran(case)
    stack = [version for version in _stack_versions(ran) if version not in unfit]
    if stack:
        return stack[-1]
    what = f"{case.stage} ran no other version of {case.model} that still stands"
    hint = f"towpath demote {case.model} --stage {case.stage} takes it out"
    raise UsageError(what, hint=hint)


def leave_version(model: Model, stage: str, log: Iterable[Promotion]) -> str:
    """The command by which a stage leaves the version that it should run: back to the one before
    that still stands, or out. ``log`` are main's promotions, oldest first."""
    ran = [p.version for p in log if (p.stage, p.model) == (stage, model.name) and p.version]
    rejected = {known.version for known in model.versions if known.rejected is not None}
    if any(version not in rejected for version in _stack_versions(ran)[:-1]):
        return f"towpath rollback {model.name} --stage {stage}"
    return f"towpath demote {model.name} --stage {stage}"


def _stack_versions(ran: Iterable[VersionNumber]) -> list[VersionNumber]:
    stack: list[VersionNumber] = []
    for version in ran:
        stack = [*(stack[: stack.index(version)] if version in stack else stack), version]
    return stack


def _versions_that_ran(case: PromotionCase) -> list[VersionNumber]:
    return [stay.version for stay in case.stays if stay.stage == case.stage and stay.version]


def _check_asked_version(case: PromotionCase, asked: VersionNumber) -> VersionNumber:
    ran = sorted(set(_versions_that_ran(case)))
    if asked == case.incumbent_version and not case.by_hand:
        raise UsageError(f"{case.stage} runs {case.model}@{asked} already")
    if asked not in ran:
        what = f"{case.stage} never ran {case.model}@{asked}, so that is no rollback"
        enter = f"towpath promote {case.model}@{asked} --to {case.stage}"
        raise UsageError(what, hint=f"it ran {', '.join(map(str, ran))}; {enter}")
    return asked


def judge_review_gates(
    workspace: Workspace, repository: Repository, case: PromotionCase
) -> tuple[GateVerdict, ...]:
    """What the review gates of a stage say of a promotion; none of a model that leaves."""
    if case.candidate is None or not any(g.when == "review" for g in case.rules.gates.values()):
        return ()
    from towpath.delivery import gates

    def bring_model(record: VersionRecord) -> Path:
        # Verified, from the first store that has it; once, for several gates may open it.
        path = Path(scratch, "models", record.artifact.digest, Path(record.path).name)
        if not path.exists():
            version_origin.bring_version(workspace, case.project, record, path)
        return path

    def refuse_data(name: str) -> Path:
        what = f"{name} lies in the stage, which a review does not see"
        raise StoreError(what, hint="when: deploy")

    now = int(time.time())
    with scratch_folder() as scratch:
        context = gates.GateContext(
            stage=case.stage,
            candidate=case.candidate,
            incumbent=case.incumbent,
            repository=repository,
            base=case.base,
            project=case.project,
            lower_since=lower_since(case, now),
            model=bring_model,
            data=refuse_data,
            now=now,
            scratch=Path(scratch),
            stage_available=False,
            kept=workspace.state / "code",
            folder=case.folder,
        )
        return gates.judge_stage_gates(context, "review")


def lower_since(case: PromotionCase, now: int) -> int | None:
    """Since when a version has been in the stage below, its stays there put together."""
    if case.stage_below is None or case.candidate_version is None:
        return None
    spent = measure_time_in_stage(case.stays, case.stage_below, case.candidate_version, now)
    return None if spent is None else now - spent
