"""Does each stage tag follow from a merged promotion: of that version, there, and in order?"""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import pairwise

from towpath.audit import utc_dates
from towpath.audit.approvals import Approvals
from towpath.audit.audit_finding import Finding, finding
from towpath.audit.ledger import Ledger
from towpath.backends.git import refs
from towpath.registry import registry_state, restore_tags
from towpath.registry.stage_tags import Assigned
from towpath.registry.version_reference import parse_tag

TAGS = "refs/tags/"


def check(ledger: Ledger, approvals: Approvals) -> Iterator[Finding]:
    """Every stage tag: annotated, on its version's commit, after its promotion, in order, and
    claiming no other approval than there was."""
    yield from _lightweight(ledger)
    for tag in ledger.strays:
        yield from _stray(ledger, tag)
    for tag in ledger.assigned:
        yield from _renamed(tag, ledger)
    yield from _order(ledger)
    yield from _dated(ledger)
    yield from _claims(ledger, approvals)


def _finding(name: str, what: str) -> Finding:
    """The tag is set aside, not deleted: it may be all that keeps a commit."""
    short = name.removeprefix(TAGS)
    hint = f"{restore_tags.way(short)}; then towpath reconcile --apply writes what is right"
    return finding("stage tag", what, short, hint)


def _lightweight(ledger: Ledger) -> Iterator[Finding]:
    pattern = f"{TAGS}{ledger.model}#*" if ledger.model else f"{TAGS}*#*"
    for ref in refs.listed(ledger.repository, pattern):
        found = parse_tag(ref.name.removeprefix(TAGS))
        if found and found.stage and ledger.is_meant(found.stage) and not ref.annotated:
            yield _finding(ref.name, "it is a lightweight tag, which says neither who nor when")


def _is_ahead(tag: Assigned) -> bool:
    return tag.tag.time > time.time() + registry_state.TAG_AHEAD


def _dated(ledger: Ledger) -> Iterator[Finding]:
    """No tag is dated after now: stock GTO would take it for the newest for ever."""
    strays = {tag.tag.name for tag in ledger.strays}
    for tag in ledger.assigned:
        if _is_ahead(tag) and tag.tag.name not in strays:
            when = utc_dates.shown(tag.tag.time)
            yield _finding(tag.tag.name, f"it is dated {when}, which has not come yet")


def _claims(ledger: Ledger, approvals: Approvals) -> Iterator[Finding]:
    for one in ledger.promotions:
        for tag in ledger.tags(one):
            if claimed := approvals.outdoes(tag, one):
                found = approvals.proved(one).level
                by = f" by {', '.join(claimed.by)}" if claimed.by else ""
                what = f"it claims the approval `{claimed.level}`{by}, and that was `{found}`"
                yield _finding(tag.tag.name, what)


def _stray(ledger: Ledger, tag: Assigned) -> Iterator[Finding]:
    version = ledger.version_on(tag.model, tag.commit)
    when = utc_dates.shown(tag.tag.time)
    if version is None and (lost := ledger.lost_on(tag.model, tag.commit)):
        what = f"the tag of {lost} is gone, and this one keeps its commit {tag.commit[:7]}"
        short = tag.tag.name.removeprefix(TAGS)
        yield finding("stage tag", what, short, restore_tags.way(lost))
        return
    if version is None:
        what = f"it stands on {tag.commit[:7]}, which is the commit of no version of {tag.model}"
    elif tag.undone:
        what = f"no merged promotion took {tag.model} out of {tag.stage} before {when}"
    else:
        what = f"no merged promotion put {tag.model}@{version} into {tag.stage} before {when}"
        if any(one.version == version for one in ledger.of(tag.stage, tag.model)):
            what += " that was not over by then"
    yield _finding(tag.tag.name, f"{what}: {tag.tag.tagger} wrote it")


def _renamed(tag: Assigned, ledger: Ledger) -> Iterator[Finding]:
    """A tag's object holds its name: under another it was copied."""
    said = ledger.tag_names.get(tag.tag.name)
    if said is not None and said != tag.tag.name.removeprefix(TAGS):
        yield _finding(tag.tag.name, f"its object was made as {said}, and put here under this name")


def _order(ledger: Ledger) -> Iterator[Finding]:
    """The numbers of a model's events rise with their dates, and no two dates are the same."""
    by_model: dict[str, list[Assigned]] = {}
    # Beside a forged tag an honest one would look out of order, and be set aside for it.
    forged = {tag.tag.name for tag in ledger.strays}
    honest = [tag for tag in ledger.assigned if tag.tag.name not in forged]
    for tag in (one for one in honest if not _is_ahead(one)):
        by_model.setdefault(tag.model, []).append(tag)
    for tags in by_model.values():
        for before, after in pairwise(tags):
            if after.number <= before.number or after.tag.time == before.tag.time:
                short = before.tag.name.removeprefix(TAGS)
                times = f"{utc_dates.shown(after.tag.time)} and {utc_dates.shown(before.tag.time)}"
                yield _finding(
                    after.tag.name, f"its date and that of {short} are not in order: {times}"
                )
