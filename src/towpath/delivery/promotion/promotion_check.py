"""The promotion check: what CI asks of a pull request, and what a merge asks before it is made."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from towpath import registry
from towpath.backends.git import Repository, commit_history, main_branch, refs
from towpath.backends.git.commit_history import FileChange
from towpath.delivery.promotion import (
    commit_approvers,
    evidence,
    promotion_approval,
    promotion_case,
)
from towpath.delivery.promotion.evidence import list_shortened
from towpath.delivery.promotion.main_line_approvals import ASK_FORGE, ApprovalRule
from towpath.delivery.promotion.promotion_case import PromotionCase
from towpath.delivery.promotion.propose import gate_failures
from towpath.delivery.promotion.rulebook import is_note, is_rule, least_level
from towpath.delivery.promotion.rules_in_force import connect_forge_if_let_in
from towpath.delivery.promotion.stored_bytes import look_at_bytes
from towpath.errors import Fault, Place, TowpathError, UsageError, did_you_mean
from towpath.registry import VersionReference, ownership, policy_at_commit, stage_files
from towpath.registry.main_decisions import EVIDENCE
from towpath.registry.ownership import Owners
from towpath.registry.stage_files import FOLDER, StageFile

if TYPE_CHECKING:
    from towpath.delivery.gates import GateVerdict
    from towpath.forge import Forge
    from towpath.workspace import Workspace


KEPT = ("registry/models/", f"{EVIDENCE}/", f"{FOLDER}/")
ONE_OR_OTHER = "a pull request holds a promotion or code, not both: make two of them"


class InspectedBranch(Struct, frozen=True):
    """What a branch would change on main, whose head is ``base``, from ``start`` on, and all that
    is wrong with it; no ``cases`` where it is no promotion."""

    base: str
    start: str
    head: str
    cases: tuple[PromotionCase, ...] = ()
    faults: tuple[Fault, ...] = ()


class _Branch(Struct, frozen=True, dict=True):
    repository: Repository
    folder: str
    base: str
    start: str
    head: str
    changes: tuple[FileChange, ...]
    forge: Forge | None = None

    @cached_property
    def model_owners(self) -> Owners:
        return ownership.read_owners(self.repository, self.base)

    def project_of(self, model: str) -> str:
        """The folder of the project whose policy judges a model's promotion: whose it is by main,
        or, for a model that is nobody's yet, that which the promotion claims it for."""
        owner = self.model_owners.project_of(model)
        if owner is None and self.model_owners.is_unclaimed(model):
            claim = ownership.read_claim(
                model, self.read_text(self.head, ownership.claim_path(model)) or ""
            )
            return claim if isinstance(claim, str) else self.folder
        return self.folder if owner is None else owner

    def read_text(self, commit: str, path: str) -> str | None:
        content = self.read_bytes(commit, path)
        return None if content is None else content.decode("utf-8", "replace")

    def read_bytes(self, commit: str, path: str) -> bytes | None:
        return refs.read_content(self.repository, commit, path)

    def parse_stage_file(self, commit: str, path: str) -> StageFile | Fault:
        return stage_files.parse_stage_file(path, self.read_text(commit, path) or "")


def inspect_branch(
    repository: Repository, folder: str, base: str, head: str, forge: Forge | None = None
) -> InspectedBranch:
    """Everything about the change from the main branch's ``base`` to ``head``, but its gates.
    ``folder`` is the project's, from the Git root; ``forge`` is asked who approved what the version
    climbed over."""
    # Policy, owners and rules are those of `base`: no branch is judged by what it brings along.
    start = commit_history.merge_base(repository, base, head)
    if start is None:
        raise UsageError(f"{head[:7]} has nothing in common with {base[:7]}")
    changes = commit_history.changed_files(repository, start, head)
    branch = _Branch(repository, folder, base, start, head, changes, forge)
    touched = [change for change in changes if stage_files.parse_stage_file_path(change.path)]
    faults = list(_stranger_faults(branch, touched))
    inspected_cases: list[PromotionCase] = []
    for change in touched:
        outcome = _inspect_stage_file(branch, change)
        if isinstance(outcome, PromotionCase):
            inspected_cases.append(outcome)
        else:
            faults += outcome
    faults += [fault for case in inspected_cases for fault in _case_faults(branch, case)]
    plain = dict.fromkeys(map(_printable_fault, faults))
    return InspectedBranch(base, start, head, tuple(inspected_cases), tuple(plain))


