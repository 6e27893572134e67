"""Pictures: bytes, or a figure that can save itself."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from towpath.steps.formats import ReadRequest


def read(path: Path, asked: ReadRequest) -> Any:
    data = path.read_bytes()
    return data.decode() if asked.wanted == "str" else data


def write(value: Any, path: Path, kind: str) -> None:  # noqa: ARG001
    """Write bytes, an SVG's text, or a figure of matplotlib, seaborn or Pillow."""
    if isinstance(value, str | bytes):
        path.write_bytes(value.encode() if isinstance(value, str) else value)
        return
    figure = getattr(value, "figure", None) or value  # axes know their figure
    if hasattr(figure, "savefig"):
        figure.savefig(path, **_without_date(figure, path))
    elif hasattr(value, "save"):
        value.save(path)
    else:
        raise TypeError(f"a {type(value).__name__} is no picture: it has no savefig or save")


def _without_date(figure: Any, path: Path) -> dict[str, Any]:
    """Matplotlib writes the time into an SVG or a PDF, and then no digest repeats."""
    if type(figure).__module__.partition(".")[0] != "matplotlib":
        return {}
    dated = {".svg": "Date", ".pdf": "CreationDate"}.get(path.suffix.lower())
    return {"metadata": {dated: None}} if dated else {}
