"""Follows a log file while a step writes it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

_MOST = 1 << 20  # bytes taken at one look


class Tail:
    """Hands on the lines that a file gains from now on, whole lines only until its end."""

    def __init__(self, path: Path, line: Callable[[str], object]) -> None:
        self.path = path
        self.line = line
        self.at = path.stat().st_size if path.exists() else 0
        self.rest = b""

    def look(self, to_end: bool = False) -> None:
        """Hand on what has come since the last look."""
        while data := self._read():
            *lines, self.rest = (self.rest + data).split(b"\n")
            for line in lines:
                self._say(line)
        if to_end and self.rest:
            self._say(self.rest)
            self.rest = b""

    def _read(self) -> bytes:
        if not self.path.exists() or self.path.stat().st_size <= self.at:
            return b""
        with self.path.open("rb") as file:
            file.seek(self.at)
            data = file.read(_MOST)
        self.at += len(data)
        return data

    def _say(self, line: bytes) -> None:
        self.line(line.decode("utf-8", errors="replace").rstrip("\r"))
