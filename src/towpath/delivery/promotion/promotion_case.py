"""One promotion as it is judged: what enters which stage, over what, and by whose policy; what may
enter, and to which version a stage goes back."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence, Set
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from towpath import registry
from towpath.backends.git import Repository, refs
from towpath.delivery.promotion.main_line_approvals import ASK_FORGE, ApprovalRule
from towpath.delivery.promotion.promotion_approval import name_promotion, promotion_paths
from towpath.delivery.promotion.rule_changes import NOT_ASKED
from towpath.errors import Fault, StoreError, UsageError, did_you_mean
from towpath.registry import (
    ModelVersion,
    Promotion,
    RecordedVersion,
    VersionNumber,
    VersionRecord,
    VersionReference,
    ownership,
    policy_at_commit,
)
from towpath.registry.main_decisions import MainDecisions
from towpath.registry.stage_files import StageFile
from towpath.registry.version_code import CodeNews, find_news, refuse_off_main
from towpath.registry.version_lookup import read_incumbent
from towpath.scratch import scratch_folder
from towpath.versions import version_origin

if TYPE_CHECKING:
    from towpath.config.project_declaration import Project, StageDeclaration
    from towpath.delivery.gates import GateContext, GateVerdict
    from towpath.delivery.gates.gate_context import TimeBelow
    from towpath.forge import Forge
    from towpath.registry.registry_state import Model
    from towpath.workspace import Workspace


class PromotionCase(Struct, frozen=True):
    """A version that is to enter a stage over the ``incumbent``, or a model that is to leave one
    (``candidate`` None), by the policy ``project`` of the commit ``base`` of main. ``log`` are the
    model's promotions up to there, ``counted`` those of them that count, once that was asked, and
    ``unproved`` says which only a forge could prove, which was not asked. ``back`` says that the
    version was in the stage before: a rollback, which no gate may hold up; ``claims`` that it is
    the model's first, and writes down that the model is the project's in ``folder``; ``by_hand``
    that no promotion wrote the stage file as it stands, so that its version may be let in
    afterwards. ``code_news`` tells which classes of the candidate are of its own code."""

    stage: str
    model: str
    candidate: VersionRecord | None
    incumbent: VersionRecord | None
    base: str
    project: Project
    log: tuple[Promotion, ...]
    back: bool = False
    folder: str = ""
    claims: bool = False
    by_hand: bool = False
    counted: tuple[Promotion, ...] | None = None
    code_news: CodeNews | None = None
    unproved: str | None = None

    @property
    def stays(self) -> tuple[Promotion, ...]:
        return self.log if self.counted is None else self.counted

    @property
    def candidate_version(self) -> VersionNumber | None:
        return self.candidate.version if self.candidate else None

    @property
    def incumbent_version(self) -> VersionNumber | None:
        return self.incumbent.version if self.incumbent else None

    @property
    def rules(self) -> StageDeclaration:
        return self.project.stages[self.stage]

    @property
    def stage_below(self) -> str | None:
        return next(iter(self.project.lower_stages(self.stage)), None)

    @property
    def file_paths(self) -> tuple[str, str, str]:
        """Where the stage file, the record and the evidence lie, from the repository's root."""
        version = self.candidate_version or self.incumbent_version
        return promotion_paths(self.stage, self.model, version)

    @property
    def written_stage_file(self) -> StageFile | None:
        """The stage file that this writes; None where it takes it away."""
        if self.candidate is None or self.candidate.version is None:
            return None
        version, sha256 = self.candidate.version, self.candidate.sha256
        # What it replaces stands in it, so that of two rivals the second conflicts in Git as well.
        return StageFile(self.stage, self.model, version, sha256, self.incumbent_version)

    def __str__(self) -> str:
        return name_promotion(self.model, self.candidate_version, self.stage)


