"""What a step printed, as a page shows it: its end, what comes next, and what is searched in it."""

from __future__ import annotations

import os
import re
import stat
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from msgspec import Struct

from towpath.credentials import hide_credentials

MOST_LOG = 256 << 10  # bytes of a log that a page shows: the rest is a link away
LEVELS = ("error", "warning", "info", "debug")  # the gravest first
_COUNTED = 32 << 20  # bytes of a log whose lines are counted
_LONGEST_LINE = 4000  # characters of a line that are shown

_SGR = re.compile(r"\x1b\[([0-9;:]*)m")
_OTHER_ESCAPES = re.compile(
    r"\x1b\[[0-9;?]*[A-Za-ln-z]|\x1b\][^\x07\x1b]{0,2000}(?:\x07|\x1b\\)|\x1b[()][A-Z0-9]"
)
_LEVEL_WORD = re.compile(
    r"\b(CRITICAL|FATAL|ERROR|WARNING|WARN|INFO|DEBUG)\b|\b(error|warning): |(Warning): "
)
_WHERE_LEVELS_STAND = 100  # characters at the begin of a line
_LEVEL_OF = {"CRITICAL": "error", "FATAL": "error", "WARN": "warning"}
_TRACEBACK = "Traceback (most recent call last):"


class LogSpan(Struct, frozen=True):
    """Text in one look; ``look`` are the classes of its colours, "" for none."""

    text: str
    look: str = ""


class LogLine(Struct, frozen=True):
    """A line: its number, None where a log is too long to count them; ``level`` where it carries
    one, or belongs to a traceback, of which ``is_cause`` is the last line."""

    number: int | None
    spans: tuple[LogSpan, ...]
    level: str = ""
    is_cause: bool = False
    is_partial: bool = False

    @property
    def text(self) -> str:
        return "".join(span.text for span in self.spans)


class StepLogText(Struct, frozen=True):
    """The end of a log, or what came after a place in it. ``skipped`` bytes stand before it; what
    comes later begins at byte ``next_place``, line ``next_number`` (None: not counted)."""

    lines: tuple[LogLine, ...]
    skipped: int
    size: int
    next_place: int
    next_number: int | None

    @property
    def level_counts(self) -> dict[str, int]:
        # Of a traceback its last line counts, and no frame.
        counted = (n for n in self.lines if n.is_cause or not n.text.startswith((" ", "Traceback")))
        counts = Counter(line.level for line in counted)
        return {level: counts[level] for level in LEVELS if counts[level]}

    def lines_from(self, level: str) -> tuple[LogLine, ...]:
        """The lines of a level and of graver ones; all of them for what is no level."""
        if level not in LEVELS:
            return self.lines
        grave = LEVELS[: LEVELS.index(level) + 1]
        return tuple(line for line in self.lines if line.level in grave)


def open_step_log(path: Path) -> BinaryIO | None:
    """A log, where it is a file: a step may have put anything in its place. No link is followed,
    and no pipe is waited for."""
    if path.parent.is_symlink():
        return None
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        return None
    return os.fdopen(descriptor, "rb")


def read_log_end(path: Path) -> StepLogText | None:
    """The last 256 kB, from a whole line on; None where there is no log."""
    file = open_step_log(path)
    if file is None:
        return None
    with file:
        size = file.seek(0, os.SEEK_END)
        begin = max(0, size - MOST_LOG)
        file.seek(begin)
        content = file.read(MOST_LOG)
        if begin:
            rest = content.partition(b"\n")[2] or content
            begin += len(content) - len(rest)
            content = rest
        number = _count_newlines(file, begin) + 1 if begin <= _COUNTED else None
    return _read_lines(content, begin, number, size)


def read_log_from(path: Path, begin: int, number: int | None) -> StepLogText | None:
    """What stands in a log from byte ``begin`` on, at most 256 kB of it; None where it is no log,
    or is shorter than that."""
    file = open_step_log(path)
    if file is None:
        return None
    with file:
        size = file.seek(0, os.SEEK_END)
        if size < begin:
            return None
        file.seek(begin)
        return _read_lines(file.read(MOST_LOG), begin, number, size)


def _count_newlines(file: BinaryIO, end: int) -> int:
    file.seek(0)
    count = 0
    while end > 0 and (part := file.read(min(end, 1 << 20))):
        count, end = count + part.count(b"\n"), end - len(part)
    return count


