"""Writes a report as one page of HTML: no script, no request, nothing of a stranger's obeyed."""

from __future__ import annotations

import base64
import functools
import hashlib
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from towpath import __version__, drawing
from towpath.control_characters import show_controls
from towpath.errors import UsageError
from towpath.reports import charts
from towpath.reports.run_report import Report
from towpath.scratch import replace_text

MARK = "A page of Towpath's"
_LOOKS = dict.fromkeys(("failed", "refused", "interrupted", "rejected"), "bad")
_LOOKS |= {"done": "good", "registered": "good"}
_STYLE = re.compile(r"<style>(.*?)</style>", re.DOTALL)


def render_report_page(report: Report) -> str:
    """The page. Its policy lets in its own styles, by their digests, and pictures that stand in it:
    no script, whatever a name or a log holds, and nothing from anywhere."""
    pictures = [section.picture for section in report.sections if section.picture]
    drawn = {id(picture): drawing.svg(picture) for picture in pictures}
    style = _read_part("page.css")
    styles = [style, *(text for svg in drawn.values() for text in _STYLE.findall(svg))]
    page: str = _template().render(
        report=report,
        style=Markup(style),
        policy=Markup(_content_policy(styles)),
        mark=Markup(MARK),  # as it is: escaped, `write_page` would not know it again
        draw=lambda picture: Markup(drawn[id(picture)]),
        state_class=_LOOKS.get(report.state.partition(":")[0], "other"),
        version=__version__,
        time=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        draws=charts.can_draw() or not any(section.charts for section in report.sections),
        install=charts.INSTALL,
    )
    return page


def _content_policy(styles: Iterable[str]) -> str:
    digests = (base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() for s in styles)
    allowed = " ".join(f"'sha256-{digest}'" for digest in dict.fromkeys(digests))
    return (
        f"default-src 'none'; style-src {allowed}; img-src data:; base-uri 'none'; "
        "form-action 'none'"
    )


@functools.cache
def _template() -> Any:
    environment = Environment(autoescape=True, undefined=StrictUndefined, finalize=_show_text)
    return environment.from_string(_read_part("page.html.jinja"))


def _show_text(value: Any) -> Any:
    """Text in which no character acts, before it is escaped; what we wrote ourselves stays."""
    return value if isinstance(value, Markup) else show_controls(str(value), kept="\n\t")


def _read_part(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def write_page(report: Report, path: Path) -> None:
    """Write a page whole, or not at all.

    Raises UsageError where something else than such a page stands there, or it cannot be written.
    """
    try:
        if path.is_dir():
            raise UsageError(f"{path} is a folder", hint="name a file with -o")
        if path.exists():
            with path.open("rb") as standing:
                is_ours = MARK.encode() in standing.read(200)
            if not is_ours:
                raise UsageError(f"{path} is no page of Towpath's", hint="another place with -o")
        replace_text(path, render_report_page(report))
    except OSError as refused:
        raise UsageError(f"{path} cannot be written: {refused.strerror}") from refused
