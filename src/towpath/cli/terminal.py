"""The door to rich: tables and live output, plain where nobody looks on."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple, TextIO, TypeAlias

if TYPE_CHECKING:
    from rich.console import Console, JustifyMethod
    from rich.table import Table
    from rich.text import Text

_PLAIN_WIDTH = 200  # columns, where no terminal says how wide it is
_LONG = 300  # rows from which a table is laid out here: rich takes half a millisecond for each


class Styled(NamedTuple):
    """A cell in a style of rich's (``bold``, ``dim strike``)."""

    text: str
    style: str


Cell: TypeAlias = "str | Styled | Text"


def console(stream: TextIO | None = None) -> Console:
    """A console on a stream (default stdout): obeys NO_COLOR, plain without a terminal."""
    from rich.console import Console

    stream = stream or sys.stdout
    width = None if stream.isatty() or "COLUMNS" in os.environ else _PLAIN_WIDTH
    return Console(file=stream, highlight=False, width=width, soft_wrap=not stream.isatty())


def table(
    columns: Sequence[str], rows: Iterable[Sequence[Cell]], right: Sequence[str] = ()
) -> Table:
    """A table in the house's style: no lines but one under the heads; the first column is whole,
    for it holds what a person copies, and the others share what is left."""
    from rich import box
    from rich.table import Table

    made = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="bold")
    for place, column in enumerate(columns):
        justify: JustifyMethod = "right" if column in right else "left"
        made.add_column(column, justify=justify, overflow="fold", no_wrap=place == 0)
    for row in rows:
        made.add_row(*map(_rich, row))
    return made


def show(columns: Sequence[str], rows: Iterable[Sequence[Cell]], right: Sequence[str] = ()) -> None:
    """Print a table on stdout; into a pipe, and with very many rows, nothing that is wide folds."""
    listed = list(rows)
    if sys.stdout.isatty() and len(listed) < _LONG:
        console().print(table(columns, listed, right))
    else:
        sys.stdout.write(_plain(columns, listed, right))


def _rich(cell: Cell) -> Text:
    """A cell as it is: of what users write, nothing is read as rich's markup."""
    from rich.text import Text

    if isinstance(cell, Styled):
        return Text(cell.text, cell.style)
    return Text(cell) if isinstance(cell, str) else cell


def _plain(columns: Sequence[str], rows: Sequence[Sequence[Cell]], right: Sequence[str]) -> str:
    cells = [[_text(cell) for cell in row] for row in (columns, *rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    signs = [">" if column in right else "<" for column in columns]
    form = "   ".join(f"{{:{sign}{width}}}" for sign, width in zip(signs, widths, strict=True))
    head, *lines = (form.format(*row).rstrip() for row in cells)
    line = "─" * (sum(widths) + 3 * (len(widths) - 1))
    return "\n".join([head, line, *lines, ""])


def _text(cell: Cell) -> str:
    return cell.text if isinstance(cell, Styled) else str(cell)


def number(value: object) -> str:
    """A figure for a person: four significant digits, other values as they are."""
    if isinstance(value, bool) or not isinstance(value, float):
        return "" if value is None else str(value)
    return f"{value:.4g}"


def brief(value: object) -> str:
    """A value in a narrow column: digests by their first digits, a dash for none."""
    text = number(value)
    is_digest = isinstance(value, str) and len(value) >= 32 and " " not in value
    return "—" if value is None else text[:12] if is_digest else text


def duration(seconds: float) -> str:
    """A time span for a person."""
    if seconds < 60:
        return f"{seconds:.1f}s" if seconds >= 0.05 else ""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02}m" if hours else f"{minutes}m{rest:02}s"


def size(count: float) -> str:
    """A number of bytes for a person."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
