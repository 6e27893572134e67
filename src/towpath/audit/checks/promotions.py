"""Did each stage file come by a promotion: merged, approved at the level asked for, and alone?"""

from __future__ import annotations

from collections.abc import Iterator

from towpath.audit.approving import UNKNOWN, Approvals
from towpath.audit.finding import Finding, Unchecked, finding
from towpath.audit.ledger import Ledger
from towpath.git import history
from towpath.promotion.case import paths
from towpath.registry import Promotion, wanted

BY_HAND = "git show {commit}; promote what should be there with `towpath promote`"


def check(ledger: Ledger, approvals: Approvals) -> Iterator[Finding | Unchecked]:
    """Every change of a stage file on the main branch."""
    for one in ledger.promotions:
        yield from _read(one)
        yield from _approved(approvals, one)
        yield from _chained(ledger, one)
    commits = dict.fromkeys(one.commit for one in ledger.promotions)
    for commit in commits:
        yield from _alone(ledger, [one for one in ledger.promotions if one.commit == commit])


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
    elif found.level == "none":
        because = f": {found.because}" if found.because else ""
        what = f"{one} came by no approved promotion{because}"
        hint = f"{one.author} put it on main; " + BY_HAND.format(commit=one.commit[:7])
        yield finding("promotion", what, _place(one), hint)
    elif not approvals.is_enough(one, found):
        least = approvals.least(one)
        because = f": {found.because}" if found.because else ""
        what = f"{one} was approved as `{found.level}` and needed `{least}`{because}"
        hint = "promote it again, and let those approve it whom the policy names"
        yield finding("promotion", what, _place(one), hint)


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


def _alone(ledger: Ledger, together: list[Promotion]) -> Iterator[Finding]:
    """A promotion changes its own files; what judges it and what it promotes come apart."""
    commit = together[0].commit
    before = ledger.base(commit)
    if before == commit:
        return
    own = {path for one in together for path in paths(one.stage, one.model, ledger.number(one))}
    changed = history.changes(ledger.repository, before, commit)
    others = [c.path for c in changed if c.path not in own and not _is_promotion(c.path)]
    if others:
        named = ", ".join(others[:3]) + (f" and {len(others) - 3} more" if others[3:] else "")
        what = f"the change that brought {', '.join(map(str, together))} also changed {named}"
        hint = f"git show {commit[:7]}: a pull request holds a promotion or code, not both"
        yield finding("promotion", what, _place(together[0]), hint)


def _is_promotion(path: str) -> bool:
    return wanted.place(path) is not None or path.endswith("/.gitkeep")
