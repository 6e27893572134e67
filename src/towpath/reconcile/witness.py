"""The main branch that a stage was last reconciled with, kept in the stage's own store.

Git says what main holds now, and nothing of what it held: whoever may force a push can put main
where an approval of last year is its newest word. The store remembers, and only reconcile writes
there.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from towpath.errors import Fault, Malformed, Place
from towpath.promotion.approval_rule import ApprovalRule, displaced_fault
from towpath.spec.digests import CommitId
from towpath.spec.foreign_values import Fields, parse_json, read_count
from towpath.store.stage import StageStore

PATH = "towpath/main.json"
SCHEMA = 1
ACCEPT = "--accept-history"


@dataclass(frozen=True)
class Witness:
    """Main's head when the stage was last reconciled, and the mark of the file that says so; no
    head where the stage never was."""

    head: str | None = None
    mark: str | None = None


def read_witness(store: StageStore) -> Witness:
    """What a stage remembers of main. Raises ``Malformed`` for what no reconcile wrote."""
    kept = store.read(PATH)
    if kept is None:
        return Witness()
    try:
        fields = Fields(parse_json(kept[0]))
        head = fields.get("main", CommitId)
        if fields.get("schema", read_count) != SCHEMA:
            raise Malformed("it has another schema")
    except Malformed as fault:
        what = f"{PATH} in {store.shown} is damaged: {fault.faults[0].what}"
        raise Malformed(what, hint=f"towpath reconcile {store.name} --apply {ACCEPT}") from fault
    return Witness(head, kept[1])


def write_witness(store: StageStore, known: Witness, head: str) -> None:
    """Remember main's head. Another reconcile that wrote meanwhile remembers a newer one."""
    if known.head != head:
        content = json.dumps({"schema": SCHEMA, "main": head}).encode()
        store.write(PATH, content, known.mark)


def find_rewritten(rule: ApprovalRule, known: Witness) -> tuple[Fault, ...]:
    """What main decided before the stage was last reconciled, and does not hold any more.

    A line that took another way and lost no decision is well: a pull with a merge does that.
    """
    if known.head is None or rule.line.holds(known.head):
        return ()
    repository = rule.repository
    short = known.head[:7]
    if repository.commit(known.head) is None:
        # What nobody can look at here is not taken for rewritten: a clone that is behind, told to
        # accept what it has, would take the stage back.
        what = (
            f"this clone has no {short}, with which the stage was reconciled: that was not fetched "
            "yet, or never pushed, or another repository uses the same store"
        )
        hint = (
            "fetch or push first: towpath fetch, and where the stage was reconciled: git push; two "
            "registries need two stores (`store` in towpath.yaml)"
        )
        return (Fault(what, Place("main"), hint=hint),)
    before = ApprovalRule(repository, known.head, rule.folder, rule.forge)
    lost = [commit for commit in before.decisions() if not rule.line.holds(commit)]
    if not lost:
        return ()
    named = ", ".join(commit[:7] for commit in lost[:5]) + (" and more" if lost[5:] else "")
    what = f"main's line held {short} and with it the decisions {named}: it was rewritten"
    return (Fault(what, Place("main"), hint=_hint(rule)),)


def find_displaced_since(rule: ApprovalRule, known: Witness) -> tuple[Fault, ...]:
    """Decisions that a merge put out of main's line after the stage was last reconciled: what was
    so before was accepted then."""
    settled = rule.line.places.get(known.head or "", -1)
    late = (one for one in rule.displaced if rule.line.places[one.merge] > settled)
    return tuple(displaced_fault(one) for one in late)


def _hint(rule: ApprovalRule) -> str:
    return (
        f"look at it: git log --graph {rule.head[:7]}; push main as it was, or, where the rewrite "
        f"was meant: towpath reconcile STAGE --apply {ACCEPT}"
    )
