"""One level of a graph laid out: boxes, and frames whose inside is a level of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

from msgspec import Struct

from towpath.drawing.layer_compaction import compact_nodes
from towpath.drawing.layer_coordinates import place_nodes
from towpath.drawing.layer_order import LayerOrder, order_layers
from towpath.drawing.layer_ranks import rank_nodes
from towpath.drawing.layered_nodes import LayeredNodes

Point = tuple[float, float]
LineKey = tuple[str, float]  # lines that enter or leave a frame together: a start, a label's width
Segment = tuple[str, str, LineKey]  # a part of a line in one level: "" is the frame's own side

BETWEEN = 30.0  # pixels between two boxes side by side
PASSING = 14.0  # pixels between a line that passes a layer and what stands beside it
LABEL_HEIGHT = 16.0
_ENTRANCE = 22.0  # pixels between the side of a frame and the first layer in it
_STEEP = 0.09  # of a line's way aside: so much higher is the room between two layers
_HIGHEST = 46.0  # pixels that this adds at most
_CROWDED = 0.6  # of the room between layers that is left above and below a layer of labels


class LevelMember(Struct, frozen=True):
    """A box or a frame: its size, and how far right of its middle lines come in and go out."""

    width: float
    height: float
    entries: Mapping[LineKey, float]
    exits: Mapping[LineKey, float]
    is_frame: bool = False


class LevelLayout(Struct, frozen=True):
    """What stands in one frame, or in none, from its own left upper corner on, in pixels: the
    middles of its boxes and frames, the points of each part of a line, the middles of labels, and
    where lines come in at the top and go out at the foot."""

    middles: Mapping[str, Point]
    segments: Mapping[Segment, tuple[Point, ...]]
    labels: Mapping[Segment, Point]
    entries: Mapping[LineKey, float]
    exits: Mapping[LineKey, float]
    width: float
    height: float
    crossings: int


SizeMember = Callable[[str, Sequence[LineKey], Sequence[LineKey]], LevelMember]


def lay_out_level(
    names: Sequence[str],
    segments: Mapping[Segment, float],
    ports: tuple[Sequence[LineKey], Sequence[LineKey]],
    size_member: SizeMember,
    down: float,
) -> LevelLayout:
    """Lay out what lines join. ``segments`` have the width of their labels, ``ports`` are the
    lines that come in and that go out, from left to right; ``size_member`` is told in which order
    lines reach and leave a member, and ``down`` are the pixels between two layers."""
    net = _LayeredNet(names, segments, ports)
    order = order_layers(net.layers, net.up, net.down, net.fixed)
    place = {node: index for layer in order.layers for index, node in enumerate(layer)}
    members = [size_member(name, *net.list_ports(node, place)) for node, name in enumerate(names)]
    return _LevelDrawing(net, order, members, down).place_all()


class _LayeredNet:
    """A level as nodes in layers, whose lines go from one layer to the next: first its members,
    then the ports of its frame, then the places where a line passes a layer."""

    def __init__(
        self,
        names: Sequence[str],
        segments: Mapping[Segment, float],
        ports: tuple[Sequence[LineKey], Sequence[LineKey]],
    ) -> None:
        entries, exits = ports
        self.names, self.segments = names, segments
        self.members, self.entries = len(names), len(entries)
        self.first_bend = self.members + self.entries + len(exits)
        self._node = {name: node for node, name in enumerate(names)}
        # The nodes where lines come in to the level and go out.
        self.entry_nodes = {key: node for node, key in enumerate(entries, self.members)}
        begin = self.members + self.entries
        self.exit_nodes = {key: node for node, key in enumerate(exits, begin)}
        self.label_widths: dict[int, float] = {}
        self.paths: dict[Segment, tuple[int, ...]] = {}  # nodes from top to bottom
        self.turned = self._find_turned()
        self._segments_at: list[list[Segment]] = [[] for _ in range(self.first_bend)]
        for segment in segments:
            for node in self._ends_of(segment):
                self._segments_at[node].append(segment)
        self._make_layers()

    @property
    def fixed(self) -> frozenset[int]:
        """The layers of ports, whose order is given."""
        first = {0} if self.entries else set()
        return frozenset(first | ({len(self.layers) - 1} if self.exit_nodes else set()))

    def _ends_of(self, segment: Segment) -> tuple[int, int]:
        start, end, key = segment
        upper = self._node[start] if start else self.entry_nodes[key]
        lower = self._node[end] if end else self.exit_nodes[key]
        return (lower, upper) if segment in self.turned else (upper, lower)

    def _find_turned(self) -> frozenset[Segment]:
        """The lines that close a circle, as folded boxes may: they are laid out the other way."""
        leaving: dict[str, list[Segment]] = {name: [] for name in self.names}
        for segment in self.segments:
            if segment[0] and segment[1]:
                leaving[segment[0]].append(segment)
        turned: set[Segment] = set()
        state: dict[str, int] = {}  # 1 while the walk is below it, 2 after
        for root in self.names:
            todo = [(root, iter(leaving[root]))] if root not in state else []
            state.setdefault(root, 1)
            while todo:
                name, segments = todo[-1]
                segment = next(segments, ("", "", ("", 0.0)))
                if not segment[0]:
                    state[name] = 2
                    todo.pop()
                elif segment[1] not in state:
                    state[segment[1]] = 1
                    todo.append((segment[1], iter(leaving[segment[1]])))
                elif state[segment[1]] == 1:
                    turned.add(segment)
        return frozenset(turned)

    def _make_layers(self) -> None:
        ends = {segment: self._ends_of(segment) for segment in self.segments}
        ranks = self._rank(ends)
        self.layers: list[list[int]] = [[] for _ in range(max(ranks) + 1)]
        for node, rank in enumerate(ranks):
            self.layers[rank].append(node)
        self.up: list[list[int]] = [[] for _ in range(self.first_bend)]
        self.down: list[list[int]] = [[] for _ in range(self.first_bend)]
        for segment, (upper, lower) in ends.items():
            bends = [self._add_bend(rank) for rank in range(ranks[upper] + 1, ranks[lower])]
            if self.segments[segment]:
                self.label_widths[bends[0]] = self.segments[segment]
            path = self.paths[segment] = (upper, *bends, lower)
            for above, below in pairwise(path):
                self.down[above].append(below)
                self.up[below].append(above)

    def _rank(self, ends: Mapping[Segment, tuple[int, int]]) -> list[int]:
        up: list[list[int]] = [[] for _ in range(self.first_bend)]
        down: list[list[int]] = [[] for _ in range(self.first_bend)]
        for upper, lower in dict.fromkeys(ends.values()):
            down[upper].append(lower)
            up[lower].append(upper)
        ranks = rank_nodes(up, down, frozenset(self.entry_nodes.values()))
        if self.exit_nodes:
            exits = set(self.exit_nodes.values())
            last = 1 + max(rank for node, rank in enumerate(ranks) if node not in exits)
            ranks = [last if node in exits else rank for node, rank in enumerate(ranks)]
        # A layer for the labels stands below each whose lines have some.
        labelled = {ranks[ends[s][0]] for s, width in self.segments.items() if width}
        return [rank + sum(other < rank for other in labelled) for rank in ranks]

    def _add_bend(self, rank: int) -> int:
        node = len(self.up)
        self.up.append([])
        self.down.append([])
        self.layers[rank].append(node)
        return node

    def list_ports(
        self, node: int, place: Mapping[int, int]
    ) -> tuple[list[LineKey], list[LineKey]]:
        """The lines that come in to a node and go out, as their other ends stand left to right."""
        reaching: dict[LineKey, list[int]] = {}
        leaving: dict[LineKey, list[int]] = {}
        for segment in self._segments_at[node]:
            path = self.paths[segment]
            is_upper = path[0] == node
            side = leaving if is_upper != (segment in self.turned) else reaching
            side.setdefault(segment[2], []).append(place[path[1] if is_upper else path[-2]])
        return _sort_keys(reaching), _sort_keys(leaving)


def _sort_keys(places: Mapping[LineKey, Sequence[int]]) -> list[LineKey]:
    return sorted(places, key=lambda key: sum(places[key]) / len(places[key]))


class _LevelDrawing:
    """The nodes of a level with their sizes, being placed."""

    def __init__(
        self, net: _LayeredNet, order: LayerOrder, members: Sequence[LevelMember], down: float
    ) -> None:
        self._net, self._order, self._members, self._down = net, order, members, down
        self._xs = self._place_across()
        self._tops: list[float] = []
        self._feet: list[float] = []
        self._rows: list[float] = []  # the height of each layer's boxes, frames left aside
        self._place_layers()

    def place_all(self) -> LevelLayout:
        net, xs = self._net, self._xs
        middles = {name: (xs[node], self._middle_of(node)) for node, name in enumerate(net.names)}
        labels = {}
        for segment, path in net.paths.items():
            if path[1] in net.label_widths and net.segments[segment]:
                layer = self._layer_of[path[1]]
                labels[segment] = (xs[path[1]], (self._tops[layer] + self._feet[layer]) / 2)
        return LevelLayout(
            middles,
            {segment: self._trace(segment) for segment in net.paths},
            labels,
            {key: xs[node] for key, node in net.entry_nodes.items()},
            {key: xs[node] for key, node in net.exit_nodes.items()},
            max(x + width / 2 for x, width in zip(xs, self._widths, strict=True)),
            self._feet[-1],
            self._order.crossings,
        )

    def _place_across(self) -> list[float]:
        net = self._net
        self._layer_of = {n: i for i, layer in enumerate(self._order.layers) for n in layer}
        rest = len(net.up) - net.members
        widths = [*(member.width for member in self._members), *[0.0] * rest]
        gaps = [*[BETWEEN] * net.members, *[PASSING] * rest]
        for node, width in net.label_widths.items():
            widths[node] = width
        self._widths = widths
        ports: dict[tuple[int, int], tuple[float, float]] = {}
        for segment, path in net.paths.items():
            for start, end in ((path[0], path[1]), (path[-2], path[-1])):
                ports[(start, end)] = (
                    self._find_port(start, segment, leaves=True) if start == path[0] else 0.0,
                    self._find_port(end, segment, leaves=False) if end == path[-1] else 0.0,
                )
        ports = {line: ends for line, ends in ports.items() if ends != (0.0, 0.0)}
        nodes = LayeredNodes(self._order.layers, net.up, net.down, widths, gaps, net.members, ports)
        return compact_nodes(nodes, place_nodes(nodes))

    def _find_port(self, node: int, segment: Segment, leaves: bool) -> float:
        """How far right of a node's middle a line leaves its lower side, or reaches its upper."""
        if node >= self._net.members:
            return 0.0
        member, is_turned = self._members[node], segment in self._net.turned
        return (member.exits if leaves != is_turned else member.entries).get(segment[2], 0)

    def _place_layers(self) -> None:
        top = 0.0
        for index, layer in enumerate(self._order.layers):
            members = [self._members[n] for n in layer if n < self._net.members]
            heights = [member.height for member in members]
            self._rows.append(max((m.height for m in members if not m.is_frame), default=0.0))
            is_labels = any(node in self._net.label_widths for node in layer)
            height = max([LABEL_HEIGHT if is_labels else 0.0, *heights])
            self._tops.append(top)
            self._feet.append(top + height)
            top += height + self._room_below(index)

    def _room_below(self, index: int) -> float:
        """More where a line has a long way aside, so that it does not lie flat."""
        layers, net = self._order.layers, self._net
        if index + 1 >= len(layers):
            return 0.0
        spans = (
            abs(self._xs[node] - self._xs[end]) for node in layers[index] for end in net.down[node]
        )
        steep = min(_HIGHEST, _STEEP * max(spans, default=0.0))
        if {index, index + 1} & net.fixed:
            return _ENTRANCE + steep / 2
        has_labels = any(n in net.label_widths for i in (index, index + 1) for n in layers[i])
        return self._down * (_CROWDED if has_labels else 1.0) + steep

    def _middle_of(self, node: int) -> float:
        """Boxes of a layer stand in one row, along the upper side of a frame."""
        layer = self._layer_of[node]
        return self._tops[layer] + max(self._rows[layer], self._members[node].height) / 2

    def _trace(self, segment: Segment) -> tuple[Point, ...]:
        path = self._net.paths[segment]
        points: list[Point] = []
        for index, node in enumerate(path):
            layer = self._layer_of[node]
            x, top, foot = self._xs[node], self._tops[layer], self._feet[layer]
            is_first, is_last = index == 0, index == len(path) - 1
            if node < self._net.members:  # from the side of a box or a frame
                middle, half = self._middle_of(node), self._members[node].height / 2
                top, foot = (middle + half, foot) if is_first else (top, middle - half)
            elif is_first or is_last:
                top = foot = foot if is_first else top
            if is_first or is_last:
                x += self._find_port(node, segment, leaves=is_first)
            points += [(x, top), (x, foot)]
        return tuple(points[::-1] if segment in self._net.turned else points)
