"""What was read of a registry, kept from one request to the next until a ref changes."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from towpath.backends.git.ref_state import read_ref_state

if TYPE_CHECKING:
    from towpath.backends.git import Repository

_Value = TypeVar("_Value")


@dataclass
class RegistryMemory:
    """Values by name, of the last state of the refs alone: the memory of a server does not grow."""

    _state: tuple[object, ...] | None = None
    _values: dict[str, Any] = field(default_factory=dict)
    _locks: dict[str, threading.Lock] = field(default_factory=lambda: defaultdict(threading.Lock))

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
