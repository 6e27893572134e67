"""Pictures and HTML pages: text or bytes, or figures and charts that can save themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from towpath.steps.formats import texts

read = texts.read


def write(value: Any, path: Path, kind: str) -> None:
    """As a page write a chart that can show itself (plotly, altair, a table of pandas), as a
    picture what can save itself (matplotlib, seaborn, Pillow, plotly, altair); as both text and
    bytes as they are. TypeError of anything else."""
    if isinstance(value, str | bytes):
        texts.write(value, path, kind)
    elif kind == "image":
        _save_picture(value, path)
    else:
        _save_page(value, path)


# As matplotlib calls the time in a file of each format that has it.
_DATES = {".svg": "Date", ".pdf": "CreationDate"}
# What keeps the name of a part of a page from being drawn at random, by package.
_FIXED = {"plotly": {"div_id": "figure"}}


def _save_page(value: Any, path: Path) -> None:
    if hasattr(value, "write_html"):
        value.write_html(path, **_FIXED.get(type(value).__module__.partition(".")[0], {}))
    elif hasattr(value, "to_html"):
        named = {"table_uuid": "table"} if hasattr(value, "set_uuid") else {}  # pandas' Styler
        path.write_text(value.to_html(**named), encoding="utf-8")
    else:
        what = "no text, and no page: it has no write_html or to_html"
        raise TypeError(f"a {type(value).__name__} is {what}")


def _save_picture(value: Any, path: Path) -> None:
    figure = getattr(value, "figure", None) or value  # axes know their figure
    ways = ((figure, "savefig"), (value, "write_image"), (value, "save"))
    for drawn, name in ways:
        if save := getattr(drawn, name, None):
            save(path, **_undated(drawn, path.suffix.lower()))
            return
    what = "is no picture: it has no savefig, write_image or save"
    raise TypeError(f"a {type(value).__name__} {what}")


def _undated(drawn: Any, suffix: str) -> dict[str, Any]:
    """What keeps the time of the day out of a picture's file: with it no digest repeats."""
    package = type(drawn).__module__.partition(".")[0]
    if package == "matplotlib" and suffix in _DATES:
        return {"metadata": {_DATES[suffix]: None}}
    return {"creationDate": None, "modDate": None} if (package, suffix) == ("PIL", ".pdf") else {}
