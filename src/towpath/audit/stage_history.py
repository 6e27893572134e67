"""What each stage ran, since when, and who let it in: derived from the merged stage files."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Generic, TypeVar

from msgspec import Struct, structs

from towpath.audit.approvals import Approvals, AuditedApproval, open_approvals
from towpath.audit.ledger import AuditLedger, open_ledger, refuse_stage_that_never_was
from towpath.config.foreign_values import format_second
from towpath.delivery.promotion.promotion_approval import short_promotion_name
from towpath.delivery.reconcile.deployment_record import DeployedGate, parse_gate_trailers
from towpath.errors import UsageError
from towpath.registry import Promotion

if TYPE_CHECKING:
    from towpath.workspace import Workspace


_PULL = re.compile(r"(?:pull request #|\(#)(\d+)")


class StageMove(Struct, frozen=True, kw_only=True):
    """One change of what a stage should run of a model. Times are UTC, ISO 8601.

    ``version`` is None where the model was taken out, ``over`` the version before. ``merged`` is
    when main took it, ``until`` when main took the next; ``entered`` is when reconcile had
    carried it out, by its tag; None where it has not, or nobody ran it. ``fault`` says why the
    stage file cannot be understood; ``gates`` are those that were asked as it came in, as its tag
    has them.
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
    entered: str | None
    tag: str | None
    rejected: str | None
    fault: str | None = None
    gates: tuple[DeployedGate, ...] = ()


class HistoryEntry(StageMove, frozen=True, kw_only=True):
    """The same, with who let it in on which evidence; ``reverts`` is the promotion that it took
    back by hand."""

    pull_request: str | None
    approval: AuditedApproval
    evidence: str | None
    reverts: str | None = None

    @property
    def promotion_name(self) -> str:
        """What the branch of it is called, but for its prefix."""
        return short_promotion_name(self.model, self.version, self.stage)


_Move = TypeVar("_Move", bound=StageMove)


class StageMoment(Struct, Generic[_Move], frozen=True):
    """What a stage was to run and what it ran at a moment; None where that was nothing.

    ``wanted`` is by the merged stage files; ``ran`` by the stage tags that reconcile wrote, which
    lags behind ``wanted`` while a deployment waits or fails.
    """

    stage: str
    at: str
    wanted: _Move | None
    ran: _Move | None


def read_stage_history(
    workspace: Workspace, model: str, stage: str | None = None, forge: bool = True
) -> tuple[HistoryEntry, ...]:
    """The log of a model, oldest first, in all stages or in one.

    The approvals are those that reconcile wrote down; where it has not come by yet, they are
    asked of the forge (``forge``), or are unknown. Raises ``UsageError`` for a model or a stage
    that is not there.
    """
    ledger = open_ledger(workspace, model)
    if stage is not None:
        refuse_stage_that_never_was(ledger, stage)
    histories = StageHistories(ledger, open_approvals(workspace, ledger, forge))
    mine = [promotion for promotion in ledger.promotions if stage in (None, promotion.stage)]
    return histories.judge_all(mine)


def open_stage_histories(workspace: Workspace) -> StageHistories:
    """The same of every model that a stage was ever to run: one look at main for all of them. No
    forge is asked."""
    ledger = open_ledger(workspace)
    return StageHistories(ledger, open_approvals(workspace, ledger, ask=False))


class StageHistories(Struct, frozen=True, dict=True):
    """Every change of what stages should run, as one commit of main and its tags have it. Who let
    one in is judged when it is asked for, once: of those that are asked for together in one pass.
    """

    ledger: AuditLedger
    approvals: Approvals

    def list_moves(self, stage: str | None = None, model: str | None = None) -> list[StageMove]:
        """The changes of a stage, of a model, or all; those of a stage file together, oldest
        first."""
        return [
            self.describe_move(promotion)
            for place, promotions in self.ledger.promotions_by_stage.items()
            if stage in (None, place[0]) and model in (None, place[1])
            for promotion in promotions
        ]

    def newest_moves(self, stage: str, model: str) -> Iterator[StageMove]:
        """The changes of one stage file, the newest first; none is looked at that is not asked
        for."""
        return map(self.describe_move, reversed(self.ledger.promotions_of(stage, model)))

    def describe_move(self, promotion: Promotion) -> StageMove:
        place = promotion.commit, promotion.path
        if place not in self._moves:
            self._moves[place] = _describe_move(self.ledger, promotion)
        return self._moves[place]

    def judge_moves(self, moves: Iterable[StageMove]) -> tuple[HistoryEntry, ...]:
        """Some of these changes with who let them in."""
        return self.judge_all([self._places[move.commit, move.stage, move.model] for move in moves])

    def judge_model(self, model: str) -> tuple[HistoryEntry, ...]:
        """All of a model, oldest first."""
        return self.judge_all([p for p in self.ledger.promotions if p.model == model])

    def judge_all(self, promotions: Sequence[Promotion]) -> tuple[HistoryEntry, ...]:
        places = [(promotion.commit, promotion.path) for promotion in promotions]
        new = [p for p, place in zip(promotions, places, strict=True) if place not in self._entries]
        self.approvals.rule.read_ahead(new)
        self.ledger.read_evidence_ahead(new)
        for promotion in new:
            entry = self._judge(promotion)
            self._entries[promotion.commit, promotion.path] = entry
        return tuple(self._entries[place] for place in places)

    def _judge(self, promotion: Promotion) -> HistoryEntry:
        ledger, approval = self.ledger, self.approvals.find_approval(promotion)
        return HistoryEntry(
            **structs.asdict(self.describe_move(promotion)),
            pull_request=_find_pull_request(promotion, approval),
            approval=approval,
            evidence=ledger.evidence_path(promotion) if ledger.has_evidence(promotion) else None,
            reverts=str(reverted) if (reverted := ledger.find_reverted(promotion)) else None,
        )

    @cached_property
    def _places(self) -> Mapping[tuple[str, str, str], Promotion]:
        return {(p.commit, p.stage, p.model): p for p in self.ledger.promotions}

    @cached_property
    def _moves(self) -> dict[tuple[str, str], StageMove]:
        return {}

    @cached_property
    def _entries(self) -> dict[tuple[str, str], HistoryEntry]:
        return {}


