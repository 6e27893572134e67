"""What each stage ran, since when, and who let it in: derived from the merged stage files."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from towpath.audit import utc_dates
from towpath.audit.approvals import Approvals, Approved, approvals
from towpath.audit.ledger import Ledger, open_ledger, refuse_stage_that_never_was
from towpath.registry import Promotion
from towpath.registry.stage_tags import Assigned

if TYPE_CHECKING:
    from towpath.workspace import Workspace

_PULL = re.compile(r"(?:pull request #|\(#)(\d+)")


@dataclass(frozen=True)
class Entry:
    """One change of what a stage should run of a model. Times are UTC, ISO 8601.

    ``version`` is None where the model was taken out, ``over`` the version before. ``merged`` is
    when main took it, ``until`` when main took the next; ``entered`` is when reconcile had
    carried it out, by its tag; None where it has not, or nobody ran it. ``fault`` says why the
    stage file cannot be understood; ``reverts`` is the promotion that this took back by hand.
    """

    model: str
    stage: str
    version: str | None
    sha256: str | None
    over: str | None
    merged: str
    until: str | None
    commit: str
    author: str
    pull_request: str | None
    approval: Approved
    evidence: str | None
    entered: str | None
    tag: str | None
    rejected: str | None
    fault: str | None = None
    reverts: str | None = None


@dataclass(frozen=True)
class Moment:
    """What a stage was to run and what it ran at a moment; None where that was nothing.

    ``wanted`` is by the merged stage files; ``ran`` by the stage tags that reconcile wrote, which
    lags behind ``wanted`` while a deployment waits or fails.
    """

    stage: str
    at: str
    wanted: Entry | None
    ran: Entry | None


def history(
    workspace: Workspace, model: str, stage: str | None = None, forge: bool = True
) -> tuple[Entry, ...]:
    """The log of a model, oldest first, in all stages or in one.

    The approvals are those that reconcile wrote down; where it has not come by yet, they are
    asked of the forge (``forge``), or are unknown. Raises ``UsageError`` for a model or a stage
    that is not there.
    """
    ledger = open_ledger(workspace, model)
    if stage is not None:
        refuse_stage_that_never_was(ledger, stage)
    known = approvals(workspace, ledger, forge)
    mine = [one for one in ledger.promotions if stage in (None, one.stage)]
    return tuple(_entry(ledger, known, one) for one in mine)


def at(workspace: Workspace, entries: Sequence[Entry], when: str) -> tuple[Moment, ...]:
    """What each stage of ``entries`` wanted and ran at a moment: a date means the end of its day.

    Raises ``UsageError`` for what is no date.
    """
    moment = utc_dates.shown(utc_dates.moment(when))
    order = list(workspace.policy.stages)
    stages = sorted({one.stage for one in entries}, key=lambda s: (s not in order, s))
    stages = [*(s for s in order if s in stages), *(s for s in stages if s not in order)]
    return tuple(_moment(stage, moment, entries) for stage in stages)


def _moment(stage: str, moment: str, entries: Sequence[Entry]) -> Moment:
    mine = [one for one in entries if one.stage == stage]
    wanted = [one for one in mine if one.merged <= moment]
    ran = [one for one in mine if one.entered and one.entered <= moment]
    return Moment(stage, moment, _standing(wanted), _standing(ran))


def _standing(entries: Sequence[Entry]) -> Entry | None:
    last = entries[-1] if entries else None
    return last if last and last.version else None


def _entry(ledger: Ledger, known: Approvals, one: Promotion) -> Entry:
    tags = ledger.tags(one)
    approval = known.told(one)
    model = ledger.models.get(one.model)
    version = model.at(one.version) if model and one.version else None
    return Entry(
        model=one.model,
        stage=one.stage,
        version=str(one.version) if one.version else None,
        sha256=one.sha256,
        over=str(over) if (over := _before(ledger, one)) else None,
        merged=utc_dates.shown(one.time),
        until=_until(ledger, one),
        commit=one.commit,
        author=one.author,
        pull_request=_pull_request(one, approval),
        approval=approval,
        evidence=ledger.evidence(one) if ledger.has_evidence(one) else None,
        entered=utc_dates.shown(tags[0].tag.time) if tags else None,
        tag=_name(tags[-1]) if tags else None,
        rejected=version.rejected if version else None,
        fault=one.fault.what if one.fault else None,
        reverts=str(reverted) if (reverted := ledger.reverts(one)) else None,
    )


def _name(tag: Assigned) -> str:
    return tag.tag.name.removeprefix("refs/tags/")


def _neighbours(ledger: Ledger, one: Promotion) -> Iterator[Promotion | None]:
    mine = [None, *ledger.of(one.stage, one.model), None]
    place = mine.index(one)
    yield from (mine[place - 1], mine[place + 1])


def _before(ledger: Ledger, one: Promotion) -> object:
    before, _ = _neighbours(ledger, one)
    return before.version if before else None


def _until(ledger: Ledger, one: Promotion) -> str | None:
    _, after = _neighbours(ledger, one)
    return utc_dates.shown(after.time) if after else None


def _pull_request(one: Promotion, approval: Approved) -> str | None:
    """Where it was reviewed: its address, or the number that the forge put in the subject."""
    if approval.where and "://" in approval.where:
        return approval.where
    found = _PULL.search(one.subject)
    return f"#{found[1]}" if found else None
