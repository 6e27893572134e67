"""A lineage as boxes and lines, for the drawings that pipelines have too."""

from __future__ import annotations

from collections.abc import Iterator

from towpath.audit.history import Entry
from towpath.audit.lineage import Data, Lineage
from towpath.engine.drawing.picture import Box, Line, Picture, Shape


def picture(found: Lineage) -> Picture:
    """From data and code through the run to the version, and on to the stages."""
    run = found.record.pipeline or "run"
    sources = [*(_data(one) for one in found.data), _code(found)]
    made = _version(found)
    boxes = [*sources, Box(run, Shape.STEP, f"run {found.record.run or 'unknown'}", ""), made]
    lines = [Line(source.name, run) for source in sources] + [Line(run, made.name)]
    for before, box in _way(found, made):
        boxes.append(box)
        lines.append(Line(before, box.name))
    unique = {box.name: box for box in boxes}
    return Picture(unique, tuple(lines), found.version, found.record.description or "")


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


def _way(found: Lineage, made: Box) -> Iterator[tuple[str, Box]]:
    """Where it went: each promotion below the version, its deployment below that."""
    for place, entry in enumerate(found.promotions):
        earlier = [one.stage for one in found.promotions[:place]].count(entry.stage)
        name = f"{entry.stage} ({earlier + 1})" if earlier else entry.stage
        yield made.name, Box(name, Shape.CHECK, _approved(entry), _merged(entry))
        if entry.entered:
            until = f"until {entry.until}" if entry.until else "runs now"
            yield name, Box(str(entry.tag), Shape.STEP, f"deployed {entry.entered}", until)
    for other in found.used_by:
        yield made.name, Box(other, Shape.REGISTER, "version", f"made from {made.name}")


def _approved(entry: Entry) -> str:
    by = ", ".join(person.partition(" <")[0] for person in entry.approval.by)
    return f"{entry.approval.level} by {by}" if by else f"approval {entry.approval.level}"


def _merged(entry: Entry) -> str:
    return f"merged {entry.merged}, {entry.pull_request or entry.commit[:7]}"
