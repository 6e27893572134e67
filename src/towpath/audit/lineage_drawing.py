"""A lineage as boxes and lines, for the drawings that pipelines have too."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from graphlib import CycleError, TopologicalSorter

from towpath.audit.lineage import LineageData, LineageReport
from towpath.audit.stage_history import HistoryEntry
from towpath.drawing.picture import BoxShape, GraphBox, GraphLine, GraphPicture


def draw_lineage(lineage: LineageReport) -> GraphPicture:
    """From data and code through the run to the version, and on to the stages."""
    boxes: dict[str, GraphBox] = {}
    lines: list[GraphLine] = []
    sources = [
        _add_box(boxes, box)
        for box in (*(_data_box(data) for data in lineage.data), _code_box(lineage))
    ]
    words = f"run {lineage.record.run or 'unknown'}"
    run = _add_box(boxes, GraphBox(lineage.record.pipeline or "run", BoxShape.STEP, words, ""))
    version_name = _add_box(boxes, _version_box(lineage))
    lines += [*(GraphLine(source, run) for source in sources), GraphLine(run, version_name)]
    lines += _draw_upstream(lineage, boxes, dict(zip(lineage.data, sources, strict=False)))
    for entry in lineage.promotions:
        stage = _add_box(
            boxes,
            GraphBox(entry.stage, BoxShape.CHECK, _approval_words(entry), _merge_words(entry)),
        )
        lines.append(GraphLine(version_name, stage))
        if entry.entered:
            until = f"until {entry.until}" if entry.until else "runs now"
            box = GraphBox(str(entry.tag), BoxShape.STEP, f"deployed {entry.entered}", until)
            lines.append(GraphLine(stage, _add_box(boxes, box)))
    for other in lineage.used_by:
        made_from = GraphBox(other, BoxShape.REGISTER, "version", f"made from {lineage.version}")
        lines.append(GraphLine(version_name, _add_box(boxes, made_from)))
    ordered = {name: boxes[name] for name in _in_order(boxes, lines)}
    return GraphPicture(ordered, tuple(lines), lineage.version, lineage.record.description or "")


def _in_order(boxes: Mapping[str, GraphBox], lines: Sequence[GraphLine]) -> list[str]:
    """The boxes' names, each behind those that lead to it; as they are where a record that
    somebody made up has them in a circle."""
    before: dict[str, list[str]] = {name: [] for name in boxes}
    for line in lines:
        before[line.end].append(line.start)
    try:
        return list(TopologicalSorter(before).static_order())
    except CycleError:
        return list(boxes)


def _draw_upstream(
    lineage: LineageReport, boxes: dict[str, GraphBox], drawn: Mapping[LineageData, str]
) -> Iterator[GraphLine]:
    """The runs of other pipelines, from their data to what they made for this one."""
    taken = dict(drawn)
    runs: dict[str, str] = {}
    for upstream in lineage.upstream:
        box = GraphBox(upstream.pipeline, BoxShape.STEP, f"run {upstream.run or 'unknown'}", "")
        runs[upstream.pipeline] = _add_box(boxes, box)
        for data in upstream.data:
            taken[data] = _add_box(boxes, _data_box(data))
            yield GraphLine(taken[data], runs[upstream.pipeline])
    for data, name in taken.items():
        if data.pipeline in runs:
            yield GraphLine(runs[data.pipeline], name)


def _add_box(boxes: dict[str, GraphBox], box: GraphBox) -> str:
    """Add a box under its name, or the next that is free; the name."""
    names = (box.name, *(f"{box.name} ({count})" for count in range(2, len(boxes) + 3)))
    name = next(name for name in names if name not in boxes)
    boxes[name] = replace(box, name=name)
    return name


def _data_box(data: LineageData) -> GraphBox:
    where = data.version or data.pointer or data.path or "data"
    return GraphBox(data.name, BoxShape.INPUT, "data", f"{where}, md5 {data.digest[:12]}")


def _code_box(lineage: LineageReport) -> GraphBox:
    code = lineage.record.code
    where = f" of {code.repository}" if code.repository else ""
    return GraphBox(
        f"code {code.commit[:7]}", BoxShape.INPUT, "code", f"commit {code.commit[:12]}{where}"
    )


def _version_box(lineage: LineageReport) -> GraphBox:
    record = lineage.record
    by = (record.author or "unknown").partition(" <")[0]
    kind = f"rejected: {lineage.rejected}" if lineage.rejected is not None else f"version by {by}"
    shape = BoxShape.FAIL if lineage.rejected is not None else BoxShape.REGISTER
    return GraphBox(lineage.version, shape, kind, f"sha256 {record.sha256[:12]}, {record.time}")


def _approval_words(entry: HistoryEntry) -> str:
    by = ", ".join(person.partition(" <")[0] for person in entry.approval.by)
    return f"{entry.approval.level} by {by}" if by else f"approval {entry.approval.level}"


def _merge_words(entry: HistoryEntry) -> str:
    return f"merged {entry.merged}, {entry.pull_request or entry.commit[:7]}"
