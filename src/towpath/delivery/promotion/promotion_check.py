"""The promotion check: what CI asks of a pull request, and what a merge asks before it is made."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from towpath.backends.git import Repository, branches, commit_history
from towpath.delivery.promotion import (
    branch_inspection,
    commit_signatures,
    evidence,
    promotion_gates,
)
from towpath.delivery.promotion.approval import UNSIGNED, allows_self_approval, least_level
from towpath.delivery.promotion.approval_rule import ApprovalRule
from towpath.delivery.promotion.branch_inspection import InspectedBranch
from towpath.delivery.promotion.promotion_case import PromotionCase
from towpath.delivery.promotion.proposal import gate_failures
from towpath.delivery.promotion.rules_in_force import connect_forge_if_let_in
from towpath.delivery.promotion.stored_bytes import look_at_bytes
from towpath.errors import Fault, Place, UsageError

if TYPE_CHECKING:
    from towpath.delivery.gates import GateVerdict
    from towpath.forge import Forge
    from towpath.workspace import Workspace


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
    start = _find_commit(repository, base) if base else branches.main_commit(repository)
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
    inspected = branch_inspection.inspect_branch(repository, workspace.folder, base, head, forge)
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
            verdicts = promotion_gates.judge_review_gates(workspace, repository, case)
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
        hint = f"let its maker sign it: {commit_signatures.CONFIGURE}; reject it, and promote again"
        yield Fault(what, Place(case.file_paths[0]), hint)


def _is_signed(rule: ApprovalRule, inspected: InspectedBranch, case: PromotionCase) -> bool:
    """Whether each commit that wrote the promotion's files is signed by somebody who may sign."""
    writers = commit_history.file_writers(
        rule.repository, inspected.start, inspected.head, case.file_paths
    )
    signers = rule.rules.rules_at(inspected.base, rule.folder).signers
    commits = [writer.commit for writer in writers]
    return set(commits) <= set(commit_signatures.read_signatures(rule.repository, commits, signers))


def _find_commit(repository: Repository, name: str) -> str:
    commit = None if name.startswith("-") else repository.commit(name)
    if commit is None:
        hint = "fetch it first; in GitHub Actions actions/checkout with fetch-depth: 0"
        raise UsageError(f"there is no commit `{name}` here", hint=hint)
    return commit
