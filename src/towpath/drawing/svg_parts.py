"""What drawings and charts in SVG are made of: texts, boxes, and how wide a text is."""

from __future__ import annotations

from towpath.control_characters import escape_markup


def draw_text(kind: str, x: float, y: float, words: str, anchor: str = "") -> str:
    """A stranger's words, which act nowhere; ``kind`` is the class that the style sheet knows."""
    side = f' text-anchor="{anchor}"' if anchor else ""
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}"{side}>{escape_markup(words)}</text>'


def draw_rect(kind: str, left: float, top: float, wide: float, high: float, radius: float) -> str:
    return (
        f'<rect class="{kind}" x="{left:.1f}" y="{top:.1f}" width="{wide:.1f}" '
        f'height="{high:.1f}" rx="{radius:g}"/>'
    )


def guess_width(text: str, per_sign: float) -> float:
    """In pixels: there is no font to ask. Chinese signs are twice as wide."""
    if text.isascii():  # nearly all of some ten thousand in a large drawing
        return per_sign * len(text)
    return sum(per_sign * (1.9 if ord(sign) > 0x2E7F else 1.0) for sign in text)
