"""The picture of a graph as a file beside a run's record: what ran is drawn as it was, whatever is
declared since."""

from __future__ import annotations

import functools
import json
import stat
from collections.abc import Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from towpath.config.foreign_values import Fields, list_of, parse_json, read_flag, read_text
from towpath.drawing.picture import BoxShape, GraphBox, GraphLine, GraphPicture
from towpath.errors import Malformed
from towpath.regular_files import open_regular_file

PICTURE_FILE = ".graph.json"  # no step's name, which would be a folder beside it, begins so
_LARGEST = 1 << 23  # bytes: twenty thousand steps
_DEEPEST = 32  # frames in frames


def write_picture(folder: Path, picture: GraphPicture) -> None:
    """Keep a picture in a run's folder. OSError where the disk refuses."""
    document = {
        "title": picture.title,
        "description": picture.description,
        "boxes": [_box_row(box) for box in picture.boxes.values()],
        "lines": [[n.start, n.end, n.label, n.ordering] for n in picture.lines],
        "frames": [_box_row(box) for box in picture.frames.values()],
        "inside": dict(picture.inside),
    }
    (folder / PICTURE_FILE).write_text(
        json.dumps(document, ensure_ascii=False, separators=(",", ":")) + "\n",
        encoding="utf-8", errors="backslashreplace",
    )  # fmt: skip


def _box_row(box: GraphBox) -> list[str]:
    return [box.name, box.shape.name, box.kind, box.detail]


def find_picture(folder: Path) -> GraphPicture | None:
    """The picture in a run's folder; None where there is none that a run can have written."""
    path = folder / PICTURE_FILE
    try:
        status = path.lstat()
        if not stat.S_ISREG(status.st_mode):
            return None
        return _read_picture(path, status.st_mtime_ns, min(status.st_size, _LARGEST))
    except (OSError, Malformed):
        return None


# The page of a run that goes on asks for it at each event. It is never written twice.
@functools.lru_cache(maxsize=32)
def _read_picture(path: Path, _: int, size: int) -> GraphPicture:
    with open_regular_file(path) as file:
        fields = Fields(parse_json(file.read(size)))
    boxes = {box.name: box for box in fields.get("boxes", list_of(_read_box))}
    frames = {box.name: box for box in fields.get("frames", list_of(_read_box))}
    lines = fields.get("lines", list_of(_read_line))
    if any(line.start not in boxes or line.end not in boxes for line in lines):
        raise Malformed("a line leads to no box")
    _require_order(lines)
    inside = fields.get_table("inside", read_text)
    if boxes.keys() & frames.keys() or "" in {*boxes, *frames}:
        raise Malformed("a frame has the name of a box, or one has none")
    _require_tree({*boxes, *frames}, frames, inside)
    return GraphPicture(
        boxes, lines, fields.get("title", read_text), fields.get("description", read_text),
        frames, inside,
    )  # fmt: skip


def _read_box(row: object) -> GraphBox:
    name, shape, kind, detail = _read_cells(row, 4)
    shape = read_text(shape)
    if shape not in BoxShape.__members__:
        raise Malformed("a box has no such shape")
    return GraphBox(read_text(name), BoxShape[shape], read_text(kind), read_text(detail))


def _read_line(row: object) -> GraphLine:
    start, end, label, ordering = _read_cells(row, 4)
    return GraphLine(read_text(start), read_text(end), read_text(label), read_flag(ordering))


def _read_cells(row: object, count: int) -> Iterator[object]:
    if not isinstance(row, list) or len(row) != count:
        raise Malformed(f"a row has not {count} values")
    return iter(row)


def _require_order(lines: Sequence[GraphLine]) -> None:
    """No box stands before itself: who draws them lays them out from the first to the last."""
    sorter: TopologicalSorter[str] = TopologicalSorter()
    for line in lines:
        sorter.add(line.end, line.start)
    try:
        sorter.prepare()
    except CycleError:
        raise Malformed("its lines lead round") from None


def _require_tree(
    names: set[str], frames: Mapping[str, GraphBox], inside: Mapping[str, str]
) -> None:
    """Frames stand in frames, none in itself, few in each other: who draws them walks outwards to
    the end."""
    for name, frame in inside.items():
        if name not in names or frame not in frames:
            raise Malformed("what stands in a frame is not there")
    for name in frames:
        for _ in range(_DEEPEST):
            if name not in inside:
                break
            name = inside[name]
        else:
            raise Malformed("frames stand in each other without end")
