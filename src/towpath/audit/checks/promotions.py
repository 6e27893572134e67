"""Did each stage file come by a promotion: merged, approved at the level asked for, and alone?"""

from __future__ import annotations

from collections.abc import Iterator

from towpath.audit.approving import UNKNOWN, Approvals
from towpath.audit.finding import Finding, Unchecked, finding
from towpath.audit.ledger import Ledger
from towpath.promotion.approval_rule import again, backdated_fault
from towpath.registry import Promotion

BY_HAND = "git show {commit}; promote what should be there with `towpath promote`"


def check(ledger: Ledger, approvals: Approvals) -> Iterator[Finding | Unchecked]:
    """Every change of a stage file on the main branch."""
    for one in ledger.promotions:
        yield from _read(one)
        yield from _approved(approvals, one)
        yield from _chained(ledger, one)


def _place(one: Promotion) -> str:
    return f"{one.path} at {one.commit[:7]}"


def _read(one: Promotion) -> Iterator[Finding]:
    if one.fault:
        hint = BY_HAND.format(commit=one.commit[:7])
        yield finding("promotion", one.fault.what, _place(one), hint)


def _approved(approvals: Approvals, one: Promotion) -> Iterator[Finding | Unchecked]:
    found = approvals.proved(one)
    if found.level == UNKNOWN:
        yield Unchecked("promotion", f"who approved {one} ({one.commit[:7]})", str(found.because))
        return
    judged = approvals.judged(one)
    because = f": {found.because}" if found.because else ""
    if judged.backdated:
        fault = backdated_fault(one, judged.backdated)
        yield finding("promotion", f"{one}: {fault.what}", _place(one), again(one))
    if found.level == "none":
        what = f"{one} came by no approved promotion{because}"
        hint = f"{one.author} put it on main; " + BY_HAND.format(commit=one.commit[:7])
        yield finding("promotion", what, _place(one), hint)
    elif not judged.is_enough:
        what = f"{one} was approved as `{found.level}` and needed `{judged.needed}`{because}"
        yield finding("promotion", what, _place(one), again(one))


def _chained(ledger: Ledger, one: Promotion) -> Iterator[Finding]:
    """`replaces` names what was there, and the digest is the version's."""
    mine = list(ledger.of(one.stage, one.model))
    place = mine.index(one)
    before = mine[place - 1].version if place else None
    if one.version is None:
        return
    if one.replaces != before:
        said, was = one.replaces or "nothing", before or "nothing"
        what = f"it says that it replaces {said}, and {was} was there"
        hint = BY_HAND.format(commit=one.commit[:7])
        yield finding("promotion", what, _place(one), hint)
    known = ledger.models.get(one.model)
    version = known.at(one.version) if known else None
    sha256 = version.summary.get("sha256") if version else None
    if sha256 is not None and sha256 != one.sha256:
        here, there = str(one.sha256)[:12], sha256[:12]
        what = f"its sha256 is {here}…, and {version} was registered with {there}…"
        hint = BY_HAND.format(commit=one.commit[:7])
        yield finding("promotion", what, _place(one), hint)
