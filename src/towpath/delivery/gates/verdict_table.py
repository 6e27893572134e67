"""Verdicts as a person reads them: a table in Markdown, or rows for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from towpath.config.artifact import Json
from towpath.delivery.gates import verdict_text
from towpath.delivery.gates.verdict import Verdict
from towpath.markdown_text import prose, table

HEADER = ("", "gate", "found", "bound", "detail", "declared in")


def page(verdicts: Iterable[Verdict]) -> str:
    """A Markdown table; text from versions, files and functions stands in it as text alone."""
    return table(HEADER, map(_escaped_row, verdicts)) + "\n"


def rows(verdicts: Iterable[Verdict]) -> tuple[tuple[str, ...], ...]:
    """The same as plain cells, in the order of ``HEADER``."""
    return tuple(tuple(verdict_text.line(cell) for cell in _row(verdict)) for verdict in verdicts)


def _escaped_row(verdict: Verdict) -> tuple[str, ...]:
    word, *rest = (prose(cell, verdict_text.LONGEST) for cell in _row(verdict))
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
    return verdict_text.number(value) if isinstance(value, int | float) else str(value)
