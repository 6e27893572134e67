"""Home: what each stage runs, what waits for a person, and how the last runs went."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from towpath.studio.pages.run_facts import RunLine, list_run_lines
from towpath.studio.shown_values import show_change, show_number, show_person

if TYPE_CHECKING:
    from towpath.audit.stage_history import HistoryEntry
    from towpath.delivery.promotion.decide_promotion import WaitingPromotion
    from towpath.registry import StageFile
    from towpath.studio.pages.page_kind import PageRequest
    from towpath.studio.project_facts import ProjectFacts

_RUNS = 12


@dataclass(frozen=True)
class StageCard:
    """A model in a stage. ``change`` is the main metric against the version before, ``verdict``
    whether that is better; ``lag`` says what the stage runs still, where that is not yet this."""

    model: str
    version: str
    since: str
    by: str
    approval: str
    metric: str
    value: str
    change: str
    verdict: str
    over: str
    lag: str
    rejected: str


@dataclass(frozen=True)
class StageColumn:
    stage: str
    description: str
    cards: tuple[StageCard, ...]


@dataclass(frozen=True)
class Attention:
    """Something that a person should look at: ``address`` is its page."""

    state: str
    words: str
    address: str


@dataclass(frozen=True)
class HomePage:
    columns: tuple[StageColumn, ...]
    waiting: tuple[WaitingPromotion, ...]
    runs: tuple[RunLine, ...]
    attention: tuple[Attention, ...]
    pipelines: tuple[str, ...]
    model_count: int
    version_count: int


def gather_home(facts: ProjectFacts, _: PageRequest) -> HomePage:
    columns = tuple(_stage_column(facts, stage) for stage in facts.stages)
    runs = tuple(list_run_lines(facts, _RUNS))
    return HomePage(
        columns,
        facts.waiting_promotions,
        runs,
        tuple(_find_attention(columns, runs)),
        tuple(facts.workspace.pipelines),
        len(facts.models),
        sum(len(model.versions) for model in facts.models.values()),
    )


def _stage_column(facts: ProjectFacts, stage: str) -> StageColumn:
    files = [file for file in facts.stage_files.wanted if file.stage == stage]
    declared = facts.policy.stages[stage].description if facts.policy else None
    return StageColumn(stage, declared or "", tuple(stage_card(facts, file) for file in files))


def stage_card(facts: ProjectFacts, stage_file: StageFile) -> StageCard:
    """What a stage should run of a model, and what is known of that."""
    entries = [e for e in facts.model_history(stage_file.model) if e.stage == stage_file.stage]
    entry = next((e for e in reversed(entries) if e.version == str(stage_file.version)), None)
    model = facts.models.get(stage_file.model)
    version = model.find_number(stage_file.version) if model else None
    before = model.find_number(stage_file.replaces) if model and stage_file.replaces else None
    metric = facts.main_metric(version.metrics) if version else None
    value = version.metrics.get(metric) if version and metric else None
    earlier = before.metrics.get(metric) if before and metric else None
    verdict = facts.metric_direction(metric).judge_change(earlier, value) if metric else ""
    return StageCard(
        stage_file.model,
        str(stage_file.version),
        (entry.entered or entry.merged) if entry else "",
        ", ".join(map(show_person, entry.approval.by)) if entry else "",
        entry.approval.level if entry else "",
        metric or "",
        show_number(value),
        show_change(earlier, value),
        verdict,
        str(stage_file.replaces or ""),
        _lag_words(entries),
        (version.rejected if version else None) or "",
    )


def _lag_words(entries: list[HistoryEntry]) -> str:
    if not entries or entries[-1].entered:
        return ""
    running = next((e.version for e in reversed(entries) if e.entered), None)
    return f"runs {running} still" if running else "is not deployed yet"


def _find_attention(
    columns: tuple[StageColumn, ...], runs: tuple[RunLine, ...]
) -> Iterator[Attention]:
    for column in columns:
        for card in column.cards:
            name = f"{card.model}@{card.version}"
            address = f"stages/{column.stage}/"
            if card.rejected:
                words = f"{column.stage} runs {name}, which was rejected: {card.rejected}"
                yield Attention("failed", words, address)
            if card.lag:
                words = f"{name} was let into {column.stage}; it {card.lag}"
                yield Attention("waiting", words, address)
    pipelines_told: set[str] = set()
    for run in runs:
        if run.pipeline not in pipelines_told and run.state in ("failed", "interrupted", "refused"):
            words = f"the last run of {run.pipeline} {_ENDINGS[run.state]}"
            yield Attention(run.state, f"{words}: {run.error}" if run.error else words,
                            f"runs/{run.id}/")  # fmt: skip
        pipelines_told.add(run.pipeline)


_ENDINGS = {"failed": "failed", "interrupted": "was interrupted", "refused": "was refused"}
