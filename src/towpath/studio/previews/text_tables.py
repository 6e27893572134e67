"""Tables that are text: delimited, JSON lines, or a JSON list of rows."""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from towpath.config.foreign_values import parse_json
from towpath.errors import Malformed
from towpath.studio.previews.preview_parts import (
    MOST_COLUMNS,
    MOST_ROWS,
    FileHead,
    NoPreview,
    PreviewColumn,
    TablePreview,
    cut_cell,
)

_SEPARATORS = (",", "\t", ";", "|")


def read_delimited(
    head: FileHead,
    separator: str | None,
    encoding: str | None,
    types: Mapping[str, str],
    lines: int | None,
) -> TablePreview:
    """The first rows of a delimited text; ``types`` are those that a declaration gives columns.

    Raises NoPreview for what is no table.
    """
    if b"\n" not in head.content and not head.is_whole:
        raise NoPreview("Its first line is longer than is read here: download it, or fetch it.")
    text = head.decode_text(encoding)
    if "\0" in text[:4096]:
        raise NoPreview("It is no text.")
    separator = separator or max(_SEPARATORS, key=text.partition("\n")[0].count)
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
        rows = list(itertools.islice(reader, MOST_ROWS + 1))
    except (csv.Error, TypeError) as wrong:  # also a separator that is no single character
        raise NoPreview(f"It cannot be read as a table: {wrong}.") from None
    if not rows:
        raise NoPreview("It has no rows.")
    names, values = rows[0], [row for row in rows[1:] if row]
    count = None if lines is None else max(lines - 1, 0)
    return _make_table(names, values, types, count)


def read_jsonl_rows(head: FileHead, lines: int | None) -> TablePreview:
    """The first rows of a text with a JSON document on each line. NoPreview for what is none."""
    if b"\n" not in head.content and not head.is_whole:
        raise NoPreview("Its first line is longer than is read here: download it, or fetch it.")
    documents = []
    for number, line in enumerate(head.content.splitlines()[: MOST_ROWS + 1], 1):
        try:
            documents += [parse_json(line)] if line.strip() else []
        except Malformed as wrong:
            raise NoPreview(f"Line {number} cannot be read: {wrong.faults[0].what}.") from None
    table = list_rows(documents[:MOST_ROWS])
    if table is None:
        raise NoPreview("Its lines are no rows.")
    return TablePreview(table.columns, table.rows, lines, table.columns_left)


def list_rows(documents: Sequence[object]) -> TablePreview | None:
    """A table of a list of mappings; None where it is another list."""
    rows = [row for row in documents[:MOST_ROWS] if isinstance(row, Mapping)]
    if not rows or len(rows) < len(documents[:MOST_ROWS]):
        return None
    names = list(dict.fromkeys(str(name) for row in rows for name in row))
    values = [[cut_cell(row.get(name)) for name in names[:MOST_COLUMNS]] for row in rows]
    return _make_table(names, values, {}, len(documents))


def _make_table(
    names: Sequence[str],
    rows: Sequence[Sequence[str]],
    types: Mapping[str, str],
    count: int | None,
) -> TablePreview:
    shown = names[:MOST_COLUMNS]
    columns = []
    for index, name in enumerate(shown):
        values = [row[index] for row in rows if index < len(row) and row[index] != ""]
        # The type that all of the values shown have.
        held_types = (kind for kind, holds in _TYPES.items() if values and all(map(holds, values)))
        column_type = types.get(name) or next(held_types, "text")
        is_number = column_type in ("integer", "number")
        columns.append(PreviewColumn(cut_cell(name), column_type, is_number))
    cells = tuple(
        tuple(cut_cell(row[i]) if i < len(row) else "" for i in range(len(shown))) for row in rows
    )
    return TablePreview(tuple(columns), cells, count, len(names) - len(shown))


def _parses(read: Callable[[str], object]) -> Callable[[str], bool]:
    def parse_value(value: str) -> bool:
        try:
            read(value)
        except ValueError:
            return False
        return True

    return parse_value


_TYPES: Mapping[str, Callable[[str], bool]] = {
    "integer": _parses(int),
    "number": _parses(float),
    "boolean": lambda value: value.lower() in ("true", "false"),
    "datetime": _parses(datetime.fromisoformat),
}
