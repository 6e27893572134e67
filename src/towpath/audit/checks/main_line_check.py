"""Is main's line whole: are its rules agreed to, and has no decision been put out of it?"""

from __future__ import annotations

from collections.abc import Iterator

from towpath.audit import finding_notes
from towpath.audit.approvals import UNKNOWN, Approvals
from towpath.audit.audit_finding import Finding, Unchecked, finding
from towpath.delivery.reconcile.main_witness import (
    PATH,
    find_rewritten,
    find_rewritten_here,
    read_witness,
)
from towpath.errors import ForgeError, Malformed, TowpathError
from towpath.storage.stage_store import StageStore


def check(approvals: Approvals) -> Iterator[Finding | Unchecked]:
    """The rules that nobody agreed to who had to, and the decisions that a merge displaced."""
    rule = approvals.rule
    try:
        history = rule.rules
    except ForgeError as silent:
        yield Unchecked("rules", "who agreed to changes of the rules", silent.faults[0].what)
    else:
        yield from (Finding("rules", fault) for fault in rule.unsound())
        for change in history.changes:
            if change.level == UNKNOWN:
                yield Unchecked("rules", f"who agreed to {change}", change.why)
    yield from (Finding("main", fault) for fault in find_rewritten_here(rule))
    for fault in rule.displaced_faults():
        hint = f"{fault.hint}; then {finding_notes.EXPLAIN}"
        yield finding("main", fault.what, str(fault.place), hint)


def remembered(approvals: Approvals, store: StageStore) -> Iterator[Finding | Unchecked]:
    """What a stage remembers of main, and main does not hold any more."""
    try:
        rewritten = find_rewritten(approvals.rule, read_witness(store), store.name)
    except Malformed as damaged:
        fault = damaged.faults[0]
        yield finding("main", fault.what, PATH, str(fault.hint))
        return
    except TowpathError as silent:
        yield Unchecked("main", f"what {store.shown} remembers", silent.faults[0].what)
        return
    yield from (Finding("main", fault) for fault in rewritten)
