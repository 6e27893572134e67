"""A step's lines on their way to Prefect, many in one record: each costs its API a millisecond."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Self

_PAUSE = 0.25  # seconds that a line may wait for others
_MOST = 500_000  # characters in a record; Prefect drops one above a million bytes


class Lines:
    """Takes lines one by one, and says them a quarter of a second's together."""

    def __init__(self, say: Callable[[str], object]) -> None:
        self._say = say
        self._lock = threading.Lock()
        self._waiting: list[str] = []
        self._length = 0
        self._timer: threading.Timer | None = None

    def __call__(self, line: str) -> None:
        """Take a line."""
        with self._lock:
            self._waiting.append(line)
            self._length += len(line) + 1
            full = self._length >= _MOST
            if not self._timer and not full:
                self._timer = threading.Timer(_PAUSE, self.flush)
                self._timer.daemon = True
                self._timer.start()
        if full:
            self.flush()

    def flush(self) -> None:
        """Say what waits."""
        with self._lock:
            lines, self._waiting, self._length = self._waiting, [], 0
            timer, self._timer = self._timer, None
        if timer:
            timer.cancel()
        if lines:
            self._say("\n".join(lines))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.flush()
