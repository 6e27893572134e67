"""Text files and HTML pages, in UTF-8, and pictures: bytes, or what can save itself."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from towpath.steps.formats import ReadRequest


def read(path: Path, asked: ReadRequest) -> Any:
    data = path.read_bytes()
    return data if asked.wanted == "bytes" else data.decode()


def write(value: Any, path: Path, kind: str) -> None:
    """Write text or bytes; as a page also a chart that can show itself (plotly, altair), as a
    picture a figure of matplotlib, seaborn or Pillow."""
    if isinstance(value, str | bytes):
        path.write_bytes(value.encode() if isinstance(value, str) else value)
    elif kind == "image":
        _save_picture(value, path)
    elif kind == "html" and hasattr(value, "write_html"):
        value.write_html(path, **_FIXED.get(type(value).__module__.partition(".")[0], {}))
    elif kind == "html" and hasattr(value, "to_html"):
        named = {"table_uuid": "table"} if hasattr(value, "set_uuid") else {}  # pandas' Styler
        path.write_text(value.to_html(**named), encoding="utf-8")
    else:
        raise TypeError(f"it is a {type(value).__name__}, not text")


# What keeps the name of a part of a page from being drawn at random, by package.
_FIXED = {"plotly": {"div_id": "figure"}}


def _save_picture(value: Any, path: Path) -> None:
    figure = getattr(value, "figure", None) or value  # axes know their figure
    if hasattr(figure, "savefig"):
        # Matplotlib writes the time into an SVG or a PDF, and then no digest repeats.
        dated = {".svg": "Date", ".pdf": "CreationDate"}.get(path.suffix.lower())
        is_dated = dated and type(figure).__module__.partition(".")[0] == "matplotlib"
        figure.savefig(path, **({"metadata": {dated: None}} if is_dated else {}))
    elif hasattr(value, "save"):
        value.save(path)
    else:
        raise TypeError(f"a {type(value).__name__} is no picture: it has no savefig or save")
