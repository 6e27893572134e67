"""In which order the nodes of each layer stand, so that few lines cross.

The plan is that of graphviz (Gansner, Koutsofios, North, Vo 1993): sweeps that sort each layer by
the median of its neighbours, each followed by exchanges of two that stand side by side.
"""

from __future__ import annotations

import random
from bisect import bisect_left, insort
from collections.abc import Sequence

from msgspec import Struct

from towpath.drawing.layer_ranks import Adjacency

Layers = list[list[int]]

_PATIENCE = 10  # sweeps without a better order, after which a start is given up
_HURRY = 3  # such sweeps, once much was looked at
_EFFORT = 50_000  # neighbours that are looked at, more or less: the starts share them
_STARTS = 24


class LayerOrder(Struct, frozen=True):
    """The layers from top to bottom, each from left to right, and how often lines cross."""

    layers: Layers
    crossings: int


def order_layers(
    layers: Layers, up: Adjacency, down: Adjacency, fixed: frozenset[int] = frozenset()
) -> LayerOrder:
    """The best order that several starts have found; that of ``fixed`` layers stays.

    Lines go from a layer to the next one alone.
    """
    search = _OrderSearch(up, down, fixed)
    best = LayerOrder([list(layer) for layer in layers], search.count_crossings(layers))
    dice = random.Random(len(up))  # the same graph is the same drawing
    for attempt in range(_STARTS):
        if not best.crossings or (search.effort > _EFFORT and attempt):
            break
        improved = search.improve_order(search.begin_order(layers, attempt, dice), attempt % 2 == 1)
        if improved.crossings < best.crossings:
            best = improved
    return best


