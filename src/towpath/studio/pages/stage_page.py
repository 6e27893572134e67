"""A stage: what it runs, who let that in on which evidence, and what it ran on any date."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from towpath.credentials import hide_credentials
from towpath.delivery.gates.judge_gates import describe_bound
from towpath.delivery.promotion.rulebook import least_level
from towpath.studio.pages.page_kind import NoSuchPage, PageRequest
from towpath.studio.pages.stage_cards import (
    CHANGE_STATES,
    StageCard,
    add_ways_back,
    find_past_cards,
    list_stage_cards,
)
from towpath.studio.project_facts import ProjectFacts, tell_silence
from towpath.studio.shown_values import parse_time, show_age

if TYPE_CHECKING:
    from towpath.audit.stage_history import HistoryEntry, StageMove
    from towpath.config.project_declaration import Project
    from towpath.delivery.reconcile import StagePlan


ON_A_PAGE = 100  # changes of the history
_MOST_MODELS, _MOST_SPANS = 12, 40  # of the time line


class StageChangeLine(Struct, frozen=True):
    """A model, and what would have to be done for the stage to be what main says."""

    model: str
    state: str
    words: str


class StageDrift(Struct, frozen=True):
    """The stage as it is against what main says, ``age`` ago; ``fault`` is why it is not known."""

    changes: tuple[StageChangeLine, ...]
    store: str
    target: str
    notes: tuple[str, ...]
    fault: str
    age: str


class StageSpan(Struct, frozen=True):
    """A version in a stage, in seconds since 1970; ``end`` is None where it is there still.
    ``is_deployed`` is that reconcile has carried it out."""

    version: str
    begin: float
    end: float | None
    is_deployed: bool
    words: str


class StagePage(Struct, frozen=True):
    stage: str
    description: str
    cards: tuple[StageCard, ...]
    history: tuple[HistoryEntry, ...]
    page: int
    pages: int
    rules: tuple[tuple[str, str], ...]
    gates: tuple[tuple[str, str, str, str], ...]
    moment: str
    past: tuple[StageCard, ...]
    fault: str
    spans: Mapping[str, tuple[StageSpan, ...]]
    drift: StageDrift | None


def gather_stage(facts: ProjectFacts, request: PageRequest) -> StagePage:
    stage = request.names["stage"]
    if facts.policy is None or stage not in facts.stages:
        raise NoSuchPage(f"no stage `{stage}`")
    declared = facts.policy.stages[stage]
    moves = [move for move in facts.list_moves(stage) if move.model in facts.models]
    moves.sort(key=lambda move: move.merged, reverse=True)
    cards = add_ways_back(facts, list_stage_cards(facts, stage)[stage], moves[::-1])
    part = request.cut_list(moves, len(moves) or 1 if request.is_static else ON_A_PAGE)
    moment = request.first_value("at").strip()
    past, fault = find_past_cards(facts, moment) if moment else ({}, "")
    return StagePage(
        stage, declared.description or "", cards,
        facts.judge_moves(part.rows), part.page, part.pages,
        tuple(_rule_rows(facts.policy, stage)),
        tuple((name, g.kind, g.when, describe_bound(g)) for name, g in declared.gates.items()),
        moment, past.get(stage, ()), fault, list_stage_spans(moves), _find_drift(facts, stage),
    )  # fmt: skip


def _find_drift(facts: ProjectFacts, stage: str) -> StageDrift | None:
    """What ``towpath reconcile`` says of the stage; None where nobody is there to ask."""
    heard = facts.observe_stage(stage)
    if heard is None:
        return None
    plan: StagePlan | None = heard.value
    if plan is None:
        store = facts.policy.stages[stage].store if facts.policy else None
        where = f" ({hide_credentials(store.url)}), or its target," if store else " or its target"
        silence = f"the store of {stage}{where} {tell_silence(heard.silence)}"
        return StageDrift((), "", "", (), heard.fault or silence, "")
    changes = tuple(StageChangeLine(c.model, CHANGE_STATES[c.kind], str(c)) for c in plan.changes)
    age = show_age(heard.age)
    return StageDrift(changes, plan.store, plan.target, plan.notes, heard.fault, age)


def _rule_rows(policy: Project, stage: str) -> Iterator[tuple[str, str]]:
    declared = policy.stages[stage]
    yield "approval", least_level(policy, stage)
    if declared.approvers:
        yield "approvers", ", ".join(declared.approvers)
    yield "own approval", "allowed" if policy.policy.self_approval else "not allowed"
    if declared.deploy:
        yield "runs as", declared.deploy.to
    if declared.work_pool:
        yield "work pool", declared.work_pool


def list_stage_spans(history: Sequence[StageMove]) -> Mapping[str, tuple[StageSpan, ...]]:
    """The spans of each model, the oldest first; of long histories the last of them. A version
    that ran goes on until the next has taken its place, which is after that was merged."""
    spans: dict[str, list[StageSpan]] = {}
    taken_over = {(entry.model, entry.merged): entry.entered for entry in history}
    for entry in sorted(history, key=lambda entry: entry.merged):
        left = entry.until
        if left and entry.entered:
            left = taken_over.get((entry.model, left)) or left
        if span := _make_span(entry, left):
            spans.setdefault(entry.model, []).append(span)
    return {
        model: tuple(listed[-_MOST_SPANS:]) for model, listed in [*spans.items()][:_MOST_MODELS]
    }


def _make_span(entry: StageMove, left: str | None) -> StageSpan | None:
    """None where nothing ran, or no such time can be drawn."""
    begin, end = parse_time(entry.entered or entry.merged), parse_time(left)
    if entry.version is None or begin is None or (end is not None and end < begin):
        return None
    words = f"{entry.model}@{entry.version} from {entry.entered or entry.merged}"
    words += f" to {left}" if left else ", still there"
    words += "" if entry.entered else ", not deployed"
    last = end.timestamp() if end else None
    return StageSpan(entry.version, begin.timestamp(), last, bool(entry.entered), words)
