"""A stage: what it runs, who let that in on which evidence, and what it ran on any date."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from msgspec import Struct

from towpath.credentials import hide_credentials
from towpath.delivery.gates import describe_bound
from towpath.delivery.promotion.rulebook import least_level
from towpath.studio.pages.page_kind import NoSuchPage
from towpath.studio.pages.stage_cards import (
    CHANGE_STATES,
    StageCard,
    add_ways_back,
    find_past_cards,
    list_stage_cards,
)
from towpath.studio.pages.stage_times import StageSpan, list_stage_spans
from towpath.studio.project_facts import tell_silence
from towpath.studio.shown_values import show_age

if TYPE_CHECKING:
    from towpath.audit.stage_history import HistoryEntry
    from towpath.config.project_declaration import Project
    from towpath.delivery.reconcile import StagePlan
    from towpath.studio.beside_answers import HeardAnswer
    from towpath.studio.pages.page_kind import PageRequest
    from towpath.studio.project_facts import ProjectFacts


ON_A_PAGE = 100  # changes of the history


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
        tuple(
            (name, gate.kind, gate.when, describe_bound(gate))
            for name, gate in declared.gates.items()
        ),
        moment, past.get(stage, ()), fault, list_stage_spans(moves), _find_drift(facts, stage),
    )  # fmt: skip


def _find_drift(facts: ProjectFacts, stage: str) -> StageDrift | None:
    """What ``towpath reconcile`` says of the stage; None where nobody is there to ask."""
    heard = facts.observe_stage(stage)
    if heard is None:
        return None
    plan: StagePlan | None = heard.value
    if plan is None:
        return StageDrift((), "", "", (), heard.fault or _tell_waiting(facts, stage, heard), "")
    changes = tuple(
        StageChangeLine(change.model, CHANGE_STATES[change.kind], str(change))
        for change in plan.changes
    )
    return StageDrift(
        changes, plan.store, plan.target, plan.notes, heard.fault, show_age(heard.age)
    )


def _tell_waiting(facts: ProjectFacts, stage: str, heard: HeardAnswer) -> str:
    store = facts.policy.stages[stage].store if facts.policy else None
    where = f" ({hide_credentials(store.url)}), or its target," if store else " or its target"
    return f"the store of {stage}{where} {tell_silence(heard.silence)}"


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
