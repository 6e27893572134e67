"""What was read of a registry, kept from one request to the next until a ref changes."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from msgspec import Struct, field

from towpath.backends.git.repository import read_ref_state

if TYPE_CHECKING:
    from pathlib import Path

    from towpath.backends.git import Repository

_Value = TypeVar("_Value")


_MOST_BYTES = 64_000_000  # of one repository: beyond that all of it is read anew


class RegistryMemory(Struct):
    """Values by name, of the last state of the refs alone: the memory of a server does not grow."""

    _state: tuple[object, ...] | None = None
    _values: dict[str, Any] = field(default_factory=dict)
    _locks: dict[str, threading.Lock] = field(default_factory=lambda: defaultdict(threading.Lock))

    _kept: dict[Path, Repository] = field(default_factory=dict)

    def keep(self, repository: Repository) -> Repository:
        """The same repository as an earlier request opened it, with what it knows of commits and
        tags: of the registry after a change only what is new is read."""
        before = self._kept.get(repository.common)
        if before != repository:
            before = self._kept[repository.common] = repository
        # What nobody may ask for again; its refs and its main line are held once.
        kept = (*before.answers.values(), *before.contents.values())
        if sum(map(len, kept)) > _MOST_BYTES:
            before = self._kept[repository.common] = repository
        return before

    def recall(self, repository: Repository, name: str, read: Callable[[], _Value]) -> _Value:
        """What ``read`` gives, which hangs on nothing but refs and what they lead to."""
        with self._locks[name]:  # ten that open a page at once read once
            # Before it is read: a ref that changes meanwhile makes the value old, never wrong.
            state = read_ref_state(repository)
            if state is None:
                return read()
            if state != self._state:
                self._state, self._values = state, {}
            values = self._values
            if name not in values:
                values[name] = read()
            value: _Value = values[name]
            return value
