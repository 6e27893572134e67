"""Text of users inside Markdown: shown as they wrote it, never obeyed.

A pull request's body is read by people and rendered by a forge. What a user named or wrote (a
model, a label, a description, a file) must not become a link, an image, HTML, a table's cell, a
heading, or a mention that calls people in.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from towpath.control_characters import is_hidden, show_controls

LONGEST = 300
LONGEST_CODE = 80

_MARKS = re.compile(r"([\\`*_{}\[\]|~!$])")
# A list, a heading or a rule, where a line begins so.
_BEGINS = re.compile(r"^(\d*(?=[.)])|(?=[-+=]))([-+=.)])")
_GAP = "\u200b"  # a space of no width, with which neither a mention nor an address is one
_CALLS = re.compile(
    r"(?<=[@#])|(?<=gh)(?=-)|(?<=:)(?=//)|(?<=www)(?=\.)|(?<=mailto)(?=:)", re.IGNORECASE
)


def escape_prose(text: object, longest: int = LONGEST) -> str:
    """A user's words as plain text on one line, in a paragraph or in a table's cell."""
    plain = _BEGINS.sub(r"\1\\\2", _MARKS.sub(r"\\\1", _single_line(text, longest)))
    plain = plain.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _CALLS.sub(_GAP, plain)


def code_span(text: object) -> str:
    """A user's value as a span of code, in a paragraph or in a table's cell."""
    # Renderers disagree about a pipe in a cell.
    plain = _single_line(text, LONGEST_CODE).replace("|", "¦")
    if not plain:
        return "—"
    fence = "`" * (max(map(len, re.findall("`+", plain)), default=0) + 1)
    pad = " " if plain.startswith("`") or plain.endswith("`") else ""
    return f"{fence}{pad}{plain}{pad}{fence}"


def code_block(text: str, language: str = "") -> str:
    """Text of several lines as a block of code, which no line of it can end."""
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{fence}{language}\n{show_controls(text, chr(10))}\n{fence}"


def markdown_table(
    heads: Sequence[str], rows: Iterable[Sequence[str]], right: Iterable[int] = ()
) -> str:
    """A table; the cells are Markdown already. ``right`` counts the columns of figures from 0."""
    figures = set(right)
    rule = ["---:" if place in figures else "---" for place in range(len(heads))]
    return "\n".join(f"| {' | '.join(row)} |" for row in [heads, rule, *rows])


def _single_line(text: object, longest: int) -> str:
    """One line, without what is not seen: control characters, and those that turn text around."""
    words = " ".join(str(text).split())
    visible = "".join(char for char in words if not is_hidden(char))
    return visible if len(visible) <= longest else f"{visible[: longest - 1].rstrip()}…"
