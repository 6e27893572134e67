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
from towpath.audit.version_facts import Facts, Term, Vocabulary
from towpath.backends.git import Repository, remotes
from towpath.config import output_reference
from towpath.errors import RegistryError, UsageError, did_you_mean
from towpath.registry import ModelVersion, Stages


@dataclass(frozen=True)
class Hits:
    """The versions found, and of each the values of the facts that the search names.

    ``searched`` is how many there are, ``total`` how many of them it holds of, ``found`` those
    that the limit leaves.
    """

    found: tuple[ModelVersion, ...]
    columns: tuple[str, ...]
    values: tuple[tuple[Any, ...], ...]
    stages: Stages
    total: int
    searched: int


def search(
    repository: Repository, text: str, sort: str | None = None, limit: int | None = None
) -> Hits:
    """The versions of which ``text`` holds, those of a model together, the newest first.

    ``sort`` names a fact to order by, ``-mse`` from the highest down; versions without it come
    last. Raises ``UsageError``, with the near name, for an expression that cannot be understood.
    """
    stages = registry.stages(repository)
    versions = [v for model in registry.models(repository).values() for v in _versions(model)]
    if not versions and remotes.is_tagless(repository):
        raise RegistryError("this clone was made without tags", hint="towpath fetch")
    vocabulary = Vocabulary.of(versions)
    asked = search_query.parse(text, vocabulary)
    key = _term(sort, vocabulary) if sort else None
    _check_stages(asked.named_stages, stages)
    every = (Facts(v, stages.of(v.model, v.version)) for v in versions)
    found = [facts for facts in every if asked.test(facts)]
    if key:
        found = _sorted(found, key, descending=bool(sort and sort.startswith("-")))
    shown = found if limit is None else found[:limit]
    columns = _columns(asked.terms, key)
    return Hits(
        found=tuple(facts.version for facts in shown),
        columns=tuple(term.words for term in columns),
        values=tuple(tuple(term.get(facts) for term in columns) for facts in shown),
        stages=stages,
        total=len(found),
        searched=len(versions),
    )


def _versions(model: registry.Model) -> list[ModelVersion]:
    return [*model.candidates, *reversed(model.versions)]


def _term(sort: str, vocabulary: Vocabulary) -> Term:
    try:
        named = output_reference.parse(sort.removeprefix("-"))
    except ValueError:
        raise UsageError(f"`{sort}` is no fact to sort by", hint="--sort metrics.mse") from None
    return vocabulary.term(named)


def _sorted(found: Sequence[Facts], key: Term, descending: bool) -> list[Facts]:
    known = [facts for facts in found if key.get(facts) is not None]
    rest = [facts for facts in found if key.get(facts) is None]
    try:
        return sorted(known, key=key.get, reverse=descending) + rest
    except TypeError:  # a parameter that is a number here and text there
        return sorted(known, key=lambda facts: str(key.get(facts)), reverse=descending) + rest


def _columns(terms: Iterable[Term], key: Term | None) -> list[Term]:
    """The facts worth a column: those that the table does not show anyhow."""
    named = {term.words: term for term in (*terms, *([key] if key else []))}
    return [term for term in named.values() if "." in term.words or term.words in _WORTH]


_WORTH = ("kind", "pipeline", "run", "size", "bump", "code")


def _check_stages(named: Iterable[str], stages: Stages) -> None:
    """A stage that runs nothing may be one that does not exist."""
    known = sorted({one.stage for one in stages.wanted})
    for name in named:
        near = did_you_mean(name, known)
        if name not in known and near:
            raise UsageError(f"no stage `{name}` runs anything", hint=near)
