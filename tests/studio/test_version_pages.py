"""Versions: searched and narrowed by facets, a page at a time, and laid side by side."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import pytest
from benchmarks.registry import make

from towpath.audit import stage_history
from towpath.execution.run_record import EVENTS
from towpath.studio.page_commands import name_page_command
from towpath.studio.page_index import PAGES
from towpath.studio.page_templates import PagePlace, render_studio_page
from towpath.studio.pages.model_catalogue import gather_catalogue, gather_model
from towpath.studio.pages.page_kind import NoSuchPage, PageRequest
from towpath.studio.pages.version_comparison_page import gather_version_comparison
from towpath.studio.pages.version_page import gather_version
from towpath.studio.project_facts import SITE_RUNS, ProjectFacts


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> ProjectFacts:
    return ProjectFacts(make(tmp_path_factory.mktemp("many") / "project", 4, 120))


def ask(*names: tuple[str, str]) -> PageRequest:
    query: dict[str, tuple[str, ...]] = {}
    for name, value in names:
        query[name] = (*query.get(name, ()), value)
    return PageRequest({"model": "model-1"}, query)


def test_facets_count_and_add_to_the_search(facts: ProjectFacts) -> None:
    every = gather_catalogue(facts, ask())
    assert every.searched == 480
    facets = {facet.title: facet for facet in every.facets}
    assert {value.words: value.count for value in facets["model"].values} == {
        f"model-{number}": 120 for number in range(4)
    }
    (dev,) = (value for value in facets["stage"].values if value.words == "dev")
    assert (dev.count, dev.query) == (4, 'stage == "dev"')
    narrow = gather_catalogue(facts, ask(("q", dev.query)))
    assert [str(hit.model) for hit in narrow.hits] == [f"model-{number}" for number in range(4)]
    wide = gather_catalogue(facts, ask(("q", 'stage == "dev" or stage == "uat"')))
    (first, *_) = (facet for facet in wide.facets if facet.title == "model")
    assert first.values[0].query.startswith('(stage == "dev" or stage == "uat") and model ==')
    assert gather_catalogue(facts, ask(("q", first.values[0].query))).hit_count == 2


def test_long_lists_have_pages(facts: ProjectFacts) -> None:
    hits = gather_catalogue(facts, ask(("q", "not rejected"), ("page", "5")))
    assert (len(hits.hits), hits.page, hits.pages) == (80, 5, 5)
    model = gather_model(facts, ask(("page", "2")))
    assert (len(model.versions), model.pages) == (20, 2)
    assert model.versions[-1].version == "v1.0.0"
    beyond = gather_model(facts, ask(("page", "99999")))
    assert beyond.page == 2


def test_versions_are_compared_by_what_differs(facts: ProjectFacts) -> None:
    names = ("model-1@v1.3.0", "model-1@v1.9.0")
    request = ask(*(("version", name) for name in names))
    view = gather_version_comparison(facts, request)
    assert view.names == names
    titles = [section.title for section in view.sections if section.rows]
    assert titles[:4] == ["Metrics", "Parameters", "Data", "Code"]
    assert view.equal_count > 10
    rows = {row.name: row.cells for section in view.sections for row in section.rows}
    assert rows["time"][0].moment and rows["time"][0].value  # a moment, said in the reader's zone
    (kind,) = (kind for kind in PAGES if kind.path == "compare/versions/")
    command = name_page_command(kind, request, view)
    page = render_studio_page(kind, facts, view, PagePlace(kind.path, command=command))
    assert "towpath compare model-1@v1.3.0 model-1@v1.9.0" in page
    assert "rows are equal in all of them" in page
    assert 'data-form="date"' in page.partition("<tbody>")[2]
    with pytest.raises(NoSuchPage, match="model-9"):
        gather_version_comparison(facts, ask(("version", "model-9@v1.0.0")))


def test_a_board_reads_the_histories_of_all_models_as_of_each(facts: ProjectFacts) -> None:
    every = stage_history.open_stage_histories(facts.workspace)
    assert {model for _, model in every.ledger.promotions_by_stage} == set(facts.models)
    for model in facts.models:
        alone = stage_history.read_stage_history(facts.workspace, model, forge=False)
        assert every.judge_model(model) == alone
        assert facts.model_history(model) == alone


def test_a_site_of_files_leads_to_every_version(facts: ProjectFacts) -> None:
    (kind,) = (kind for kind in PAGES if kind.path == "models/{model}/page/{page}/")
    names = [names for names in kind.list_names(facts) if names["model"] == "model-1"]
    assert names == [{"model": "model-1", "page": "2"}]
    place = PagePlace("models/model-1/page/2/", is_static=True)
    view = kind.gather(facts, PageRequest(names[0]))
    page = render_studio_page(kind, facts, view, place)
    assert 'href="../../../../models/model-1/v1.0.0/index.html"' in page
    assert 'href="../../../../models/model-1/index.html">newer</a>' in page


def test_a_site_of_files_leads_to_every_model(tmp_path: Path) -> None:
    many = ProjectFacts(make(tmp_path / "project", 102, 1))
    (kind,) = (kind for kind in PAGES if kind.path == "pages/models/{page}/")
    (names,) = kind.list_names(many)
    view = kind.gather(many, PageRequest(names, is_static=True))
    page = render_studio_page(kind, many, view, PagePlace("pages/models/2/", is_static=True))
    assert (len(view.models), names) == (2, {"page": "2"})
    assert 'href="../../../models/index.html">before</a>' in page
    first = gather_catalogue(many, PageRequest(is_static=True))
    page = render_studio_page(kind, many, first, PagePlace("models/", is_static=True))
    assert 'href="../pages/models/2/index.html">next</a>' in page


def test_a_site_of_files_leads_to_no_run_that_it_has_not(facts: ProjectFacts) -> None:
    version = PageRequest({"model": "model-1", "version": "v1.5.0"}, is_static=True)
    (kind,) = (kind for kind in PAGES if kind.path == "models/{model}/{version}/")
    run = gather_version(facts, version).line.run
    for count, is_led_to in ((0, True), (SITE_RUNS, False)):
        for name in (run, *(f"later-{number:04}" for number in range(count))):
            (facts.workspace.runs / name).mkdir(parents=True, exist_ok=True)
            (facts.workspace.runs / name / EVENTS).touch()
        later = ProjectFacts(facts.root)
        assert later.has_run_page(run)
        for is_static in (False, True):
            view = kind.gather(later, PageRequest(version.names, is_static=is_static))
            place = PagePlace("models/model-1/v1.5.0/", is_static=is_static)
            page = render_studio_page(kind, later, view, place)
            assert (f"/runs/{run}/" in page) == (is_led_to or not is_static)


def test_no_name_of_a_thing_stands_where_a_page_has_its_own() -> None:
    parted = [kind.path.split("/") for kind in PAGES]
    for one, other in combinations(parted, 2):
        pairs = list(zip(one, other, strict=False))
        differ = any(a != b and "{" not in a + b for a, b in pairs)
        assert differ or len(one) != len(other), (one, other)
