"""Findings that were explained: a note on main, brought by a change that another approved."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from towpath.audit.approving import Approvals
from towpath.audit.finding import Check, Finding
from towpath.audit.ledger import Ledger
from towpath.git import history, refs
from towpath.promotion import approval
from towpath.promotion.pull_requests import standing
from towpath.promotion.signing import SIGNERS, read_signatures

FOLDER = "registry/notes"
EXPLAIN = "say what happened in registry/notes/{id}.md, and let another merge that into main"
#: What is past and cannot be undone. What is wrong now can be mended, and no word is enough for it.
PAST: frozenset[Check] = frozenset(["promotion", "evidence"])
_NOTE = re.compile(rf"{FOLDER}/([0-9a-f]{{12}})\.md")


@dataclass(frozen=True)
class Explained:
    """A finding that a note explains; ``note`` is its path, ``by`` who let it in."""

    finding: Finding
    note: str
    by: str


@dataclass(frozen=True)
class Notes:
    """The notes on main."""

    ledger: Ledger
    approvals: Approvals

    def split(self, findings: Iterable[Finding]) -> tuple[list[Finding], list[Explained]]:
        """Findings that stand, and those that were explained."""
        unexplained: list[Finding] = []
        explained: list[Explained] = []
        for one in findings:
            path = f"{FOLDER}/{one.id}.md"
            by = self._approved.get(path) if one.check in PAST else None
            if by is None:
                unexplained.append(one)
            else:
                explained.append(Explained(one, path, by))
        return unexplained, explained

    @cached_property
    def _approved(self) -> dict[str, str]:
        """Who let each note in that is on main, by its path; by its last change."""
        last: dict[str, str] = {}
        for touch in self.ledger.touches(FOLDER):
            if _NOTE.fullmatch(touch.path):
                last.setdefault(touch.path, touch.commit)
        here = self.ledger.files(last)
        written = {path: commit for path, commit in last.items() if here.get(path, b"").strip()}
        found = {path: next(self._approvers(commit), None) for path, commit in written.items()}
        return {path: who for path, who in found.items() if who}

    def _approvers(self, commit: str) -> Iterator[str]:
        """Who approved a change, at the level that the policy asks for."""
        repository, policy = self.ledger.repository, self.ledger.project.policy
        parents = history.parents(repository, commit)
        if len(parents) < 2:
            return
        authors = approval.people(history.authors(repository, parents[0], parents[1]))
        for who, mail in self._candidates(commit, parents[0], parents[1]):
            if policy.self_approval or mail not in authors:
                yield who

    def _candidates(self, commit: str, base: str, head: str) -> Iterator[tuple[str, str]]:
        """Who let a merge in, each with the mail or the login that tells them from its authors."""
        repository, level = self.ledger.repository, self.ledger.project.policy.approval
        if level == "forge" and (forge := self.approvals.forge):
            for pull in forge.of_commit(commit):
                if pull.state == "merged" and pull.head == head:
                    reviews = standing(forge.reviews(pull.number), head)
                    yield from ((one.user, user) for user, one in reviews.items())
        elif level == "signed":
            name = f"{base}:{SIGNERS}"
            signers = refs.contents(repository, [name]).get(name)
            for signature in read_signatures(repository, [commit], signers).values():
                yield signature.name, signature.name.lower()
        elif level == "recorded":
            words = ("show", "-s", "--no-show-signature", "--format=%cn <%ce>", commit)
            told = repository.call(*words)
            yield told, told.rpartition("<")[2].rstrip(">").lower()
