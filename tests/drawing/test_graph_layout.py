"""The layout of graphs: few crossings, nothing in a line's way, frames around what they hold."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from itertools import combinations, pairwise

import pytest

from towpath.drawing.graph_layout import GraphLayout, JoinedBoxes, LayoutRequest, lay_out_graph
from towpath.drawing.level_layout import LABEL_HEIGHT, Point

WIDE, HIGH = 132.0, 46.0


def layered_graph(steps: int, seed: int) -> LayoutRequest:
    """Steps in layers of one to six. Each takes of one in the layer before; four in ten of one
    more there, and one in five of a layer up to four above."""
    dice = random.Random(seed)
    layers: list[list[str]] = []
    while (count := sum(map(len, layers))) < steps:
        size = min(dice.randint(1, 6), steps - count)
        layers.append([f"s{count + index}" for index in range(size)])
    lines = []
    for depth, layer in enumerate(layers[1:], 1):
        for name in layer:
            starts = {dice.choice(layers[depth - 1])}
            if dice.random() < 0.4:
                starts.add(dice.choice(layers[depth - 1]))
            if dice.random() < 0.2 and depth > 1:
                starts.add(dice.choice(layers[max(0, depth - dice.randint(2, 4))]))
            lines += [JoinedBoxes(start, name) for start in sorted(starts)]
    names = [name for layer in layers for name in layer]
    return LayoutRequest(tuple((name, (WIDE, HIGH)) for name in names), tuple(lines))


def find_obstacles(request: LayoutRequest, layout: GraphLayout) -> list[str]:
    """Whatever a line runs through, beside the boxes that it joins: boxes, labels of others, and
    frames that hold neither end."""
    sizes = dict(request.sizes)
    around = dict(request.inside)
    faults = []
    places = {name: (*layout.middles[name], *size) for name, size in sizes.items()}
    for name, (left, top, width, height) in layout.frames.items():
        places[name] = (left + width / 2, top + height / 2, width, height)
    labels = {
        line: (*layout.labels[(line.start, line.end)], line.label_width, LABEL_HEIGHT)
        for line in request.lines
        if (line.start, line.end) in layout.labels
    }
    for line in request.lines:
        own = {line.start, line.end}
        for name in tuple(own):
            while name in around:
                name = around[name]
                own.add(name)
        route = list(sample_route(layout.routes[(line.start, line.end)]))
        blocks = {name: place for name, place in places.items() if name not in own}
        blocks |= {f"label of {o}": p for o, p in labels.items() if o != line}
        for name, (x, y, width, height) in blocks.items():
            for px, py in route:
                if abs(px - x) < width / 2 - 1 and abs(py - y) < height / 2 - 1:
                    faults.append(f"{line.start}-{line.end} runs through {name}")
                    break
    for (one, a), (other, b) in combinations({**places, **labels}.items(), 2):
        if one in around.values() or other in around.values():
            continue
        if abs(a[0] - b[0]) < (a[2] + b[2]) / 2 and abs(a[1] - b[1]) < (a[3] + b[3]) / 2:
            faults.append(f"{one} lies on {other}")
    return faults


def sample_route(route: Sequence[Point]) -> Iterator[Point]:
    """Points along the curves that `write_path` writes of a route."""
    for (x1, y1), (x2, y2) in pairwise(route):
        middle = (y1 + y2) / 2
        for step in range(13):
            t = step / 12
            a, b, c, d = (1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3
            yield (a + b) * x1 + (c + d) * x2, a * y1 + (b + c) * middle + d * y2


@pytest.mark.parametrize(
    ("steps", "seeds", "most"),
    [
        # Graphviz's dot 2.43 draws these with 7, 12 and 5 crossings, and 45, 77 and 47; grandalf,
        # which drew them before, with 20, 21 and 12, and 77, 116 and 83.
        (50, (1, 2, 3), (7, 12, 6)),
        (200, (1, 2, 3), (48, 76, 50)),
    ],
)
def test_few_lines_cross(steps: int, seeds: tuple[int, ...], most: tuple[int, ...]) -> None:
    for seed, bound in zip(seeds, most, strict=True):
        request = layered_graph(steps, seed)
        layout = lay_out_graph(request)
        assert layout.crossings <= bound, (seed, layout.crossings)
        assert layout.width < 2700  # pixels, as the widest of dot is
        assert find_obstacles(request, layout) == []


def framed_graph() -> LayoutRequest:
    """Two frames, one with another inside, joined with each other, boxes and a condition."""
    names = ("raw", "a.load", "a.in.fit", "a.in.try", "a.score", "b.load", "b.fit", "if", "yes",
             "no", "late")  # fmt: skip
    inside = {"a.load": "a", "a.in": "a", "a.in.fit": "a.in", "a.in.try": "a.in", "a.score": "a",
              "b.load": "b", "b.fit": "b"}  # fmt: skip
    pairs = [("raw", "a.load"), ("raw", "a.in.try"), ("a.load", "a.in.fit"), ("raw", "b.load"),
             ("a.load", "a.in.try"), ("a.in.fit", "a.score"), ("a.in.try", "a.score"),
             ("a.in.fit", "b.fit"), ("b.load", "b.fit"), ("a.score", "if"), ("b.fit", "if"),
             ("raw", "late"), ("a.in.try", "late")]  # fmt: skip
    branches = [("if", "yes", 35.0), ("if", "no", 30.0), ("if", "late", 35.0)]
    lines = [JoinedBoxes(*pair) for pair in pairs] + [JoinedBoxes(*line) for line in branches]
    return LayoutRequest(
        tuple((name, (WIDE, 30.0 if name == "raw" else HIGH)) for name in names),
        tuple(lines), tuple(inside.items()), (("a", 80.0), ("b", 700.0)),
    )  # fmt: skip


def test_frames_stand_around_what_they_hold_and_lines_go_round_them() -> None:
    request = framed_graph()
    layout = lay_out_graph(request)
    assert find_obstacles(request, layout) == []
    assert set(layout.frames) == {"a", "a.in", "b"}
    assert layout.frames["b"][2] >= 700  # as wide as its title
    for name, frame in request.inside:
        left, top, width, height = layout.frames[frame]
        x, y = layout.middles.get(name) or layout.frames[name][:2]
        assert left < x < left + width and top < y < top + height, name
    for line in request.lines:
        route = layout.routes[(line.start, line.end)]
        assert route[0] == pytest.approx(foot_of(request, layout, line.start))
        (x, y), half = layout.middles[line.end], dict(request.sizes)[line.end][1] / 2
        assert route[-1] == pytest.approx((x, y - half))


def foot_of(request: LayoutRequest, layout: GraphLayout, name: str) -> tuple[float, float]:
    (x, y), (_, high) = layout.middles[name], dict(request.sizes)[name]
    return x, y + high / 2


def test_a_box_with_one_line_hangs_straight_and_a_circle_is_drawn() -> None:
    """Folded, a pipeline may wait for a step that waits for it."""
    names = ("a", "b", "c", "d", "alone")
    lines = (("a", "b"), ("b", "c"), ("c", "b"), ("c", "d"))
    layout = lay_out_graph(
        LayoutRequest(
            tuple((name, (WIDE, HIGH)) for name in names), tuple(JoinedBoxes(*n) for n in lines)
        )
    )
    assert len({layout.middles[name][0] for name in "abcd"}) == 1
    up = layout.routes[("c", "b")]
    assert up[0][1] > up[-1][1]  # it runs upwards
    assert layout.middles["alone"][0] > layout.middles["a"][0] + WIDE
    assert lay_out_graph(LayoutRequest((), ())).middles == {}


def test_a_thousand_boxes_are_laid_out() -> None:
    chain = [JoinedBoxes(f"s{n}", f"s{n + 1}") for n in range(999)]
    fan = [JoinedBoxes("s0", f"s{n}") for n in range(1, 1000)]
    sizes = tuple((f"s{n}", (WIDE, HIGH)) for n in range(1000))
    assert (
        len({x for x, _ in lay_out_graph(LayoutRequest(sizes, tuple(chain))).middles.values()}) == 1
    )
    assert lay_out_graph(LayoutRequest(sizes, tuple(fan))).crossings == 0
    assert lay_out_graph(LayoutRequest(sizes, ())).width < 1400  # in rows
