"""Boxes of a large graph that say the same: a fan of steps, and steps in a row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec import Struct
from msgspec.structs import replace

from towpath.drawing.picture import BoxShape, GraphBox, GraphLine, GraphPicture

_LEAST = 8  # boxes that are worth one in their place


class AlikeGroups(Struct, frozen=True):
    """A picture in which such boxes stand in frames of their own, which `fold_picture` folds, and
    of each of these frames the boxes in it."""

    picture: GraphPicture
    members: Mapping[str, tuple[str, ...]]


class _Neighbours(Struct, frozen=True):
    """The lines that enter and that leave each box."""

    entering: Mapping[str, list[GraphLine]]
    leaving: Mapping[str, list[GraphLine]]

    @classmethod
    def of_picture(cls, picture: GraphPicture) -> _Neighbours:
        entering: dict[str, list[GraphLine]] = {name: [] for name in picture.boxes}
        leaving: dict[str, list[GraphLine]] = {name: [] for name in picture.boxes}
        for line in picture.lines:
            leaving[line.start].append(line)
            entering[line.end].append(line)
        return cls(entering, leaving)


def group_alike(picture: GraphPicture) -> AlikeGroups:
    """Group steps of one kind that take from the same and give to the same, and steps that follow
    one another and have no other neighbour."""
    frames, inside = dict(picture.frames), dict(picture.inside)
    members: dict[str, tuple[str, ...]] = {}
    for names, detail in _find_groups(picture):
        frame = _make_frame(picture, names, detail)
        frames[frame.name], members[frame.name] = frame, tuple(names)
        if names[0] in inside:
            inside[frame.name] = inside[names[0]]
        inside |= dict.fromkeys(names, frame.name)
    return AlikeGroups(replace(picture, frames=frames, inside=inside), members)


def _find_groups(picture: GraphPicture) -> Iterator[tuple[list[str], str]]:
    """The boxes of each group, and how they stand; no box is in two of them."""
    neighbours = _Neighbours.of_picture(picture)
    in_rows: set[str] = set()
    for row in _find_rows(picture, neighbours):
        in_rows.update(row)
        yield row, "in a row"
    for fan in _find_fans(picture, neighbours):
        if in_rows.isdisjoint(fan):
            yield fan, "side by side"


def _make_frame(picture: GraphPicture, names: list[str], detail: str) -> GraphBox:
    first, count = picture.boxes[names[0]], len(names)
    kinds = {picture.boxes[name].kind for name in names}
    kind = f"{first.kind} x{count}" if len(kinds) == 1 else f"{count} steps"
    return GraphBox(f"{first.name} +{count - 1}", BoxShape.STEP, kind, detail)


def _find_fans(picture: GraphPicture, neighbours: _Neighbours) -> Iterator[list[str]]:
    alike: dict[object, list[str]] = {}
    for name, box in picture.boxes.items():
        starts = frozenset(
            (line.start, line.label, line.ordering) for line in neighbours.entering[name]
        )
        ends = frozenset((line.end, line.label, line.ordering) for line in neighbours.leaving[name])
        if starts and box.shape is not BoxShape.INPUT:
            key = (box.shape, box.kind, picture.inside.get(name), starts, ends)
            alike.setdefault(key, []).append(name)
    return (names for names in alike.values() if len(names) >= _LEAST)


def _find_rows(picture: GraphPicture, neighbours: _Neighbours) -> Iterator[list[str]]:
    following = dict(_find_followers(picture, neighbours))
    ends_of_rows = set(following.values())
    for name in picture.boxes:
        if name in following and name not in ends_of_rows:
            row = [name]
            while row[-1] in following:
                row.append(following[row[-1]])
            if len(row) >= _LEAST:
                yield row


def _find_followers(picture: GraphPicture, neighbours: _Neighbours) -> Iterator[tuple[str, str]]:
    """Each step that goes to one other alone, and that step, to which nothing else goes."""
    steps = {name for name, box in picture.boxes.items() if box.shape is BoxShape.STEP}
    for name in neighbours.leaving:
        ends = {line.end for line in neighbours.leaving[name]}
        if len(ends) != 1 or neighbours.leaving[name][0].label:
            continue
        end = ends.pop()
        is_alone = {line.start for line in neighbours.entering[end]} == {name}
        if is_alone and {name, end} <= steps and _are_together(picture, name, end):
            yield name, end


def _are_together(picture: GraphPicture, name: str, other: str) -> bool:
    """Whether two boxes stand in one frame, or both in none."""
    return picture.inside.get(name) == picture.inside.get(other)
