"""The promotion check: what CI asks of a pull request, and what a merge asks before it is made."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from towpath import registry
from towpath.backends.git import Repository, commit_history, main_branch, refs
from towpath.backends.git.commit_history import FileChange
from towpath.delivery.promotion import commit_approvers, evidence, promotion_rules
from towpath.delivery.promotion import promotion_case as cases
from towpath.delivery.promotion.approval import UNSIGNED, allows_self_approval, least_level
from towpath.delivery.promotion.approval_rule import ASK_FORGE, ApprovalRule
from towpath.delivery.promotion.promotion_branch import gate_failures
from towpath.delivery.promotion.promotion_case import PromotionCase
from towpath.delivery.promotion.rulebook import is_note, is_rule
from towpath.delivery.promotion.rules_in_force import connect_forge_if_let_in
from towpath.delivery.promotion.stored_bytes import look_at_bytes
from towpath.errors import Fault, Place, TowpathError, UsageError, did_you_mean
from towpath.registry import (
    RecordedVersion,
    VersionReference,
    policy_at_commit,
    stage_files,
    version_record,
)
from towpath.registry.main_decisions import EVIDENCE
from towpath.registry.ownership import (
    Owners,
    claim_path,
    claimed_model,
    read_claim,
    read_owners,
    write_claim,
)
from towpath.registry.stage_files import FOLDER, StageFile

if TYPE_CHECKING:
    from towpath.config.project_declaration import Project
    from towpath.delivery.gates import GateVerdict
    from towpath.forge import Forge
    from towpath.workspace import Workspace


KEPT = ("registry/models/", f"{EVIDENCE}/", f"{FOLDER}/")
MOST_NAMED = 5
ONE_OR_OTHER = "a pull request holds a promotion or code, not both: make two of them"


@dataclass(frozen=True)
class InspectedBranch:
    """What a branch would change on the main branch, and all that is wrong with it.

    ``cases`` is empty where it is no promotion; ``base`` is main's head, ``start`` the commit
    where the branch left main.
    """

    base: str
    start: str
    head: str
    cases: tuple[PromotionCase, ...] = ()
    faults: tuple[Fault, ...] = ()


@dataclass(frozen=True)
class _Branch:
    """A branch while it is looked at."""

    repository: Repository
    folder: str
    base: str
    start: str
    head: str
    changes: tuple[FileChange, ...]
    forge: Forge | None = None

    @cached_property
    def project(self) -> Project:
        """The policy that judges; a change of code, which may mend it, needs none."""
        return policy_at_commit.read_project_at(self.repository, self.base, self.folder)

    @cached_property
    def model_owners(self) -> Owners:
        """Whose each model is, by main."""
        return read_owners(self.repository, self.base)

    def project_of(self, model: str) -> str:
        """The folder of the project whose policy judges a model's promotion: whose it is by main,
        or, for a model that is nobody's yet, that which the promotion claims it for."""
        owner = self.model_owners.project_of(model)
        if owner is None and self.model_owners.is_unclaimed(model):
            claim = read_claim(model, self.text(self.head, claim_path(model)) or "")
            return claim if isinstance(claim, str) else self.folder
        return self.folder if owner is None else owner

    def text(self, commit: str, path: str) -> str | None:
        name = f"{commit}:{path}"
        content = refs.read_contents(self.repository, [name]).get(name)
        return None if content is None else content.decode("utf-8", "replace")

    def read_bytes(self, commit: str, path: str) -> bytes | None:
        name = f"{commit}:{path}"
        return refs.read_contents(self.repository, [name]).get(name)


def inspect_branch(
    repository: Repository, folder: str, base: str, head: str, forge: Forge | None = None
) -> InspectedBranch:
    """Everything about the change from the main branch's ``base`` to ``head``, but its gates.

    ``folder`` is the project's, from the Git root. The policy is that of ``base``, so that no
    branch is judged by rules that it brings along. ``forge`` is asked who approved what the
    version climbed over.
    """
    start = commit_history.merge_base(repository, base, head)
    if start is None:
        raise UsageError(f"{head[:7]} has nothing in common with {base[:7]}")
    changes = commit_history.changed_files(repository, start, head)
    branch = _Branch(repository, folder, base, start, head, changes, forge)
    touched = [change for change in changes if stage_files.parse_stage_file_path(change.path)]
    faults = list(_stranger_faults(branch, touched))
    looked = [_inspect_stage_file(branch, change) for change in touched]
    promotion_cases = tuple(outcome for outcome in looked if isinstance(outcome, PromotionCase))
    faults += [
        fault for outcome in looked if not isinstance(outcome, PromotionCase) for fault in outcome
    ]
    faults += [fault for outcome in promotion_cases for fault in _case_faults(branch, outcome)]
    return InspectedBranch(
        base, start, head, promotion_cases, tuple(dict.fromkeys(map(_printable_fault, faults)))
    )