def find_stages_at(
    workspace: Workspace, entries: Sequence[_Move], when: str
) -> tuple[StageMoment[_Move], ...]:
    """What each stage of ``entries`` wanted and ran at a moment: a date means the end of its day.

    Raises ``UsageError`` for what is no date.
    """
    moment = format_second(parse_moment(when))
    past_stages = sorted({entry.stage for entry in entries})
    order = [stage for stage in workspace.policy.stages if stage in past_stages]
    # A stage that is declared no more ran something then all the same.
    every_stage = dict.fromkeys([*order, *past_stages])
    return tuple(_find_stage_at(entries, stage, moment) for stage in every_stage)


def _find_stage_at(entries: Sequence[_Move], stage: str, moment: str) -> StageMoment[_Move]:
    mine = [entry for entry in entries if entry.stage == stage]
    merged = [entry for entry in mine if entry.merged <= moment]
    ran = [entry for entry in mine if entry.entered and entry.entered <= moment]
    last = (entries[-1] if entries else None for entries in (merged, ran))
    wanted, running = (entry if entry and entry.version else None for entry in last)
    return StageMoment(stage, moment, wanted, running)


def _find_pull_request(promotion: Promotion, approval: AuditedApproval) -> str | None:
    if approval.where and "://" in approval.where:
        return approval.where
    # GitHub writes the number into the subject of a merge and of a squash, each in its own way.
    numbered = _PULL.search(promotion.subject)
    return f"#{numbered[1]}" if numbered else None


def _describe_move(ledger: AuditLedger, promotion: Promotion) -> StageMove:
    tags = ledger.find_tags(promotion)
    before, after = ledger.previous_change(promotion), ledger.next_change(promotion)
    version = ledger.find_version(promotion.model, promotion.version)
    return StageMove(
        model=promotion.model,
        stage=promotion.stage,
        version=str(promotion.version) if promotion.version else None,
        sha256=promotion.sha256,
        over=str(before.version) if before and before.version else None,
        merged=format_second(promotion.time),
        until=format_second(after.time) if after else None,
        commit=promotion.commit,
        author=promotion.author,
        entered=format_second(tags[0].tag.time) if tags else None,
        tag=tags[-1].tag.name.removeprefix("refs/tags/") if tags else None,
        rejected=version.rejected if version else None,
        fault=promotion.fault.what if promotion.fault else None,
        gates=next(filter(None, (parse_gate_trailers(tag.tag.message) for tag in tags)), ()),
    )


DATE = r"\d{4}-\d{2}-\d{2}"
MOMENT = rf"{DATE}(?:[T ]\d{{2}}:\d{{2}}(?::\d{{2}}(?:\.\d+)?)?(?:Z|[+-]\d{{2}}:?\d{{2}})?)?"


def parse_moment(text: str) -> int:
    """Seconds since 1970 of the last second that ``text`` covers: a date means its whole day.

    Raises ``UsageError`` for what is no date.
    """
    try:
        when = datetime.fromisoformat(text.strip())
    except ValueError:
        hint = "write 2026-03-01, or 2026-03-01T14:30:00Z"
        raise UsageError(f"`{text}` is no date", hint=hint) from None
    # UTC, not this machine's zone: the same question has the same answer on each machine.
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    if re.fullmatch(DATE, text.strip()):
        when += timedelta(days=1, seconds=-1)
    return int(when.timestamp())


def normalise_date(text: str) -> str:
    """A date or a time as the registry writes times, so that they order as text does."""
    moment = format_second(parse_moment(text))
    return text if re.fullmatch(DATE, text) else moment
