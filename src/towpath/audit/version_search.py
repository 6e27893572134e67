"""Search: the versions of all models of which an expression holds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

from msgspec import Struct

from towpath import registry
from towpath.audit.search_query import Kind, QueryTerm, Vocabulary, parse_query, sort_by_term
from towpath.backends.git import Repository, remotes
from towpath.errors import Fault, RegistryError, UsageError, did_you_mean
from towpath.registry import ModelVersion, StageFiles
from towpath.registry.registry_state import list_lost_tags


class VersionFacts(Struct, frozen=True):
    """A version, and the stages that should run it."""

    version: ModelVersion
    stages: tuple[str, ...]


FIELDS: Mapping[str, tuple[Kind, Callable[[VersionFacts], Any]]] = {
    "model": ("text", lambda facts: facts.version.model),
    "version": ("version", lambda facts: facts.version.version),
    "stage": ("stages", lambda facts: facts.stages),
    "author": ("author", lambda facts: facts.version.summary.get("author")),
    "time": ("time", lambda facts: facts.version.summary.get("time")),
    "rejected": ("bool", lambda facts: facts.version.rejected is not None),
    **{
        name: ("text", lambda facts, name=name: facts.version.summary.get(name))  # type: ignore[misc]
        for name in ("kind", "pipeline", "run", "code", "key", "md5", "sha256", "bump", "reason")
    },
    "size": ("number", lambda facts: facts.version.summary.get("size")),
}
TABLES: Mapping[str, Kind] = {"metrics": "number", "params": "any", "labels": "any", "data": "any"}
ALIASES = {"parameters": "params", "metric": "metrics", "label": "labels", "stages": "stage"}


def version_vocabulary(versions: Iterable[ModelVersion]) -> Vocabulary:
    """The words of a search for versions, with the names that these versions use."""
    names_by_table: dict[str, set[str]] = {table: set() for table in TABLES}
    for version in versions:
        summary = version.summary
        for table, names in names_by_table.items():
            names.update(summary.get(table, ()))
    return Vocabulary(
        "version", 'metrics.mse < 5 and stage == "prod"', FIELDS, TABLES, ALIASES,
        {table: frozenset(names) for table, names in names_by_table.items()},
        lambda facts, table: facts.version.summary.get(table, {}),
    )  # fmt: skip


class SearchHits(Struct, frozen=True):
    """The versions found, and of each the values of the facts that the search names.

    ``searched`` is how many there are, ``total`` how many it holds of, ``found`` what is left of
    those by the limit; ``lost`` says which tags could not be read, and were not searched.
    """

    found: tuple[ModelVersion, ...]
    columns: tuple[str, ...]
    values: tuple[tuple[Any, ...], ...]
    stages: StageFiles
    total: int
    searched: int
    lost: tuple[Fault, ...] = ()


def search_versions(
    repository: Repository, text: str, sort: str | None = None, limit: int | None = None
) -> SearchHits:
    """The versions of which ``text`` holds, those of a model together, the newest first.

    ``sort`` names a fact to order by, ``-mse`` from the highest down; versions without it come
    last. Raises ``UsageError``, with the near name, for an expression that cannot be understood.
    """
    stages = registry.read_stage_files(repository)
    models = registry.read_models(repository).values()
    versions = list(chain.from_iterable(model.newest_first for model in models))
    if not versions and remotes.is_tagless(repository):
        raise RegistryError("this clone was made without tags", hint="towpath fetch")
    hits, terms = match_versions(versions, stages, text, sort)
    shown = hits[:limit]
    # The facts worth a column: those that the table does not show anyhow.
    by_words = {term.words: term for term in terms}
    columns = [term for words, term in by_words.items() if "." in words or words in _WORTH]
    return SearchHits(
        found=tuple(facts.version for facts in shown),
        columns=tuple(term.words for term in columns),
        values=tuple(tuple(term.get(facts) for term in columns) for facts in shown),
        stages=stages,
        total=len(hits),
        searched=len(versions),
        lost=list_lost_tags(repository, models),
    )


def match_versions(
    versions: Sequence[ModelVersion], stages: StageFiles, text: str, sort: str | None = None
) -> tuple[tuple[VersionFacts, ...], tuple[QueryTerm, ...]]:
    """Those of ``versions`` of which ``text`` holds, in their order or by the fact ``sort``, and
    the facts that it names."""
    vocabulary = version_vocabulary(versions)
    query = parse_query(text, vocabulary)
    terms = [*query.terms]
    if sort:
        terms.append(vocabulary.find_sort_term(sort))
    # A stage that runs nothing may be one that does not exist: only a near name tells.
    running = sorted({stage_file.stage for stage_file in stages.wanted})
    for name in query.named_stages:
        if name not in running and (near := did_you_mean(name, running)):
            raise UsageError(f"no stage `{name}` runs anything", hint=near)
    every = list_version_facts(versions, stages)
    matches = [facts for facts in every if query.test(facts)]
    if sort:
        matches = sort_by_term(matches, terms[-1], descending=sort.startswith("-"))
    return tuple(matches), tuple(terms)


def list_version_facts(
    versions: Iterable[ModelVersion], stages: StageFiles
) -> tuple[VersionFacts, ...]:
    """Versions, each with the stages that should run it."""
    return tuple(VersionFacts(v, stages.stages_of(v.model, v.version)) for v in versions)


_WORTH = ("kind", "pipeline", "run", "size", "bump", "code")