def gather_promotion_case(
    repository: Repository,
    folder: str,
    base: str,
    stage: str,
    model: str,
    candidate: VersionRecord | None,
) -> PromotionCase:
    """Everything that a promotion upon ``base`` is judged by. Raises ``UsageError`` for an unknown
    stage and another project's model, ``RegistryError`` where the incumbent is not here."""
    project = policy_at_commit.read_project_at(repository, base, folder)
    refuse_unknown_stage(stage, project.stages)
    log = registry.read_promotions(repository, base, model=model)
    owners = ownership.read_owners(repository, base)
    claims = owners.is_unclaimed(model) and not log and folder in owners.projects
    if not claims:
        ownership.refuse_other(owners, folder, model)
    version = candidate.version if candidate else None
    stage_file = registry.read_stage_files(repository, base).find_stage_file(stage, model)
    runs = read_incumbent(repository, base, model, stage_file.version) if stage_file else None
    news = find_news(repository, candidate, runs, project.trust) if candidate else None
    return PromotionCase(
        stage=stage,
        model=model,
        candidate=candidate,
        incumbent=runs,
        base=base,
        project=project,
        log=log,
        back=version is not None and bool(find_stage_entries(log, stage, version)),
        folder=folder,
        claims=claims,
        by_hand=_came_by_hand(repository, log, stage, model),
        code_news=news,
    )


def _came_by_hand(
    repository: Repository, log: tuple[Promotion, ...], stage: str, model: str
) -> bool:
    """Whether an edit or a revert, and no promotion, changed the stage file last."""
    last = next((promotion for promotion in reversed(log) if promotion.stage == stage), None)
    if last is None or last.version is None:
        return False
    page = promotion_paths(stage, model, last.version)[2]
    brought = refs.read_content(repository, last.commit, page)
    return brought in (None, refs.read_content(repository, f"{last.commit}^1", page))


def refuse_unknown_stage(stage: str, stages: Iterable[str]) -> None:
    names = tuple(dict.fromkeys(stages))
    if stage not in names:
        hint = did_you_mean(stage, names) or f"there is {', '.join(names)}"
        raise UsageError(f"there is no stage `{stage}`", hint=hint)


def find_stage_entries(
    log: tuple[Promotion, ...], stage: str, version: VersionNumber
) -> list[Promotion]:
    return [entry for entry in log if (entry.stage, entry.version) == (stage, version)]


def sum_time_below(
    stays: Sequence[Promotion], below: str | None, version: VersionNumber | None, now: int
) -> TimeBelow | None:
    """How long a version was in the stage below, by a model's promotions; None if it never was."""
    from towpath.delivery.gates.gate_context import TimeBelow

    mine = [promotion for promotion in stays if promotion.stage == below]
    ends = [*(promotion.time for promotion in mine[1:]), None]
    spans = [
        (promotion.time, end)
        for promotion, end in zip(mine, ends, strict=False)  # one end too many without a stay
        if promotion.version == version
    ]
    if not spans or version is None:
        return None
    # A commit's date is its maker's: no stay is below nothing.
    seconds = sum(max(0, (now if end is None else end) - entered) for entered, end in spans)
    return TimeBelow(seconds, *spans[-1])


def find_promotable_version(repository: Repository, reference: str) -> RecordedVersion:
    """The version that a reference names, if it may be promoted at all. Raises ``UsageError`` for
    one that does not exist, waits for its number, or was rejected."""
    version = registry.find_version(repository, reference)
    if faults := list(standing_faults(version)):
        raise UsageError(*faults)
    return RecordedVersion(version, registry.read_record(repository, version))


def standing_faults(version: ModelVersion) -> Iterator[Fault]:
    if version.rejected is not None:
        hint = f"towpath models {version.model} lists those in good standing"
        yield Fault(f"{version} was rejected: {version.rejected}", hint=hint)
    elif version.version is None:
        yield Fault(f"{version} has no number yet", hint="towpath push gives it one")


def entry_faults(
    repository: Repository, case: PromotionCase, forge: Forge | None = None
) -> Iterator[Fault]:
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
    # It may then be promoted there again, to be approved as it should. Where only a forge could
    # tell that is not asked, it is not said to be short.
    rule = ApprovalRule(repository, case.base, case.folder, forge)
    mine = [entry for entry in rule.log if (entry.stage, entry.model) == (case.stage, case.model)]
    judged = [(rule.judge(entry), rule.find_unproved([entry])) for entry in mine[-1:]]
    return any(entry.backdated or not (entry.is_enough or unproved) for entry, unproved in judged)


