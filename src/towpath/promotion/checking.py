"""The promotion check: what CI asks of a pull request, and what a merge asks before it is made."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from towpath.engine.request import in_ci
from towpath.errors import Fault, Place, TowpathError, UsageError
from towpath.git import Repository, history, mainline
from towpath.promotion import evidence, inspecting, judging, signing
from towpath.promotion.approval import UNSIGNED, allows_self_approval, least
from towpath.promotion.approval_rule import ApprovalRule
from towpath.promotion.case import Case
from towpath.promotion.inspecting import Inspected
from towpath.promotion.place import connected
from towpath.promotion.proposal import failures
from towpath.promotion.stored_bytes import look_at_bytes

if TYPE_CHECKING:
    from towpath.forge import Forge
    from towpath.gates import Verdict
    from towpath.workspace import Workspace


@dataclass(frozen=True)
class Judged:
    """One promotion of a branch, with what the review gates say of it."""

    case: Case
    verdicts: tuple[Verdict, ...]

    @property
    def passed(self) -> bool:
        """Whether no gate holds it up; none holds up a rollback."""
        return self.case.back or all(verdict.passed for verdict in self.verdicts)

    @property
    def evidence(self) -> str:
        """The evidence as it is now, whatever the branch says it is."""
        return evidence.write(self.case, self.verdicts)


@dataclass(frozen=True)
class Checked:
    """What a branch is: a promotion or several, or none; and why it may not be merged."""

    inspected: Inspected
    judged: tuple[Judged, ...]
    unsound: tuple[Fault, ...] = ()
    """What is wrong with the rules of the main branch, with who made the promotion, or with the
    version's bytes."""
    unchecked: tuple[str, ...] = ()
    """Which bytes could not be looked at, and why."""

    @property
    def is_promotion(self) -> bool:
        """Whether it changes any stage file."""
        return bool(self.judged) or bool(self.inspected.faults)

    @property
    def faults(self) -> tuple[Fault, ...]:
        """Why it may not be merged, all of it."""
        return (*self.inspected.faults, *self.unsound, *self._failures())

    def _failures(self) -> Iterator[Fault]:
        for one in self.judged:
            if not one.passed:
                yield from failures(one.case, one.verdicts)


def check(workspace: Workspace, base: str | None = None, head: str | None = None) -> Checked:
    """Look at the change from ``base`` (default: the main branch) to ``head`` (default: the head).

    Policy, gates and owners are those of ``base``. Nothing is written.
    """
    repository = workspace.registry
    start = _commit(repository, base) if base else mainline.main(repository)
    end = _commit(repository, head or "HEAD")
    if start is None:
        raise UsageError("nothing is committed yet", hint="git add . && git commit")
    return of(workspace, repository, start, end, _forge(workspace))


def _forge(workspace: Workspace) -> Forge | None:
    """The forge in CI, which has a token; a person's check asks no network."""
    if not in_ci():
        return None
    try:
        return connected(workspace)
    except TowpathError:
        return None  # said with what could not be looked at


def of(
    workspace: Workspace,
    repository: Repository,
    base: str,
    head: str,
    forge: Forge | None = None,
) -> Checked:
    """The same of two commits of the registry's repository."""
    found = inspecting.inspect(repository, workspace.folder, base, head, forge)
    judged = (Judged(case, judging.judge(workspace, repository, case)) for case in found.cases)
    rule = ApprovalRule(repository, base, workspace.folder, forge)
    unsound = list(_unsound(rule, found) if found.cases else ())
    stored = [look_at_bytes(workspace, case) for case in found.cases]
    unsound += [fault for one in stored for fault in one.faults]
    unchecked = [words for one in stored for words in one.unchecked]
    unchecked += [case.unproved for case in found.cases if case.unproved]
    return Checked(found, tuple(judged), tuple(unsound), tuple(unchecked))


def _unsound(rule: ApprovalRule, found: Inspected) -> Iterator[Fault]:
    """Why no approval of this promotion would count, whoever gave it."""
    yield from rule.unsound()
    rules = rule.rules.rules_at(found.base, rule.folder)
    if rules.signers is None or allows_self_approval(rules):
        return
    for case in found.cases:
        if least(case.project, case.stage) == "signed" and not _is_signed(rule, found, case):
            what = (
                f"{case.stage} asks for a signature, and {UNSIGNED}: its approver may have made it"
            )
            hint = f"let its maker sign it: {signing.CONFIGURE}; reject it, and promote again"
            yield Fault(what, Place(case.paths[0]), hint)


def _is_signed(rule: ApprovalRule, found: Inspected, case: Case) -> bool:
    """Whether each commit that wrote the promotion's files is signed by somebody who may sign."""
    writers = history.writers(rule.repository, found.start, found.head, case.paths)
    signers = rule.rules.rules_at(found.base, rule.folder).signers
    commits = [writer.commit for writer in writers]
    return set(commits) <= set(signing.read_signatures(rule.repository, commits, signers))


def _commit(repository: Repository, name: str) -> str:
    found = None if name.startswith("-") else repository.commit(name)
    if found is None:
        hint = "fetch it first; in GitHub Actions actions/checkout with fetch-depth: 0"
        raise UsageError(f"there is no commit `{name}` here", hint=hint)
    return found
