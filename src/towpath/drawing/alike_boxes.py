"""Boxes of a large graph that say the same: a fan of steps, and steps in a row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec.structs import replace

from towpath.drawing.picture import BoxShape, GraphBox, GraphLine, GraphPicture

_LEAST = 8  # boxes that are worth one in their place


_LinesAt = Mapping[str, list[GraphLine]]  # of each box


def group_alike(picture: GraphPicture) -> tuple[GraphPicture, Mapping[str, tuple[str, ...]]]:
    """Group steps of one kind that take from the same and give to the same, and steps that follow
    one another and have no other neighbour: a picture in which they stand in frames of their own,
    which `fold_picture` folds, and of each of these frames the boxes in it."""
    frames, inside = dict(picture.frames), dict(picture.inside)
    members: dict[str, tuple[str, ...]] = {}
    for names, detail in _find_groups(picture):
        frame = _make_frame(picture, names, detail)
        frames[frame.name], members[frame.name] = frame, tuple(names)
        if names[0] in inside:
            inside[frame.name] = inside[names[0]]
        inside |= dict.fromkeys(names, frame.name)
    return replace(picture, frames=frames, inside=inside), members


def _find_groups(picture: GraphPicture) -> Iterator[tuple[list[str], str]]:
    """The boxes of each group, and how they stand; no box is in two of them."""
    entering: _LinesAt = {name: [] for name in picture.boxes}
    leaving: _LinesAt = {name: [] for name in picture.boxes}
    for line in picture.lines:
        leaving[line.start].append(line)
        entering[line.end].append(line)
    in_rows: set[str] = set()
    for row in _find_rows(picture, entering, leaving):
        in_rows.update(row)
        yield row, "in a row"
    for fan in _find_fans(picture, entering, leaving):
        if in_rows.isdisjoint(fan):
            yield fan, "side by side"


def _make_frame(picture: GraphPicture, names: list[str], detail: str) -> GraphBox:
    first, count = picture.boxes[names[0]], len(names)
    kinds = {picture.boxes[name].kind for name in names}
    kind = f"{first.kind} x{count}" if len(kinds) == 1 else f"{count} steps"
    return GraphBox(f"{first.name} +{count - 1}", BoxShape.STEP, kind, detail)


def _find_fans(picture: GraphPicture, entering: _LinesAt, leaving: _LinesAt) -> Iterator[list[str]]:
    alike: dict[object, list[str]] = {}
    for name, box in picture.boxes.items():
        starts = frozenset((line.start, line.label, line.ordering) for line in entering[name])
        ends = frozenset((line.end, line.label, line.ordering) for line in leaving[name])
        if starts and box.shape is not BoxShape.INPUT:
            key = (box.shape, box.kind, picture.inside.get(name), starts, ends)
            alike.setdefault(key, []).append(name)
    return (names for names in alike.values() if len(names) >= _LEAST)


def _find_rows(picture: GraphPicture, entering: _LinesAt, leaving: _LinesAt) -> Iterator[list[str]]:
    following = dict(_find_followers(picture, entering, leaving))
    ends_of_rows = set(following.values())
    for name in picture.boxes:
        if name in following and name not in ends_of_rows:
            row = [name]
            while row[-1] in following:
                row.append(following[row[-1]])
            if len(row) >= _LEAST:
                yield row


def _find_followers(
    picture: GraphPicture, entering: _LinesAt, leaving: _LinesAt
) -> Iterator[tuple[str, str]]:
    """Each step that goes to one other alone, and that step, to which nothing else goes."""
    steps = {name for name, box in picture.boxes.items() if box.shape is BoxShape.STEP}
    for name, lines in leaving.items():
        ends = {line.end for line in lines}
        if len(ends) != 1 or lines[0].label:
            continue
        end = ends.pop()
        is_alone = {line.start for line in entering[end]} == {name}
        is_together = picture.inside.get(name) == picture.inside.get(end)  # in a frame, or in none
        if is_alone and is_together and {name, end} <= steps:
            yield name, end
