"""The door to rich: tables and live output, plain where nobody looks on."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from typing import TextIO

from rich import box
from rich.console import Console, JustifyMethod
from rich.table import Table
from rich.text import Text

_PLAIN_WIDTH = 200  # columns, where no terminal says how wide it is


def console(stream: TextIO | None = None) -> Console:
    """A console on a stream (default stdout): obeys NO_COLOR, plain without a terminal."""
    stream = stream or sys.stdout
    width = None if stream.isatty() or "COLUMNS" in os.environ else _PLAIN_WIDTH
    return Console(file=stream, highlight=False, width=width, soft_wrap=not stream.isatty())


def table(
    columns: Sequence[str], rows: Iterable[Sequence[str | Text]], right: Sequence[str] = ()
) -> Table:
    """A table in the house's style: no lines but one under the heads; the first column is whole,
    for it holds what a person copies, and the others share what is left."""
    made = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="bold")
    for place, column in enumerate(columns):
        justify: JustifyMethod = "right" if column in right else "left"
        made.add_column(column, justify=justify, overflow="fold", no_wrap=place == 0)
    for row in rows:
        made.add_row(*row)
    return made


def show(
    columns: Sequence[str], rows: Iterable[Sequence[str | Text]], right: Sequence[str] = ()
) -> None:
    """Print a table on stdout."""
    console().print(table(columns, rows, right))


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
