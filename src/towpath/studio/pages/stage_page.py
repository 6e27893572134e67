"""A stage: what it runs, who let that in on which evidence, and what it ran on any date."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from towpath.audit.stage_history import find_stages_at
from towpath.errors import TowpathError
from towpath.studio.pages.home_page import StageCard, stage_card
from towpath.studio.pages.page_kind import NoSuchPage

if TYPE_CHECKING:
    from towpath.audit.stage_history import HistoryEntry, StageMoment
    from towpath.config.project_declaration import StageDeclaration
    from towpath.studio.pages.page_kind import PageRequest
    from towpath.studio.project_facts import ProjectFacts


@dataclass(frozen=True)
class StagePage:
    stage: str
    description: str
    cards: tuple[StageCard, ...]
    history: tuple[HistoryEntry, ...]
    rules: tuple[tuple[str, str], ...]
    gates: tuple[tuple[str, str, str, str], ...]
    moment: str
    moments: tuple[tuple[str, StageMoment], ...]
    fault: str


def gather_stage(facts: ProjectFacts, request: PageRequest) -> StagePage:
    stage = request.names["stage"]
    if facts.policy is None or stage not in facts.stages:
        raise NoSuchPage(f"no stage `{stage}`")
    declared = facts.policy.stages[stage]
    cards = tuple(
        stage_card(facts, file) for file in facts.stage_files.wanted if file.stage == stage
    )
    history = [e for model in facts.models for e in facts.model_history(model) if e.stage == stage]
    history.sort(key=lambda entry: entry.merged, reverse=True)
    moment = request.first_value("at").strip()
    moments, fault = _moments_at(facts, stage, moment) if moment else ((), "")
    return StagePage(
        stage, declared.description or "", cards, tuple(history),
        tuple(_rule_rows(facts, declared)),
        tuple((n, gate.kind, gate.when, _gate_words(gate)) for n, gate in declared.gates.items()),
        moment, moments, fault,
    )  # fmt: skip


def _moments_at(
    facts: ProjectFacts, stage: str, date: str
) -> tuple[tuple[tuple[str, StageMoment], ...], str]:
    try:
        return tuple(
            (model, moment)
            for model in facts.models
            for moment in find_stages_at(facts.workspace, facts.model_history(model), date)
            if moment.stage == stage
        ), ""
    except TowpathError as wrong:
        hint = wrong.faults[0].hint
        return (), wrong.faults[0].what + (f": {hint}" if hint else "")


def _rule_rows(facts: ProjectFacts, declared: StageDeclaration) -> Iterator[tuple[str, str]]:
    policy = facts.policy.policy if facts.policy else None
    yield "approval", str(declared.approval or (policy.approval if policy else ""))
    if declared.approvers:
        yield "approvers", ", ".join(declared.approvers)
    if policy:
        yield "own approval", "allowed" if policy.self_approval else "not allowed"
    if declared.deploy:
        yield "runs as", declared.deploy.to
    if declared.work_pool:
        yield "work pool", declared.work_pool


def _gate_words(gate: object) -> str:
    """A gate's bound in words: what of it is declared, but for its kind and its moment."""
    left_out = {"kind", "when", "description", "timeout"}
    fields = getattr(gate, "model_dump", dict)(exclude_defaults=True)
    return ", ".join(f"{n.replace('_', ' ')} {v}" for n, v in fields.items() if n not in left_out)
