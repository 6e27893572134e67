"""What a verification found that is not as merged, and the notes that explain it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from typing import Literal, TypeAlias

from msgspec import Struct

from towpath.audit.approvals import Approvals
from towpath.delivery.promotion.rulebook import NOTES
from towpath.errors import Fault, ForgeError, Place

AuditCheck: TypeAlias = Literal[
    "main", "rules", "promotion", "stage tag", "version tag", "record", "evidence", "artifact",
    "deployment", "signature",
]  # fmt: skip


class AuditFinding(Struct, frozen=True):
    """One thing that is wrong, and which of the checks found it. What ``is_past`` cannot be undone:
    a note may explain it. What is wrong now can be mended, and no word is enough for it."""

    check: AuditCheck
    fault: Fault
    is_past: bool = False

    @property
    def id(self) -> str:
        """What a note is named by that explains it: a digest of its very words."""
        # So that a note explains this, and not whatever else is found at that place later.
        text = "\0".join([self.check, str(self.fault.place), self.fault.what])
        return hashlib.sha256(text.encode()).hexdigest()[:12]


class UncheckedPart(Struct, frozen=True):
    """What could not be looked at from here, and why: no finding, and no clean bill either."""

    check: AuditCheck
    what: str
    why: str


def make_finding(
    check: AuditCheck, what: str, place: str, hint: str, is_past: bool = False
) -> AuditFinding:
    """A finding at a place: a file on main, a ref, a store's object. ``{id}`` in the hint becomes
    its id."""
    plain = AuditFinding(check, Fault(what, Place(place)))
    fault = Fault(what, Place(place), hint.replace("{id}", plain.id))
    return AuditFinding(check, fault, is_past)


EXPLAIN = (
    "say what happened in registry/notes/{id}.md, and merge that into main; "
    "where main's rules ask for more than a commit: towpath approve --rules"
)
_NOTE = re.compile(rf"{NOTES}/([0-9a-f]{{12}})\.md")


class ExplainedFinding(Struct, frozen=True):
    """A finding that a note explains; ``note`` is its path, ``by`` who let it in."""

    finding: AuditFinding
    note: str
    by: str


def split_explained(
    findings: Iterable[AuditFinding], approvals: Approvals
) -> tuple[tuple[AuditFinding, ...], tuple[ExplainedFinding, ...]]:
    """Findings that stand, and those that a note on main explains."""
    try:
        history = approvals.rule.rules
    except ForgeError:  # told among what could not be looked at
        return tuple(findings), ()
    paths = [path for path in history.written if _NOTE.fullmatch(path)]
    # A note that was emptied or deleted explains nothing, nor does one that went round the rules.
    kept = approvals.ledger.read_files(paths)
    agreed = {path: history.find_who_agreed(path) for path in paths if kept.get(path, b"").strip()}
    unexplained: list[AuditFinding] = []
    explained: list[ExplainedFinding] = []
    for finding in findings:
        path = f"{NOTES}/{finding.id}.md"
        names = agreed.get(path) if finding.is_past else None
        if names:
            explained.append(ExplainedFinding(finding, path, ", ".join(names)))
        else:
            unexplained.append(finding)
    return tuple(unexplained), tuple(explained)
