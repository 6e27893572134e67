"""What every page is: its place among the others, what it shows, and how it is gathered."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Generic, TypeVar

from msgspec import Struct, field

from towpath.studio.project_facts import ProjectFacts

T = TypeVar("T")


class PageRequest(Struct, frozen=True):
    """Which page is wanted: the names in its address, and what stands behind the question mark.
    ``is_static`` is one of a site of files, where nothing can be asked."""

    names: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    is_static: bool = False

    def first_value(self, name: str) -> str:
        return next(iter(self.query.get(name, ())), "")

    def list_values(self, name: str) -> list[str]:
        """Of names that were said one by one, or with commas between them."""
        return [part for value in self.query.get(name, ()) for part in value.split(",") if part]

    @property
    def page_number(self) -> int:
        """Which page of a long list is asked for."""
        return _read_page_number(self.names.get("page") or self.last_value("page"))

    def last_value(self, name: str) -> str:
        """What was said last: a link adds to the address of the page that it stands on."""
        return (self.query.get(name) or ("",))[-1]

    def cut_list(self, rows: Sequence[T], most: int, name: str = "") -> ListPart[T]:
        """The page of a list that is asked for, by ``name`` where a page has two lists; the last
        one for a number above all."""
        number = _read_page_number(self.last_value(name)) if name else self.page_number
        pages = count_pages(len(rows), most)
        page = min(number, pages)
        return ListPart(rows[(page - 1) * most : page * most], page, pages)


class ListPart(Struct, Generic[T], frozen=True):
    """One page of a long list."""

    rows: Sequence[T]
    page: int
    pages: int


def count_pages(count: int, most: int) -> int:
    """How many pages a list of ``count`` rows has: one where it is empty."""
    return max(1, -(-count // most))


def _read_page_number(text: str) -> int:
    """The first for what is no number."""
    return max(1, int(text)) if text.isdecimal() and len(text) < 9 else 1


class PageKind(Struct, frozen=True):
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
