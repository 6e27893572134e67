"""Does each stage tag follow from a merged promotion: of that version, there, and in order?"""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import pairwise

from towpath.audit.approvals import Approvals
from towpath.audit.audit_finding import AuditFinding, make_finding
from towpath.audit.ledger import AuditLedger
from towpath.backends.git import refs
from towpath.config.foreign_values import format_second
from towpath.plain_data import group_by_key
from towpath.registry import registry_state, restore_tags
from towpath.registry.registry_state import TAGS
from towpath.registry.stage_tags import StageTag
from towpath.registry.version_reference import parse_tag


def check_stage_tags(ledger: AuditLedger, approvals: Approvals) -> Iterator[AuditFinding]:
    """Every stage tag: annotated, on its version's commit, after its promotion, in order, and
    claiming no other approval than there was."""
    pattern = f"{TAGS}{ledger.model or '*'}#*"
    for ref in refs.list_refs(ledger.repository, pattern):
        name = parse_tag(ref.name.removeprefix(TAGS))
        if name and name.stage and ledger.is_meant(name.stage) and not ref.annotated:
            yield _tag_finding(ref.name, "it is a lightweight tag, which says neither who nor when")
    for tag in ledger.stray_tags:
        yield from _explain_stray(ledger, tag)
    for tag in ledger.stage_tags:
        # A tag's object holds its name, and its signature covers that: under another it was copied.
        own_name = ledger.tag_names.get(tag.tag.name)
        if own_name is not None and own_name != tag.tag.name.removeprefix(TAGS):
            what = f"its object was made as {own_name}, and put here under this name"
            yield _tag_finding(tag.tag.name, what)
    yield from _check_order(ledger)
    yield from _find_excess_claims(ledger, approvals)


def _find_excess_claims(ledger: AuditLedger, approvals: Approvals) -> Iterator[AuditFinding]:
    for promotion in ledger.promotions:
        for tag in ledger.find_tags(promotion):
            if claimed := approvals.find_excess_claim(tag, promotion):
                by = f" by {', '.join(claimed.by)}" if claimed.by else ""
                was = f"and that was `{approvals.prove_approval(promotion).level}`"
                what = f"it claims the approval `{claimed.level}`{by}, {was}"
                yield _tag_finding(tag.tag.name, what)


def _tag_finding(name: str, what: str) -> AuditFinding:
    short = name.removeprefix(TAGS)
    # The tag is set aside, not deleted: it may be all that keeps a commit.
    way = restore_tags.way_to_restore(short)
    hint = f"{way}; then towpath reconcile --apply writes what is right"
    return make_finding("stage tag", what, short, hint)


def _explain_stray(ledger: AuditLedger, tag: StageTag) -> Iterator[AuditFinding]:
    version = ledger.version_on(tag.model, tag.commit)
    when = format_second(tag.tag.time)
    if version is None and (lost := ledger.lost_on(tag.model, tag.commit)):
        what = f"the tag of {lost} is gone, and this one keeps its commit {tag.commit[:7]}"
        short = tag.tag.name.removeprefix(TAGS)
        yield make_finding("stage tag", what, short, restore_tags.way_to_restore(lost))
        return
    if version is None:
        what = f"it stands on {tag.commit[:7]}, which is the commit of no version of {tag.model}"
    elif tag.undone:
        what = f"no merged promotion took {tag.model} out of {tag.stage} before {when}"
    else:
        what = f"no merged promotion put {tag.model}@{version} into {tag.stage} before {when}"
        log = ledger.promotions_of(tag.stage, tag.model)
        if any(promotion.version == version for promotion in log):
            what += " that was not over by then"
    yield _tag_finding(tag.tag.name, f"{what}: {tag.tag.tagger} wrote it")


def _check_order(ledger: AuditLedger) -> Iterator[AuditFinding]:
    """The numbers of a model's events rise with their dates, and no two dates are the same."""
    # Stock GTO goes by the dates, and of two tags of one second takes either.
    # Beside a forged tag an honest one would look out of order, and be set aside for it.
    forged = {tag.tag.name for tag in ledger.stray_tags}
    honest = [tag for tag in ledger.stage_tags if tag.tag.name not in forged]
    latest_allowed = time.time() + registry_state.TAG_AHEAD
    ahead = [tag for tag in honest if tag.tag.time > latest_allowed]
    for tags in group_by_key((tag.model, tag) for tag in honest if tag not in ahead).values():
        for before, after in pairwise(tags):
            if after.number <= before.number or after.tag.time == before.tag.time:
                short = before.tag.name.removeprefix(TAGS)
                times = f"{format_second(after.tag.time)} and {format_second(before.tag.time)}"
                what = f"its date and that of {short} are not in order: {times}"
                yield _tag_finding(after.tag.name, what)
    for tag in ahead:  # stock GTO would take it for the newest for ever
        when = format_second(tag.tag.time)
        yield _tag_finding(tag.tag.name, f"it is dated {when}, which has not come yet")
