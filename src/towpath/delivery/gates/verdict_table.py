"""Verdicts as a person reads them: a table in Markdown, or rows for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from towpath.config.artifact import Json
from towpath.delivery.gates import verdict_text
from towpath.delivery.gates.verdict import GateVerdict
from towpath.markdown_text import escape_prose, markdown_table

HEADER = ("", "gate", "found", "bound", "detail", "declared in")


def write_verdict_page(verdicts: Iterable[GateVerdict]) -> str:
    """A Markdown table; text from versions, files and functions stands in it as text alone."""
    return markdown_table(HEADER, map(_escaped_row, verdicts)) + "\n"


def verdict_rows(verdicts: Iterable[GateVerdict]) -> tuple[tuple[str, ...], ...]:
    """The same as plain cells, in the order of ``HEADER``."""
    return tuple(
        tuple(verdict_text.verdict_line(cell) for cell in _verdict_cells(verdict))
        for verdict in verdicts
    )


def _escaped_row(verdict: GateVerdict) -> tuple[str, ...]:
    word, *rest = (escape_prose(cell, verdict_text.LONGEST) for cell in _verdict_cells(verdict))
    return (word if verdict.passed else f"**{word}**", *rest)


def _verdict_cells(verdict: GateVerdict) -> Iterator[str]:
    yield "passed" if verdict.passed else "FAILED"
    yield verdict.gate
    yield verdict_cell(verdict.value)
    yield verdict_cell(verdict.bound)
    yield verdict.detail
    yield verdict.source


def verdict_cell(value: Json) -> str:
    """A value or a bound in a cell."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return verdict_text.verdict_number(value) if isinstance(value, int | float) else str(value)