class _OrderSearch:
    """One graph's neighbours, and how much work was done on it."""

    def __init__(self, up: Adjacency, down: Adjacency, fixed: frozenset[int]) -> None:
        self._up, self._down, self._fixed = up, down, fixed
        self._place = [0] * len(up)
        self.effort = 0

    def begin_order(self, layers: Layers, attempt: int, dice: random.Random) -> Layers:
        """The first starts walk the graph from above and from below, the others from anywhere."""
        if attempt == 0:
            walk = _walk_depth(layers, self._down)
        elif attempt == 1:
            walk = _walk_depth(layers[::-1], self._up)
        else:
            neighbours = [[*a, *b] for a, b in zip(self._up, self._down, strict=True)]
            for near in neighbours:
                dice.shuffle(near)
            walk = _walk_depth([dice.sample(layer, len(layer)) for layer in layers], neighbours)
        return [
            list(layer) if index in self._fixed else sorted(layer, key=walk.__getitem__)
            for index, layer in enumerate(layers)
        ]

    def improve_order(self, layers: Layers, from_below: bool) -> LayerOrder:
        for layer in layers:
            self._number(layer)
        self._exchange_neighbours(layers)
        best = LayerOrder([list(layer) for layer in layers], self.count_crossings(layers))
        idle = sweep = 0
        while best.crossings and idle < (_PATIENCE if self.effort < _EFFORT else _HURRY):
            upwards = (sweep % 2 == 0) is from_below
            self._sort_layers(layers, upwards, turns_ties=sweep % 4 > 1)
            if sweep % 2:  # an order that is as good may lead to a better one
                for index in range(len(layers)):
                    if index not in self._fixed:
                        self._exchange_in(layers[index], exchanges_equals=True)
            self._exchange_neighbours(layers)
            crossings = self.count_crossings(layers)
            idle += 1
            if crossings < best.crossings:
                best, idle = LayerOrder([list(layer) for layer in layers], crossings), 0
            sweep += 1
        return best

    def _number(self, layer: list[int]) -> None:
        for index, node in enumerate(layer):
            self._place[node] = index

    def _sort_layers(self, layers: Layers, upwards: bool, turns_ties: bool) -> None:
        near = self._down if upwards else self._up
        for index in range(len(layers) - 2, -1, -1) if upwards else range(1, len(layers)):
            if index not in self._fixed:
                self._sort_layer(layers[index], near, turns_ties)
                self._number(layers[index])

    def _sort_layer(self, layer: list[int], near: Adjacency, turns_ties: bool) -> None:
        """Sort those that have neighbours by their median; the others stay where they are."""
        self.effort += len(layer)
        place = self._place
        medians = {node: _median([place[n] for n in near[node]]) for node in layer if near[node]}
        held = [node for node in layer if node in medians]
        if turns_ties:
            held.reverse()
        ranked = iter(sorted(held, key=medians.__getitem__))
        layer[:] = [next(ranked) if node in medians else node for node in layer]

    def _exchange_neighbours(self, layers: Layers) -> None:
        """Exchange two side by side while that takes crossings away."""
        restless = {index for index, layer in enumerate(layers) if len(layer) > 1} - self._fixed
        while restless:
            index = min(restless)
            restless.discard(index)
            if self._exchange_in(layers[index]):
                around = {index - 1, index, index + 1} - self._fixed
                restless |= {i for i in around if 0 <= i < len(layers) and len(layers[i]) > 1}

    def _exchange_in(self, layer: list[int], exchanges_equals: bool = False) -> bool:
        above, below = (
            [self._sort_places(side[node]) for node in layer] for side in (self._up, self._down)
        )
        self.effort += 2 * len(layer)
        moved, changed = True, False
        # Of a pair that was looked at nothing new is learnt until one of the two is another.
        is_open = [True] * len(layer)
        while moved:
            moved = False
            for left in range(len(layer) - 1):
                if not is_open[left]:
                    continue
                is_open[left] = False
                right = left + 1
                gain = _gain(above[left], above[right]) + _gain(below[left], below[right])
                if gain > 0 or (exchanges_equals and not gain):
                    layer[left], layer[right] = layer[right], layer[left]
                    above[left], above[right] = above[right], above[left]
                    below[left], below[right] = below[right], below[left]
                    is_open[left - 1] = is_open[right] = True
                    moved = changed = True
            moved, exchanges_equals = moved or exchanges_equals, False
            self.effort += len(layer)
        self._number(layer)
        return changed

    def _sort_places(self, near: Sequence[int]) -> list[int]:
        # Nearly all have one neighbour: this is where a large drawing's time goes.
        place = self._place
        return [place[near[0]]] if len(near) == 1 else sorted([place[node] for node in near])

    def count_crossings(self, layers: Layers) -> int:
        for layer in layers:
            self._number(layer)
        return sum(self._count_between(layer) for layer in layers[:-1])

    def _count_between(self, layer: list[int]) -> int:
        place = self._place
        ends: list[int] = []  # of the lines so far, sorted
        crossings = 0
        for node in layer:
            near = self._down[node]
            row = [place[near[0]]] if len(near) == 1 else sorted([place[end] for end in near])
            for end in row:
                crossings += len(ends) - bisect_left(ends, end + 1)
            for end in row:
                insort(ends, end)
        return crossings


def _gain(left: list[int], right: list[int]) -> int:
    """How many crossings fewer there are where the owners of two sorted rows change places."""
    if len(left) == 1 and len(right) == 1:
        return (left[0] > right[0]) - (left[0] < right[0])
    return sum((a > b) - (a < b) for a in left for b in right)


def _median(places: list[int]) -> float:
    count = len(places)
    if count == 1:
        return places[0]
    if count == 2:
        return (places[0] + places[1]) / 2
    places.sort()
    middle = count // 2
    if count % 2:
        return places[middle]
    before, after = places[middle - 1] - places[0], places[-1] - places[middle]
    if before + after == 0:
        return (places[middle - 1] + places[middle]) / 2
    # Of the two in the middle, nearer to the side where the others stand closer.
    return (places[middle - 1] * after + places[middle] * before) / (before + after)


def _walk_depth(layers: Layers, near: Adjacency) -> dict[int, int]:
    """When a walk into the depth first meets each node."""
    met: dict[int, int] = {}
    todo = [node for layer in reversed(layers) for node in reversed(layer)]
    while todo:
        node = todo.pop()
        if node not in met:
            met[node] = len(met)
            todo += [n for n in reversed(near[node]) if n not in met]
    return met
