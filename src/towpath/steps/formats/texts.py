"""Text files and HTML pages, in UTF-8."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from towpath.steps.formats import ReadRequest


def read(path: Path, asked: ReadRequest) -> Any:
    data = path.read_bytes()
    return data if asked.wanted == "bytes" else data.decode()


def write(value: Any, path: Path, kind: str) -> None:
    """Write text or bytes; as a page also a chart that can show itself (plotly, altair)."""
    if isinstance(value, str | bytes):
        path.write_bytes(value.encode() if isinstance(value, str) else value)
    elif kind == "html" and hasattr(value, "write_html"):
        value.write_html(path, **_FIXED.get(type(value).__module__.partition(".")[0], {}))
    elif kind == "html" and hasattr(value, "to_html"):
        named = {"table_uuid": "table"} if hasattr(value, "set_uuid") else {}  # pandas' Styler
        path.write_text(value.to_html(**named), encoding="utf-8")
    else:
        raise TypeError(f"it is a {type(value).__name__}, not text")


# What keeps the name of a part of a page from being drawn at random, by package.
_FIXED = {"plotly": {"div_id": "figure"}}
