"""A pipeline's graph as a page shows it: boxes that are links and have a state, in the page's look.

The rules of its look stand in the page's style sheet, for a page lets no drawing bring its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html import escape

from towpath.control_characters import show_controls
from towpath.drawing.graph_layout import GraphLayout, lay_out_picture, write_path
from towpath.drawing.picture import BoxShape, GraphBox, GraphLine, GraphPicture

_HIGH, _SMALL = 46.0, 30.0  # pixels: a step's box, and that of an input
_DOWN = 34.0  # pixels between two layers
_MARGIN = 12.0
_STUB = 8.0  # pixels that a line runs straight into a box
_NARROWEST, _WIDEST = 132.0, 260.0  # pixels of a box
_ICON = 30.0  # pixels that the sign of the state takes
_SIGNS = {
    "done": "M-4.2 0.3 L-1.2 3.3 L4.4 -3.2",
    "reused": "M3.8 -1.6 A4.2 4.2 0 1 0 4.2 1.2 M4.4 -4.4 V-1.3 H1.3",
    "failed": "M-3.4 -3.4 L3.4 3.4 M3.4 -3.4 L-3.4 3.4",
    "refused": "M-3.4 -3.4 L3.4 3.4 M3.4 -3.4 L-3.4 3.4",
    "skipped": "M-4 0 H4",
    "running": "M-1.8 -3.6 L3.6 0 L-1.8 3.6 Z",
    "interrupted": "M-2 -3.4 V3.4 M2 -3.4 V3.4",
    "waiting": "M0 -3.6 V0.4 L2.6 2",
}


@dataclass(frozen=True)
class BoxLook:
    """What a box shows beside its name: ``state`` is a class and a sign, ``note`` stands at its
    end, ``address`` is where it leads."""

    state: str = ""
    note: str = ""
    address: str = ""
    is_selected: bool = False


def draw_graph(
    picture: GraphPicture, looks: Mapping[str, BoxLook], link: Callable[[str], str]
) -> str:
    """The graph as an ``svg`` element without a style of its own; ``link`` makes an address
    relative to the page."""
    sizes = {name: _box_size(box, looks.get(name, _PLAIN)) for name, box in picture.boxes.items()}
    placed = lay_out_picture(picture, sizes, _label_width, _DOWN)
    width, height = placed.width + 2 * _MARGIN, placed.height + 2 * _MARGIN
    lines = [_draw_line(line, placed) for line in picture.lines]
    boxes = (
        _draw_box(box, looks.get(name, _PLAIN), placed.middles[name], sizes[name], link)
        for name, box in picture.boxes.items()
    )
    title = _escape_words(f"The steps of {picture.title}")
    return "\n".join(
        [
            f'<svg class="graph" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" '
            f'height="{height:.0f}" role="group" aria-label="{title}">',
            _HEADS,
            f'<g transform="translate({_MARGIN:.0f} {_MARGIN:.0f})">',
            *(line for line, _ in lines),
            *boxes,
            *(label for _, label in lines if label),
            "</g></svg>",
        ]
    )


_PLAIN = BoxLook()
_HEADS = (
    '<defs><marker id="arrow" viewBox="0 0 10 10" refX="8.5" refY="5" markerWidth="6" '
    'markerHeight="6" orient="auto-start-reverse"><path class="head" d="M0 1 L9 5 L0 9 z"/>'
    "</marker></defs>"
)


def _box_size(box: GraphBox, look: BoxLook) -> tuple[float, float]:
    if box.shape is BoxShape.INPUT:
        return min(_WIDEST, max(64.0, _text_width(box.name, 6.7) + 34)), _SMALL
    lower = _text_width(_lower_line(box), 6.3) + _text_width(look.note, 6.6) + 12
    wide = max(_text_width(box.name, 7.4), lower) + _ICON + 16
    return min(_WIDEST, max(_NARROWEST, wide)), _HIGH


def _lower_line(box: GraphBox) -> str:
    if box.shape is BoxShape.CONDITION:
        return box.detail
    return box.detail if box.shape is BoxShape.REGISTER else box.kind


def _draw_box(
    box: GraphBox, look: BoxLook, middle: tuple[float, float], size: tuple[float, float],
    link: Callable[[str], str],
) -> str:  # fmt: skip
    (x, y), (wide, high) = middle, size
    left, top = x - wide / 2, y - high / 2
    is_input = box.shape is BoxShape.INPUT
    radius = high / 2 if is_input else 9
    parts = [
        f'<rect class="face" x="{left:.1f}" y="{top:.1f}" width="{wide:.1f}" '
        f'height="{high:.1f}" rx="{radius:.0f}"/>'
    ]
    if is_input:
        parts.append(_draw_text("label", x, y + 4, _cut_text(box.name, wide - 24, 6.7), "middle"))
    else:
        parts += _step_parts(box, look, left, top, wide)
    words = ", ".join(filter(None, (box.kind, look.state, look.note, box.detail)))
    classes = " ".join(filter(None, (
        "box", f"shape-{box.shape.name.lower()}", look.state and f"state-{look.state}",
        "is-selected" if look.is_selected else "",
    )))  # fmt: skip
    inner = f"<title>{_escape_words(f'{box.name}: {words}')}</title>{''.join(parts)}"
    if not look.address:
        return f'<g class="{classes}">{inner}</g>'
    current = ' aria-current="true"' if look.is_selected else ""
    return f'<a class="{classes}" href="{_escape_words(link(look.address))}"{current}>{inner}</a>'


def _step_parts(box: GraphBox, look: BoxLook, left: float, top: float, wide: float) -> list[str]:
    room = wide - _ICON - 16
    sign = _SIGNS.get(look.state, "")
    icon = (
        f'<g class="sign" transform="translate({left + 19:.1f} {top + _HIGH / 2:.1f})">'
        f'<circle r="9"/>{f"<path d={chr(34)}{sign}{chr(34)}/>" if sign else _shape_sign(box)}</g>'
    )
    lower = _cut_text(_lower_line(box), room - _text_width(look.note, 6.6) - 6, 6.3)
    return [
        icon,
        _draw_text("name", left + _ICON + 6, top + 20, _cut_text(box.name, room, 7.4)),
        _draw_text("kind", left + _ICON + 6, top + 35, lower),
        _draw_text("note", left + wide - 10, top + 35, look.note, "end") if look.note else "",
    ]


_SHAPE_SIGNS = {
    BoxShape.CONDITION: "M0 -4.6 L4.6 0 L0 4.6 L-4.6 0 Z",
    BoxShape.REGISTER: "M0 -4.6 L1.4 -1.5 L4.6 -1.2 L2.2 1 L2.9 4.3 L0 2.6 L-2.9 4.3 L-2.2 1 "
    "L-4.6 -1.2 L-1.4 -1.5 Z",
    BoxShape.CHECK: "M-4 -3.6 H4 V0.6 C4 2.8 1.6 4.2 0 4.8 C-1.6 4.2 -4 2.8 -4 0.6 Z",
    BoxShape.FAIL: "M-3.2 -3.2 L3.2 3.2 M3.2 -3.2 L-3.2 3.2",
    BoxShape.STOP: "M-3 -3 H3 V3 H-3 Z",
}


def _shape_sign(box: GraphBox) -> str:
    path = _SHAPE_SIGNS.get(box.shape)
    return f'<path d="{path}"/>' if path else '<circle class="dot" r="3"/>'


def _draw_line(line: GraphLine, placed: GraphLayout) -> tuple[str, str]:
    ends = (line.start, line.end)
    kind = "ordering" if line.ordering else "branch" if line.label else "flow"
    path = write_path(placed.routes[ends], _STUB)
    drawn = f'<path class="line {kind}" d="{path}" marker-end="url(#arrow)"/>'
    if ends not in placed.labels:
        return drawn, ""
    (x, y), wide = placed.labels[ends], _label_width(line.label)
    pill = (
        f'<rect class="pill" x="{x - wide / 2:.1f}" y="{y - 8:.1f}" width="{wide:.1f}" '
        f'height="16" rx="8"/>'
    )
    return drawn, pill + _draw_text("branch-label", x, y + 4, line.label, "middle")


def _label_width(label: str) -> float:
    return _text_width(label, 6.4) + 12 if label else 0.0


def _draw_text(kind: str, x: float, y: float, words: str, anchor: str = "start") -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f'<text class="{kind}" {place}>{_escape_words(words)}</text>'


def _text_width(text: str, per_sign: float) -> float:
    # In pixels, guessed: there is no font to ask. Chinese signs are twice as wide.
    return sum(per_sign * (1.9 if ord(sign) > 0x2E7F else 1.0) for sign in text)


def _cut_text(text: str, room: float, per_sign: float) -> str:
    if _text_width(text, per_sign) <= room:
        return text
    kept = max(1, int(room / per_sign) - 1)
    return f"{text[:kept]}…"


def _escape_words(text: str) -> str:
    return escape(show_controls(text))
