"""The lines of a log as HTML: text first escaped, then dressed in classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from markupsafe import Markup

from towpath.control_characters import escape_markup

if TYPE_CHECKING:
    from towpath.studio.pages.step_log import LogLine

_SIGNS = {"error": "error", "warning": "warning"}


def draw_log_lines(lines: Sequence[LogLine]) -> Markup:
    """Each line an element: its number, an anchor that a link can name, and the sign of a level.
    The numbers are no part of what is copied, and no stop of the tabulator."""
    return Markup("".join(map(_draw_line, lines)))


def _draw_line(line: LogLine) -> str:
    looks = ["line"]
    if line.level:
        looks.append(f"level-{line.level}")
    if line.is_cause:
        looks.append("cause")
    if line.is_partial:
        looks.append("partial")
    anchor, number = "", '<i class="no"></i>'
    if line.number is not None:
        anchor = f' id="L{line.number}"'
        number = (
            f'<a class="no" href="#L{line.number}" tabindex="-1" aria-hidden="true">'
            f"{line.number}</a>"
        )
    sign = f'<b class="sign-{line.level}">{_SIGNS[line.level]}</b>' if _is_marked(line) else ""
    return f'<span class="{" ".join(looks)}"{anchor}>{number}{sign}{_draw_spans(line)}\n</span>'


def _is_marked(line: LogLine) -> bool:
    # Where the line says its level itself, that is its sign.
    return line.level in _SIGNS and line.level not in line.text[:80].lower() and line.is_cause


def _draw_spans(line: LogLine) -> str:
    spans = ((span.look, escape_markup(span.text, kept="\t")) for span in line.spans)
    return "".join(f'<span class="{look}">{text}</span>' if look else text for look, text in spans)