def _printable_fault(fault: Fault) -> Fault:
    """A fault on one line: what a branch brings along is printed in CI's log, which obeys lines
    that begin in its own way."""
    place = fault.place and replace(fault.place, file=_one_line(fault.place.file))
    return Fault(_one_line(fault.what), place, fault.hint and _one_line(fault.hint))


def _one_line(text: str) -> str:
    return "".join(char if char.isprintable() else "�" for char in text)


def _stranger_faults(branch: _Branch, touched: Sequence[FileChange]) -> Iterator[Fault]:
    """Files that do not belong to the promotion, or to any."""
    own = {path for change in touched for path in _allowed_paths(branch, change)}
    strangers = [c for c in branch.changes if c.path not in own and not c.keeps_folder]
    others = [change.path for change in strangers]
    yield from (
        Fault("this is no plain file", Place(change.path))
        for change in branch.changes
        if change.path in own and change.new and change.mode != commit_history.PLAIN
    )
    if not touched:
        others = [p for p in others if p.startswith(KEPT) and claimed_model(p) is None]
        if others:
            hint = "towpath promote writes them; main keeps what was decided as it was"
            yield Fault(f"only a promotion changes {_name_paths(others)}", hint=hint)
        return
    judged_by = [path for path in others if is_rule(path) and not is_note(path)]
    if judged_by:
        what = f"this promotion changes {_name_paths(judged_by)}, by which it is judged"
        yield Fault(what, hint="merge the change of the rules first, and promote then")
    if rest := [path for path in others if path not in judged_by]:
        yield Fault(f"this promotion also changes {_name_paths(rest)}", hint=ONE_OR_OTHER)


def _allowed_paths(branch: _Branch, change: FileChange) -> tuple[str, ...]:
    """The files that the promotion in one stage file may touch."""
    place = stage_files.parse_stage_file_path(change.path)
    assert place
    commit = branch.head if change.new else branch.start
    read = stage_files.parse_stage_file(change.path, branch.text(commit, change.path) or "")
    if isinstance(read, Fault):
        return (change.path,)
    files = cases.promotion_paths(place[0], place[1], read.version)
    if not change.new:
        return (files[0], files[2])
    return (*files, claim_path(place[1])) if branch.model_owners.is_unclaimed(place[1]) else files


def _inspect_stage_file(branch: _Branch, change: FileChange) -> PromotionCase | tuple[Fault, ...]:
    """The promotion in one stage file, or why it is none."""
    stage, model = stage_files.parse_stage_file_path(change.path) or ("", "")
    folder = branch.project_of(model)
    project = policy_at_commit.read_project_at(branch.repository, branch.base, folder)
    if stage not in project.stages:
        hint = did_you_mean(stage, project.stages)
        return (Fault(f"there is no stage `{stage}`", Place(change.path), hint),)
    read = stage_files.parse_stage_file(change.path, branch.text(branch.head, change.path) or "")
    if change.new and isinstance(read, Fault):
        return (read,)
    try:
        candidate = (
            _find_candidate(branch, read) if isinstance(read, StageFile) and change.new else None
        )
        case = cases.gather_promotion_case(
            branch.repository,
            folder,
            branch.base,
            stage,
            model,
            candidate.record if candidate else None,
        )
    except TowpathError as error:
        place = Place(change.path)
        return tuple(replace(fault, place=fault.place or place) for fault in error.faults)
    return promotion_rules.count_approved(branch.repository, case, branch.forge)


def _find_candidate(branch: _Branch, read: StageFile) -> RecordedVersion:
    candidate = registry.get_version(branch.repository, VersionReference(read.model, read.version))
    if standing := list(promotion_rules.standing_faults(candidate.version)):
        raise UsageError(*standing)
    return candidate


