"""A pipeline's graph as a page shows it: boxes that are links and have a state, in the page's look.

The rules of its look stand in the page's style sheet, for a page lets no drawing bring its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from towpath.control_characters import escape_markup
from towpath.drawing.graph_layout import GraphLayout, lay_out_picture, write_path
from towpath.drawing.picture import BoxShape, GraphBox, GraphLine, GraphPicture
from towpath.drawing.svg_parts import draw_rect, draw_text, guess_width

_HIGH, _SMALL = 46.0, 30.0  # pixels: a step's box, and that of an input
_DOWN = 34.0  # pixels between two layers
_MARGIN = 12.0
_STUB = 8.0  # pixels that a line runs straight into a box
_NARROWEST, _WIDEST = 132.0, 260.0  # pixels of a box
_ICON = 30.0  # pixels that the sign of the state takes
_NOTE_ROOM = 46.0  # pixels of a note that is yet to come
_TOGGLE = 26.0  # pixels that the sign for folding takes
_BAR = 8.0  # pixels more of a box that has a bar of states
_TILE_PITCH, _TILE_GAP = 26.0, 4.0  # pixels from a tile to the next, and between them
_NAMED_TILES = 24  # up to so many tiles have room for their names
_BAR_ORDER = ("failed", "interrupted", "refused", "running", "done", "reused", "skipped", "waiting")
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


class CellTile(Struct, frozen=True):
    """A cell of a step that is unfolded, small."""

    name: str
    state: str
    address: str
    is_selected: bool = False


class BoxLook(Struct, frozen=True):
    """What a box or a frame shows beside its name: ``state`` is a class and a sign, ``note`` stands
    at its end, ``address`` is where it leads.

    ``note_room`` keeps the room of a note that is yet to come, so that nothing moves then.
    ``share`` is its time as a part of the longest step's. Of what stands for many, ``counts`` are
    their states, ``toggle`` the address that folds or unfolds them, ``tiles`` the
    cells, of which ``left_out`` are not drawn.
    """

    state: str = ""
    note: str = ""
    address: str = ""
    is_selected: bool = False
    note_room: bool = False
    share: float = 0.0
    counts: tuple[tuple[str, int], ...] = ()
    toggle: str = ""
    tiles: tuple[CellTile, ...] = ()
    left_out: int = 0


WriteLink = Callable[[str], str]


def draw_graph(
    picture: GraphPicture, looks: Mapping[str, BoxLook], link: WriteLink, zoom: str = ""
) -> str:
    """The graph as an ``svg`` element without a style of its own; ``link`` makes an address
    relative to the page, ``zoom`` is `fit`, per cent of its size, or "" as it fits best."""
    boxes = {name: _shorten_name(picture, box) for name, box in picture.boxes.items()}
    sizes = {name: _box_size(box, looks.get(name, _PLAIN)) for name, box in boxes.items()}
    placed = lay_out_picture(picture, sizes, _label_width, _DOWN)
    paths = _find_paths(picture, looks)
    lines = [_draw_line(line, placed, paths) for line in picture.lines]
    frames = [
        _draw_frame(
            picture.frames[name], _shorten_name(picture, picture.frames[name]).name,
            looks.get(name, _PLAIN), place, link,
        )
        for name, place in placed.frames.items()
    ]  # fmt: skip
    drawn_boxes = (
        _draw_box(
            box, looks.get(name, _PLAIN), _BoxPlace(name, placed.middles[name], sizes[name]), link
        )
        for name, box in boxes.items()
    )
    # What a line leads along is drawn above the others.
    ordered = sorted(lines, key=lambda drawn: drawn.is_on_path)
    return "\n".join(
        [
            _open_svg(picture, placed, zoom),
            _HEADS,
            f'<g transform="translate({_MARGIN:.0f} {_MARGIN:.0f})">',
            *(frame for frame, _ in frames),
            *(drawn.path for drawn in ordered),
            *(title for _, title in frames),
            *drawn_boxes,
            *(drawn.label for drawn in lines if drawn.label),
            "</g></svg>",
        ]
    )


def _shorten_name(picture: GraphPicture, box: GraphBox) -> GraphBox:
    """In a frame a name needs no more than what stands behind the frame's."""
    frame = picture.inside.get(box.name, "")
    return replace(box, name=box.name.removeprefix(f"{frame}.")) if frame else box


class _BoxPlace(NamedTuple):
    whole_name: str
    middle: tuple[float, float]
    size: tuple[float, float]


_ROOM = 760  # pixels that a page has for a wide drawing, at 1,440
_WIDE = 640  # pixels from which on a drawing has to scroll or to shrink on a page