def find_rollback_target(
    case: PromotionCase, rejected: Set[VersionNumber | None], asked: VersionNumber | None = None
) -> VersionNumber:
    """The version that a stage ran before the one it runs; ``asked`` names another of those. Raises
    ``UsageError`` where there is nothing to go back to."""
    if case.incumbent_version is None:
        hint = f"towpath history {case.model} --stage {case.stage}"
        raise UsageError(f"{case.stage} runs no {case.model}", hint=hint)
    ran = [stay.version for stay in case.stays if stay.stage == case.stage and stay.version]
    if asked:
        if asked == case.incumbent_version and not case.by_hand:
            raise UsageError(f"{case.stage} runs {case.model}@{asked} already")
        if asked not in ran:
            what = f"{case.stage} never ran {case.model}@{asked}, so that is no rollback"
            enter = f"towpath promote {case.model}@{asked} --to {case.stage}"
            versions = ", ".join(map(str, sorted(set(ran))))
            raise UsageError(what, hint=f"it ran {versions}; {enter}")
        return asked
    if before := find_version_before(ran, {case.incumbent_version, *rejected}):
        return before
    what = f"{case.stage} ran no other version of {case.model} that still stands"
    hint = f"towpath demote {case.model} --stage {case.stage} takes it out"
    raise UsageError(what, hint=hint)


def find_version_before(
    ran: Iterable[VersionNumber], unfit: Set[VersionNumber | None]
) -> VersionNumber | None:
    """The version to which a stage goes back, of those that it ran, the oldest first; None where
    all that are left are ``unfit``: what it runs now, and what was rejected."""
    # Going back takes off what was above, so that going back twice goes two back.
    stack: list[VersionNumber] = []
    for version in ran:
        stack = [*(stack[: stack.index(version)] if version in stack else stack), version]
    return next((version for version in reversed(stack) if version not in unfit), None)


def leave_version(model: Model, stage: str, log: Iterable[Promotion]) -> str:
    """The command by which a stage leaves the version that it should run: back to the one before
    that still stands, or out. ``log`` are main's promotions, oldest first."""
    ran = [p.version for p in log if (p.stage, p.model) == (stage, model.name) and p.version]
    rejected = {entry.version for entry in model.versions if entry.rejected is not None}
    way = "rollback" if find_version_before(ran, {*ran[-1:], *rejected}) else "demote"
    return f"towpath {way} {model.name} --stage {stage}"


def judge_review_gates(
    workspace: Workspace, repository: Repository, case: PromotionCase
) -> tuple[GateVerdict, ...]:
    """What the review gates of a stage say of a promotion; none of a model that leaves."""
    if case.candidate is None or not any(g.when == "review" for g in case.rules.gates.values()):
        return ()
    from towpath.delivery.gates.judge_gates import judge_stage_gates

    def bring_model(record: VersionRecord) -> Path:
        # Verified, from the first store that has it; once, for several gates may open it.
        artifact, name = record.artifact, Path(record.path).name
        path = Path(scratch, "models", artifact.digest, name)
        if not path.exists():
            version_origin.bring_artifact(workspace, case.project, artifact, record.sha256, path)
        return path

    def refuse_data(name: str) -> Path:
        what = f"{name} lies in the stage, which a review does not see"
        raise StoreError(what, hint="when: deploy")

    with scratch_folder() as scratch:
        context = replace(
            context_of_records(repository, case, case.candidate),
            model=bring_model,
            data=refuse_data,
            scratch=Path(scratch),
            kept=workspace.state / "code",
        )
        return judge_stage_gates(context, "review")


def context_of_records(
    repository: Repository, case: PromotionCase, candidate: VersionRecord
) -> GateContext:
    """What is judged of a promotion by records alone: neither a model nor data can be opened."""
    from towpath.delivery import gates

    def refuse_bytes(name: VersionRecord | str) -> Path:
        raise StoreError(f"{name} is not opened to read a promotion")

    now = int(time.time())
    return gates.GateContext(
        stage=case.stage,
        candidate=candidate,
        incumbent=case.incumbent,
        repository=repository,
        base=case.base,
        project=case.project,
        below=sum_time_below(case.stays, case.stage_below, case.candidate_version, now),
        model=refuse_bytes,
        data=refuse_bytes,
        now=now,
        scratch=Path(),
        stage_available=False,
        folder=case.folder,
    )
