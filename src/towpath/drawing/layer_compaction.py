"""Nodes that have their places drawn together and set straight: narrower, with fewer bends."""

from __future__ import annotations

from itertools import pairwise

from towpath.drawing.layer_ranks import sort_downwards
from towpath.drawing.layered_nodes import LayeredNodes

_FITTING = 1000.0  # pixels: what is narrower keeps all its straight lines
_ROUNDS = 20  # of drawing together, after which little changes
_PULL = 0.1  # of a line's pull: that of the middle of the whole
_NEAR = 120.0  # pixels that a node is moved at most, to make a line straight

_SLIGHT = 20.0  # pixels


def compact_nodes(nodes: LayeredNodes, xs: list[float]) -> list[float]:
    """The middles, in pixels from the drawing's left side, of nodes that stand at ``xs``."""
    middles = list(xs)
    left, right = nodes.find_extent(middles)
    if right - left > _FITTING:
        _Springs(nodes).draw_together(middles)
    straightening = _Straightening(nodes, middles)
    for _ in range(4):
        if not straightening.straighten_all():
            break
    first, _ = nodes.find_extent(middles)
    return [x - first for x in middles]


class _Springs:
    """What pulls at each unit of nodes, and how near to its neighbours it may come.

    The alignment that nodes are placed by makes wide drawings wander to one side. Each round moves
    every unit to the middle of its lines' ends; then as far right as the ones before it ask for,
    and as far left as the ones behind it do, of which the mean keeps all of them apart.
    """

    def __init__(self, nodes: LayeredNodes) -> None:
        self._units = list(nodes.list_units())
        unit_of = {node: index for index, unit in enumerate(self._units) for node in unit}
        # Of each unit where its lines end, and how far right of the middle of those it wants to be.
        ends = [list(nodes.list_ends(unit)) for unit in self._units]
        self._near = [
            ([unit_of[end] for end, _ in listed], sum([offset for _, offset in listed]))
            for listed in ends
        ]
        right_of: list[dict[int, float]] = [{} for _ in self._units]
        for layer in nodes.layers:
            for one_node, next_node in pairwise(layer):
                left, right = unit_of[one_node], unit_of[next_node]
                apart = nodes.keep_apart(one_node, next_node)
                right_of[left][right] = max(apart, right_of[left].get(right, 0.0))
        self._order = sort_downwards(right_of)  # each unit behind those to the left of it
        self._pairs = [
            (left, unit, apart) for left in self._order for unit, apart in right_of[left].items()
        ]

    def draw_together(self, xs: list[float]) -> None:
        if len(self._order) < len(self._units):  # two lines wind round each other: it stays
            return
        places = [xs[unit[0]] for unit in self._units]
        for _ in range(_ROUNDS):
            middle = sum(places) / len(places)
            places = self._keep_apart(
                [
                    (sum([places[end] for end in near]) + offset + _PULL * middle)
                    / (len(near) + _PULL)
                    for near, offset in self._near
                ]
            )
        for unit, place in zip(self._units, places, strict=True):
            for node in unit:
                xs[node] = place

    def _keep_apart(self, wished: list[float]) -> list[float]:
        pushed, pulled = list(wished), list(wished)
        for left, unit, apart in self._pairs:
            pushed[unit] = max(pushed[unit], pushed[left] + apart)
        for left, unit, apart in reversed(self._pairs):
            pulled[left] = min(pulled[left], pulled[unit] - apart)
        return [(a + b) / 2 for a, b in zip(pushed, pulled, strict=True)]


class _Straightening:
    """Units of nodes that are moved aside, one after the other, where one line more gets straight.

    A unit is looked at again only where it, a neighbour or an end of its lines was moved since.
    """

    def __init__(self, nodes: LayeredNodes, xs: list[float]) -> None:
        self._xs = xs
        self._units = list(nodes.list_units())
        self._ends = [list(nodes.list_ends(unit)) for unit in self._units]
        self._left: list[list[tuple[int, int, float]]] = [[] for _ in self._units]
        self._right: list[list[tuple[int, int, float]]] = [[] for _ in self._units]
        unit_of = {node: index for index, unit in enumerate(self._units) for node in unit}
        # Whom a move of a unit concerns: its neighbours, and those whose lines end at it.
        self._around: list[set[int]] = [{index} for index in range(len(self._units))]
        for layer in nodes.layers:
            for left, right in pairwise(layer):
                apart = nodes.keep_apart(left, right)
                self._right[unit_of[left]].append((left, right, apart))
                self._left[unit_of[right]].append((right, left, apart))
                self._around[unit_of[left]].add(unit_of[right])
                self._around[unit_of[right]].add(unit_of[left])
        for index, ends in enumerate(self._ends):
            for end, _ in ends:
                self._around[unit_of[end]].add(index)
        self._is_open = [True] * len(self._units)

    def straighten_all(self) -> bool:
        """Look at all units once to and once fro; whether any was moved."""
        moved = False
        indices = range(len(self._units))
        for index in (*indices, *reversed(indices)):
            if self._is_open[index]:
                self._is_open[index] = False
                moved |= self._straighten(index)
        return moved

    def _straighten(self, index: int) -> bool:
        xs, unit = self._xs, self._units[index]
        bends = [xs[end] + offset - xs[unit[0]] for end, offset in self._ends[index]]
        lows = [xs[left] + apart - xs[node] for node, left, apart in self._left[index]]
        highs = [xs[right] - apart - xs[node] for node, right, apart in self._right[index]]
        low, high = max([-_NEAR, *lows]), min([_NEAR, *highs])
        moves = [0.0, *(bend for bend in bends if low <= bend <= high)]
        move = min(moves, key=lambda move: _weigh_bends(bends, move)) if len(moves) > 1 else 0.0
        if not move:
            return False
        for node in unit:
            xs[node] += move
        for other in self._around[index]:
            self._is_open[other] = True
        return True


def _weigh_bends(bends: list[float], move: float) -> float:
    asides = (abs(bend - move) for bend in bends)
    # A small bend looks like a mistake.
    return sum(1.0 + aside / 400 + (aside < _SLIGHT) for aside in asides if aside > 0.5)