def _open_svg(picture: GraphPicture, placed: GraphLayout, zoom: str) -> str:
    width, height = placed.width + 2 * _MARGIN, placed.height + 2 * _MARGIN
    # Smaller than seven tenths nobody reads it: then it scrolls.
    scale = {"": max(0.7, min(1.0, _ROOM / width)), "50": 0.5}.get(zoom, 1.0)
    kind = f"zoom-{zoom or 'auto'}" + (" is-wide" if width > _WIDE else "")
    title = escape_markup(f"The steps of {picture.title}")
    return (
        f'<svg class="graph {kind}" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'width="{width * scale:.0f}" height="{height * scale:.0f}" role="group" '
        f'aria-label="{title}">'
    )


def _find_paths(picture: GraphPicture, looks: Mapping[str, BoxLook]) -> tuple[set[str], set[str]]:
    """The boxes that the selected one hangs on, those that hang on it, and itself in both."""
    selected = {name for name in picture.boxes if looks.get(name, _PLAIN).is_selected}
    up: dict[str, list[str]] = {}
    down: dict[str, list[str]] = {}
    for line in picture.lines:
        up.setdefault(line.end, []).append(line.start)
        down.setdefault(line.start, []).append(line.end)
    return _reach_boxes(selected, up), _reach_boxes(selected, down)


def _reach_boxes(begin: Iterable[str], near: Mapping[str, list[str]]) -> set[str]:
    todo = list(begin)
    reached = set(todo)
    while todo:
        for name in near.get(todo.pop(), ()):
            if name not in reached:
                reached.add(name)
                todo.append(name)
    return reached


_PLAIN = BoxLook()
_MARKER = (
    '<marker id="{0}" viewBox="0 0 10 10" refX="8.5" refY="5" markerWidth="6" '
    'markerHeight="6" orient="auto-start-reverse"><path class="{1}" d="M0 1 L9 5 L0 9 z"/>'
    "</marker>"
)
_HEADS = (
    f"<defs>{_MARKER.format('arrow', 'head')}{_MARKER.format('path-arrow', 'path-head')}</defs>"
)


