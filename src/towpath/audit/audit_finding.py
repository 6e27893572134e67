"""What a verification found: something that is not as the merged stage files say."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal, TypeAlias

from towpath.errors import Fault, Place

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
