"""Where from left to right the nodes of each layer stand: long lines straight, boxes near theirs.

After Brandes and Koepf (2001, with the erratum of 2020): four ways to stand each node right below
or above one neighbour, of which the middle is taken.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from towpath.drawing.layer_order import Layers
from towpath.drawing.layer_ranks import Adjacency


@dataclass(frozen=True)
class LayeredNodes:
    """The nodes of a drawing: ``layers`` from top to bottom, each from left to right; ``widths`` in
    pixels; ``gap`` is the room to the left and right of each; from ``first_bend`` on a node is none
    of the graph's, but a place where a line passes. ``ports`` say how far right of a node's middle
    the line (start, end) leaves it, and how far right of the other's it comes in."""

    layers: Layers
    up: Adjacency
    down: Adjacency
    widths: Sequence[float]
    gaps: Sequence[float]
    first_bend: int
    ports: Mapping[tuple[int, int], tuple[float, float]]

    def keep_apart(self, left: int, right: int) -> float:
        """How far apart the middles of two neighbours have to be."""
        gap = max(self.gaps[left], self.gaps[right])
        return (self.widths[left] + self.widths[right]) / 2 + gap


def place_nodes(nodes: LayeredNodes) -> list[float]:
    """The middle of each node, in pixels; nobody stands nearer to another than both their gaps."""
    marked = _mark_conflicts(nodes)
    ways = []
    for upwards in (False, True):
        for mirrored in (False, True):
            xs = _Alignment(nodes, marked, upwards, mirrored).place_all()
            ways.append([-x for x in xs] if mirrored else xs)
    middles = _take_middle(nodes, ways)
    _straighten(nodes, middles)
    first = min(x - w / 2 for x, w in zip(middles, nodes.widths, strict=True))
    return [x - first for x in middles]


def _take_middle(nodes: LayeredNodes, ways: list[list[float]]) -> list[float]:
    extents = [
        (
            min(x - w / 2 for x, w in zip(xs, nodes.widths, strict=True)),
            max(x + w / 2 for x, w in zip(xs, nodes.widths, strict=True)),
        )
        for xs in ways
    ]
    low, high = min(extents, key=lambda extent: extent[1] - extent[0])
    aligned = []
    for index, (xs, (left, right)) in enumerate(zip(ways, extents, strict=True)):
        shift = high - right if index % 2 else low - left
        aligned.append([x + shift for x in xs])
    return [sum(sorted(four)[1:3]) / 2 for four in zip(*aligned, strict=True)]


_NEAR = 48.0  # pixels that a node is moved at most, to make a line straight


def _straighten(nodes: LayeredNodes, xs: list[float]) -> None:
    """Move boxes, and whole lines between two boxes, a little aside where one line more gets
    straight by it."""
    sides = {n: pair for layer in nodes.layers for n, pair in _list_sides(layer)}
    units = list(_list_units(nodes))
    for unit in [*units, *reversed(units)]:
        low, high = -_NEAR, _NEAR
        for node in unit:
            left, right = sides[node]
            if left is not None:
                low = max(low, xs[left] + nodes.keep_apart(left, node) - xs[node])
            if right is not None:
                high = min(high, xs[right] - nodes.keep_apart(node, right) - xs[node])
        bends = list(_list_bends(nodes, xs, unit))
        moves = [0.0, *(bend for bend in bends if low <= bend <= high)]
        move = min(moves, key=lambda move: _weigh_bends(bends, move))
        if move:
            for node in unit:
                xs[node] += move


def _weigh_bends(bends: list[float], move: float) -> float:
    # A small bend looks like a mistake, a long one like a way.
    return sum(0.0 if abs(b - move) < 0.5 else 1.0 + abs(b - move) / 400 for b in bends)


def _list_sides(layer: list[int]) -> Iterator[tuple[int, tuple[int | None, int | None]]]:
    return zip(layer, zip([None, *layer], [*layer[1:], None], strict=False), strict=True)


def _list_units(nodes: LayeredNodes) -> Iterator[list[int]]:
    """What moves as one: a node, and the places where one line passes several layers."""
    for layer in nodes.layers:
        for node in layer:
            is_bend = node >= nodes.first_bend
            if is_bend and any(start >= nodes.first_bend for start in nodes.up[node]):
                continue
            unit = [node]
            while is_bend:
                below = [end for end in nodes.down[unit[-1]] if end >= nodes.first_bend]
                if len(below) != 1:
                    break
                unit.append(below[0])
            yield unit


def _list_bends(nodes: LayeredNodes, xs: list[float], unit: list[int]) -> Iterator[float]:
    """How far aside each line's other end is, of those that leave the unit."""
    for start in nodes.up[unit[0]]:
        leaving, entering = nodes.ports.get((start, unit[0]), (0.0, 0.0))
        yield xs[start] + leaving - xs[unit[0]] - entering
    for end in nodes.down[unit[-1]]:
        leaving, entering = nodes.ports.get((unit[-1], end), (0.0, 0.0))
        yield xs[end] + entering - xs[unit[-1]] - leaving


