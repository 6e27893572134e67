"""Find anything by a part of its name: a model, version, run, step, pipeline, stage or command."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from msgspec import Struct

from towpath.command_table import VERBS
from towpath.execution import run_folders
from towpath.studio.pages.data_page import list_tracked_names, name_data_page
from towpath.studio.pages.promotion_page import short_name
from towpath.studio.pages.run_facts import find_page_run
from towpath.studio.pages.run_filter import RunFilter, list_found_runs
from towpath.studio.shown_values import show_person

if TYPE_CHECKING:
    from towpath.studio.pages.page_kind import PageRequest
    from towpath.studio.project_facts import ProjectFacts

_MOST = 60


class SearchHit(Struct, frozen=True):
    """What was found: its kind, its name, a word about it; ``address`` is "" for a command."""

    kind: str
    name: str
    words: str
    address: str


class SearchPage(Struct, frozen=True):
    words: str
    hits: tuple[SearchHit, ...]
    left_out: int


def gather_search(facts: ProjectFacts, request: PageRequest) -> SearchPage:
    words = request.first_value("q").strip()
    parts = words.lower().split()
    if not parts:
        return SearchPage("", (), 0)
    hits = [
        hit
        for hit in _list_everything(facts)
        if all(word in f"{hit.kind} {hit.name} {hit.words}".lower() for word in parts)
    ]
    hits.sort(key=lambda hit: _rank_name(hit, parts[0]))
    return SearchPage(words, tuple(hits[:_MOST]), max(0, len(hits) - _MOST))


def _rank_name(hit: SearchHit, word: str) -> tuple[int, bool]:
    """The whole name first, then what begins so, then what has it in its name; of equals a model
    before what is made of it."""
    name = hit.name.removeprefix("towpath ").lower()
    rank = 0 if name == word else 1 if name.startswith(word) else 2 if word in name else 3
    return rank, hit.kind != "model"


def _list_everything(facts: ProjectFacts) -> Iterator[SearchHit]:
    for stage in facts.stages:
        yield SearchHit("stage", stage, "", f"stages/{stage}/")
    for name in facts.workspace.pipelines:
        yield SearchHit("pipeline", name, "", f"pipelines/{name}/")
    for name in list_tracked_names(facts):
        yield SearchHit("data", name, "", f"data/{name_data_page(name)}/")
    for name in facts.decisions:
        yield SearchHit("promotion", name, "decided", f"promotions/{name}/")
    for waiting in facts.waiting_promotions:
        name = short_name(waiting.branch)
        yield SearchHit("promotion", name, f"waits, by {waiting.author}", f"promotions/{name}/")
    for verbs in VERBS.values():
        for verb, (_, summary) in verbs.items():
            yield SearchHit("command", f"towpath {verb}", summary, "")
    yield from _model_hits(facts)
    yield from _step_hits(facts)
    for name in reversed(run_folders.list_run_names(facts.workspace.runs)):
        yield SearchHit("run", name, "", f"runs/{name}/")


def _model_hits(facts: ProjectFacts) -> Iterator[SearchHit]:
    for name, model in facts.models.items():
        count = len(model.versions)
        words = "1 version" if count == 1 else f"{count} versions"
        yield SearchHit("model", name, words, f"models/{name}/")
        for version in model.newest_first:
            number = version.short_name
            stages = facts.stage_files.stages_of(name, version.version) if version.version else ()
            words = ", ".join((*stages, show_person(version.tag.tagger)))
            yield SearchHit("version", f"{name}@{number}", words, f"models/{name}/{number}/")


def _step_hits(facts: ProjectFacts) -> Iterator[SearchHit]:
    """The steps of the last run of each pipeline."""
    last_runs: dict[str, str] = {}
    for line in list_found_runs(facts, RunFilter()).runs:
        last_runs.setdefault(line.pipeline, line.id)
    for pipeline in facts.workspace.pipelines:
        # Of one that never ran there is none: all records would be read to know it.
        if pipeline not in last_runs:
            continue
        run = find_page_run(facts, last_runs[pipeline])
        for step in run.steps.values():
            if not step.cell_of:
                words = f"{pipeline}, {step.state} in {run.id}"
                yield SearchHit("step", step.name, words, f"runs/{run.id}/{step.name}/")
