"""Models: the catalogue of versions, searched in the language of `towpath search`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from towpath.audit.version_search import VersionFacts, list_version_facts, match_versions
from towpath.config.foreign_values import format_second
from towpath.errors import TowpathError
from towpath.registry import Model, ModelVersion, summarise_version
from towpath.studio.pages.page_kind import ListPart, NoSuchPage, PageRequest
from towpath.studio.pages.version_facets import VersionFacet, count_facets
from towpath.studio.shown_values import show_number, show_person
from towpath.studio.svg_charts import TrendLine, lay_trend

if TYPE_CHECKING:
    from towpath.studio.project_facts import ProjectFacts

_SPARK = 40  # versions of a small trend
ON_A_PAGE = 100


class VersionLine(Struct, frozen=True):
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


class ModelLine(Struct, frozen=True):
    name: str
    latest: str
    count: int
    stages: tuple[tuple[str, str], ...]
    trend: TrendLine | None
    registered: str


class ModelCatalogue(Struct, frozen=True):
    """The models, a page of them; with a query also a page of the versions that were found."""

    models: tuple[ModelLine, ...]
    model_count: int
    query: str
    sort: str
    hits: tuple[VersionLine, ...]
    hit_count: int
    searched: int
    fault: str
    hint: str
    metrics: tuple[str, ...]
    facets: tuple[VersionFacet, ...]
    page: int
    pages: int


def gather_catalogue(facts: ProjectFacts, request: PageRequest) -> ModelCatalogue:
    """All models; with ``?q=QUERY&sort=FIELD`` the versions that it finds."""
    query, sort = request.first_value("q").strip(), request.last_value("sort")
    models = list(facts.models.values())
    models.sort(key=lambda model: model.latest.time if model.latest else 0, reverse=True)
    versions = [version for model in facts.models.values() for version in model.newest_first]
    matches, fault, hint = _match_query(facts, versions, query, sort)
    matched = request.cut_list(matches if query else (), ON_A_PAGE)
    listed = request.cut_list(models, ON_A_PAGE)
    paged: ListPart[Any] = matched if query else listed
    hits = tuple(line_of_version(facts, match.version) for match in matched.rows)
    page_models = models[:ON_A_PAGE] if query else listed.rows
    return ModelCatalogue(
        tuple(_model_line(facts, model) for model in page_models), len(models),
        query, sort, hits, len(matches) if query else 0, len(versions), fault, hint,
        metric_names(hits), tuple(count_facets(matches, query)), paged.page, paged.pages,
    )  # fmt: skip


def _match_query(
    facts: ProjectFacts, versions: Sequence[ModelVersion], query: str, sort: str
) -> tuple[tuple[VersionFacts, ...], str, str]:
    """The versions that match, all of them without a query; what is wrong with it, and a hint."""
    try:
        if query:
            return match_versions(versions, facts.stage_files, query, sort or None)[0], "", ""
        return list_version_facts(versions, facts.stage_files), "", ""
    except TowpathError as wrong:
        return (), wrong.faults[0].what, wrong.faults[0].hint or ""


def line_of_version(facts: ProjectFacts, version: ModelVersion) -> VersionLine:
    summary = summarise_version(version, facts.stage_files)
    return VersionLine(
        summary.model,
        version.short_name,
        summary.stages,
        summary.time,
        show_person(summary.author),
        {name: show_number(value) for name, value in summary.metrics.items()},
        summary.rejected or ("" if summary.rejected is None else "no reason given"),
        summary.run or "",
        summary.version is None,
    )


def metric_names(lines: Iterable[VersionLine], most: int = 6) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for line in lines for name in line.metrics))[:most]


def _model_line(facts: ProjectFacts, model: Model) -> ModelLine:
    latest = model.latest
    files = (file for file in facts.stage_files.wanted if file.model == model.name)
    stages = tuple((file.stage, str(file.version)) for file in files)
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
    metric = facts.metric_policy.choose_metric(recent[-1].metrics) if recent else None
    if metric is None:
        return None
    values = [version.metrics[metric] for version in recent if metric in version.metrics]
    return lay_trend(metric, values, "versions")


class ModelPage(Struct, frozen=True):
    line: ModelLine
    versions: tuple[VersionLine, ...]
    metrics: tuple[str, ...]
    page: int
    pages: int


def gather_model(facts: ProjectFacts, request: PageRequest) -> ModelPage:
    model = find_page_model(facts, request.names["model"])
    part = request.cut_list(model.newest_first, ON_A_PAGE)
    lines = tuple(line_of_version(facts, version) for version in part.rows)
    return ModelPage(_model_line(facts, model), lines, metric_names(lines), part.page, part.pages)


def find_page_model(facts: ProjectFacts, name: str) -> Model:
    if name not in facts.models:
        raise NoSuchPage(f"no model `{name}`")
    return facts.models[name]