def _printable_fault(fault: Fault) -> Fault:
    # What a branch brings along is printed in CI's log, which obeys lines that begin in its way.
    def one_line(text: str) -> str:
        return "".join(char if char.isprintable() else "�" for char in text)

    place = fault.place and replace(fault.place, file=one_line(fault.place.file))
    return Fault(one_line(fault.what), place, fault.hint and one_line(fault.hint))


def _stranger_faults(branch: _Branch, touched: Sequence[FileChange]) -> Iterator[Fault]:
    """Files that do not belong to the promotion, or to any."""
    own = {path for change in touched for path in _allowed_paths(branch, change)}
    others: list[str] = []
    for change in branch.changes:
        if change.path not in own:
            others += [] if change.keeps_folder else [change.path]
        # A link could point anywhere in whatever reads it, and a submodule has no bytes here.
        elif change.new and change.mode != commit_history.PLAIN:
            yield Fault("this is no plain file", Place(change.path))
    yield from _faults_beside(others) if touched else _faults_without_promotion(others)


def _faults_without_promotion(others: Sequence[str]) -> Iterator[Fault]:
    """A branch without a promotion, that changes what only a promotion may."""
    kept = [
        path for path in others if path.startswith(KEPT) and ownership.claimed_model(path) is None
    ]
    if kept:
        hint = "towpath promote writes them; main keeps what was decided as it was"
        yield Fault(f"only a promotion changes {list_shortened(kept)}", hint=hint)


def _faults_beside(others: Sequence[str]) -> Iterator[Fault]:
    """A promotion that changes more than its own files."""
    judged_by = [path for path in others if is_rule(path) and not is_note(path)]
    if judged_by:
        what = f"this promotion changes {list_shortened(judged_by)}, by which it is judged"
        yield Fault(what, hint="merge the change of the rules first, and promote then")
    if rest := [path for path in others if path not in judged_by]:
        yield Fault(f"this promotion also changes {list_shortened(rest)}", hint=ONE_OR_OTHER)


def _allowed_paths(branch: _Branch, change: FileChange) -> tuple[str, ...]:
    place = stage_files.parse_stage_file_path(change.path)
    assert place
    read = branch.parse_stage_file(branch.head if change.new else branch.start, change.path)
    if isinstance(read, Fault):
        return (change.path,)
    files = promotion_approval.promotion_paths(place[0], place[1], read.version)
    if not change.new:
        return (files[0], files[2])
    return (
        (*files, ownership.claim_path(place[1]))
        if branch.model_owners.is_unclaimed(place[1])
        else files
    )


def _inspect_stage_file(branch: _Branch, change: FileChange) -> PromotionCase | tuple[Fault, ...]:
    stage, model = stage_files.parse_stage_file_path(change.path) or ("", "")
    repository, base, place, record = branch.repository, branch.base, Place(change.path), None
    folder = branch.project_of(model)
    project = policy_at_commit.read_project_at(repository, base, folder)
    if stage not in project.stages:
        hint = did_you_mean(stage, project.stages)
        return (Fault(f"there is no stage `{stage}`", place, hint),)
    read = branch.parse_stage_file(branch.head, change.path) if change.new else None
    if isinstance(read, Fault):
        return (read,)
    try:
        if read:
            candidate = registry.get_version(repository, VersionReference(read.model, read.version))
            if standing := list(promotion_case.standing_faults(candidate.version)):
                raise UsageError(*standing)
            record = candidate.record
        case = promotion_case.gather_promotion_case(repository, folder, base, stage, model, record)
    except TowpathError as error:
        return tuple(replace(fault, place=fault.place or place) for fault in error.faults)
    return promotion_case.count_approved(repository, case, branch.forge)


