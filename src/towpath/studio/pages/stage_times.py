"""When a stage ran which version: spans of time, to be drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from towpath.audit.stage_history import StageMove

_MOST_MODELS, _MOST_SPANS = 12, 40


class StageSpan(Struct, frozen=True):
    """A version in a stage, in seconds since 1970; ``end`` is None where it is there still.
    ``is_deployed`` is that reconcile has carried it out."""

    version: str
    begin: float
    end: float | None
    is_deployed: bool
    words: str


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
    begin, end = _read_moment(entry.entered or entry.merged), _read_moment(left)
    if entry.version is None or begin is None or (end is not None and end < begin):
        return None
    words = f"{entry.model}@{entry.version} from {entry.entered or entry.merged}"
    words += f" to {left}" if left else ", still there"
    words += "" if entry.entered else ", not deployed"
    return StageSpan(entry.version, begin, end, bool(entry.entered), words)


def _read_moment(iso: str | None) -> float | None:
    try:
        moment = datetime.fromisoformat((iso or "").replace("Z", "+00:00"))
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
