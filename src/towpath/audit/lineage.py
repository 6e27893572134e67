"""Where a version came from and where it went, as facts and as a drawing."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING

from msgspec import Struct, structs

from towpath import registry
from towpath.audit.stage_history import HistoryEntry, read_stage_history
from towpath.config.artifact import Json
from towpath.drawing.picture import BoxShape, GraphBox, GraphLine, GraphPicture
from towpath.plain_data import group_by_key
from towpath.registry import DataSource, VersionRecord

if TYPE_CHECKING:
    from towpath.registry import Model, ModelVersion
    from towpath.workspace import Workspace


class LineageData(DataSource, frozen=True, kw_only=True):
    """An input of the run by its digest (MD5), and where its bytes stood; ``version`` is also one
    that has these very bytes."""

    name: str
    digest: str


class UpstreamLineage(Struct, frozen=True):
    """A run of another pipeline that made an input, and what it was made of in turn."""

    pipeline: str
    run: str | None
    parameters: Mapping[str, Json]
    data: tuple[LineageData, ...]


class LineageReport(Struct, frozen=True):
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
        return tuple(entry for entry in self.promotions if entry.entered)


class VersionIndex(Struct, frozen=True, dict=True):
    """The versions of a registry by their bytes, and by what they were made from."""

    models: Mapping[str, Model]

    @cached_property
    def versions_by_digest(self) -> Mapping[str, Sequence[ModelVersion]]:
        """The versions that have these very bytes, by MD5."""
        return group_by_key((str(v.summary.get("md5")), v) for v in self._every_version())

    @cached_property
    def versions_by_input(self) -> Mapping[str, Sequence[ModelVersion]]:
        """The versions that were made from these bytes, by MD5."""
        # Each once, however many of its inputs hold them.
        inputs = ((v, set(v.summary.get("data", {}).values())) for v in self._every_version())
        return group_by_key((digest, v) for v, digests in inputs for digest in digests)

    def _every_version(self) -> Iterator[ModelVersion]:
        return (version for model in self.models.values() for version in model.versions)


def _name_others(versions: Iterable[ModelVersion], own_name: str) -> tuple[str, ...]:
    return tuple(name for name in map(str, versions) if name != own_name)


class RegistryLineage(Struct, frozen=True):
    """What the lineage of any version hangs on: read once for as many as are traced.
    ``read_history`` gives what stages were to run of a model."""

    workspace: Workspace
    index: VersionIndex
    read_history: Callable[[str], Sequence[HistoryEntry]]


def trace_lineage(workspace: Workspace, reference: str) -> LineageReport:
    """All that Git alone knows of a version's way."""
    repository = workspace.registry
    version = registry.find_version(repository, reference)
    read_history = functools.partial(read_stage_history, workspace)
    models = registry.read_models(repository)
    return trace_version(RegistryLineage(workspace, VersionIndex(models), read_history), version)


def trace_version(lineage: RegistryLineage, version: ModelVersion) -> LineageReport:
    """The same of one of many."""
    repository = lineage.workspace.registry
    record, own_name = registry.read_record(repository, version), str(version)
    index = lineage.index
    made_of = {
        *record.data.values(),
        *(d for r in record.upstream.values() for d in r.data.values()),
    }
    makers = {
        digest: others[-1]
        for digest in made_of
        if (others := _name_others(index.versions_by_digest.get(digest, ()), own_name))
    }
    entries = lineage.read_history(version.model) if version.version else ()
    model = index.models.get(version.model)
    before = model.find_before(version) if model else None
    users = index.versions_by_input.get(record.artifact.digest, ())
    return LineageReport(
        version=own_name,
        record=record,
        commit=version.commit,
        before=str(before) if before else None,
        rejected=version.rejected,
        data=tuple(_trace_data(record.data, record.sources, makers)),
        upstream=tuple(
            UpstreamLineage(
                name, run.run, run.parameters, tuple(_trace_data(run.data, run.sources, makers))
            )
            for name, run in record.upstream.items()
        ),
        promotions=tuple(entry for entry in entries if entry.version == str(version.version)),
        used_by=_name_others(users, own_name),
    )


def _trace_data(
    data: Mapping[str, str], sources: Mapping[str, DataSource], makers: Mapping[str, str]
) -> Iterator[LineageData]:
    for name, digest in data.items():
        source = sources.get(name, DataSource())
        version = source.version or makers.get(digest)
        yield LineageData(
            **{**structs.asdict(source), "version": version}, name=name, digest=digest
        )


