"""What previews are made of: a table's columns and rows, the head of a file, and the bounds."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

from towpath.credentials import hide_credentials

HEAD = 256 << 10  # bytes of a file that are read as text
MOST_ROWS, MOST_COLUMNS, MOST_CELL = 50, 40, 120  # of a table; characters of a cell
_COUNTED = 32 << 20  # bytes of a table's text whose lines are counted


class PreviewColumn(Struct, frozen=True):
    """A column's name and type; ``is_number`` where its values stand on the right."""

    name: str
    type: str
    is_number: bool


class TablePreview(Struct, frozen=True):
    """The first rows, as texts; ``row_count`` is None where counting would take a while."""

    columns: tuple[PreviewColumn, ...]
    rows: tuple[tuple[str, ...], ...]
    row_count: int | None
    columns_left: int = 0


class NoPreview(Exception):
    """A file cannot be shown; the words say why."""


class FileHead(Struct, frozen=True):
    """The first bytes of a file, up to its last whole line; ``is_whole`` where that is all."""

    path: Path
    content: bytes
    is_whole: bool
    size: int

    def decode_text(self, encoding: str | None = None) -> str:
        try:
            return self.content.decode(encoding or "utf-8-sig", "replace")
        except LookupError:
            raise NoPreview(f"there is no encoding `{encoding}`") from None


def cut_cell(value: object) -> str:
    """A value as a cell shows it: without a secret, and not endless."""
    text = value if isinstance(value, str) else "" if value is None else str(value)
    text = hide_credentials(text[: MOST_CELL * 2])
    return text if len(text) <= MOST_CELL else text[:MOST_CELL] + "…"


def count_lines(head: FileHead) -> int | None:
    """The lines of a whole file; None where it is large, packed, or a line may lie in quotes."""
    if not 0 < head.size <= _COUNTED:
        return None
    count, last = 0, b"\n"
    with head.path.open("rb") as file:
        while part := file.read(1 << 20):
            if b'"' in part:
                return None
            count, last = count + part.count(b"\n"), part[-1:]
    return count + (last != b"\n")
