"""The one door to the terminal: what is printed, by us or by a library, goes through here.

Names, reasons, logs and messages are other people's. A ``str`` that is given to a function of this
module is text and nothing else: what would act on a terminal or on a CI runner is shown spelled out
(``control_characters``), and rich reads no markup in it. Colour is asked for by ``Styled`` alone.
"""

from __future__ import annotations

import io
import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any, NamedTuple, TextIO, TypeAlias

import click

from towpath.control_characters import disarm_commands, escape_json, is_visible, show_controls

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, JustifyMethod, RenderableType, RenderResult
    from rich.text import Text

_PLAIN_WIDTH = 200  # columns, where no terminal says how wide it is
_LONG = 300  # rows from which a table is laid out here: rich takes half a millisecond for each
_BLOCK = "\n\t"  # what stays of the control characters in a text of several lines
_PAGE = f"{_BLOCK}\u200b"  # our own pages keep mentions and addresses apart with it
_COLOUR = re.compile("(\x1b\\[[0-9;]*m)")  # SGR: colour and weight, which move and hide nothing
_CONCEALING = re.compile("\x1b\\[(?:[0-9;]*;)?0*8(?:;[0-9;]*)?m")  # but for text that is not shown
_WEIGHTS = {"bold": "bold", "dim": "dim", "strike": "strikethrough"}  # rich's word, and click's
_RUNNERS = ("CI", "GITHUB_ACTIONS", "TF_BUILD", "TEAMCITY_VERSION")


class Styled(NamedTuple):
    """A piece of a line or a cell in a style of rich's (``bold``, ``dim strike``, ``bold red``)."""

    text: str
    style: str


Piece: TypeAlias = "str | Styled"
Cell: TypeAlias = "str | Styled | Text"


class GuardedStream(io.TextIOBase):
    """A standard stream as libraries, warnings and tracebacks see it: their text is made harmless.

    It says that it is no terminal, so that they write plain text. Our own words, made harmless
    where they are printed, take ``unguarded``, the stream behind it.
    """

    def __init__(self, unguarded: TextIO) -> None:
        self.unguarded = unguarded

    @property
    def encoding(self) -> str:  # type: ignore[override]  # typeshed has a plain attribute here
        return self.unguarded.encoding

    @property
    def errors(self) -> str | None:  # type: ignore[override]  # as above
        return self.unguarded.errors

    def write(self, text: str) -> int:
        self.unguarded.write(_make_harmless(text, _BLOCK))
        return len(text)  # what was asked for: a writer that counts would write the rest again

    def flush(self) -> None:
        self.unguarded.flush()

    def fileno(self) -> int:
        return self.unguarded.fileno()  # children inherit it: what they write, no guard sees

    def isatty(self) -> bool:
        return False  # a library's colours would only be spelled out

    def writable(self) -> bool:
        return True


def guard_streams() -> None:
    """Put a guard before stdout and stderr, for whatever prints beside this module."""
    # Libraries, `warnings` and Python's own tracebacks look the streams up when they write.
    sys.stdout = GuardedStream(_unguarded_stream(err=False))
    sys.stderr = GuardedStream(_unguarded_stream(err=True))


def _unguarded_stream(err: bool) -> TextIO:
    stream = sys.stderr if err else sys.stdout
    behind: TextIO = getattr(stream, "unguarded", stream)
    return behind


def is_terminal(err: bool = False) -> bool:
    return _unguarded_stream(err).isatty()


def is_colour_refused() -> bool:
    """Whether NO_COLOR asks for output without colour (https://no-color.org), or the terminal takes
    none, as in Emacs and in editors."""
    return bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"


def is_interactive() -> bool:
    """Whether a person looks on: a terminal that takes colour, and no CI."""
    from towpath.planning.run_request import in_ci

    # What takes no colour moves no cursor either.
    return is_terminal(err=True) and not (in_ci() or is_colour_refused())


def echo(*pieces: Piece, err: bool = False) -> None:
    """Print one line; a newline in a piece is shown as a sign, or it would begin a line of ours."""
    _write_line("".join(_paint_piece(piece, "") for piece in pieces), err)


