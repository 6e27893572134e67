"""What a verification found that is not as merged, and the notes that explain it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypeAlias

from towpath.audit.approvals import Approvals
from towpath.audit.ledger import AuditLedger
from towpath.delivery.promotion.rulebook import NOTES
from towpath.errors import Fault, ForgeError, Place

AuditCheck: TypeAlias = Literal[
    "main",
    "rules",
    "promotion",
    "stage tag",
    "version tag",
    "record",
    "evidence",
    "artifact",
    "deployment",
    "signature",
]


@dataclass(frozen=True)
class AuditFinding:
    """One thing that is wrong, and which of the checks found it."""

    check: AuditCheck
    fault: Fault

    @property
    def id(self) -> str:
        """What a note is named by that explains it: a digest of its very words."""
        text = "\0".join([self.check, str(self.fault.place), self.fault.what])
        return hashlib.sha256(text.encode()).hexdigest()[:12]


@dataclass(frozen=True)
class UncheckedPart:
    """What could not be looked at from here, and why: no finding, and no clean bill either."""

    check: AuditCheck
    what: str
    why: str


def make_finding(check: AuditCheck, what: str, place: str, hint: str) -> AuditFinding:
    """A finding at a place: a file on main, a ref, a store's object. ``{id}`` in the hint becomes
    its id."""
    plain = AuditFinding(check, Fault(what, Place(place)))
    return AuditFinding(check, Fault(what, Place(place), hint.replace("{id}", plain.id)))


EXPLAIN = (
    "say what happened in registry/notes/{id}.md, and merge that into main; "
    "where main's rules ask for more than a commit: towpath approve --rules"
)
#: What is past and cannot be undone. What is wrong now can be mended, and no word is enough for it.
PAST: frozenset[AuditCheck] = frozenset(["main", "promotion", "evidence"])
_NOTE = re.compile(rf"{NOTES}/([0-9a-f]{{12}})\.md")


@dataclass(frozen=True)
class ExplainedFinding:
    """A finding that a note explains; ``note`` is its path, ``by`` who let it in."""

    finding: AuditFinding
    note: str
    by: str


@dataclass(frozen=True)
class FindingNotes:
    """The notes on main."""

    ledger: AuditLedger
    approvals: Approvals

    def split(
        self, findings: Iterable[AuditFinding]
    ) -> tuple[list[AuditFinding], list[ExplainedFinding]]:
        """Findings that stand, and those that were explained."""
        unexplained: list[AuditFinding] = []
        explained: list[ExplainedFinding] = []
        for finding in findings:
            path = f"{NOTES}/{finding.id}.md"
            by = self._agreed_notes.get(path) if finding.check in PAST else None
            if by is None:
                unexplained.append(finding)
            else:
                explained.append(ExplainedFinding(finding, path, by))
        return unexplained, explained

    @cached_property
    def _agreed_notes(self) -> dict[str, str]:
        """Who agreed to each note that is on main, by its path: as they would to a rule."""
        try:
            history = self.approvals.rule.rules
        except ForgeError:  # told among what could not be looked at
            return {}
        paths = [path for path in history.written if _NOTE.fullmatch(path)]
        kept = self.ledger.files(paths)
        by = {
            path: ", ".join(history.find_who_agreed(path))
            for path in paths
            if kept.get(path, b"").strip()
        }
        return {path: names for path, names in by.items() if names}
