"""A version: its card, its metrics against what the stages run, its lineage, how it is used."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from msgspec import Struct

from towpath.audit.lineage import LineageReport, draw_lineage, trace_version
from towpath.backends.dvc.tracked_files import pointer_path
from towpath.errors import UserError
from towpath.quantities import readable_size
from towpath.registry import ModelVersion, VersionRecord, tag_message
from towpath.studio.graph_view import BoxLook
from towpath.studio.pages.data_page import list_tracked_names, name_data_page
from towpath.studio.pages.golden_rows import GoldenFile, list_golden_files
from towpath.studio.pages.model_catalogue import VersionLine, find_page_model, line_of_version
from towpath.studio.pages.page_kind import NoSuchPage, PageRequest
from towpath.studio.shown_values import show_change, show_number, show_person

if TYPE_CHECKING:
    from towpath.audit.stage_history import HistoryEntry
    from towpath.drawing.picture import GraphPicture
    from towpath.registry.version_record import Columns
    from towpath.studio.project_facts import ProjectFacts


class IncumbentValue(Struct, frozen=True):
    """A metric of what a stage runs, and how the version differs from that."""

    value: str
    change: str
    verdict: str


class MetricRow(Struct, frozen=True):
    name: str
    value: str
    incumbents: tuple[IncumbentValue, ...]


class Incumbent(Struct, frozen=True):
    stage: str
    version: str


class VersionPage(Struct, frozen=True):
    line: VersionLine
    description: str
    reason: str
    before: str
    incumbents: tuple[Incumbent, ...]
    metrics: tuple[MetricRow, ...]
    params: tuple[tuple[str, str], ...]
    data: tuple[tuple[str, str, str, str], ...]
    labels: tuple[tuple[str, str], ...]
    takes: tuple[tuple[str, str], ...]
    gives: tuple[tuple[str, str], ...]
    shape: tuple[tuple[str, str], ...]
    golden: tuple[GoldenFile, ...]
    files: tuple[tuple[str, str], ...]
    packages: tuple[tuple[str, str], ...]
    history: tuple[HistoryEntry, ...]
    picture: GraphPicture
    looks: Mapping[str, BoxLook]
    open_stages: tuple[str, ...]
    used_by: tuple[str, ...]


def gather_version(facts: ProjectFacts, request: PageRequest) -> VersionPage:
    version = _find_page_version(facts, request.names["model"], request.names["version"])
    try:
        lineage = trace_version(facts.registry_lineage, version)
    except UserError as unknown:  # what cannot be read is said as that
        raise NoSuchPage(unknown.faults[0].what) from None
    record, line = lineage.record, line_of_version(facts, version)
    incumbents = tuple(_list_incumbents(facts, version))
    # Where it may be promoted to: the stages that it is not in, the lowest first.
    stages = () if line.is_candidate or line.rejected else facts.stages
    return VersionPage(
        line,
        record.description or "",
        record.bump.reason if record.bump else "",
        lineage.before or "",
        incumbents,
        tuple(_metric_rows(facts, version.model, record, incumbents)),
        tuple((name, show_number(value)) for name, value in record.parameters.items()),
        tuple(_data_rows(facts, lineage)),
        tuple(sorted(record.labels.items())),
        _show_columns(record.signature.inputs if record.signature else None),
        _show_columns(record.signature.outputs if record.signature else None),
        tuple(_shape_rows(record)),
        tuple(list_golden_files(facts, lineage.promotions)),
        tuple(_file_rows(record)),
        tuple(sorted(record.packages.items())),
        tuple(reversed(lineage.promotions)),
        draw_lineage(lineage),
        dict(_lineage_looks(facts, lineage, request.is_static)),
        tuple(stage for stage in stages if stage not in line.stages),
        lineage.used_by,
    )


def _find_page_version(facts: ProjectFacts, model_name: str, number: str) -> ModelVersion:
    model = find_page_model(facts, model_name)
    version = next((v for v in model.newest_first if v.short_name == number), None)
    if version is None:
        raise NoSuchPage(f"no version `{model.name}@{number}`")
    return version


def _list_incumbents(facts: ProjectFacts, version: ModelVersion) -> Iterator[Incumbent]:
    for file in facts.stage_files.wanted:
        if file.model == version.model and file.version != version.version:
            yield Incumbent(file.stage, str(file.version))


def _metric_rows(
    facts: ProjectFacts, model: str, record: VersionRecord, incumbents: tuple[Incumbent, ...]
) -> Iterator[MetricRow]:
    by_number = {str(version.version): version for version in facts.models[model].versions}
    for name, value in tag_message.flatten_numbers(record.metrics).items():
        columns = []
        for incumbent in incumbents:
            held = by_number.get(incumbent.version)
            other = held.metrics.get(name) if held else None
            verdict = facts.judge_metric(name, other, value)
            columns.append(IncumbentValue(show_number(other), show_change(other, value), verdict))
        yield MetricRow(name, show_number(value), tuple(columns))


def _show_columns(columns: Columns | None) -> tuple[tuple[str, str], ...]:
    return tuple((column.name, column.type) for column in columns or ())


def _data_rows(facts: ProjectFacts, lineage: LineageReport) -> Iterator[tuple[str, str, str, str]]:
    """Each input: its name, what it is called, its digest, and the address of its page or ""."""
    tracked = list_tracked_names(facts)
    by_pointer = {pointer_path(name): name for name in tracked}
    for data in lineage.data:
        path = by_pointer.get(data.pointer or "", data.path or data.pointer or "")
        place = data.version or path
        page = f"data/{name_data_page(place)}/" if place in tracked else ""
        yield data.name, place, data.digest, page


def _shape_rows(record: VersionRecord) -> Iterator[tuple[str, str]]:
    signature = record.signature
    if signature and signature.model:
        yield "class", signature.model
    if signature and signature.features is not None:
        yield "features", show_number(signature.features)
    if signature and signature.classes is not None:
        yield "answers", ", ".join(map(show_number, signature.classes))


def _file_rows(record: VersionRecord) -> Iterator[tuple[str, str]]:
    yield "file", f"{record.path} ({record.kind}, {readable_size(record.artifact.size)})"
    yield "sha256", record.sha256
    yield "md5", record.artifact.digest
    yield "commit", record.code.commit
    if record.code.repository:
        yield "repository", record.code.repository
    if record.pipeline:
        yield "pipeline", record.pipeline
    if record.python:
        yield "python", record.python
    if record.author:
        yield "author", show_person(record.author)


def _lineage_looks(
    facts: ProjectFacts, lineage: LineageReport, is_static: bool
) -> Iterator[tuple[str, BoxLook]]:
    """Where the boxes of a lineage lead: the run, other versions, the stages."""
    record = lineage.record
    if record.run and facts.has_run_page(record.run, is_static):
        yield record.pipeline or "run", BoxLook(address=f"runs/{record.run}/")
    for entry in lineage.promotions:
        yield entry.stage, BoxLook(address=f"stages/{entry.stage}/")
    for other in lineage.used_by:
        name, _, number = other.partition("@")
        yield other, BoxLook(address=f"models/{name}/{number}/")
    yield lineage.version, BoxLook(is_selected=True)