def echo_marked(mark: Styled, *pieces: Piece) -> None:
    """Print ``error: ...`` on stderr; what goes on below is indented, and is no line of ours."""
    shown = "".join(_paint_piece(piece, "\n") for piece in pieces).rstrip()
    indented = shown.replace("\n", "\n    ")
    _write_line(f"{_paint_piece(mark, '')}: {indented}", err=True)


def echo_block(text: str, err: bool = False, colours: bool = False) -> None:
    """Print text of several lines; ``colours`` lets its own colours through to a terminal."""
    if not colours or not is_terminal(err):
        return _write_line(_make_harmless(_COLOUR.sub("", text), _BLOCK), err)
    parts = _COLOUR.split(_CONCEALING.sub("", text))  # every second one is a colour
    parts[::2] = [_make_harmless(part, _BLOCK) for part in parts[::2]]
    return _write_line("".join(parts) + "\x1b[0m", err)  # what it leaves open ends with it


def echo_json(document: str) -> None:
    click.echo(escape_json(document), file=_unguarded_stream(err=False))


def echo_counter(words: str) -> None:
    """Overwrite the last line of stderr with a counter; an empty one takes it away."""
    shown = f"\r{_make_harmless(words)}" if words else "\r\x1b[K"
    click.echo(shown, nl=False, file=_unguarded_stream(err=True))


def echo_markdown(page: str, reads: bool = False) -> None:
    """Print Markdown on stdout: as it is, or set for a person who ``reads`` it at a terminal."""
    if not reads or not is_terminal() or is_colour_refused():
        return _write_line(_make_harmless(page, _PAGE), err=False)
    from rich.markdown import Markdown

    return make_console().print(_Rendered(Markdown(_make_harmless(page, _BLOCK), hyperlinks=False)))


def _write_line(line: str, err: bool) -> None:
    # A runner obeys a line that begins with `::` or `##[`, whoever wrote it.
    armed = any(os.environ.get(name) for name in _RUNNERS)
    colour = False if is_colour_refused() else None
    click.echo(disarm_commands(line) if armed else line, file=_unguarded_stream(err), color=colour)


def _make_harmless(text: str, kept: str = "") -> str:
    # Windows' end of a line is one, and no carriage return that would overwrite what stands there.
    return show_controls(text.replace("\r\n", "\n") if kept else text, kept)


def _paint_piece(piece: Piece, kept: str) -> str:
    if not isinstance(piece, Styled):
        return _make_harmless(piece, kept)
    words = piece.style.split()  # rich's words, said to click: a line needs no import of rich
    weights = {_WEIGHTS[word]: True for word in words if word in _WEIGHTS}
    colour = next((word for word in words if word not in _WEIGHTS), None)
    return click.style(_make_harmless(piece.text, kept), fg=colour, **weights)


class _Rendered:
    """What rich makes of something, its text harmless in whatever way it came there."""

    def __init__(self, content: RenderableType) -> None:
        self.content = content

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rich.segment import Segment

        for segment in console.render(self.content, options):
            # rich's own control codes move the cursor of a live view; all else is somebody's text.
            text = show_controls(segment.text, "\n")
            yield segment if segment.control else Segment(text, segment.style)


def make_console(err: bool = False) -> Console:
    """A console on stdout (stderr): obeys NO_COLOR, plain without a terminal."""
    from rich.console import Console

    stream = _unguarded_stream(err)
    width = None if stream.isatty() or "COLUMNS" in os.environ else _PLAIN_WIDTH
    # No highlighting and no markup: a name in brackets is a name, and no style.
    soft_wrap = not stream.isatty()
    return Console(file=stream, highlight=False, markup=False, width=width, soft_wrap=soft_wrap)