def draw_lineage(lineage: LineageReport) -> GraphPicture:
    """From data and code through the run to the version, and on to the stages."""
    boxes: dict[str, GraphBox] = {}
    lines: list[GraphLine] = []
    record, code = lineage.record, lineage.record.code
    drawn = {data: _add_data(boxes, data) for data in lineage.data}
    where = f" of {code.repository}" if code.repository else ""
    words = f"commit {code.commit[:12]}{where}"
    code_name = _add_box(boxes, f"code {code.commit[:7]}", BoxShape.INPUT, "code", words)
    words = f"run {record.run or 'unknown'}"
    run = _add_box(boxes, record.pipeline or "run", BoxShape.STEP, words, "")
    version_name = _add_version(boxes, lineage)
    lines += [GraphLine(source, run) for source in (*drawn.values(), code_name)]
    lines.append(GraphLine(run, version_name))
    lines += _draw_upstream(lineage, boxes, drawn)
    for entry in lineage.promotions:
        lines += _draw_promotion(entry, boxes, version_name)
    for other in lineage.used_by:
        words = f"made from {lineage.version}"
        made_from = _add_box(boxes, other, BoxShape.REGISTER, "version", words)
        lines.append(GraphLine(version_name, made_from))
    boxes = _put_in_order(boxes, lines)
    return GraphPicture(boxes, tuple(lines), lineage.version, record.description or "")


def _add_version(boxes: dict[str, GraphBox], lineage: LineageReport) -> str:
    record = lineage.record
    is_rejected, by = lineage.rejected is not None, (record.author or "unknown").partition(" <")[0]
    kind = f"rejected: {lineage.rejected}" if is_rejected else f"version by {by}"
    shape = BoxShape.FAIL if is_rejected else BoxShape.REGISTER
    digest = f"sha256 {record.sha256[:12]}"
    digest += f", {record.time[:10]}" if record.time else ""
    return _add_box(boxes, lineage.version, shape, kind, digest)


def _put_in_order(boxes: dict[str, GraphBox], lines: Iterable[GraphLine]) -> dict[str, GraphBox]:
    before: dict[str, list[str]] = {name: [] for name in boxes}
    for line in lines:
        before[line.end].append(line.start)
    # A record that somebody made up names itself as its own past: then they stand as they came.
    with suppress(CycleError):
        return {name: boxes[name] for name in TopologicalSorter(before).static_order()}
    return boxes


def _draw_upstream(
    lineage: LineageReport, boxes: dict[str, GraphBox], drawn: dict[LineageData, str]
) -> Iterator[GraphLine]:
    runs: dict[str | None, str] = {}
    for upstream in lineage.upstream:
        words = f"run {upstream.run or 'unknown'}"
        runs[upstream.pipeline] = _add_box(boxes, upstream.pipeline, BoxShape.STEP, words, "")
        for data in upstream.data:
            drawn[data] = _add_data(boxes, data)
            yield GraphLine(drawn[data], runs[upstream.pipeline])
    for data, name in drawn.items():
        if data.pipeline in runs:
            yield GraphLine(runs[data.pipeline], name)


def _draw_promotion(
    entry: HistoryEntry, boxes: dict[str, GraphBox], version_name: str
) -> Iterator[GraphLine]:
    by = ", ".join(person.partition(" <")[0] for person in entry.approval.by)
    level = entry.approval.level
    approval = f"{level} by {by}" if by else f"approval {level}"
    merged = f"merged {_show_minute(entry.merged)}, {entry.pull_request or entry.commit[:7]}"
    stage = _add_box(boxes, entry.stage, BoxShape.CHECK, approval, merged)
    yield GraphLine(version_name, stage)
    if entry.entered:
        until = f"until {_show_minute(entry.until)}" if entry.until else "runs now"
        words = f"deployed {_show_minute(entry.entered)}"
        yield GraphLine(stage, _add_box(boxes, str(entry.tag), BoxShape.STEP, words, until))


def _show_minute(iso: str) -> str:
    return iso[:16].replace("T", " ") + (" UTC" if iso.endswith("Z") else "")


def _add_box(boxes: dict[str, GraphBox], name: str, shape: BoxShape, kind: str, detail: str) -> str:
    """Add a box under its name, or the next that is free; the name."""
    names = (name, *(f"{name} ({count})" for count in range(2, len(boxes) + 3)))
    free = next(free for free in names if free not in boxes)
    boxes[free] = GraphBox(free, shape, kind, detail)
    return free


def _add_data(boxes: dict[str, GraphBox], data: LineageData) -> str:
    where = data.version or data.pointer or data.path or "data"
    if data.output:
        where = f"{data.output} of {data.version or f'run {data.run}'}"
    words = f"{where}, md5 {data.digest[:12]}"
    return _add_box(boxes, data.name, BoxShape.INPUT, "data", words)
