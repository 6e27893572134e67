"""Which steps of a run may begin: as steps end and cells come, and as many as may at once."""

from __future__ import annotations

import heapq
from collections import defaultdict, deque
from collections.abc import Iterable
from typing import TYPE_CHECKING

from msgspec import Struct, field

from towpath.config.pipeline_declaration import RepeatedStep

if TYPE_CHECKING:
    from towpath.pipeline.step_graph import Node


class RunningOrder(Struct):
    """The order of a run whose graph may grow; linear in its steps and in what they wait for.

    Of the steps that may begin those of the highest priority come first, else those that were
    added first.
    """

    # graphlib's sorter takes no node after it was prepared, and cells come while a run goes on.

    _nodes: dict[str, Node] = field(default_factory=dict)
    _open_needs: dict[str, set[str]] = field(default_factory=dict)
    _followers: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    _ready: list[tuple[int, int, str]] = field(default_factory=list)
    _places: dict[str, int] = field(default_factory=dict)
    _begun: set[str] = field(default_factory=set)
    _ended: set[str] = field(default_factory=set)
    _awaited_lists: dict[str, frozenset[str]] = field(default_factory=dict)
    _busy: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    _held_back: defaultdict[str, deque[Node]] = field(default_factory=lambda: defaultdict(deque))

    @property
    def is_active(self) -> bool:
        """Whether a step has not ended."""
        return len(self._ended) < len(self._nodes)

    def add_nodes(self, nodes: Iterable[Node]) -> None:
        """Add steps; one that was added before is replaced, and waits for what it needs now."""
        for node in nodes:
            # Until its lists are known a step waits for those alone: its cells wait for the rest.
            needs = node.needs
            self._awaited_lists.pop(node.name, None)
            if node.loop and node.loop.cells is None:
                needs = self._awaited_lists[node.name] = node.loop.list_needs
            self._nodes[node.name] = node
            self._places.setdefault(node.name, len(self._places))
            self._open_needs[node.name] = set(needs) - self._ended
            for needed in self._open_needs[node.name]:
                self._followers[needed].append(node.name)
            if not self._open_needs[node.name]:
                self._push_ready(node.name)

    def _push_ready(self, name: str) -> None:
        entry = (-self._nodes[name].step.priority, self._places[name], name)
        heapq.heappush(self._ready, entry)

    def next_ready(self) -> Node | None:
        """A step that may begin now, or None."""
        while self._ready:
            node = self._nodes[heapq.heappop(self._ready)[-1]]
            # It may wait anew, for its cells have come since it could begin.
            if node.name in self._begun or self._open_needs[node.name]:
                continue
            if self._is_full(node):
                self._held_back[node.declared_name].append(node)
            else:
                self._busy[node.declared_name] += 1
                self._begun.add(node.name)
                return node
        return None

    def _is_full(self, node: Node) -> bool:
        most = node.step.at_once if isinstance(node.step, RepeatedStep) and node.cell else None
        return most is not None and self._busy[node.declared_name] >= most

    def end_node(self, node: Node) -> None:
        """A step that began has ended."""
        self._ended.add(node.name)
        self._awaited_lists.pop(node.name, None)
        self._busy[node.declared_name] -= 1
        if waiting := self._held_back[node.declared_name]:
            name = waiting.popleft().name
            self._push_ready(name)
        for follower in self._followers.pop(node.name, ()):
            open_needs = self._open_needs[follower]
            if node.name in open_needs:
                open_needs.discard(node.name)
                if not open_needs:
                    self._push_ready(follower)

    def awaits_list_of(self, step: str) -> bool:
        """Whether a step that has just ended may have made a list that another is made over."""
        return any(step in needs for needs in self._awaited_lists.values())
