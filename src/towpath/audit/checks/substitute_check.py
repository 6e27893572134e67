"""Does this clone show the history that was merged, or another in its place?"""

from __future__ import annotations

from collections.abc import Iterator

from towpath.audit.audit_finding import AuditFinding, make_finding
from towpath.audit.ledger import AuditLedger
from towpath.backends.git import commit_history


def check_substitutes(ledger: AuditLedger) -> Iterator[AuditFinding]:
    """Objects that `git replace` or a graft hides: who reads with stock Git is shown others.

    What is verified is the history itself, since Towpath does not obey them.
    """
    for replaced in commit_history.find_substitutes(ledger.repository):
        what = "stock Git shows another object in its place here (git replace, grafts)"
        yield make_finding(
            "promotion", what, replaced, commit_history.way_to_undo(ledger.repository, replaced)
        )
