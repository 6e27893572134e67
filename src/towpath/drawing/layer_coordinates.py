"""Where from left to right the nodes of each layer stand: long lines straight, boxes near theirs.

After Brandes and Koepf (2001, with the erratum of 2020): four ways to stand each node right below
or above one neighbour, of which the middle is taken.
"""

from __future__ import annotations

from itertools import pairwise

from towpath.drawing.layer_ranks import sort_downwards
from towpath.drawing.layered_nodes import LayeredNodes


def place_nodes(nodes: LayeredNodes) -> list[float]:
    """The middle of each node, in pixels; nobody stands nearer to another than both their gaps."""
    marked = _mark_conflicts(nodes)
    ways = []
    for upwards in (False, True):
        for mirrored in (False, True):
            xs = _Alignment(nodes, marked, upwards, mirrored).place_all()
            ways.append([-x for x in xs] if mirrored else xs)
    return _take_middle(nodes, ways)


def _take_middle(nodes: LayeredNodes, ways: list[list[float]]) -> list[float]:
    extents = [nodes.find_extent(xs) for xs in ways]
    low, high = min(extents, key=lambda extent: extent[1] - extent[0])
    aligned = []
    for index, (xs, (left, right)) in enumerate(zip(ways, extents, strict=True)):
        shift = high - right if index % 2 else low - left
        aligned.append([x + shift for x in xs])
    return [sum(sorted(four)[1:3]) / 2 for four in zip(*aligned, strict=True)]


def _mark_conflicts(nodes: LayeredNodes) -> frozenset[tuple[int, int]]:
    """The lines between two layers that give way, for they cross the inside of a long one."""
    place = {node: index for layer in nodes.layers for index, node in enumerate(layer)}
    marked: set[tuple[int, int]] = set()
    for above, below in zip(nodes.layers, nodes.layers[1:], strict=False):
        left, checked = -1, 0
        for index, node in enumerate(below):
            inner = nodes.find_inner_start(node)
            if inner is None and index < len(below) - 1:
                continue
            right = len(above) if inner is None else place[inner]
            for other in below[checked : index + 1]:
                marked |= {
                    (start, other)
                    for start in nodes.up[other]
                    if not (min(start, other) >= nodes.first_bend or left <= place[start] <= right)
                }
            left, checked = right, index + 1
    return frozenset(marked)


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
        xs = self._place_columns(self._column_edges())
        return [xs[root] + shift for root, shift in zip(self._root, self._shift, strict=True)]

    def _align_columns(self) -> None:
        place = {node: index for layer in self._layers for index, node in enumerate(layer)}
        for layer in self._layers[1:]:
            taken = -1
            for node in layer:
                near = sorted(self._near[node], key=place.__getitem__)
                middle = len(near) // 2  # of an even number two are in the middle
                for other in near[middle - 1 + len(near) % 2 : middle + 1]:
                    line = (node, other) if self._upwards else (other, node)
                    is_free = self._next[node] == node and line not in self._marked
                    if is_free and place[other] > taken:
                        self._join(node, other, line)
                        taken = place[other]

    def _join(self, node: int, other: int, line: tuple[int, int]) -> None:
        self._next[other] = node
        root = self._root[node] = self._root[other]
        self._next[node] = root
        leaving, entering = self._nodes.ports.get(line, (0.0, 0.0))
        bend = (entering - leaving if self._upwards else leaving - entering) * self._side
        self._shift[node] = self._shift[other] + bend

    def _column_edges(self) -> list[dict[int, float]]:
        """How far right of each column's root the next one's has to be, at least."""
        edges: list[dict[int, float]] = [{} for _ in self._root]
        for layer in self._layers:
            for left, right in pairwise(layer):
                following, b = edges[self._root[left]], self._root[right]
                apart = self._nodes.keep_apart(left, right)
                apart += self._shift[left] - self._shift[right]
                following[b] = max(apart, following.get(b, apart))
        return edges

    def _place_columns(self, edges: list[dict[int, float]]) -> list[float]:
        """As far left as all may stand; then each as far right as its followers leave room."""
        xs = [0.0] * len(self._root)
        order = sort_downwards(edges)
        for start in order:
            for end, apart in edges[start].items():
                xs[end] = max(xs[end], xs[start] + apart)
        for start in reversed(order):
            room = [xs[end] - apart for end, apart in edges[start].items()]
            if room:
                xs[start] = max(xs[start], min(room))
        return xs
