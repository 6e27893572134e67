"""Is main's line whole: its rules agreed to, no decision put out, shown as it was merged?"""

from __future__ import annotations

from collections.abc import Iterator

from towpath.audit import audit_finding
from towpath.audit.approvals import UNKNOWN, Approvals
from towpath.audit.audit_finding import AuditFinding, UncheckedPart, make_finding
from towpath.audit.ledger import AuditLedger
from towpath.backends.git import commit_history
from towpath.delivery.reconcile.main_witness import (
    PATH,
    find_rewritten,
    find_rewritten_here,
    read_witness,
)
from towpath.errors import ForgeError, Malformed, TowpathError
from towpath.storage.stage_store import StageStore


def check_main_line(approvals: Approvals) -> Iterator[AuditFinding | UncheckedPart]:
    """The rules that nobody agreed to who had to, and the decisions that a merge displaced."""
    rule = approvals.rule
    try:
        history = rule.rules
    except ForgeError as silent:
        yield UncheckedPart("rules", "who agreed to changes of the rules", silent.faults[0].what)
    else:
        yield from (AuditFinding("rules", fault) for fault in rule.unsound_faults())
        for change in history.changes:
            if change.level == UNKNOWN:
                yield UncheckedPart("rules", f"who agreed to {change}", change.why)
    yield from (AuditFinding("main", fault) for fault in find_rewritten_here(rule))
    for fault in rule.displaced_faults():
        # What is past stays so when it is put right: both, the way and the word, are asked for.
        hint = f"{fault.hint}; then {audit_finding.EXPLAIN}"
        yield make_finding("main", fault.what, str(fault.place), hint)


def check_remembered_main(
    approvals: Approvals, store: StageStore
) -> Iterator[AuditFinding | UncheckedPart]:
    """What a stage remembers of main, and main does not hold any more."""
    try:
        rewritten = find_rewritten(approvals.rule, read_witness(store), store.name)
    except Malformed as damaged:  # only reconcile writes there: somebody else did
        fault = damaged.faults[0]
        yield make_finding("main", fault.what, PATH, str(fault.hint))
        return
    except TowpathError as silent:
        yield UncheckedPart("main", f"what {store.shown} remembers", silent.faults[0].what)
        return
    yield from (AuditFinding("main", fault) for fault in rewritten)


def check_substitutes(ledger: AuditLedger) -> Iterator[AuditFinding]:
    """Objects that `git replace` or a graft hides: who reads with stock Git is shown others."""
    # No more than a finding: Towpath's own calls of Git do not obey them.
    for replaced in commit_history.find_substitutes(ledger.repository):
        what = "stock Git shows another object in its place here (git replace, grafts)"
        hint = commit_history.way_to_undo(ledger.repository, replaced)
        yield make_finding("promotion", what, replaced, hint)