def _case_faults(branch: _Branch, case: PromotionCase) -> Iterator[Fault]:
    """What is wrong with one promotion: its rungs, its three files, a rival that was quicker."""
    place = Place(case.file_paths[0])
    amiss = promotion_case.entry_faults(branch.repository, case, branch.forge)
    yield from (replace(fault, place=place) for fault in amiss)
    yield from _rival_faults(branch, case)
    yield from _evidence_faults(branch, case)
    yield from promotion_case.tag_faults(branch.repository, case)
    if case.candidate is None:
        return
    read = branch.parse_stage_file(branch.head, place.file)
    if isinstance(read, StageFile) and read.sha256 != case.candidate.sha256:
        what = f"`sha256` is {read.sha256[:12]}…, and {case.model}@{case.candidate_version} is"
        yield Fault(f"{what} {case.candidate.sha256[:12]}…", place, "towpath promote writes it")
    yield from _record_faults(branch, case)


def _rival_faults(branch: _Branch, case: PromotionCase) -> Iterator[Fault]:
    path, incumbent = case.file_paths[0], case.incumbent_version
    read = branch.parse_stage_file(branch.head if case.candidate else branch.start, path)
    if isinstance(read, Fault):
        return
    assumed = read.replaces if case.candidate else read.version
    if incumbent not in (assumed, case.candidate_version):
        running = f"runs {case.model}@{incumbent}" if incumbent else f"runs no {case.model}"
        what = f"{case.stage} {running} by now, and this replaces {assumed or 'none'}"
        hint = "another promotion was quicker: reject this one, and promote again"
        yield Fault(what, Place(path), hint)


def _record_faults(branch: _Branch, case: PromotionCase) -> Iterator[Fault]:
    path, reference = case.file_paths[1], VersionReference(case.model, case.candidate_version)
    tagged = branch.read_bytes(registry.find_version(branch.repository, reference).commit, path)
    kept = branch.read_bytes(branch.head, path)
    name = f"{case.model}@{case.candidate_version}"
    if kept is None:
        yield Fault("the version's record is missing", Place(path), "towpath promote")
    elif kept != tagged:
        what = f"this is not the record that {name} was registered with"
        yield Fault(what, Place(path), "towpath promote copies it from the version's tag")


def _evidence_faults(branch: _Branch, case: PromotionCase) -> Iterator[Fault]:
    page = case.file_paths[2]
    if page not in {change.path for change in branch.changes if change.new}:
        yield Fault("the evidence is missing", Place(page), "towpath promote writes it")
    elif not evidence.is_evidence_of(branch.read_text(branch.head, page) or "", case):
        what = "this is not the evidence as it is now: it was edited, or main has changed since"
        asking = f"; {case.unproved}, so it may be right: {ASK_FORGE}" if case.unproved else ""
        yield Fault(what, Place(page), f"reject this promotion, and promote again{asking}")
    # The first promotion of a model says whose it is, where more than one may be meant.
    claim = ownership.claim_path(case.model)
    if case.claims and branch.read_bytes(branch.head, claim) != ownership.write_claim(case.folder):
        what = f"the first promotion of {case.model} says whose it is, and this does not"
        yield Fault(what, Place(claim), "towpath promote writes it")


class JudgedPromotion(Struct, frozen=True):
    case: PromotionCase
    verdicts: tuple[GateVerdict, ...]

    @property
    def passed(self) -> bool:
        """Whether no gate holds it up; none holds up a rollback."""
        return self.case.back or all(verdict.passed for verdict in self.verdicts)


