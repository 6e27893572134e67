"""All pages: the table that the server routes by and the static site is written from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from towpath.plain_data import list_fields
from towpath.studio.pages.data_page import gather_data, gather_data_set, list_data_names
from towpath.studio.pages.deployed_runs import gather_deployed_run
from towpath.studio.pages.home_page import gather_home
from towpath.studio.pages.log_comparison import gather_log_comparison
from towpath.studio.pages.model_catalogue import ON_A_PAGE, gather_catalogue, gather_model
from towpath.studio.pages.page_kind import PageKind, count_pages
from towpath.studio.pages.pipeline_page import gather_pipeline, gather_pipelines
from towpath.studio.pages.promotion_page import (
    gather_promotion,
    gather_promotions,
    short_name,
)
from towpath.studio.pages.run_comparison import gather_run_comparison
from towpath.studio.pages.run_page import gather_run
from towpath.studio.pages.run_table import RUNS_ON_A_PAGE, gather_run_table
from towpath.studio.pages.search_page import gather_search
from towpath.studio.pages.stage_page import gather_stage
from towpath.studio.pages.step_output import gather_output
from towpath.studio.pages.version_comparison_page import gather_version_comparison
from towpath.studio.pages.version_page import gather_version
from towpath.studio.project_facts import SITE_RUNS, ProjectFacts


def _list_pipelines(facts: ProjectFacts) -> Iterator[Mapping[str, str]]:
    return ({"pipeline": name} for name in facts.workspace.pipelines)


def _list_runs(facts: ProjectFacts) -> Iterator[Mapping[str, str]]:
    return ({"run": name} for name in sorted(facts.site_runs))


def _list_steps(facts: ProjectFacts) -> Iterator[Mapping[str, str]]:
    for run in facts.recent_runs(SITE_RUNS):
        yield from ({"run": run.id, "step": name} for name in run.steps)


def _list_outputs(facts: ProjectFacts) -> Iterator[Mapping[str, str]]:
    return (list_fields(address) for address in facts.site_outputs)


def _list_run_pages(facts: ProjectFacts) -> Iterator[Mapping[str, str]]:
    """What a site of files has in the place of a query."""
    return _number_pages(len(facts.site_runs), RUNS_ON_A_PAGE)


def _number_pages(count: int, most: int) -> Iterator[Mapping[str, str]]:
    """Those after the first, which has an address of its own."""
    return ({"page": str(page)} for page in range(2, count_pages(count, most) + 1))


def _list_catalogue_pages(facts: ProjectFacts) -> Iterator[Mapping[str, str]]:
    return _number_pages(len(facts.models), ON_A_PAGE)


def _list_model_pages(facts: ProjectFacts) -> Iterator[Mapping[str, str]]:
    for name, model in facts.models.items():
        for numbers in _number_pages(len(model.newest_first), ON_A_PAGE):
            yield {"model": name, **numbers}


def _list_models(facts: ProjectFacts) -> Iterator[Mapping[str, str]]:
    return ({"model": name} for name in facts.models)


def _list_versions(facts: ProjectFacts) -> Iterator[Mapping[str, str]]:
    for model in facts.models.values():
        for version in model.newest_first:
            yield {"model": model.name, "version": version.short_name}


def _list_data(facts: ProjectFacts) -> Iterator[Mapping[str, str]]:
    return ({"data": name} for name in list_data_names(facts))


def _list_stages(facts: ProjectFacts) -> Iterator[Mapping[str, str]]:
    return ({"stage": name} for name in facts.stages)


def _list_promotions(facts: ProjectFacts) -> Iterator[Mapping[str, str]]:
    waiting = (short_name(promotion.branch) for promotion in facts.waiting_promotions)
    return ({"promotion": name} for name in dict.fromkeys((*waiting, *facts.site_decisions)))


def _no_files(_: ProjectFacts) -> Iterator[Mapping[str, str]]:
    """Of a page that answers a question, a site of files has none."""
    return iter(())


# No fixed word stands where another row has a name: a model may be called `compare`, or `page`.
PAGES: tuple[PageKind, ...] = (
    PageKind("", "home", "home", gather_home),
    PageKind("pipelines/", "pipelines", "pipelines", gather_pipelines),
    PageKind("pipelines/{pipeline}/", "pipeline", "pipelines", gather_pipeline, _list_pipelines),
    PageKind("runs/", "runs", "runs", gather_run_table),
    PageKind("pages/runs/{page}/", "runs", "runs", gather_run_table, _list_run_pages),
    PageKind("runs/{run}/", "run", "runs", gather_run, _list_runs),
    PageKind("runs/{run}/{step}/", "run", "runs", gather_run, _list_steps),
    PageKind("runs/{run}/{step}/{output}/", "step_output", "runs", gather_output, _list_outputs),
    PageKind("compare/runs/", "run_comparison", "runs", gather_run_comparison, _no_files),
    PageKind("compare/logs/", "log_comparison", "runs", gather_log_comparison, _no_files),
    PageKind("elsewhere/{run}/", "deployed_run", "runs", gather_deployed_run, _no_files),
    PageKind("models/", "models", "models", gather_catalogue),
    PageKind("pages/models/{page}/", "models", "models", gather_catalogue, _list_catalogue_pages),
    PageKind("models/{model}/", "model", "models", gather_model, _list_models),
    PageKind("models/{model}/page/{page}/", "model", "models", gather_model, _list_model_pages),
    PageKind("models/{model}/{version}/", "version", "models", gather_version, _list_versions),
    PageKind(
        "compare/versions/", "version_comparison", "models", gather_version_comparison, _no_files
    ),
    PageKind("data/", "data", "data", gather_data),
    PageKind("data/{data}/", "data_set", "data", gather_data_set, _list_data),
    PageKind("stages/{stage}/", "stage", "stages", gather_stage, _list_stages),
    PageKind("promotions/", "promotions", "promotions", gather_promotions),
    PageKind(
        "promotions/{promotion}/", "promotion", "promotions", gather_promotion, _list_promotions
    ),
    PageKind("search/", "search", "", gather_search, _no_files),
)
