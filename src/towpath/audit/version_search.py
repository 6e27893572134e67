"""Search: the versions of all models of which an expression holds.

Only the tags are read, each of which carries the short of its record: one call of Git for ten
thousand versions.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from towpath import registry
from towpath.audit import search_query
from towpath.audit.version_facts import QueryTerm, VersionFacts, Vocabulary
from towpath.backends.git import Repository, remotes
from towpath.config import expression
from towpath.errors import RegistryError, UsageError, did_you_mean
from towpath.registry import ModelVersion, StageFiles


@dataclass(frozen=True)
class SearchHits:
    """The versions found, and of each the values of the facts that the search names.

    ``searched`` is how many there are, ``total`` how many of them it holds of, ``found`` those
    that the limit leaves.
    """

    found: tuple[ModelVersion, ...]
    columns: tuple[str, ...]
    values: tuple[tuple[Any, ...], ...]
    stages: StageFiles
    total: int
    searched: int


def search_versions(
    repository: Repository, text: str, sort: str | None = None, limit: int | None = None
) -> SearchHits:
    """The versions of which ``text`` holds, those of a model together, the newest first.

    ``sort`` names a fact to order by, ``-mse`` from the highest down; versions without it come
    last. Raises ``UsageError``, with the near name, for an expression that cannot be understood.
    """
    stages = registry.read_stage_files(repository)
    versions = [
        v for model in registry.read_models(repository).values() for v in model.newest_first
    ]
    if not versions and remotes.is_tagless(repository):
        raise RegistryError("this clone was made without tags", hint="towpath fetch")
    vocabulary = Vocabulary.of_versions(versions)
    parsed_query = search_query.parse_query(text, vocabulary)
    key = _sort_term(sort, vocabulary) if sort else None
    _check_stages(parsed_query.named_stages, stages)
    every = (VersionFacts(v, stages.stages_of(v.model, v.version)) for v in versions)
    matches = [facts for facts in every if parsed_query.test(facts)]
    if key:
        matches = _sort_facts(matches, key, descending=bool(sort and sort.startswith("-")))
    shown = matches if limit is None else matches[:limit]
    columns = _fact_columns(parsed_query.terms, key)
    return SearchHits(
        found=tuple(facts.version for facts in shown),
        columns=tuple(term.words for term in columns),
        values=tuple(tuple(term.get(facts) for term in columns) for facts in shown),
        stages=stages,
        total=len(matches),
        searched=len(versions),
    )


def _sort_term(sort: str, vocabulary: Vocabulary) -> QueryTerm:
    try:
        named = expression.parse_value_reference(sort.removeprefix("-"))
    except ValueError:
        raise UsageError(f"`{sort}` is no fact to sort by", hint="--sort metrics.mse") from None
    return vocabulary.find_term(named)


def _sort_facts(
    hits: Sequence[VersionFacts], key: QueryTerm, descending: bool
) -> list[VersionFacts]:
    with_value = [facts for facts in hits if key.get(facts) is not None]
    rest = [facts for facts in hits if key.get(facts) is None]
    try:
        return sorted(with_value, key=key.get, reverse=descending) + rest
    except TypeError:  # a parameter that is a number here and text there
        return sorted(with_value, key=lambda facts: str(key.get(facts)), reverse=descending) + rest


def _fact_columns(terms: Iterable[QueryTerm], key: QueryTerm | None) -> list[QueryTerm]:
    """The facts worth a column: those that the table does not show anyhow."""
    named = {term.words: term for term in (*terms, *([key] if key else []))}
    return [term for term in named.values() if "." in term.words or term.words in _WORTH]


_WORTH = ("kind", "pipeline", "run", "size", "bump", "code")


def _check_stages(named: Iterable[str], stages: StageFiles) -> None:
    """A stage that runs nothing may be one that does not exist."""
    known_stages = sorted({stage_file.stage for stage_file in stages.wanted})
    for name in named:
        near = did_you_mean(name, known_stages)
        if name not in known_stages and near:
            raise UsageError(f"no stage `{name}` runs anything", hint=near)
