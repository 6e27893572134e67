"""Models: the catalogue of versions, searched in the language of `towpath search`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from towpath.audit.version_search import search_versions
from towpath.config.foreign_values import format_second
from towpath.errors import TowpathError
from towpath.studio.pages.metric_trend import TrendLine, lay_trend
from towpath.studio.pages.page_kind import NoSuchPage
from towpath.studio.shown_values import show_number, show_person

if TYPE_CHECKING:
    from towpath.registry import Model, ModelVersion
    from towpath.studio.pages.page_kind import PageRequest
    from towpath.studio.project_facts import ProjectFacts

_SPARK = 40  # versions of a small trend
ON_A_PAGE = 100


@dataclass(frozen=True)
class VersionLine:
    """A version in a list."""

    model: str
    version: str
    stages: tuple[str, ...]
    registered: str
    by: str
    metrics: dict[str, str]
    rejected: str
    run: str
    is_candidate: bool


@dataclass(frozen=True)
class ModelLine:
    name: str
    latest: str
    count: int
    stages: tuple[tuple[str, str], ...]
    trend: TrendLine | None
    registered: str


@dataclass(frozen=True)
class ModelCatalogue:
    models: tuple[ModelLine, ...]
    query: str
    hits: tuple[VersionLine, ...]
    hit_count: int
    searched: int
    fault: str
    hint: str
    metrics: tuple[str, ...]


def gather_catalogue(facts: ProjectFacts, request: PageRequest) -> ModelCatalogue:
    query, sort = request.first_value("q").strip(), request.first_value("sort") or None
    lines = tuple(_model_line(facts, model) for model in facts.models.values())
    if not query:
        return ModelCatalogue(lines, "", (), 0, 0, "", "", ())
    try:
        hits = search_versions(facts.workspace.registry, query, sort, ON_A_PAGE)
    except TowpathError as wrong:
        fault = wrong.faults[0]
        return ModelCatalogue(lines, query, (), 0, 0, fault.what, fault.hint or "", ())
    lines_of_hits = tuple(line_of_version(facts, version) for version in hits.found)
    return ModelCatalogue(
        lines,
        query,
        lines_of_hits,
        hits.total,
        hits.searched,
        "",
        "",
        metric_names(lines_of_hits),
    )


def line_of_version(facts: ProjectFacts, version: ModelVersion) -> VersionLine:
    return VersionLine(
        version.model,
        str(version.version) if version.version else version.key[:8],
        facts.stage_files.stages_of(version.model, version.version) if version.version else (),
        format_second(version.time),
        show_person(version.tag.tagger),
        {name: show_number(value) for name, value in version.metrics.items()},
        version.rejected or ("" if version.rejected is None else "no reason given"),
        str(version.summary.get("run") or ""),
        version.version is None,
    )


def metric_names(lines: Iterable[VersionLine], most: int = 6) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for line in lines for name in line.metrics))[:most]


def _model_line(facts: ProjectFacts, model: Model) -> ModelLine:
    latest = model.latest
    stages = tuple(
        (file.stage, str(file.version))
        for file in facts.stage_files.wanted
        if file.model == model.name
    )
    return ModelLine(
        model.name,
        str(latest.version) if latest else "",
        len(model.versions),
        stages,
        draw_trend(facts, model.versions),
        format_second(latest.time) if latest else "",
    )


def draw_trend(facts: ProjectFacts, versions: Sequence[ModelVersion]) -> TrendLine | None:
    """The main metric over the last versions; None where fewer than two have it."""
    recent = [version for version in versions if version.rejected is None][-_SPARK:]
    metric = facts.main_metric(recent[-1].metrics) if recent else None
    points = [(v, v.metrics[metric]) for v in recent if metric and metric in v.metrics]
    if metric is None:
        return None
    return lay_trend(metric, [value for _, value in points], "versions")


@dataclass(frozen=True)
class ModelPage:
    line: ModelLine
    versions: tuple[VersionLine, ...]
    metrics: tuple[str, ...]
    left_out: int


def gather_model(facts: ProjectFacts, request: PageRequest) -> ModelPage:
    model = find_page_model(facts, request.names["model"])
    listed = model.newest_first
    lines = tuple(line_of_version(facts, version) for version in listed[:ON_A_PAGE])
    return ModelPage(
        _model_line(facts, model), lines, metric_names(lines), max(0, len(listed) - ON_A_PAGE)
    )


def find_page_model(facts: ProjectFacts, name: str) -> Model:
    if name not in facts.models:
        raise NoSuchPage(f"no model `{name}`")
    return facts.models[name]
