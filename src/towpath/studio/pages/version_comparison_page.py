"""Versions side by side: what differs, which is better by the gates, and what is equal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from msgspec import Struct

from towpath import registry
from towpath.errors import UserError
from towpath.studio.pages.compared_values import ComparedSection, make_section
from towpath.studio.pages.model_catalogue import VersionLine, line_of_version
from towpath.studio.pages.page_kind import NoSuchPage, PageRequest

if TYPE_CHECKING:
    from towpath.registry.version_comparison import VersionComparison
    from towpath.studio.project_facts import ProjectFacts

MOST_VERSIONS = 12  # side by side; each record is read from Git
_TITLES = {
    "metrics": "Metrics", "parameters": "Parameters", "data": "Data", "code": "Code",
    "packages": "Packages", "signature": "Signature", "beside": "Files beside it",
    "stages": "Stages", "labels": "Labels", "record": "Record",
}  # fmt: skip


class VersionComparisonPage(Struct, frozen=True):
    """``names`` are the versions as a person writes them, such as `mean@v1.0.0`."""

    versions: tuple[VersionLine, ...]
    names: tuple[str, ...]
    sections: tuple[ComparedSection, ...]
    equal_count: int
    left_out: int


def gather_version_comparison(facts: ProjectFacts, request: PageRequest) -> VersionComparisonPage:
    """What ``towpath compare`` says of the versions that the address names."""
    names = tuple(dict.fromkeys(request.list_values("version")))
    shown = names[:MOST_VERSIONS]
    try:
        comparison = registry.compare_versions(facts.workspace.registry, shown)
    except UserError as unknown:  # no such version; what cannot be read is said as that
        raise NoSuchPage(unknown.faults[0].what) from None
    sections = tuple(_list_sections(facts, comparison))
    return VersionComparisonPage(
        tuple(line_of_version(facts, version) for version in comparison.versions),
        tuple(map(str, comparison.versions)),
        sections,
        sum(len(section.equal) for section in sections),
        len(names) - len(shown),
    )


def _list_sections(facts: ProjectFacts, comparison: VersionComparison) -> Iterator[ComparedSection]:
    for name, title in _TITLES.items():
        rows = [row for row in comparison.rows if row.section == name]
        different = [row for row in rows if row.is_different]
        equal = [row for row in rows if not row.is_different and row.values[0] is not None]
        if different or equal:
            yield make_section(facts, title, different, equal, len(comparison.versions))