def _case_faults(branch: _Branch, case: PromotionCase) -> Iterator[Fault]:
    """What is wrong with one promotion: its rungs, its three files, a rival that was quicker."""
    place = Place(case.file_paths[0])
    amiss = promotion_rules.entry_faults(branch.repository, case, branch.forge)
    yield from (replace(fault, place=place) for fault in amiss)
    yield from _rival_faults(branch, case)
    yield from _evidence_faults(branch, case)
    yield from _claim_faults(branch, case)
    yield from promotion_rules.contradiction_faults(branch.repository, case)
    yield from promotion_rules.unsigned_tag_faults(branch.repository, case)
    if case.candidate is None:
        return
    read = stage_files.parse_stage_file(place.file, branch.text(branch.head, place.file) or "")
    if isinstance(read, StageFile) and read.sha256 != case.candidate.sha256:
        what = f"`sha256` is {read.sha256[:12]}…, and {case.model}@{case.candidate_version} is"
        yield Fault(f"{what} {case.candidate.sha256[:12]}…", place, "towpath promote writes it")
    yield from _record_faults(branch, case)


def _rival_faults(branch: _Branch, case: PromotionCase) -> Iterator[Fault]:
    """Another promotion reached main since the branch was made."""
    stage_file_path = case.file_paths[0]
    text = branch.text(branch.head if case.candidate else branch.start, stage_file_path)
    read = stage_files.parse_stage_file(stage_file_path, text or "")
    if isinstance(read, Fault):
        return
    assumed = read.replaces if case.candidate else read.version
    if assumed != case.incumbent_version and case.candidate_version != case.incumbent_version:
        running = (
            f"runs {case.model}@{case.incumbent_version}"
            if case.incumbent_version
            else f"runs no {case.model}"
        )
        assumption = f"this replaces {assumed or 'none'}"
        hint = "another promotion was quicker: reject this one, and promote again"
        yield Fault(
            f"{case.stage} {running} by now, and {assumption}", Place(stage_file_path), hint
        )


def _record_faults(branch: _Branch, case: PromotionCase) -> Iterator[Fault]:
    """The record on main proves what was promoted."""
    record_file = case.file_paths[1]
    version = registry.find_version(
        branch.repository, VersionReference(case.model, case.candidate_version)
    )
    tagged = branch.read_bytes(
        version.commit, version_record.record_path(case.model, case.candidate_version)
    )
    kept = branch.read_bytes(branch.head, record_file)
    if kept is None:
        yield Fault("the version's record is missing", Place(record_file), "towpath promote")
    elif kept != tagged:
        what = (
            f"this is not the record that {case.model}@{case.candidate_version} was registered with"
        )
        yield Fault(what, Place(record_file), "towpath promote copies it from the version's tag")


def _evidence_faults(branch: _Branch, case: PromotionCase) -> Iterator[Fault]:
    """The page that is kept with the decision is the one that Towpath writes of it."""
    page = case.file_paths[2]
    if page not in {change.path for change in branch.changes if change.new}:
        yield Fault("the evidence is missing", Place(page), "towpath promote writes it")
    elif not evidence.is_evidence_of(branch.text(branch.head, page) or "", case):
        what = "this is not the evidence as it is now: it was edited, or main has changed since"
        asking = f"; {case.unproved}, so it may be right: {ASK_FORGE}" if case.unproved else ""
        yield Fault(what, Place(page), f"reject this promotion, and promote again{asking}")


def _claim_faults(branch: _Branch, case: PromotionCase) -> Iterator[Fault]:
    """The first promotion of a model says whose it is, where more than one may be meant."""
    path = claim_path(case.model)
    if case.claims and branch.read_bytes(branch.head, path) != write_claim(case.folder):
        what = f"the first promotion of {case.model} says whose it is, and this does not"
        yield Fault(what, Place(path), "towpath promote writes it")


def _name_paths(paths: Sequence[str]) -> str:
    more = len(paths) - MOST_NAMED
    return ", ".join([*paths[:MOST_NAMED], *([f"and {more} more"] if more > 0 else [])])


@dataclass(frozen=True)
class JudgedPromotion:
    """One promotion of a branch, with what the review gates say of it."""

    case: PromotionCase
    verdicts: tuple[GateVerdict, ...]

    @property
    def passed(self) -> bool:
        """Whether no gate holds it up; none holds up a rollback."""
        return self.case.back or all(verdict.passed for verdict in self.verdicts)

    @property
    def current_evidence(self) -> str:
        """The evidence as it is now, whatever the branch says it is."""
        return evidence.write_evidence(self.case, self.verdicts)


