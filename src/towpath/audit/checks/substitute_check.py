"""Does this clone show the history that was merged, or another in its place?"""

from __future__ import annotations

from collections.abc import Iterator

from towpath.audit.audit_finding import Finding, finding
from towpath.audit.ledger import Ledger
from towpath.backends.git import commit_history


def check(ledger: Ledger) -> Iterator[Finding]:
    """Objects that `git replace` or a graft hides: who reads with stock Git is shown others.

    What is verified is the history itself, since Towpath does not obey them.
    """
    for replaced in commit_history.substitutes(ledger.repository):
        what = "stock Git shows another object in its place here (git replace, grafts)"
        yield finding(
            "promotion", what, replaced, commit_history.way_to_undo(ledger.repository, replaced)
        )
