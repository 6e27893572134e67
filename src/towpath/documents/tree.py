"""A document as a tree in which every node knows its place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

from towpath.errors import Place


@dataclass(frozen=True, slots=True)
class Scalar:
    """Text, a number, true, false or null.

    ``sound`` is false where the document says something that was refused; ``value`` is then the
    text as it stands, so that reading can go on.
    """

    value: str | int | float | bool | None
    place: Place
    sound: bool = True


@dataclass(frozen=True, slots=True)
class Sequence:
    """A list of nodes."""

    items: tuple[Node, ...]
    place: Place


@dataclass(frozen=True, slots=True)
class Entry:
    """A key and its node; the place is the key's."""

    key: str
    node: Node
    place: Place


@dataclass(frozen=True, slots=True)
class Mapping:
    """Entries in the order written, no key twice; ``sound`` is false where one was refused."""

    entries: tuple[Entry, ...]
    place: Place
    sound: bool = True

    def get(self, key: str) -> Entry | None:
        """The entry of that key, or None."""
        return next((entry for entry in self.entries if entry.key == key), None)


Node: TypeAlias = Scalar | Sequence | Mapping


def plain(node: Node) -> Any:
    """The data of a node without its places: JSON's types."""
    match node:
        case Scalar():
            return node.value
        case Sequence():
            return [plain(item) for item in node.items]
        case Mapping():
            return {entry.key: plain(entry.node) for entry in node.entries}


def unsound(node: Node) -> Iterator[Place]:
    """The places of what was refused, and of the keys before it."""
    match node:
        case Scalar(sound=False):
            yield node.place
        case Sequence():
            for item in node.items:
                yield from unsound(item)
        case Mapping():
            for entry in node.entries:
                if not isinstance(entry.node, Sequence) and not entry.node.sound:
                    yield entry.place
                yield from unsound(entry.node)