@dataclass(frozen=True)
class CheckedBranch:
    """What a branch is: a promotion or several, or none; and why it may not be merged."""

    inspected: InspectedBranch
    judged: tuple[JudgedPromotion, ...]
    unsound: tuple[Fault, ...] = ()
    """What is wrong with the rules of the main branch, with who made the promotion, or with the
    version's bytes."""
    unchecked: tuple[str, ...] = ()
    """What could not be looked at, and why: bytes, and who approved what it rests on."""
    unasked: tuple[Fault, ...] = ()
    """Rules of which it is not known whether they are in force: no gate of theirs was judged."""

    @property
    def is_promotion(self) -> bool:
        """Whether it changes any stage file."""
        return bool(self.judged) or bool(self.inspected.faults)

    @property
    def faults(self) -> tuple[Fault, ...]:
        """Why it may not be merged, all of it."""
        return (*self.inspected.faults, *self.unsound, *self._gate_failures())

    def _gate_failures(self) -> Iterator[Fault]:
        for promotion in self.judged:
            if not promotion.passed:
                yield from gate_failures(promotion.case, promotion.verdicts)


def check_promotion_branch(
    workspace: Workspace, base: str | None = None, head: str | None = None
) -> CheckedBranch:
    """Look at the change from ``base`` (default: the main branch) to ``head`` (default: the head).

    Policy, gates and owners are those of ``base``. Nothing is written.
    """
    repository = workspace.registry
    start = _find_commit(repository, base) if base else main_branch.main_commit(repository)
    end = _find_commit(repository, head or "HEAD")
    if start is None:
        raise UsageError("nothing is committed yet", hint="git add . && git commit")
    return check_promotion_commits(
        workspace, repository, start, end, connect_forge_if_let_in(workspace, start)
    )


def check_promotion_commits(
    workspace: Workspace,
    repository: Repository,
    base: str,
    head: str,
    forge: Forge | None = None,
) -> CheckedBranch:
    """The same of two commits of the registry's repository.

    Where it is not known that the rules were agreed to by which a case is judged, none of its
    gates is judged and no store is opened.
    """
    inspected = inspect_branch(repository, workspace.folder, base, head, forge)
    judged: list[JudgedPromotion] = []
    unsound: list[Fault] = []
    unasked: list[Fault] = []
    unchecked: list[str] = []
    for case in inspected.cases:
        rule = ApprovalRule(repository, base, case.folder, forge)
        doubtful = [*rule.unsound_faults(), *rule.unasked_faults()]
        unsound += rule.unsound_faults()
        unasked += rule.unasked_faults()
        unchecked += [case.unproved] if case.unproved else []
        verdicts: tuple[GateVerdict, ...] = ()
        if not doubtful:
            unsound += _unsigned_faults(rule, inspected, case)
            stored = look_at_bytes(workspace, case)
            unsound += stored.faults
            unchecked += stored.unchecked
            verdicts = promotion_rules.judge_review_gates(workspace, repository, case)
        judged.append(JudgedPromotion(case, verdicts))
    unchecked += [f"{fault.place}: {fault.what}; so no gate was judged" for fault in unasked]
    faults, words = dict.fromkeys(unsound), dict.fromkeys(unchecked)
    return CheckedBranch(inspected, tuple(judged), tuple(faults), tuple(words), tuple(unasked))


def _unsigned_faults(
    rule: ApprovalRule, inspected: InspectedBranch, case: PromotionCase
) -> Iterator[Fault]:
    """Why no approval of this promotion would count, whoever gave it: nobody signed it."""
    rules = rule.rules.rules_at(inspected.base, rule.folder)
    if rules.signers is None or allows_self_approval(rules):
        return
    if least_level(case.project, case.stage) == "signed" and not _is_signed(rule, inspected, case):
        what = f"{case.stage} asks for a signature, and {UNSIGNED}: its approver may have made it"
        hint = f"let its maker sign it: {commit_approvers.CONFIGURE}; reject it, and promote again"
        yield Fault(what, Place(case.file_paths[0]), hint)


def _is_signed(rule: ApprovalRule, inspected: InspectedBranch, case: PromotionCase) -> bool:
    """Whether each commit that wrote the promotion's files is signed by somebody who may sign."""
    writers = commit_history.file_writers(
        rule.repository, inspected.start, inspected.head, case.file_paths
    )
    signers = rule.rules.rules_at(inspected.base, rule.folder).signers
    commits = [writer.commit for writer in writers]
    return set(commits) <= set(commit_approvers.read_signatures(rule.repository, commits, signers))


def _find_commit(repository: Repository, name: str) -> str:
    commit = None if name.startswith("-") else repository.commit(name)
    if commit is None:
        hint = "fetch it first; in GitHub Actions actions/checkout with fetch-depth: 0"
        raise UsageError(f"there is no commit `{name}` here", hint=hint)
    return commit
