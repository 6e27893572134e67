"""A graph on a page: what of it is folded, how large it is drawn, and the addresses that change
that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from msgspec import Struct
from msgspec.structs import replace

from towpath.drawing.alike_boxes import group_alike
from towpath.drawing.picture import GraphPicture, fold_picture, list_frames_around
from towpath.studio.graph_view import BoxLook
from towpath.studio.shown_values import show_number

if TYPE_CHECKING:
    from towpath.studio.pages.page_kind import PageRequest

_ZOOMS = (("fit", "Fit"), ("100", "100 %"), ("50", "50 %"))
_WHOLE = 60  # boxes of a graph that a site of files, where nothing can be unfolded, shows whole
MOST_BOXES = 1500  # of a graph that is drawn
_READABLE = 100  # boxes from which on those that say the same are one
_SMALL = 12  # boxes of a graph that is drawn in one size
_ANY_OPEN = 100  # names that an address may unfold


class GraphAddress(Struct, frozen=True):
    """The address of a page with a graph: what is unfolded, and the size, stand behind the
    question mark."""

    page: str
    opened: tuple[str, ...] = ()
    zoom: str = ""

    def __str__(self) -> str:
        zoom = {"zoom": self.zoom} if self.zoom else {}
        query = urlencode({"open": self.opened, **zoom}, doseq=True)
        return f"{self.page}?{query}" if query else self.page

    def at_page(self, page: str) -> str:
        """Another page, with the graph as it is here."""
        return str(replace(self, page=page))

    def unfold(self, name: str) -> str:
        return str(replace(self, opened=(*self.opened, name)))

    def fold(self, name: str) -> str:
        """Without the name, and without what stands in it: unfolded again, it is as at first."""
        opened = (n for n in self.opened if n != name and not n.startswith(f"{name}."))
        return str(replace(self, opened=tuple(opened)))


class GraphControl(Struct, frozen=True):
    """A link above a graph that draws it otherwise."""

    words: str
    address: str
    is_current: bool = False


class DrawnGraph(Struct, frozen=True):
    """A graph as a page shows it: ``looks`` are those of boxes and of frames, ``zoom`` is empty
    where the drawing's size decides, ``note`` says why there is no picture or what is left out."""

    picture: GraphPicture | None
    looks: Mapping[str, BoxLook]
    controls: tuple[GraphControl, ...] = ()
    zoom: str = ""
    note: str = ""


def read_address(request: PageRequest, page: str) -> GraphAddress:
    """What an address asks of the graph; what nobody knows is left out by who draws it."""
    zoom = request.first_value("zoom")
    opened = tuple(dict.fromkeys(request.query.get("open", ())))[:_ANY_OPEN]
    return GraphAddress(page, opened, zoom if zoom in dict(_ZOOMS) else "")


class FoldedGraph(Struct, frozen=True):
    """A picture with what is unfolded of it; the ``whole`` one; boxes that stand for ``alike``
    steps; and the address without what is not there."""

    picture: GraphPicture
    whole: GraphPicture
    alike: Mapping[str, tuple[str, ...]]
    address: GraphAddress

    @property
    def note(self) -> str:
        groups = [name for name in self.picture.boxes if name in self.alike]
        if not groups:
            return ""
        count = show_number(sum(len(self.alike[name]) for name in groups))
        boxes = "one box stands" if len(groups) == 1 else f"{len(groups)} boxes stand"
        return f"So that it can be read, {boxes} for {count} steps in a row or side by side."


def fold_for_page(whole: GraphPicture, address: GraphAddress, is_static: bool) -> FoldedGraph:
    alike: Mapping[str, tuple[str, ...]] = {}
    if len(whole.boxes) > _READABLE:
        whole, alike = group_alike(whole)
    opened = tuple(n for n in address.opened if n in whole.frames or n in whole.boxes)
    if is_static:
        opened = tuple(whole.frames) if len(whole.boxes) <= _WHOLE else ()
    picture = fold_picture(whole, set(opened) - alike.keys())
    return FoldedGraph(picture, whole, alike, replace(address, opened=opened))


def draw_declared(whole: GraphPicture, request: PageRequest, page: str) -> DrawnGraph:
    """A graph of which nothing has run, on a page of that address."""
    folded = fold_for_page(whole, read_address(request, page), request.is_static)
    if len(folded.picture.boxes) > MOST_BOXES:
        return DrawnGraph(None, {}, note=refuse_boxes(len(folded.picture.boxes)))
    looks = frame_looks(folded.picture, folded.address, request.is_static)
    controls = () if request.is_static else list_controls(folded)
    return DrawnGraph(folded.picture, looks, controls, folded.address.zoom, folded.note)


def refuse_boxes(count: int) -> str:
    return f"{count} boxes are more than anybody reads: the steps are listed."


def frame_looks(
    picture: GraphPicture, address: GraphAddress, is_static: bool = False
) -> dict[str, BoxLook]:
    """Of each frame, drawn or folded into a box, where a click on it leads."""
    looks = {}
    for name in () if is_static else (*picture.frames, *picture.boxes):
        if name in picture.frames:
            looks[name] = BoxLook(address=address.fold(name))
        elif picture.boxes[name].kind == "pipeline":
            looks[name] = BoxLook(address=address.unfold(name))
    return looks


def list_controls(folded: FoldedGraph, more: Sequence[str] = ()) -> tuple[GraphControl, ...]:
    """Links for the size, and to fold and unfold all; ``more`` are other boxes that unfold."""
    address = folded.address
    has_sizes = len(folded.picture.boxes) > _SMALL or address.zoom
    sizes = [
        GraphControl(words, str(replace(address, zoom=zoom)), zoom == address.zoom)
        for zoom, words in (_ZOOMS if has_sizes else ())
    ]
    foldable = (*(name for name in folded.whole.frames if name not in folded.alike), *more)
    if len(foldable) > _ANY_OPEN or not foldable:
        return tuple(sizes)
    everything = GraphControl("Unfold all", str(replace(address, opened=foldable)))
    nothing = GraphControl("Fold all", str(replace(address, opened=())))
    shown = [everything] if set(foldable) - set(address.opened) else []
    return (*sizes, *shown, *([nothing] if address.opened else []))


def frames_hidden_in(whole: GraphPicture, folded: GraphPicture) -> dict[str, str]:
    """The box that stands for each step of the whole picture in the folded one."""
    return {
        name: next((f for f in (name, *list_frames_around(whole, name)) if f in folded.boxes), name)
        for name in whole.boxes
    }