def _mark_conflicts(nodes: LayeredNodes) -> frozenset[tuple[int, int]]:
    """The lines between two layers that give way, for they cross the inside of a long one."""
    place = {node: index for layer in nodes.layers for index, node in enumerate(layer)}
    marked: set[tuple[int, int]] = set()
    for above, below in zip(nodes.layers, nodes.layers[1:], strict=False):
        left, checked = -1, 0
        for index, node in enumerate(below):
            inner = _inner_start(nodes, node)
            if inner is None and index < len(below) - 1:
                continue
            right = len(above) if inner is None else place[inner]
            for other in below[checked : index + 1]:
                for start in nodes.up[other]:
                    is_inner = start >= nodes.first_bend and other >= nodes.first_bend
                    if not is_inner and not left <= place[start] <= right:
                        marked.add((start, other))
            left, checked = right, index + 1
    return frozenset(marked)


def _inner_start(nodes: LayeredNodes, node: int) -> int | None:
    if node < nodes.first_bend:
        return None
    return next((start for start in nodes.up[node] if start >= nodes.first_bend), None)


class _Alignment:
    """One of the four ways: nodes stand below (or above) a neighbour, and lean to the left."""

    def __init__(
        self, nodes: LayeredNodes, marked: frozenset[tuple[int, int]], upwards: bool, mirrored: bool
    ) -> None:
        layers = nodes.layers[::-1] if upwards else nodes.layers
        self._layers = [layer[::-1] for layer in layers] if mirrored else layers
        self._nodes, self._marked, self._upwards = nodes, marked, upwards
        self._side = -1.0 if mirrored else 1.0
        self._near = nodes.down if upwards else nodes.up
        count = len(nodes.widths)
        self._root = list(range(count))
        self._next = list(range(count))
        self._shift = [0.0] * count  # of a node's middle from that of its column's root

    def place_all(self) -> list[float]:
        self._align_columns()
        lefts = self._column_edges()
        xs = self._place_columns(lefts)
        return [xs[root] + shift for root, shift in zip(self._root, self._shift, strict=True)]

    def _align_columns(self) -> None:
        place = {node: index for layer in self._layers for index, node in enumerate(layer)}
        for layer in self._layers[1:]:
            taken = -1
            for node in layer:
                near = sorted(self._near[node], key=place.__getitem__)
                middle = len(near) // 2
                medians = (
                    near[middle : middle + 1]
                    if len(near) % 2
                    else near[max(0, middle - 1) : middle + 1]
                )
                for other in medians:
                    line = (node, other) if self._upwards else (other, node)
                    if (
                        self._next[node] == node
                        and line not in self._marked
                        and place[other] > taken
                    ):
                        self._join(node, other)
                        taken = place[other]

    def _join(self, node: int, other: int) -> None:
        self._next[other] = node
        root = self._root[node] = self._root[other]
        self._next[node] = root
        line = (node, other) if self._upwards else (other, node)
        ports = self._nodes.ports.get(line)
        bend = 0.0
        if ports:
            leaving, entering = ports
            bend = (entering - leaving if self._upwards else leaving - entering) * self._side
        self._shift[node] = self._shift[other] + bend

    def _column_edges(self) -> dict[int, dict[int, float]]:
        """How far right of each column's root the next one's has to be, at least."""
        edges: dict[int, dict[int, float]] = {}
        for layer in self._layers:
            for left, right in pairwise(layer):
                a, b = self._root[left], self._root[right]
                apart = self._nodes.keep_apart(left, right)
                apart += self._shift[left] - self._shift[right]
                following = edges.setdefault(a, {})
                following[b] = max(apart, following.get(b, apart))
        return edges

    def _place_columns(self, edges: dict[int, dict[int, float]]) -> list[float]:
        """As far left as all may stand; then each as far right as its followers leave room."""
        xs = [0.0] * len(self._root)
        roots = [node for node, root in enumerate(self._root) if node == root]
        waiting = dict.fromkeys(roots, 0)
        for following in edges.values():
            for end in following:
                waiting[end] += 1
        order = [root for root in roots if not waiting[root]]
        for start in order:  # which grows meanwhile
            for end, apart in edges.get(start, {}).items():
                xs[end] = max(xs[end], xs[start] + apart)
                waiting[end] -= 1
                if not waiting[end]:
                    order.append(end)
        for start in reversed(order):
            room = [xs[end] - apart for end, apart in edges.get(start, {}).items()]
            if room:
                xs[start] = max(xs[start], min(room))
        return xs
