"""A stage's time line as SVG: a row a model, a bar for each version as long as it was there."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from typing import TYPE_CHECKING

from towpath.control_characters import show_controls

if TYPE_CHECKING:
    from towpath.studio.pages.stage_times import StageSpan

_WIDE, _ROW, _TOP, _LEFT, _RIGHT = 960.0, 30.0, 4.0, 130.0, 8.0
_SHORTEST = 3.0  # pixels of a bar
_LETTER = 7.0  # pixels


def draw_time_line(
    rows: Mapping[str, Sequence[StageSpan]], now: float | None = None, marked: float | None = None
) -> str:
    """The bars from the first to now; ``marked`` is a moment that a line stands at, in seconds."""
    end = now or time.time()
    begin = min((span.begin for spans in rows.values() for span in spans), default=end)
    length = max(end - begin, 1.0)
    floor = _TOP + _ROW * len(rows)

    def place(moment: float) -> float:
        share = min(1.0, max(0.0, (moment - begin) / length))
        return _LEFT + share * (_WIDE - _LEFT - _RIGHT)

    parts = []
    for number, (model, spans) in enumerate(rows.items()):
        y = _TOP + number * _ROW
        parts.append(_write_words("row-name", _LEFT - 10, y + 19, model[:18], "end"))
        for index, span in enumerate(spans):
            left, right = place(span.begin), place(span.end if span.end is not None else end)
            parts.append(_draw_bar(span, index, left, max(right - left, _SHORTEST), y))
    for share in (0.0, 0.5, 1.0):
        moment = begin + share * length
        words = datetime.fromtimestamp(moment, UTC).strftime(
            "%Y-%m-%d" if length > 172_800 else "%m-%d %H:%M"
        )
        anchor = {0.0: "start", 0.5: "middle", 1.0: "end"}[share]
        parts.append(_write_words("tick-word", place(moment), floor + 16, words, anchor))
    if marked is not None and begin <= marked <= end:
        x = place(marked)
        parts.append(f'<path class="mark-line" d="M{x:.1f} {_TOP} V{floor:.1f}"/>')
    sentence = "; ".join(span.words for spans in rows.values() for span in spans)
    return (
        f'<svg class="chart time-line" viewBox="0 0 {_WIDE:.0f} {floor + 22:.0f}" '
        f'width="{_WIDE:.0f}" height="{floor + 22:.0f}" role="img" '
        f'aria-label="{_escape_words(sentence[:2000])}">{"".join(parts)}</svg>'
    )


def _draw_bar(span: StageSpan, index: int, left: float, wide: float, y: float) -> str:
    kind = f"time-bar c{index % 8}" + ("" if span.is_deployed else " is-waiting")
    bar = (
        f'<rect class="{kind}" x="{left:.1f}" y="{y + 4:.1f}" width="{wide:.1f}" height="22" '
        f'rx="4"><title>{_escape_words(span.words)}</title></rect>'
    )
    if len(span.version) * _LETTER + 12 > wide:
        return bar
    return bar + _write_words("bar-word", left + 7, y + 19, span.version, "start")


def _write_words(kind: str, x: float, y: float, words: str, anchor: str) -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f'<text class="{kind}" {place}>{_escape_words(words)}</text>'


def _escape_words(text: str) -> str:
    return escape(show_controls(text))
