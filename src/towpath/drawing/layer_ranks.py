"""In which layer each box of a graph stands: above all that takes from it, on short lines."""

from __future__ import annotations

from collections.abc import Collection, Sequence

Adjacency = Sequence[Sequence[int]]

_ROUNDS = 8  # of pulling boxes down, after which hardly a line gets shorter

_MOST_PULLED = 80  # nodes that are moved as one


def rank_nodes(up: Adjacency, down: Adjacency, roots: frozenset[int] = frozenset()) -> list[int]:
    """The layer of each node, from 0; ``up`` and ``down`` are its neighbours, and there is no
    circle. Where there are ``roots``, they alone stand in layer 0.

    Each node stands as high as it may at first. Then a node that more lines leave than reach is
    drawn down, with all that it would run into, while that makes the lines shorter in sum.
    """
    order = sort_downwards(down)
    ranks = [0] * len(up)
    for node in order:
        highest = 1 if roots and node not in roots else 0
        ranks[node] = max((ranks[start] + 1 for start in up[node]), default=highest)
    pulled = [n for n in reversed(order) if len(down[n]) > len(up[n]) and n not in roots]
    for _ in range(_ROUNDS):
        if not _pull_all(pulled, ranks, up, down):
            break
    return ranks


def sort_downwards(down: Sequence[Collection[int]]) -> list[int]:
    """The nodes so that each stands behind all from which something leads to it; without those
    that a circle leads to."""
    waiting = [0] * len(down)
    for ends in down:
        for end in ends:
            waiting[end] += 1
    order = [node for node, count in enumerate(waiting) if not count]
    for node in order:  # which grows meanwhile
        for end in down[node]:
            waiting[end] -= 1
            if not waiting[end]:
                order.append(end)
    return order


def _pull_all(nodes: Sequence[int], ranks: list[int], up: Adjacency, down: Adjacency) -> bool:
    """Pull each of the nodes down where that helps; whether any was moved."""
    is_moved = False
    heavy: set[int] = set()  # those with too much right below them, as the others stand now
    for node in nodes:
        if _pull_down(node, ranks, up, down, heavy):
            is_moved = True
            heavy.clear()
    return is_moved


def _pull_down(
    node: int, ranks: list[int], up: Adjacency, down: Adjacency, heavy: set[int]
) -> bool:
    """Move a node, and what stands right below it, as far as is free; whether it helped."""
    moved = _gather_below(node, ranks, down, heavy)
    if moved is None:
        heavy.add(node)
        return False
    entering = len([start for n in moved for start in up[n] if start not in moved])
    leaving = [ranks[end] - ranks[n] - 1 for n in moved for end in down[n] if end not in moved]
    if entering >= len(leaving):
        return False
    step = min(leaving)
    for n in moved:
        ranks[n] += step
    return step > 0


def _gather_below(node: int, ranks: list[int], down: Adjacency, heavy: set[int]) -> set[int] | None:
    """The node and what stands right below it; None where that is much."""
    moved, todo = {node}, [node]
    while todo:
        start = todo.pop()
        below = ranks[start] + 1
        for end in down[start]:
            if ranks[end] == below and end not in moved:
                if end in heavy:
                    return None
                moved.add(end)
                todo.append(end)
        if len(moved) > _MOST_PULLED:  # half the graph: it hardly ever helps, and takes long
            return None
    return moved
