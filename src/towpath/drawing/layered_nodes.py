"""The nodes of a drawing in their layers, with the room that each needs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct

from towpath.drawing.layer_order import Layers
from towpath.drawing.layer_ranks import Adjacency


class LayeredNodes(Struct, frozen=True):
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

    def find_extent(self, xs: Sequence[float]) -> tuple[float, float]:
        """The left and the right side of the drawing, with its nodes' middles there."""
        sides = [(x - w / 2, x + w / 2) for x, w in zip(xs, self.widths, strict=True)]
        return min(left for left, _ in sides), max(right for _, right in sides)

    def find_inner_start(self, node: int) -> int | None:
        """The bend that a line comes from to this one; None for what is no bend, or the first."""
        starts = self.up[node] if node >= self.first_bend else ()
        return next((start for start in starts if start >= self.first_bend), None)

    def list_units(self) -> Iterator[list[int]]:
        """What moves as one: a node, and the places where one line passes several layers."""
        for layer in self.layers:
            for node in layer:
                if self.find_inner_start(node) is not None:
                    continue
                unit = [node]
                while node >= self.first_bend:
                    below = [end for end in self.down[unit[-1]] if end >= self.first_bend]
                    if len(below) != 1:
                        break
                    unit.append(below[0])
                yield unit

    def list_ends(self, unit: Sequence[int]) -> Iterator[tuple[int, float]]:
        """Where the lines that leave a unit end: the node, and how far right of its middle the
        unit's would have to be, for the line to be straight."""
        for start in self.up[unit[0]]:
            leaving, entering = self.ports.get((start, unit[0]), (0.0, 0.0))
            yield start, leaving - entering
        for end in self.down[unit[-1]]:
            leaving, entering = self.ports.get((unit[-1], end), (0.0, 0.0))
            yield end, entering - leaving
