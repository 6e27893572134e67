"""The main branch that a stage was last reconciled with, kept in the stage's own store.

Git says what main holds now, and nothing of what it held: whoever may force a push can put main
where an approval of last year is its newest word. The store remembers, and only reconcile writes
there.
"""

from __future__ import annotations

import json

from msgspec import Struct

from towpath.backends.git import Repository, refs
from towpath.config.foreign_values import CommitId, Fields, parse_json, read_count
from towpath.delivery.promotion.main_line_approvals import ApprovalRule, displaced_fault
from towpath.errors import Fault, Malformed, Place
from towpath.storage.stage_store import StageStore

PATH = "towpath/main.json"
SCHEMA = 1
ACCEPT = "--accept-history"
SEEN = "refs/towpath/seen/main"
"""The remote's main as this clone last acted upon it: for stages that remember nothing yet."""


class MainWitness(Struct, frozen=True):
    """Main's head when the stage was last reconciled, and the mark of the file that says so; no
    head where the stage never was. ``root`` is main's first commit, by which two repositories
    that use one store are told apart; a clone, which remembers its own, has none."""

    head: str | None = None
    mark: str | None = None
    root: str | None = None


def read_witness(store: StageStore) -> MainWitness:
    """What a stage remembers of main. Raises ``Malformed`` for what no reconcile wrote."""
    kept = store.read(PATH)
    if kept is None:
        return MainWitness()
    try:
        fields = Fields(parse_json(kept[0]))
        head, root = fields.get("main", CommitId), fields.get("root", CommitId)
        if fields.get("schema", read_count) != SCHEMA:
            raise Malformed("it has another schema")
    except Malformed as fault:
        what = f"{PATH} in {store.shown} is damaged: {fault.faults[0].what}"
        raise Malformed(what, hint=_accept_command(store.name)) from fault
    return MainWitness(head, kept[1], root)


def write_witness(store: StageStore, witness: MainWitness, rule: ApprovalRule) -> None:
    root = _root_commit(rule)
    if (witness.head, witness.root) != (rule.head, root):
        content = json.dumps({"schema": SCHEMA, "main": rule.head, "root": root}).encode()
        # Whether the write took is not asked: a reconcile that wrote meanwhile saw a newer main.
        store.write(PATH, content, witness.mark)


def _root_commit(rule: ApprovalRule) -> str:
    return rule.line.commits[0].name


def find_rewritten(rule: ApprovalRule, witness: MainWitness, stage: str) -> tuple[Fault, ...]:
    """What main decided before the stage was last reconciled, and does not hold any more."""
    if witness.head is None or rule.line.holds_commit(witness.head):
        return ()
    repository = rule.repository
    short = witness.head[:7]
    if repository.commit(witness.head) is None:
        return (_unknown_commit(rule, witness, stage),)
    before = ApprovalRule(repository, witness.head, rule.folder, rule.forge)
    lost = [commit for commit in before.find_decisions() if not rule.line.holds_commit(commit)]
    if not lost:  # the line took another way and lost no decision: a pull with a merge does that
        return ()
    named = ", ".join(commit[:7] for commit in lost[:5]) + (" and more" if lost[5:] else "")
    what = f"main's line held {short} and with it the decisions {named}: it was rewritten"
    hint = (
        f"look at it: git log --graph {rule.head[:7]}; push main as it was, or, where the rewrite "
        f"was meant: {_accept_command(stage)}"
    )
    return (Fault(what, Place("main"), hint=hint),)


def _unknown_commit(rule: ApprovalRule, witness: MainWitness, stage: str) -> Fault:
    what = f"this repository has no {str(witness.head)[:7]}, with which the stage was reconciled"
    own = f"give each registry a store of its own: `store` of {stage} in towpath.yaml"
    # What nobody can look at here is not taken for rewritten: a clone that is behind, told to
    # accept what it has, would take the stage back.
    fetch_hint = "fetch or push first: towpath fetch, and in the clone that reconciled: git push"
    if witness.root in (None, _root_commit(rule)):
        what = f"{what}: it was not fetched yet, or never pushed"
        return Fault(what, Place("main"), fetch_hint)
    began = f"{str(witness.root)[:7]}, and this one with {_root_commit(rule)[:7]}"
    what = f"{what}: another repository uses the same store, whose main begins with {began}"
    anew = f"where all of this one's main was written anew: {_accept_command(stage)}"
    return Fault(what, Place("main"), f"{own}; {anew}")


def find_rewritten_here(rule: ApprovalRule) -> tuple[Fault, ...]:
    head = refs.list_ref_objects(rule.repository, SEEN).get(SEEN)
    return find_rewritten(rule, MainWitness(head), "STAGE")


def mark_seen(repository: Repository, head: str) -> None:
    """Remember the remote's main in this clone: no other clone, and no prune, changes that."""
    if refs.list_ref_objects(repository, SEEN).get(SEEN) != head:
        refs.point_ref(repository, SEEN, head)


def find_displaced_since(rule: ApprovalRule, witness: MainWitness) -> tuple[Fault, ...]:
    """Decisions that a merge put out of main's line after the stage was last reconciled."""
    places = rule.line.commit_places
    settled = places.get(witness.head or "", -1)  # what was so before that was accepted then
    late = (entry for entry in rule.displaced_decisions if places[entry.merge] > settled)
    return tuple(displaced_fault(entry) for entry in late)


def _accept_command(stage: str) -> str:
    return f"towpath reconcile {stage} --apply {ACCEPT}"
