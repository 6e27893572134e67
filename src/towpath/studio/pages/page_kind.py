"""What every page is: its place among the others, what it shows, and how it is gathered."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from towpath.studio.project_facts import ProjectFacts


@dataclass(frozen=True)
class PageRequest:
    """Which page is wanted: the names in its address, and what stands behind the question mark.
    ``is_static`` is one of a site of files, where nothing can be asked."""

    names: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    is_static: bool = False

    def first_value(self, name: str, otherwise: str = "") -> str:
        return next(iter(self.query.get(name, ())), otherwise)

    @property
    def page_number(self) -> int:
        """Which page of a long list is asked for: the first for what is no number."""
        number = self.names.get("page") or (self.query.get("page") or ("",))[-1]
        return max(1, int(number)) if number.isdecimal() and len(number) < 9 else 1


@dataclass(frozen=True)
class PageKind:
    """A page, or one for each of many things: ``path`` has names in braces, ends in a slash, and
    is the address on a server and the folder of a static site. ``list_names`` are the pages of
    this kind that a static site writes."""

    path: str
    template: str
    section: str
    gather: Callable[[ProjectFacts, PageRequest], Any]
    list_names: Callable[[ProjectFacts], Iterable[Mapping[str, str]]] = lambda _: ({},)


class NoSuchPage(Exception):
    """Nothing of that name is in the project: ``what`` says what there is not."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what
