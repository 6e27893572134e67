"""A lineage as boxes and lines, for the drawings that pipelines have too."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from graphlib import CycleError, TopologicalSorter

from towpath.audit.lineage import Data, Lineage
from towpath.audit.stage_history import Entry
from towpath.drawing.picture import Box, Line, Picture, Shape


def picture(found: Lineage) -> Picture:
    """From data and code through the run to the version, and on to the stages."""
    boxes: dict[str, Box] = {}
    lines: list[Line] = []
    sources = [_add(boxes, box) for box in (*(_data(one) for one in found.data), _code(found))]
    words = f"run {found.record.run or 'unknown'}"
    run = _add(boxes, Box(found.record.pipeline or "run", Shape.STEP, words, ""))
    made = _add(boxes, _version(found))
    lines += [*(Line(source, run) for source in sources), Line(run, made)]
    lines += _upstream(found, boxes, dict(zip(found.data, sources, strict=False)))
    for entry in found.promotions:
        stage = _add(boxes, Box(entry.stage, Shape.CHECK, _approved(entry), _merged(entry)))
        lines.append(Line(made, stage))
        if entry.entered:
            until = f"until {entry.until}" if entry.until else "runs now"
            box = Box(str(entry.tag), Shape.STEP, f"deployed {entry.entered}", until)
            lines.append(Line(stage, _add(boxes, box)))
    for other in found.used_by:
        made_from = Box(other, Shape.REGISTER, "version", f"made from {found.version}")
        lines.append(Line(made, _add(boxes, made_from)))
    ordered = {name: boxes[name] for name in _in_order(boxes, lines)}
    return Picture(ordered, tuple(lines), found.version, found.record.description or "")


def _in_order(boxes: Mapping[str, Box], lines: Sequence[Line]) -> list[str]:
    """The boxes' names, each behind those that lead to it; as they are where a record that
    somebody made up has them in a circle."""
    before: dict[str, list[str]] = {name: [] for name in boxes}
    for line in lines:
        before[line.end].append(line.start)
    try:
        return list(TopologicalSorter(before).static_order())
    except CycleError:
        return list(boxes)


def _upstream(found: Lineage, boxes: dict[str, Box], drawn: Mapping[Data, str]) -> Iterator[Line]:
    """The runs of other pipelines, from their data to what they made for this one."""
    taken = dict(drawn)
    runs: dict[str, str] = {}
    for upstream in found.upstream:
        box = Box(upstream.pipeline, Shape.STEP, f"run {upstream.run or 'unknown'}", "")
        runs[upstream.pipeline] = _add(boxes, box)
        for one in upstream.data:
            taken[one] = _add(boxes, _data(one))
            yield Line(taken[one], runs[upstream.pipeline])
    for one, name in taken.items():
        if one.pipeline in runs:
            yield Line(runs[one.pipeline], name)


def _add(boxes: dict[str, Box], box: Box) -> str:
    """Add a box under its name, or the next that is free; the name."""
    names = (box.name, *(f"{box.name} ({count})" for count in range(2, len(boxes) + 3)))
    name = next(name for name in names if name not in boxes)
    boxes[name] = replace(box, name=name)
    return name


def _data(one: Data) -> Box:
    where = one.version or one.pointer or one.path or "data"
    return Box(one.name, Shape.INPUT, "data", f"{where}, md5 {one.digest[:12]}")


def _code(found: Lineage) -> Box:
    code = found.record.code
    where = f" of {code.repository}" if code.repository else ""
    return Box(f"code {code.commit[:7]}", Shape.INPUT, "code", f"commit {code.commit[:12]}{where}")


def _version(found: Lineage) -> Box:
    record = found.record
    by = (record.author or "unknown").partition(" <")[0]
    kind = f"rejected: {found.rejected}" if found.rejected is not None else f"version by {by}"
    shape = Shape.FAIL if found.rejected is not None else Shape.REGISTER
    return Box(found.version, shape, kind, f"sha256 {record.sha256[:12]}, {record.time}")


def _approved(entry: Entry) -> str:
    by = ", ".join(person.partition(" <")[0] for person in entry.approval.by)
    return f"{entry.approval.level} by {by}" if by else f"approval {entry.approval.level}"


def _merged(entry: Entry) -> str:
    return f"merged {entry.merged}, {entry.pull_request or entry.commit[:7]}"
