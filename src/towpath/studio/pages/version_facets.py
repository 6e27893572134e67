"""Facets of versions: how many there are of each stage, pipeline and label, and their search."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from towpath.studio.shown_values import show_person

if TYPE_CHECKING:
    from towpath.audit.version_search import VersionFacts

_MOST_VALUES, _MOST_LABELS = 8, 4


class FacetValue(Struct, frozen=True):
    """A value that ``count`` of the versions have; ``query`` is the search for those alone."""

    words: str
    count: int
    query: str


class VersionFacet(Struct, frozen=True):
    title: str
    values: tuple[FacetValue, ...]
    left_out: int


def count_facets(versions: Sequence[VersionFacts], query: str) -> Iterator[VersionFacet]:
    """The facets in which the versions that a query found differ, the commonest values first."""
    readers: dict[str, Callable[[VersionFacts], tuple[str, ...]]] = {
        "model": lambda facts: (facts.version.model,),
        "stage": lambda facts: facts.stages,
        "author": lambda facts: (show_person(_read_text(facts, "author")),),
        "pipeline": lambda facts: (_read_text(facts, "pipeline"),),
        "kind": lambda facts: (_read_text(facts, "kind"),),
        "bump": lambda facts: (_read_text(facts, "bump"),),
    }
    for title, read in readers.items():
        counts = Counter(value for facts in versions for value in read(facts) if value)
        yield from _make_facet(title, counts, len(versions), query)
    labels: dict[str, Counter[str]] = {}
    for facts in versions:
        for name, value in facts.version.summary.get("labels", {}).items():
            labels.setdefault(f"labels.{name}", Counter())[str(value)] += 1
    names = sorted(labels, key=lambda name: -labels[name].total())
    for name in names[:_MOST_LABELS]:
        if name.removeprefix("labels.").isidentifier():  # others cannot be asked for
            yield from _make_facet(name, labels[name], len(versions), query)
    rejected = sum(facts.version.rejected is not None for facts in versions)
    if 0 < rejected < len(versions):
        bad = FacetValue("yes", rejected, _narrow_query(query, "rejected"))
        good = FacetValue("no", len(versions) - rejected, _narrow_query(query, "not rejected"))
        yield VersionFacet("rejected", (bad, good), 0)


def _read_text(facts: VersionFacts, name: str) -> str:
    value = facts.version.summary.get(name)
    return value if isinstance(value, str) else ""


def _make_facet(title: str, counts: Counter[str], total: int, query: str) -> Iterator[VersionFacet]:
    # What can be written in a query, and is a part.
    narrowing = [
        (value, count)
        for value, count in counts.most_common()
        if count < total and value.isprintable() and not set(value) & set('"\\') and len(value) < 80
    ]
    values = tuple(
        FacetValue(value, count, _narrow_query(query, f'{title} == "{value}"'))
        for value, count in narrowing[:_MOST_VALUES]
    )
    if values:
        yield VersionFacet(title, values, len(narrowing) - len(values))


def _narrow_query(query: str, condition: str) -> str:
    if not query:
        return condition
    return f"({query}) and {condition}" if " or " in f" {query} " else f"{query} and {condition}"
