"""Where a version came from and where it went, as facts and as a drawing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING

from towpath import registry
from towpath.audit.stage_history import HistoryEntry, read_stage_history
from towpath.backends.dvc.tracked_files import pointer_path
from towpath.config.artifact import Json
from towpath.drawing.picture import BoxShape, GraphBox, GraphLine, GraphPicture
from towpath.registry import DataSource, ModelVersion, VersionRecord
from towpath.registry.version_code import declared_paths

if TYPE_CHECKING:
    from towpath.workspace import Workspace


@dataclass(frozen=True)
class LineageData:
    """An input of the run by its digest (MD5).

    ``path`` is where the run read it, ``pointer`` the `.dvc` file that named these very bytes
    there; ``version`` is the version of a model that has them, ``pipeline`` and ``run`` the other
    pipeline of the project that made them, and when.
    """

    name: str
    digest: str
    path: str | None = None
    pointer: str | None = None
    version: str | None = None
    pipeline: str | None = None
    run: str | None = None


@dataclass(frozen=True)
class UpstreamLineage:
    """A run of another pipeline that made an input, and what it was made of in turn."""

    pipeline: str
    run: str | None
    parameters: Mapping[str, Json]
    data: tuple[LineageData, ...]


@dataclass(frozen=True)
class LineageReport:
    """A version's past and its way since. ``before`` is the version before it, ``rejected`` why
    it should not be used, ``used_by`` the versions that were made from it, ``upstream`` the runs of
    other pipelines that made its data."""

    version: str
    record: VersionRecord
    commit: str
    before: str | None
    rejected: str | None
    data: tuple[LineageData, ...]
    promotions: tuple[HistoryEntry, ...]
    used_by: tuple[str, ...]
    upstream: tuple[UpstreamLineage, ...] = ()

    @property
    def deployments(self) -> tuple[HistoryEntry, ...]:
        """The promotions that were carried out."""
        return tuple(entry for entry in self.promotions if entry.entered)


def trace_lineage(workspace: Workspace, reference: str, forge: bool = False) -> LineageReport:
    """All that is known of a version's way, from Git alone unless the ``forge`` is to be asked."""
    repository = workspace.registry
    version_lineage = registry.read_version_lineage(repository, reference)
    version, record = version_lineage.version, version_lineage.record
    models = registry.read_models(repository).values()
    every = [v for model in models for v in model.versions if str(v) != str(version)]
    entries = read_stage_history(workspace, version.model, forge=forge) if version.version else ()
    return LineageReport(
        version=str(version),
        record=record,
        commit=version.commit,
        before=str(version_lineage.before) if version_lineage.before else None,
        rejected=version.rejected,
        data=tuple(_lineage_data(workspace, record, every)),
        upstream=tuple(_upstream_runs(record, every)),
        promotions=tuple(entry for entry in entries if entry.version == str(version.version)),
        used_by=tuple(str(v) for v in every if record.artifact.digest in _data_digests(v)),
    )


def _data_digests(version: ModelVersion) -> tuple[object, ...]:
    return tuple(version.summary.get("data", {}).values())


def _lineage_data(
    workspace: Workspace, record: VersionRecord, every: list[ModelVersion]
) -> Iterator[LineageData]:
    if record.sources or not record.data:
        yield from _read_data(record.data, record.sources, every)
        return
    # A record of before it kept where data was read: the declaration tells where it looked.
    project_folder = ""
    if workspace.repository:
        top = workspace.repository.root.resolve()
        project_folder = workspace.root.resolve().relative_to(top).as_posix()
    declared, tracked = declared_paths(workspace.repository, record, project_folder)
    makers = _versions_by_md5(every)
    for name, digest in record.data.items():
        path = declared.get(name)
        beside = pointer_path(str(path))
        pointer = beside if path and digest in tracked.get(beside, "") else None
        # What the pointer beside it names may be other data: then it was read elsewhere.
        is_there = pointer is not None or beside not in tracked
        yield LineageData(name, digest, path if is_there else None, pointer, makers.get(digest))


def _versions_by_md5(every: list[ModelVersion]) -> dict[str, str]:
    return {str(version.summary.get("md5")): str(version) for version in every}


def _read_data(
    data: Mapping[str, str], sources: Mapping[str, DataSource], every: list[ModelVersion]
) -> Iterator[LineageData]:
    makers = _versions_by_md5(every)
    for name, digest in data.items():
        source = sources.get(name, DataSource())
        version = source.version or makers.get(digest)
        where, maker = (source.path, source.pointer), (source.pipeline, source.run)
        yield LineageData(name, digest, *where, version, *maker)


def _upstream_runs(record: VersionRecord, every: list[ModelVersion]) -> Iterator[UpstreamLineage]:
    for pipeline, run in record.upstream.items():
        data = tuple(_read_data(run.data, run.sources, every))
        yield UpstreamLineage(pipeline, run.run, run.parameters, data)


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
        lines += _draw_promotion(entry, boxes, version_name)
    for other in lineage.used_by:
        made_from = GraphBox(other, BoxShape.REGISTER, "version", f"made from {lineage.version}")
        lines.append(GraphLine(version_name, _add_box(boxes, made_from)))
    ordered = {name: boxes[name] for name in _in_order(boxes, lines)}
    return GraphPicture(ordered, tuple(lines), lineage.version, lineage.record.description or "")


def _in_order(boxes: Mapping[str, GraphBox], lines: Sequence[GraphLine]) -> list[str]:
    """The boxes' names, each behind those that lead to it."""
    before: dict[str, list[str]] = {name: [] for name in boxes}
    for line in lines:
        before[line.end].append(line.start)
    try:
        return list(TopologicalSorter(before).static_order())
    except CycleError:  # a record that somebody made up names itself as its own past
        return list(boxes)


def _draw_upstream(
    lineage: LineageReport, boxes: dict[str, GraphBox], drawn: Mapping[LineageData, str]
) -> Iterator[GraphLine]:
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


def _draw_promotion(
    entry: HistoryEntry, boxes: dict[str, GraphBox], version_name: str
) -> Iterator[GraphLine]:
    merged = f"merged {entry.merged}, {entry.pull_request or entry.commit[:7]}"
    box = GraphBox(entry.stage, BoxShape.CHECK, _approval_words(entry), merged)
    stage = _add_box(boxes, box)
    yield GraphLine(version_name, stage)
    if entry.entered:
        until = f"until {entry.until}" if entry.until else "runs now"
        box = GraphBox(str(entry.tag), BoxShape.STEP, f"deployed {entry.entered}", until)
        yield GraphLine(stage, _add_box(boxes, box))


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
    words = f"commit {code.commit[:12]}{where}"
    return GraphBox(f"code {code.commit[:7]}", BoxShape.INPUT, "code", words)


def _version_box(lineage: LineageReport) -> GraphBox:
    record = lineage.record
    by = (record.author or "unknown").partition(" <")[0]
    kind = f"rejected: {lineage.rejected}" if lineage.rejected is not None else f"version by {by}"
    shape = BoxShape.FAIL if lineage.rejected is not None else BoxShape.REGISTER
    return GraphBox(lineage.version, shape, kind, f"sha256 {record.sha256[:12]}, {record.time}")


def _approval_words(entry: HistoryEntry) -> str:
    by = ", ".join(person.partition(" <")[0] for person in entry.approval.by)
    return f"{entry.approval.level} by {by}" if by else f"approval {entry.approval.level}"
