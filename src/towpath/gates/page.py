"""Verdicts as a person reads them: a table in Markdown, or rows for a terminal."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from towpath.gates import text
from towpath.gates.verdict import Verdict
from towpath.spec.artifact import Json

HEADER = ("", "gate", "found", "bound", "detail", "declared in")

_MARKUP = re.compile(r"([\\`*_\[\]<>#|~$])")
_APART = "&#8203;"  # no width: a name is not called, a number not linked, an address not followed


def page(verdicts: Iterable[Verdict]) -> str:
    """A Markdown table; text from versions, files and functions stands in it as text alone."""
    lines = [HEADER, ("---",) * len(HEADER), *map(_escaped_row, verdicts)]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def rows(verdicts: Iterable[Verdict]) -> tuple[tuple[str, ...], ...]:
    """The same as plain cells, in the order of ``HEADER``."""
    return tuple(tuple(text.line(cell) for cell in _row(verdict)) for verdict in verdicts)


def escaped(words: str) -> str:
    """Words that Markdown shows as they are: no markup, mention, reference or link in them."""
    plain = text.line(words).replace("&", "&amp;")
    marked = _MARKUP.sub(_harmless, plain)
    apart = re.sub(r"@(?=\w)", f"@{_APART}", marked)
    return re.sub(r"(?i)\b(https?|ftp|mailto|www)(?=[:.])", rf"\1{_APART}", apart)


def _harmless(found: re.Match[str]) -> str:
    entities = {"<": "&lt;", ">": "&gt;", "#": f"#{_APART}"}
    return entities.get(found[1], f"\\{found[1]}")


def _escaped_row(verdict: Verdict) -> tuple[str, ...]:
    word, *rest = map(escaped, _row(verdict))
    return (word if verdict.passed else f"**{word}**", *rest)


def _row(verdict: Verdict) -> Iterator[str]:
    yield "passed" if verdict.passed else "FAILED"
    yield verdict.gate
    yield shown(verdict.value)
    yield shown(verdict.bound)
    yield verdict.detail
    yield verdict.source


def shown(value: Json) -> str:
    """A value or a bound in a cell."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return text.number(value) if isinstance(value, int | float) else str(value)
