"""A value against its bound as a small SVG: where it may lie, does lie, and lay before."""

from __future__ import annotations

from msgspec import Struct

from towpath.drawing.svg_parts import draw_text
from towpath.studio.shown_values import show_number
from towpath.studio.svg_charts import AxisSpan, clamp_value

_WIDE, _HIGH = 240.0, 34.0  # pixels
_EDGE = 8.0  # pixels that stay free at both ends
_AXIS = 14.0  # pixels from the top to the line
_MARGIN = 0.25  # of what is to be shown, added at both sides


class BoundedValue(Struct, frozen=True):
    """``lower`` and ``upper`` are what is allowed, None for no end; ``before`` is the value of the
    version that runs now."""

    value: float
    lower: float | None = None
    upper: float | None = None
    before: float | None = None
    passed: bool = True


def draw_bound(bounded: BoundedValue) -> str:
    """The bar as an ``svg`` whose look stands in the page's style sheet."""
    limits = [end for end in (bounded.lower, bounded.upper) if end is not None]
    before = [] if bounded.before is None else [bounded.before]
    held = [clamp_value(value) for value in (bounded.value, *limits, *before)]
    margin = (max(held) - min(held)) * _MARGIN
    ends = [min(held) - margin, max(held) + margin]
    axis = AxisSpan.of_values(ends, _EDGE, _WIDE - _EDGE)
    left = _EDGE if bounded.lower is None else axis.place(bounded.lower)
    right = _WIDE - _EDGE if bounded.upper is None else axis.place(bounded.upper)
    state = "passed" if bounded.passed else "failed"
    parts = [
        f'<path class="bound-axis" d="M{_EDGE:.0f} {_AXIS:.0f} H{_WIDE - _EDGE:.0f}"/>',
        f'<rect class="bound-allowed" x="{left:.1f}" y="{_AXIS - 5:.0f}" '
        f'width="{max(0.0, right - left):.1f}" height="10" rx="2"/>',
        *(_draw_limit(axis.place(limit), limit) for limit in limits),
        *(f'<circle class="bound-before" cx="{axis.place(value):.1f}" cy="{_AXIS:.0f}" r="5"/>'
          for value in before),
        f'<circle class="bound-value {state}" cx="{axis.place(bounded.value):.1f}" '
        f'cy="{_AXIS:.0f}" r="5"/>',
    ]  # fmt: skip
    return (
        f'<svg class="bound" viewBox="0 0 {_WIDE:.0f} {_HIGH:.0f}" width="{_WIDE:.0f}" '
        f'height="{_HIGH:.0f}" role="img" aria-label="{_describe_bound(bounded)}">'
        f"{''.join(parts)}</svg>"
    )


def _draw_limit(x: float, limit: float) -> str:
    inside = min(max(x, 24.0), _WIDE - 24.0)
    return f'<path class="bound-limit" d="M{x:.1f} {_AXIS - 9:.0f} V{_AXIS + 8:.0f}"/>' + draw_text(
        "bound-word", inside, _HIGH - 2, show_number(limit), "middle"
    )


def _describe_bound(bounded: BoundedValue) -> str:
    ends = (("at least", bounded.lower), ("at most", bounded.upper))
    allowed = " and ".join(f"{word} {show_number(end)}" for word, end in ends if end is not None)
    before = "" if bounded.before is None else f"; now {show_number(bounded.before)}"
    verdict = "within" if bounded.passed else "outside"
    return f"{show_number(bounded.value)}, {verdict} {allowed}{before}"