def _box_size(box: GraphBox, look: BoxLook) -> tuple[float, float]:
    if box.shape is BoxShape.INPUT:
        return min(_WIDEST, max(64.0, guess_width(box.name, 6.7) + 34)), _SMALL
    note_width = max(_NOTE_ROOM if look.note_room else 0.0, guess_width(look.note, 6.6))
    lower = guess_width(_lower_line(box), 6.3) + note_width + 12
    upper = guess_width(box.name, 7.4) + (_TOGGLE if _is_foldable(box, look) else 0.0)
    wide = min(_WIDEST, max(_NARROWEST, max(upper, lower) + _ICON + 16))
    high = _HIGH + (_BAR if _is_foldable(box, look) and look.note_room else 0.0)
    if not look.tiles:
        return wide, high
    columns, tile_width = _tile_grid(look.tiles)
    rows = -(-len(look.tiles) // columns)
    return max(wide, columns * (tile_width + _TILE_GAP) + 20), (
        high + rows * _TILE_PITCH + (26 if look.left_out else 10)
    )


def _is_foldable(box: GraphBox, look: BoxLook) -> bool:
    return bool(look.toggle or look.counts or box.kind == "pipeline")


def _tile_grid(tiles: Sequence[CellTile]) -> tuple[int, float]:
    """How many tiles stand in a row, and how wide each is: a few have room for their names."""
    if len(tiles) > _NAMED_TILES:
        return min(20, len(tiles)), _TILE_PITCH - _TILE_GAP
    longest = max(guess_width(_tile_name(tile), 6.3) for tile in tiles)
    return min(4, len(tiles)), min(150.0, max(40.0, longest + 16))


def _tile_name(tile: CellTile) -> str:
    return tile.name.partition("@")[2] or tile.name


def _lower_line(box: GraphBox) -> str:
    if box.shape is BoxShape.CONDITION or box.kind == "pipeline":
        return box.detail
    return box.detail if box.shape is BoxShape.REGISTER else box.kind


def _draw_box(box: GraphBox, look: BoxLook, place: _BoxPlace, link: WriteLink) -> str:
    (x, y), (wide, high) = place.middle, place.size
    left, top = x - wide / 2, y - high / 2
    is_input, is_many = box.shape is BoxShape.INPUT, _is_foldable(box, look)
    parts = []
    if is_many and not look.tiles:  # one card of a pile
        parts.append(draw_rect("pile", left + 5, top + 5, wide, high, 9))
    parts.append(draw_rect("face", left, top, wide, high, high / 2 if is_input else 9))
    if is_input:
        parts.append(draw_text("label", x, y + 4, _cut_text(box.name, wide - 24, 6.7), "middle"))
    else:
        parts += _step_parts(box, look, left, top, wide)
    classes = " ".join(filter(None, (
        "box", f"shape-{box.shape.name.lower()}", look.state and f"state-{look.state}",
        "is-selected" if look.is_selected else "",
    )))  # fmt: skip
    inner = f"<title>{_describe_box(box, look, place.whole_name)}</title>{''.join(parts)}"
    if not look.address:
        main = f'<g class="{classes}">{inner}</g>'
    else:
        current = ' aria-current="true"' if look.is_selected else ""
        address = escape_markup(link(look.address))
        main = f'<a class="{classes}" href="{address}"{current}>{inner}</a>'
    toggle = _draw_toggle(box, place.whole_name, look, (left + wide - _TOGGLE - 3, top + 3), link)
    return main + toggle + _draw_tiles(look, x, top, link)


def _describe_box(box: GraphBox, look: BoxLook, name: str) -> str:
    many = ", ".join(f"{count} {state}" for state, count in look.counts)
    unfolds = "unfold" if box.kind == "pipeline" and look.address else ""
    words = ", ".join(filter(None, (box.kind, look.state, many or look.note, box.detail, unfolds)))
    return escape_markup(f"{name}: {words}")


def _draw_toggle(
    box: GraphBox, name: str, look: BoxLook, corner: tuple[float, float], link: WriteLink
) -> str:
    """The sign that more is in a box: a link of its own where the box leads elsewhere."""
    unfolds_itself = box.kind == "pipeline" and look.address
    if not look.toggle and not unfolds_itself:
        return ""
    left, top = corner
    sign = "M7 12 H17" if look.tiles else "M7 12 H17 M12 7 V17"
    drawn = (
        f'<g transform="translate({left:.1f} {top:.1f})"><rect class="toggle-face" width="24" '
        f'height="24" rx="6"/><path class="toggle-sign" d="{sign}"/></g>'
    )
    if unfolds_itself:
        return f'<g class="toggle is-sign">{drawn}</g>'
    words = escape_markup(f"{'Fold' if look.tiles else 'Unfold'} {name}")
    address = escape_markup(link(look.toggle))
    return f'<a class="toggle" href="{address}"><title>{words}</title>{drawn}</a>'


def _draw_tiles(look: BoxLook, x: float, top: float, link: WriteLink) -> str:
    if not look.tiles:
        return ""
    columns, wide = _tile_grid(look.tiles)
    is_named = len(look.tiles) <= _NAMED_TILES
    left = x - (columns * (wide + _TILE_GAP) - _TILE_GAP) / 2
    drawn = []
    for index, tile in enumerate(look.tiles):
        row, column = divmod(index, columns)
        tile_left = left + column * (wide + _TILE_GAP)
        tile_top = top + _HIGH + _BAR + 2 + row * _TILE_PITCH
        face = draw_rect("tile-face", tile_left, tile_top, wide, _TILE_PITCH - _TILE_GAP, 4)
        middle = tile_left + wide / 2
        if is_named:
            name = _cut_text(_tile_name(tile), wide - 10, 6.3)
            face += draw_text("tile-name", middle, tile_top + 15, name, "middle")
        elif sign := _SIGNS.get(tile.state):
            place = f"translate({middle:.1f} {tile_top + 11:.1f})"
            face += f'<path class="tile-sign" transform="{place}" d="{sign}"/>'
        chosen = ' is-selected" aria-current="true' if tile.is_selected else ""
        drawn.append(
            f'<a class="tile state-{tile.state}{chosen}" '
            f'href="{escape_markup(link(tile.address))}">'
            f"<title>{escape_markup(f'{tile.name}: {tile.state}')}</title>{face}</a>"
        )
    if look.left_out:
        foot = top + _HIGH + _BAR + 14 + -(-len(look.tiles) // columns) * _TILE_PITCH
        words = f"and {look.left_out} more, in the list below"
        drawn.append(draw_text("kind", x, foot, words, "middle"))
    return "".join(drawn)


def _draw_frame(
    box: GraphBox, shown: str, look: BoxLook, place: tuple[float, float, float, float],
    link: WriteLink,
) -> tuple[str, str]:  # fmt: skip
    """A frame and its title, which stands above the lines."""
    left, top, wide, high = place
    words = f"{shown}  {box.detail}"
    title_width = min(wide - 16, guess_width(words, 6.6) + 34)
    title = (
        draw_rect("frame-title-face", left + 8, top + 5, title_width, 24, 6)
        + f'<path class="toggle-sign" transform="translate({left + 9:.1f} {top + 5:.1f})" '
        'd="M7 12 H15"/>'
        + draw_text("frame-title", left + 30, top + 21, _cut_text(words, title_width - 26, 6.6))
    )
    if look.address:
        tip = escape_markup(f"Fold {box.name}: {box.detail}")
        address = escape_markup(link(look.address))
        title = f'<a class="frame-link" href="{address}"><title>{tip}</title>{title}</a>'
    state = f" state-{look.state}" if look.state else ""
    frame = draw_rect(f"frame-face{state}", left, top, wide, high, 14)
    return frame, title


def _step_parts(box: GraphBox, look: BoxLook, left: float, top: float, wide: float) -> list[str]:
    room = wide - _ICON - 16
    name_room = room - (_TOGGLE if _is_foldable(box, look) else 0.0)
    sign = _SIGNS.get(look.state) or _SHAPE_SIGNS.get(box.shape)
    drawn_sign = f'<path d="{sign}"/>' if sign else '<circle class="dot" r="3"/>'
    icon = (
        f'<g class="sign" transform="translate({left + 19:.1f} {top + _HIGH / 2:.1f})">'
        f'<circle r="9"/>{drawn_sign}</g>'
    )
    lower = _cut_text(_lower_line(box), room - guess_width(look.note, 6.6) - 6, 6.3)
    begin = left + _ICON + 6
    return [
        icon,
        draw_text("name", begin, top + 20, _cut_text(box.name, name_room, 7.4)),
        draw_text("kind", begin, top + 35, lower),
        draw_text("note", left + wide - 10, top + 35, look.note, "end") if look.note else "",
        _draw_counts(look, begin, top + 42, room),
        draw_rect("time", begin, top + _HIGH - 5, max(2.0, room * min(1.0, look.share)), 2, 1)
        if look.share > 0.03
        else "",
    ]


def _draw_counts(look: BoxLook, left: float, top: float, room: float) -> str:
    """A bar of the states of many, each as long as it has members; in words it is the tooltip."""
    whole = sum(count for _, count in look.counts)
    parts = []
    for state, count in sorted(look.counts, key=lambda pair: _BAR_ORDER.index(pair[0])):
        wide = room * count / whole
        parts.append(
            f'<rect class="part state-{state}" x="{left:.1f}" y="{top:.1f}" '
            f'width="{max(1.0, wide - 1):.1f}" height="5" rx="1"/>'
        )
        left += wide
    return "".join(parts)


_SHAPE_SIGNS = {
    BoxShape.CONDITION: "M0 -4.6 L4.6 0 L0 4.6 L-4.6 0 Z",
    BoxShape.REGISTER: "M0 -4.6 L1.4 -1.5 L4.6 -1.2 L2.2 1 L2.9 4.3 L0 2.6 L-2.9 4.3 L-2.2 1 "
    "L-4.6 -1.2 L-1.4 -1.5 Z",
    BoxShape.CHECK: "M-4 -3.6 H4 V0.6 C4 2.8 1.6 4.2 0 4.8 C-1.6 4.2 -4 2.8 -4 0.6 Z",
    BoxShape.FAIL: "M-3.2 -3.2 L3.2 3.2 M3.2 -3.2 L-3.2 3.2",
    BoxShape.STOP: "M-3 -3 H3 V3 H-3 Z",
}


class _DrawnLine(NamedTuple):
    path: str
    label: str
    is_on_path: bool


def _draw_line(
    line: GraphLine, placed: GraphLayout, paths: tuple[set[str], set[str]]
) -> _DrawnLine:
    is_on_path = any({line.start, line.end} <= path for path in paths)
    kind = "ordering" if line.ordering else "branch" if line.label else "flow"
    kind, arrow = (f"{kind} on-path", "path-arrow") if is_on_path else (kind, "arrow")
    route = placed.routes[(line.start, line.end)]
    path = f'<path class="line {kind}" d="{write_path(route, _STUB)}" marker-end="url(#{arrow})"/>'
    if (line.start, line.end) not in placed.labels:
        return _DrawnLine(path, "", is_on_path)
    (x, y), wide = placed.labels[(line.start, line.end)], _label_width(line.label)
    words = draw_text("branch-label", x, y + 4, line.label, "middle")
    pill = draw_rect("pill", x - wide / 2, y - 8, wide, 16, 8)
    return _DrawnLine(path, pill + words, is_on_path)


def _label_width(label: str) -> float:
    return guess_width(label, 6.4) + 12 if label else 0.0


def _cut_text(text: str, room: float, per_sign: float) -> str:
    if guess_width(text, per_sign) <= room:
        return text
    kept = max(1, int(room / per_sign) - 1)
    return f"{text[:kept]}…"
