"""Did each stage file come by a promotion: merged, approved at the level asked for, and alone?"""

from __future__ import annotations

from collections.abc import Iterator

from towpath.audit import finding_notes
from towpath.audit.approvals import UNKNOWN, Approvals
from towpath.audit.audit_finding import Finding, Unchecked, finding
from towpath.audit.ledger import Ledger
from towpath.delivery.promotion.approval_rule import backdated_fault, decide_again
from towpath.registry import Promotion


def check(ledger: Ledger, approvals: Approvals) -> Iterator[Finding | Unchecked]:
    """Every change of a stage file on the main branch."""
    for one in ledger.promotions:
        if ledger.is_confirmed(one):
            continue  # what came by a hand was looked at since, and let in by a promotion
        yield from _read(ledger, one)
        yield from _approved(ledger, approvals, one)
        yield from _chained(ledger, one)


def _place(one: Promotion) -> str:
    return f"{one.path} at {one.commit[:7]}"


def _way(ledger: Ledger, one: Promotion) -> str:
    """How a change that came by a hand is put right: by a promotion that lets it in afterwards,
    where it stands still; what is past is explained. Undoing it by `git revert` would change the
    stage file by hand once more."""
    if ledger.next(one) is not None:
        return f"git show {one.commit[:7]}; {finding_notes.EXPLAIN}"
    again = decide_again(one, ledger.of(one.stage, one.model))
    if one.version is None:
        return f"{again} puts it right; then {finding_notes.EXPLAIN}"
    return f"{again} lets it in by its rules; or go to another version, and {finding_notes.EXPLAIN}"


def _read(ledger: Ledger, one: Promotion) -> Iterator[Finding]:
    if one.fault:
        yield finding("promotion", one.fault.what, _place(one), _way(ledger, one))


def _approved(
    ledger: Ledger, approvals: Approvals, one: Promotion
) -> Iterator[Finding | Unchecked]:
    found = approvals.proved(one)
    if found.level == UNKNOWN:
        yield Unchecked("promotion", f"who approved {one} ({one.commit[:7]})", str(found.because))
        return
    judged = approvals.judged(one)
    because = f": {found.because}" if found.because else ""
    if judged.backdated:
        fault = backdated_fault(one, judged.backdated, ledger.log)
        yield finding("promotion", f"{one}: {fault.what}", _place(one), _way(ledger, one))
    if found.level == "none":
        what = f"{one} came by no approved promotion{because}: {one.author} put it on main"
        if reverted := ledger.reverts(one):
            what += f", and with it took {reverted} back by hand"
        yield finding("promotion", what, _place(one), _way(ledger, one))
    elif not judged.is_enough:
        what = f"{one} was approved as `{found.level}` and needed `{judged.needed}`{because}"
        yield finding("promotion", what, _place(one), _way(ledger, one))


def _chained(ledger: Ledger, one: Promotion) -> Iterator[Finding]:
    """`replaces` names what was there, and the digest is the version's."""
    mine = list(ledger.of(one.stage, one.model))
    place = mine.index(one)
    before = mine[place - 1].version if place else None
    if one.version is None:
        return
    if one.replaces != before and not ledger.reverts(one):
        said, was = one.replaces or "nothing", before or "nothing"
        what = f"it says that it replaces {said}, and {was} was there"
        yield finding("promotion", what, _place(one), _way(ledger, one))
    known = ledger.models.get(one.model)
    version = known.at(one.version) if known else None
    sha256 = version.summary.get("sha256") if version else None
    if sha256 is not None and sha256 != one.sha256:
        here, there = str(one.sha256)[:12], sha256[:12]
        what = f"its sha256 is {here}…, and {version} was registered with {there}…"
        yield finding("promotion", what, _place(one), _way(ledger, one))
