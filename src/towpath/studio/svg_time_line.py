"""A stage's time line as SVG: a row a model, a bar for each version as long as it was there.

It is drawn twice, for a wide page and for a telephone; the sheet shows one of them.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from msgspec import Struct

from towpath.control_characters import escape_markup
from towpath.drawing.svg_parts import draw_text

if TYPE_CHECKING:
    from towpath.studio.pages.stage_page import StageSpan

_TOP = 4.0  # pixels
_BAR = 22.0  # pixels, its height
_SHORTEST = 3.0  # pixels of a bar
_LETTER = 7.0  # pixels
_TWO_DAYS = 172_800  # seconds


class _LineForm(Struct, frozen=True):
    """Pixels of a drawing: ``left`` is where bars begin. A name stands beside its bars, or above
    them, where they begin at the margin. ``ticks`` are shares of the whole, each with its side."""

    kind: str
    wide: float
    row: float
    left: float
    right: float
    ticks: tuple[tuple[float, str], ...]


_FORMS = (
    _LineForm("is-wide", 960, 30, 130, 8, ((0.0, "start"), (0.5, "middle"), (1.0, "end"))),
    _LineForm("is-narrow", 360, 48, 1, 1, ((0.0, "start"), (1.0, "end"))),
)


class _TimeScale(Struct, frozen=True):
    """Moments, in seconds, as places from left to right, in pixels."""

    begin: float
    end: float
    form: _LineForm

    @property
    def length(self) -> float:
        return max(self.end - self.begin, 1.0)

    def place_moment(self, moment: float) -> float:
        share = min(1.0, max(0.0, (moment - self.begin) / self.length))
        form = self.form
        return form.left + share * (form.wide - form.left - form.right)


def draw_time_line(rows: Mapping[str, Sequence[StageSpan]], now: float | None = None) -> str:
    """The bars from the first to now, in seconds."""
    end = now or time.time()
    begin = min((span.begin for spans in rows.values() for span in spans), default=end)
    return "".join(_draw_form(_TimeScale(begin, end, form), rows) for form in _FORMS)


def _draw_form(scale: _TimeScale, rows: Mapping[str, Sequence[StageSpan]]) -> str:
    form = scale.form
    floor = _TOP + form.row * len(rows)
    parts: list[str] = []
    for number, (model, spans) in enumerate(rows.items()):
        parts += _draw_row(scale, _TOP + number * form.row, model, spans)
    parts += _draw_ticks(scale, floor + 16)
    sentence = "; ".join(span.words for spans in rows.values() for span in spans)
    return (
        f'<svg class="chart time-line {form.kind}" '
        f'viewBox="0 0 {form.wide:.0f} {floor + 22:.0f}" width="{form.wide:.0f}" '
        f'height="{floor + 22:.0f}" role="img" '
        f'aria-label="{escape_markup(sentence[:2000])}">{"".join(parts)}</svg>'
    )


def _draw_row(scale: _TimeScale, y: float, model: str, spans: Sequence[StageSpan]) -> Iterator[str]:
    if scale.form.left < scale.form.row:  # names above
        yield draw_text("row-name", scale.form.left, y + 14, model[:40], "start")
        y += scale.form.row - _BAR - 8
    else:
        yield draw_text("row-name", scale.form.left - 10, y + 19, model[:18], "end")
    colours: dict[str, int] = {}  # a version that came back has the colour that it had
    for span in spans:
        index = colours.setdefault(span.version, len(colours))
        left = scale.place_moment(span.begin)
        right = scale.place_moment(span.end if span.end is not None else scale.end)
        yield _draw_bar(span, index, left, max(right - left, _SHORTEST), y)


def _draw_ticks(scale: _TimeScale, y: float) -> Iterator[str]:
    form = "%Y-%m-%d" if scale.length > _TWO_DAYS else "%m-%d %H:%M UTC"
    last_words = ""
    for share, anchor in scale.form.ticks:
        moment = scale.begin + share * scale.length
        words = datetime.fromtimestamp(moment, UTC).strftime(form)
        if words != last_words:  # of a history of minutes the same would be told three times
            yield draw_text("tick-word", scale.place_moment(moment), y, words, anchor)
        last_words = words


def _draw_bar(span: StageSpan, index: int, left: float, wide: float, y: float) -> str:
    kind = f"time-bar c{index % 8}" + ("" if span.is_deployed else " is-waiting")
    bar = (
        f'<rect class="{kind}" x="{left:.1f}" y="{y + 4:.1f}" width="{wide:.1f}" '
        f'height="{_BAR:.0f}" rx="4"><title>{escape_markup(span.words)}</title></rect>'
    )
    if len(span.version) * _LETTER + 12 > wide:
        return bar
    return bar + draw_text("bar-word", left + 7, y + 19, span.version, "start")