class CheckedBranch(Struct, frozen=True):
    inspected: InspectedBranch
    judged: tuple[JudgedPromotion, ...]
    # Of the rules of the main branch, of who made the promotion, of the version's bytes.
    unsound: tuple[Fault, ...] = ()
    # What could not be looked at, and why: bytes, and who approved what it rests on.
    unchecked: tuple[str, ...] = ()
    # Rules of which it is not known whether they are in force: no gate of theirs was judged.
    unasked: tuple[Fault, ...] = ()

    @property
    def is_promotion(self) -> bool:
        return bool(self.judged) or bool(self.inspected.faults)

    @property
    def faults(self) -> tuple[Fault, ...]:
        failed = (promotion for promotion in self.judged if not promotion.passed)
        gates = [fault for entry in failed for fault in gate_failures(entry.case, entry.verdicts)]
        return (*self.inspected.faults, *self.unsound, *gates)


def check_promotion_branch(
    workspace: Workspace, base: str | None = None, head: str | None = None
) -> CheckedBranch:
    """Look at the change from ``base`` (default: the main branch) to ``head`` (default: the head).
    Policy, gates and owners are those of ``base``. Nothing is written."""
    repository = workspace.registry
    start = _find_commit(repository, base) if base else main_branch.main_commit(repository)
    end = _find_commit(repository, head or "HEAD")
    if start is None:
        raise UsageError("nothing is committed yet", hint="git add . && git commit")
    forge = connect_forge_if_let_in(workspace, start)
    return check_promotion_commits(workspace, repository, start, end, forge)


def check_promotion_commits(
    workspace: Workspace, repository: Repository, base: str, head: str, forge: Forge | None = None
) -> CheckedBranch:
    """The same of two commits of the registry's repository."""
    inspected = inspect_branch(repository, workspace.folder, base, head, forge)
    judged: list[JudgedPromotion] = []
    unsound, unasked, unchecked = list[Fault](), list[Fault](), list[str]()
    for case in inspected.cases:
        rule = ApprovalRule(repository, base, case.folder, forge)
        unsound_rules, unasked_rules = rule.unsound_faults(), rule.unasked_faults()
        unsound += unsound_rules
        unasked += unasked_rules
        unchecked += [case.unproved] if case.unproved else []
        verdicts: tuple[GateVerdict, ...] = ()
        # A gate runs code and a store is sent keys: neither by rules that nobody agreed to.
        if not (unsound_rules or unasked_rules):
            unsound += unsigned_faults(rule, inspected, case)
            stored = look_at_bytes(workspace, case)
            unsound += stored.faults
            unchecked += stored.unchecked
            verdicts = promotion_case.judge_review_gates(workspace, repository, case)
        judged.append(JudgedPromotion(case, verdicts))
    unchecked += [f"{fault.place}: {fault.what}; so no gate was judged" for fault in unasked]
    faults, words = dict.fromkeys(unsound), dict.fromkeys(unchecked)
    return CheckedBranch(inspected, tuple(judged), tuple(faults), tuple(words), tuple(unasked))


def unsigned_faults(
    rule: ApprovalRule, inspected: InspectedBranch, case: PromotionCase
) -> Iterator[Fault]:
    """A promotion whose maker did not sign it, into a stage that asks for signatures."""
    rules = rule.rules.rules_at(inspected.base, rule.folder)
    is_asked = least_level(case.project, case.stage) == "signed"
    if rules.signers is None or promotion_approval.allows_self_approval(rules) or not is_asked:
        return
    way = inspected.start, inspected.head
    writers = commit_history.file_writers(rule.repository, *way, case.file_paths)
    commits = {writer.commit for writer in writers}
    signatures = commit_approvers.read_signatures(rule.repository, commits, rules.signers)
    if not commits <= set(signatures):
        unsigned = f"{promotion_approval.UNSIGNED}: its approver may have made it"
        what = f"{case.stage} asks for a signature, and {unsigned}"
        hint = f"let its maker sign it: {commit_approvers.CONFIGURE}; reject it, and promote again"
        yield Fault(what, Place(case.file_paths[0]), hint)


def _find_commit(repository: Repository, name: str) -> str:
    commit = None if name.startswith("-") else repository.commit(name)  # Git takes it for an option
    if commit is None:
        hint = "fetch it first; in GitHub Actions actions/checkout with fetch-depth: 0"
        raise UsageError(f"there is no commit `{name}` here", hint=hint)
    return commit
