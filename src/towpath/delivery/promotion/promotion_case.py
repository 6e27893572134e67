"""One promotion as it is judged: what enters which stage, over what, and by whose policy."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from towpath import registry
from towpath.backends.git import Repository, refs
from towpath.errors import UsageError, did_you_mean
from towpath.registry import (
    Promotion,
    VersionNumber,
    VersionRecord,
    ownership,
    policy_at_commit,
    stage_files,
    version_record,
)
from towpath.registry.main_decisions import EVIDENCE
from towpath.registry.stage_files import StageFile
from towpath.registry.version_code import CodeNews, find_news
from towpath.registry.version_lookup import read_incumbent

if TYPE_CHECKING:
    from towpath.config.project_declaration import Project, StageDeclaration


@dataclass(frozen=True)
class PromotionCase:
    """A version that is to enter a stage, or a model that is to leave one (``candidate`` None).

    ``base`` is the commit of the main branch whose policy, ``project``, judges; ``incumbent`` is
    what the stage file names there; ``log`` holds the model's promotions up to there. ``back``
    says that the version was in the stage before: a rollback, which no gate may hold up.
    ``folder`` is that of the project that the model is of; ``claims`` says that this promotion is
    the model's first, and writes down whose it is; ``by_hand`` that the stage file as it stands
    was written by no promotion, so that the version that it names may be let in afterwards.
    ``counted`` are those of the log that count, once that was asked; ``unproved`` says which of
    them only a forge could prove, which was not asked. ``code_news`` tells which classes of the
    candidate's model are of its own code, and what is new of that.
    """

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
        """The promotions by which versions were in stages."""
        return self.log if self.counted is None else self.counted

    @property
    def candidate_version(self) -> VersionNumber | None:
        """The candidate's number; None where the model leaves."""
        return self.candidate.version if self.candidate else None

    @property
    def incumbent_version(self) -> VersionNumber | None:
        """The incumbent's number."""
        return self.incumbent.version if self.incumbent else None

    @property
    def rules(self) -> StageDeclaration:
        """What the policy says of the stage."""
        return self.project.stages[self.stage]

    @property
    def stage_below(self) -> str | None:
        """The stage below; None for the lowest."""
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


def promotion_paths(stage: str, model: str, version: VersionNumber | None) -> tuple[str, str, str]:
    """Where the stage file, the record and the evidence of a promotion lie."""
    return (
        stage_files.stage_file_path(stage, model),
        version_record.record_path(model, version),
        f"{EVIDENCE}/{model}/{version}-{stage}.md",
    )


def name_promotion(model: str, version: VersionNumber | None, stage: str) -> str:
    """A promotion by its name, as the ``Promotion:`` trailer of its commits says it."""
    return f"{model}@{version} -> {stage}" if version else f"{model} out of {stage}"


def gather_promotion_case(
    repository: Repository,
    folder: str,
    base: str,
    stage: str,
    model: str,
    candidate: VersionRecord | None,
) -> PromotionCase:
    """Everything that a promotion upon ``base`` is judged by; ``folder`` is the project's.

    Raises ``UsageError`` for a stage that the policy does not know and for a model that is of
    another project, ``RegistryError`` where this clone lacks what the stage runs now.
    """
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
    """Whether the last change of a stage file came without its evidence: no promotion made it,
    but an edit, or the revert of a promotion."""
    last = next((promotion for promotion in reversed(log) if promotion.stage == stage), None)
    if last is None or last.version is None:
        return False
    page = promotion_paths(stage, model, last.version)[2]
    brought = refs.read_content(repository, last.commit, page)
    return brought in (None, refs.read_content(repository, f"{last.commit}^1", page))


def refuse_unknown_stage(stage: str, stages: Iterable[str]) -> None:
    """Raise ``UsageError`` with the near name for a stage that is none of the known ones."""
    names = tuple(dict.fromkeys(stages))
    if stage not in names:
        hint = did_you_mean(stage, names) or f"there is {', '.join(names)}"
        raise UsageError(f"there is no stage `{stage}`", hint=hint)


def find_stage_entries(
    log: tuple[Promotion, ...], stage: str, version: VersionNumber
) -> list[Promotion]:
    """The promotions by which a version entered a stage."""
    return [entry for entry in log if (entry.stage, entry.version) == (stage, version)]


def measure_time_in_stage(
    log: tuple[Promotion, ...], stage: str, version: VersionNumber, now: int
) -> int | None:
    """Seconds that a stage has wanted a version, all its stays together; None if it never did."""
    mine = [promotion for promotion in log if promotion.stage == stage]
    ends = [*(promotion.time for promotion in mine[1:]), now]
    stays = [
        max(0, end - promotion.time)  # a commit's date is its maker's: none is below nothing
        for promotion, end in zip(mine, ends, strict=False)  # one end too many without a stay
        if promotion.version == version
    ]
    return sum(stays) if stays else None
