"""A model in a stage, as a card: what runs there now, or ran at a date, and who let it in."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from towpath.audit.stage_board import StageStanding, tell_standing
from towpath.audit.stage_history import HistoryEntry, StageMoment, StageMove, find_stages_at
from towpath.delivery.promotion.promotion_approval import short_promotion_name
from towpath.delivery.promotion.promotion_case import find_version_before
from towpath.errors import TowpathError
from towpath.registry import Model, ModelVersion, VersionNumber
from towpath.studio.project_facts import LONG_SILENCE, ProjectFacts
from towpath.studio.shown_values import show_change, show_number, show_person

if TYPE_CHECKING:
    from towpath.delivery.reconcile import StagePlan


class StageCard(Struct, frozen=True):
    """A model in a stage. ``change`` is the main metric against the version before, ``verdict``
    whether that is better; ``lag`` says what the stage runs still, where that is not yet this.
    ``promotion`` is the page of its evidence. ``drift`` says in a word how the stage stands to
    that, as ``towpath reconcile`` finds it, and ``drift_state`` is its sign; "" for unknown.
    ``back`` is the version to which ``towpath rollback`` goes, ``forth`` one that has to be
    promoted again, for it was left by going back."""

    model: str
    version: str
    metric: str
    value: str
    change: str
    verdict: str
    over: str
    lag: str
    rejected: str
    since: str = ""
    by: str = ""
    approval: str = ""
    promotion: str = ""
    drift: str = ""
    drift_state: str = ""
    back: str = ""
    forth: str = ""


#: The sign of what ``towpath reconcile`` would do for a model, by the kind of that.
CHANGE_STATES = {
    "nothing": "done", "deploy": "waiting", "repair": "failed", "remove": "waiting",
    "blocked": "refused",
}  # fmt: skip
_DRIFT_WORDS = {"nothing": "as main says", "repair": "not as main says", "blocked": "blocked"}


def add_drift(
    facts: ProjectFacts, stage: str, cards: tuple[StageCard, ...]
) -> tuple[StageCard, ...]:
    """The cards with what was heard last of the stage; as they are where nobody has looked."""
    heard = facts.observe_stage(stage, waits=False) if cards else None
    plan: StagePlan | None = heard.value if heard else None
    kinds = {change.model: change.kind for change in plan.changes} if plan else {}
    if heard and plan is None and (heard.fault or heard.silence > LONG_SILENCE):
        return tuple(replace(c, drift="cannot be looked at", drift_state="refused") for c in cards)
    return tuple(
        replace(card, drift=_DRIFT_WORDS[kind], drift_state=CHANGE_STATES[kind])
        if (kind := kinds.get(card.model)) in _DRIFT_WORDS
        else card
        for card in cards
    )


def add_ways_back(
    facts: ProjectFacts, cards: tuple[StageCard, ...], moves: Sequence[StageMove]
) -> tuple[StageCard, ...]:
    """The cards of a stage with the version that can be proposed again; ``moves`` are those of the
    stage, the oldest first."""
    models = facts.models
    held = ((models.get(card.model), card) for card in cards)
    return tuple(_add_way_back(model, card, moves) if model else card for model, card in held)


def _add_way_back(model: Model, card: StageCard, moves: Sequence[StageMove]) -> StageCard:
    numbers = [_parse_number(move.version) for move in moves if move.model == card.model]
    rejected = {version.version for version in model.versions if version.rejected is not None}
    unfit = {_parse_number(card.version), *rejected}
    back = find_version_before([number for number in numbers if number], unfit)
    over = _parse_number(card.over)
    forth = "" if back or over is None or over in unfit else card.over
    return replace(card, back=str(back or ""), forth=forth)


def list_stage_cards(facts: ProjectFacts, *stages: str) -> Mapping[str, tuple[StageCard, ...]]:
    """What stages should run of each model, and what is known of that, by stage."""
    cards: dict[str, list[StageCard]] = {stage: [] for stage in stages}
    for standing in facts.read_standings(*stages):
        cards[standing.stage].append(make_card(facts, standing, standing.lag))
    return {stage: tuple(listed) for stage, listed in cards.items()}


def make_card(facts: ProjectFacts, standing: StageStanding, lag: str) -> StageCard:
    model = facts.models.get(standing.model)
    version, before = (
        model.find_number(number) if model and number else None
        for number in map(_parse_number, (standing.version, standing.over))
    )
    name = short_promotion_name(standing.model, standing.version, standing.stage)
    return StageCard(
        standing.model,
        standing.version,
        *_show_metric(facts, version, before),
        standing.over or "",
        lag,
        standing.rejected or ("" if standing.rejected is None else "no reason given"),
        since=standing.deployed or standing.merged or "",
        by=", ".join(map(show_person, standing.by)),
        approval=standing.approval,
        promotion=name if standing.evidence else "",
    )


def _parse_number(number: str | None) -> VersionNumber | None:
    return VersionNumber.parse(number) if number else None


def _show_metric(
    facts: ProjectFacts, version: ModelVersion | None, before: ModelVersion | None
) -> tuple[str, str, str, str]:
    """The main metric, its value, how that differs from the version before, and whether it is
    better."""
    main = facts.metric_policy.read_main_metric(version, before)
    if main is None:
        return "", show_number(None), show_change(None, None), ""
    return main.name, show_number(main.value), show_change(main.before, main.value), main.verdict


def find_past_cards(
    facts: ProjectFacts, moment: str
) -> tuple[Mapping[str, tuple[StageCard, ...]], str]:
    """What each stage ran at a moment, or was to run, by stage; and why ``moment`` is none."""
    cards: defaultdict[str, list[StageCard]] = defaultdict(list)
    try:
        pasts = [*_find_moments(facts, moment)]
        moves = [move for past in pasts if (move := past.ran or past.wanted)]
        entries = dict(zip(moves, facts.judge_moves(moves), strict=False))
        for past in pasts:
            entry = entries.get(move) if (move := past.ran or past.wanted) else None
            if entry and _parse_number(entry.version):
                cards[past.stage].append(_make_past_card(facts, past, entry))
    except TowpathError as wrong:
        hint = wrong.faults[0].hint
        return {}, wrong.faults[0].what + (f": {hint}" if hint else "")
    return {stage: tuple(listed) for stage, listed in cards.items()}, ""


def _find_moments(facts: ProjectFacts, moment: str) -> Iterator[StageMoment[StageMove]]:
    if histories := facts.stage_histories:
        for model in facts.models:
            if moves := histories.list_moves(model=model):
                yield from find_stages_at(facts.workspace, moves, moment)


def _make_past_card(
    facts: ProjectFacts, past: StageMoment[StageMove], entry: HistoryEntry
) -> StageCard:
    if past.ran is None:
        lag = "was not deployed yet"
    elif past.wanted and past.wanted.version != past.ran.version:
        lag = f"was to run {past.wanted.version}"
    else:
        lag = "" if past.wanted else "was to leave"
    # That it was rejected since is no fact of that day.
    return make_card(facts, replace(tell_standing(entry), rejected=None), lag)