class LiveView:
    """What is drawn anew on stderr while something runs, and stays in its last state."""

    def __init__(self) -> None:
        from rich.live import Live

        self._console = make_console(err=True)
        # Ten pictures a second look alive; a thread of rich's draws them, at the run's cost.
        self._live = Live(console=self._console, refresh_per_second=10, transient=True)

    def start(self) -> None:
        """Begin to draw; what others print meanwhile stands above it, and is harmless too."""
        self._live.start()
        # rich now holds both streams, and would obey the escapes of what is printed to them.
        sys.stdout, sys.stderr = GuardedStream(sys.stdout), GuardedStream(sys.stderr)

    def update(self, content: RenderableType) -> None:
        self._live.update(_Rendered(content))

    def stop(self, last: RenderableType | None) -> None:
        self._live.update("")
        self._live.stop()
        if last is not None:
            self._console.print(_Rendered(last))


def show_table(
    columns: Sequence[str], rows: Iterable[Sequence[Cell]], right: Sequence[str] = (),
    err: bool = False,
) -> None:  # fmt: skip
    listed = list(rows)
    # Into a pipe nothing that is wide folds: a line is a row there, for grep and awk.
    if not is_terminal(err) or len(listed) >= _LONG:
        return _write_line(_plain_table(columns, listed, right), err)
    from rich import box
    from rich.table import Table

    # No lines but one under the heads. The first column is whole, for it holds what a person
    # copies, and the others share what is left.
    rich_table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="bold")
    for place, column in enumerate(columns):
        side: JustifyMethod = "right" if column in right else "left"
        head = _rich_text(column)
        rich_table.add_column(head, justify=side, overflow="fold", no_wrap=place == 0)
    for row in listed:
        rich_table.add_row(*map(_rich_text, row))
    return make_console(err).print(_Rendered(rich_table))


def _rich_text(cell: Cell) -> Text:
    from rich.text import Text

    # A `Text`, for of a `str` rich would read the markup that a user wrote in it.
    if isinstance(cell, Styled):
        return Text(_make_harmless(cell.text), cell.style)
    return Text(_make_harmless(cell)) if isinstance(cell, str) else cell


def _plain_table(
    columns: Sequence[str], rows: Sequence[Sequence[Cell]], right: Sequence[str]
) -> str:
    cells = [[c.text if isinstance(c, Styled) else str(c) for c in r] for r in (columns, *rows)]
    if not is_visible("".join(map("".join, cells))):  # asked once: of 10,000 versions few are odd
        cells = [[_make_harmless(cell) for cell in row] for row in cells]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    signs = [">" if column in right else "<" for column in columns]
    form = "   ".join(f"{{:{sign}{width}}}" for sign, width in zip(signs, widths, strict=True))
    head, *lines = (form.format(*row).rstrip() for row in cells)
    line = "─" * (sum(widths) + 3 * (len(widths) - 1))
    return "\n".join([head, line, *lines])


def readable_number(value: object) -> str:
    """A figure for a person: four significant digits, other values as they are."""
    if isinstance(value, bool) or not isinstance(value, float):
        return "" if value is None else str(value)
    return f"{value:.4g}"


def brief_value(value: object) -> str:
    """A value in a narrow column: digests by their first digits, a dash for none."""
    text = readable_number(value)
    is_digest = isinstance(value, str) and len(value) >= 32 and " " not in value
    return "—" if value is None else text[:12] if is_digest else text


def side_by_side(values: Sequence[object]) -> tuple[str, ...]:
    """Values in the columns of one row, each brief; at length where brevity makes two look alike
    that are not."""
    from towpath.config.foreign_values import is_same  # which `--help` need not load

    texts = tuple(map(brief_value, values))
    pairs = combinations(zip(texts, values, strict=True), 2)
    hides = any(left[0] == other[0] and not is_same(left[1], other[1]) for left, other in pairs)
    return tuple("—" if value is None else str(value) for value in values) if hides else texts


def print_section(title: str, pairs: Mapping[str, Any]) -> None:
    """Pairs below one another, under a title where there is one; nothing where there is none."""
    if not pairs:
        return
    if title:
        echo()
        echo(Styled(title, "cyan"))
    width = max(len(name) for name in pairs)
    for name, value in pairs.items():
        echo(f"  {name.ljust(width)}  {readable_number(value)}")
