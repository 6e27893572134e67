"""The promotion check: what CI asks of a pull request, and what a merge asks before it is made."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from towpath.errors import Fault, UsageError
from towpath.git import Repository, mainline
from towpath.promotion import evidence, inspecting, judging
from towpath.promotion.case import Case
from towpath.promotion.inspecting import Inspected
from towpath.promotion.proposal import failures

if TYPE_CHECKING:
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

    @property
    def is_promotion(self) -> bool:
        """Whether it changes any stage file."""
        return bool(self.judged) or bool(self.inspected.faults)

    @property
    def faults(self) -> tuple[Fault, ...]:
        """Why it may not be merged, all of it."""
        return (*self.inspected.faults, *self._failures())

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
    return of(workspace, repository, start, end)


def of(workspace: Workspace, repository: Repository, base: str, head: str) -> Checked:
    """The same of two commits of the registry's repository."""
    found = inspecting.inspect(repository, workspace.folder, base, head)
    judged = (Judged(case, judging.judge(workspace, repository, case)) for case in found.cases)
    return Checked(found, tuple(judged))


def _commit(repository: Repository, name: str) -> str:
    found = None if name.startswith("-") else repository.commit(name)
    if found is None:
        hint = "fetch it first; in GitHub Actions actions/checkout with fetch-depth: 0"
        raise UsageError(f"there is no commit `{name}` here", hint=hint)
    return found
