"""Boxes of a large graph that say the same: a fan of steps, and steps in a row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from towpath.drawing.picture import BoxShape, GraphBox, GraphLine, GraphPicture

_LEAST = 8  # boxes that are worth one in their place


@dataclass(frozen=True)
class AlikeGroups:
    """A picture in which such boxes stand in frames of their own, which `fold_picture` folds, and
    of each of these frames the boxes in it."""

    picture: GraphPicture
    members: Mapping[str, tuple[str, ...]]


def group_alike(picture: GraphPicture) -> AlikeGroups:
    """Group steps of one kind that take from the same and give to the same, and steps that follow
    one another and have no other neighbour."""
    entering: dict[str, list[GraphLine]] = {name: [] for name in picture.boxes}
    leaving: dict[str, list[GraphLine]] = {name: [] for name in picture.boxes}
    for line in picture.lines:
        leaving[line.start].append(line)
        entering[line.end].append(line)
    frames, inside = dict(picture.frames), dict(picture.inside)
    members: dict[str, tuple[str, ...]] = {}
    rows = list(_find_rows(picture, entering, leaving))
    in_rows = {name for row in rows for name in row}
    fans = [fan for fan in _find_fans(picture, entering, leaving) if in_rows.isdisjoint(fan)]
    for names, detail in [(row, "in a row") for row in rows] + [
        (fan, "side by side") for fan in fans
    ]:
        first, count = picture.boxes[names[0]], len(names)
        kinds = {picture.boxes[name].kind for name in names}
        kind = f"{first.kind} x{count}" if len(kinds) == 1 else f"{count} steps"
        group = f"{first.name} +{count - 1}"
        frames[group] = GraphBox(group, BoxShape.STEP, kind, detail)
        members[group] = tuple(names)
        if first.name in inside:
            inside[group] = inside[first.name]
        inside |= dict.fromkeys(names, group)
    return AlikeGroups(replace(picture, frames=frames, inside=inside), members)


def _find_fans(
    picture: GraphPicture,
    entering: Mapping[str, list[GraphLine]],
    leaving: Mapping[str, list[GraphLine]],
) -> Iterator[list[str]]:
    alike: dict[object, list[str]] = {}
    for name, box in picture.boxes.items():
        starts = frozenset((line.start, line.label, line.ordering) for line in entering[name])
        ends = frozenset((line.end, line.label, line.ordering) for line in leaving[name])
        if starts and box.shape is not BoxShape.INPUT:
            key = (box.shape, box.kind, picture.inside.get(name), starts, ends)
            alike.setdefault(key, []).append(name)
    return (names for names in alike.values() if len(names) >= _LEAST)


def _find_rows(
    picture: GraphPicture,
    entering: Mapping[str, list[GraphLine]],
    leaving: Mapping[str, list[GraphLine]],
) -> Iterator[list[str]]:
    following: dict[str, str] = {}
    for name, lines in leaving.items():
        ends = {line.end for line in lines}
        if len(ends) != 1 or lines[0].label or picture.boxes[name].shape is not BoxShape.STEP:
            continue
        end = lines[0].end
        is_alone = {line.start for line in entering[end]} == {name}
        is_step = picture.boxes[end].shape is BoxShape.STEP
        if is_alone and is_step and picture.inside.get(end) == picture.inside.get(name):
            following[name] = end
    ends_of_rows = set(following.values())
    for name in picture.boxes:
        if name in following and name not in ends_of_rows:
            row = [name]
            while row[-1] in following:
                row.append(following[row[-1]])
            if len(row) >= _LEAST:
                yield row
