"""The order of steps: what waits for what, and the circles in it."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping
from dataclasses import replace

from towpath.config.declaration import Places
from towpath.config.pipeline_declaration import QualityCheck, RegisterModel
from towpath.errors import Fault
from towpath.pipeline.step_graph import Node


def wait_for_checks(nodes: Mapping[str, Node]) -> dict[str, Node]:
    """The nodes, in which a registration waits for every check that is not after it."""
    result = dict(nodes)
    checks = [name for name, node in nodes.items() if isinstance(node.step, QualityCheck)]
    for name, node in nodes.items():
        if isinstance(node.step, RegisterModel):
            later = _find_later(name, result)
            before = frozenset(check for check in checks if check not in later)
            result[name] = replace(node, needs=node.needs | before)
    return result


def order_nodes(nodes: Mapping[str, Node], places: Places) -> tuple[dict[str, Node], list[Fault]]:
    """The nodes, each after what it needs and otherwise as declared, and a fault for each circle.

    Steps in a circle, and what comes after them, follow at the end.
    """
    order = list(_sort_nodes(nodes))
    rest = {name: node for name, node in nodes.items() if name not in set(order)}
    faults = [_circle_fault(circle, places) for circle in _find_circles(rest)]
    return {name: nodes[name] for name in [*order, *rest]}, faults


def _find_later(start: str, nodes: Mapping[str, Node]) -> set[str]:
    """A step and all that come after it."""
    followers = _find_followers(nodes)
    later_steps, todo = {start}, [start]
    while todo:
        new = set(followers[todo.pop()]) - later_steps
        later_steps |= new
        todo += new
    return later_steps


def _find_followers(nodes: Mapping[str, Node]) -> dict[str, list[str]]:
    followers: dict[str, list[str]] = {name: [] for name in nodes}
    for name, node in nodes.items():
        for needed in node.needs:
            followers[needed].append(name)
    return followers


def _sort_nodes(nodes: Mapping[str, Node]) -> Iterator[str]:
    position = {name: index for index, name in enumerate(nodes)}
    followers = _find_followers(nodes)
    open_needs = {name: len(node.needs) for name, node in nodes.items()}
    names = list(nodes)
    ready = [index for name, index in position.items() if not open_needs[name]]
    while ready:
        name = names[heapq.heappop(ready)]
        yield name
        for follower in followers[name]:
            open_needs[follower] -= 1
            if not open_needs[follower]:
                heapq.heappush(ready, position[follower])


def _find_circles(nodes: Mapping[str, Node]) -> Iterator[list[str]]:
    """Circles that share no step, each in the order in which its steps would have to run."""
    rest = dict(nodes)
    while rest:
        circle = _walk_circle(rest)
        yield circle
        for name in circle:
            del rest[name]
        while loose := [name for name, node in rest.items() if not node.needs & rest.keys()]:
            for name in loose:
                del rest[name]


def _walk_circle(nodes: Mapping[str, Node]) -> list[str]:
    """Each of these needs another of them: going back from one to the next must come round."""
    position = {name: index for index, name in enumerate(nodes)}
    path = [next(iter(nodes))]
    while True:
        before = min(nodes[path[-1]].needs & nodes.keys(), key=position.__getitem__)
        if before in path:
            circle = path[path.index(before) :][::-1]
            first = circle.index(min(circle, key=position.__getitem__))
            return circle[first:] + circle[:first]
        path.append(before)


def _circle_fault(circle: list[str], places: Places) -> Fault:
    shown = " -> ".join([*circle, circle[0]])
    return Fault(f"the steps go in a circle: {shown}", places.find_place("steps", circle[0]))
