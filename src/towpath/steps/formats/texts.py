"""Text files, in UTF-8: text, or bytes as they are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from towpath.steps.formats import ReadRequest


def read(path: Path, asked: ReadRequest) -> Any:
    data = path.read_bytes()
    return data if asked.wanted == "bytes" else data.decode()


def write(value: Any, path: Path, _kind: str) -> None:
    if not isinstance(value, str | bytes):
        raise TypeError(f"it is a {type(value).__name__}, not text")
    path.write_bytes(value.encode() if isinstance(value, str) else value)