def _read_lines(content: bytes, begin: int, number: int | None, size: int) -> StepLogText:
    """The lines of a part of a log. One without an end is shown, and read again with its rest."""
    whole = content.rfind(b"\n") + 1
    if not whole and len(content) == MOST_LOG:  # in the midst of a line: it goes on from here
        whole = len(content)
    count = content.count(b"\n")
    text = hide_credentials(content.decode("utf-8", "replace"))
    lines = tuple(_split_lines(text, number))
    next_number = None if number is None else number + count
    return StepLogText(lines, begin, size, begin + whole, next_number)


def _split_lines(text: str, number: int | None) -> Iterator[LogLine]:
    texts = text.split("\n")
    rest = texts.pop()
    painter, is_traceback = _Painter(), False
    for index, line in enumerate([*texts, *([rest] if rest else [])]):
        # What a terminal shows of a line that went back to its begin, as a bar of progress does.
        written = line.rstrip("\r").rpartition("\r")[2][:_LONGEST_LINE]
        spans = tuple(painter.paint_line(written))
        plain = "".join(span.text for span in spans)
        is_traceback = is_traceback or plain.startswith(_TRACEBACK)
        is_inner = plain[:1].isspace() or plain.startswith(_TRACEBACK)
        is_cause = is_traceback and bool(plain) and not is_inner
        level = "error" if is_traceback else find_level(plain)
        yield LogLine(
            None if number is None else number + index, spans, level, is_cause, index == len(texts)
        )
        is_traceback = is_traceback and not is_cause


def find_level(line: str) -> str:
    """The level that a line carries near its begin; "" for none."""
    match = _LEVEL_WORD.search(line[:_WHERE_LEVELS_STAND])
    if match is None:
        return ""
    word = match[1] or match[2]
    return _LEVEL_OF.get(word, word.lower()) if word else "warning"


def plain_text(line: str) -> str:
    """A line without the colours and the movements of a terminal."""
    return _SGR.sub("", _OTHER_ESCAPES.sub("", line)).rstrip("\r").replace("\r", " ")


class _Painter:
    """Turns the colours of a terminal into classes; a colour lasts until another is set."""

    def __init__(self) -> None:
        self._colour = ""
        self._weights: set[str] = set()

    def paint_line(self, line: str) -> Iterator[LogSpan]:
        if "\x1b" not in line:
            yield LogSpan(line, self._look())
            return
        # Every second part is what sets a look.
        for index, part in enumerate(_SGR.split(_OTHER_ESCAPES.sub("", line))):
            if index % 2:
                self._set_look(part.replace(":", ";").split(";"))
            elif part:
                yield LogSpan(part, self._look())

    def _look(self) -> str:
        return " ".join(filter(None, (self._colour, *sorted(self._weights))))

    def _set_look(self, codes: Sequence[str]) -> None:
        numbers = [int(code) if code.isdigit() and len(code) < 4 else 0 for code in codes]
        while numbers:
            code = numbers.pop(0)
            if code in (38, 48):  # of what is written, of what is behind it
                colour = _take_colour(numbers)
                self._colour = colour if code == 38 else self._colour
            elif code in _WEIGHTS:
                self._weights.add(_WEIGHTS[code])
            else:
                self._colour = _COLOURS.get(code, self._colour)
                self._weights.difference_update(_ENDED_WEIGHTS.get(code, ()))


def _take_colour(numbers: list[int]) -> str:
    """One of 256 colours (5, its number) or of all (2, red, green, blue), which is taken out of
    ``numbers``; of those the first sixteen have a class."""
    is_numbered = numbers[:1] == [5]
    colour = numbers[1] if is_numbered and len(numbers) > 1 else -1
    del numbers[: 2 if is_numbered else 4]
    return f"ansi{colour % 8}" if 0 <= colour < 16 else ""


_COLOURS = {begin + index: f"ansi{index}" for begin in (30, 90) for index in range(8)}
_COLOURS |= {0: "", 39: ""}
_WEIGHTS = {1: "ansi-bold", 2: "ansi-dim", 3: "ansi-italic", 4: "ansi-line"}
_ENDED_WEIGHTS = {
    0: _WEIGHTS.values(), 22: ("ansi-bold", "ansi-dim"), 23: ("ansi-italic",), 24: ("ansi-line",)
}  # fmt: skip
