"""Words searched in a whole log, of whatever length: a part of it at each request."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from msgspec import Struct
from msgspec.structs import replace

from towpath.credentials import hide_credentials
from towpath.studio.pages.step_log import open_step_log, plain_text

_MOST_HITS = 100
_PATIENCE = 0.15  # seconds of CPU that a search may take
_PART = 1 << 20  # bytes that are searched at once
_AROUND = 4096  # bytes before and after a hit that are looked at for its line and its neighbours
_NEIGHBOURS = 2  # lines before and after
_SHOWN = 300  # characters of a line


class LogHit(Struct, frozen=True):
    """A line with the words; ``number`` counts from 1, ``place`` is its first byte. It is
    ``before`` the words, the ``words`` as they stand there, and what is ``after`` them;
    ``is_joined`` where it follows the hit before without a gap."""

    number: int
    place: int
    before: str
    words: str
    after: str
    lines_before: tuple[str, ...]
    lines_after: tuple[str, ...]
    is_joined: bool = False


class LogSearch(Struct, frozen=True):
    """What was found between two bytes of a log; where it goes on from there, and from which
    line, None where it is at the end."""

    words: str
    hits: tuple[LogHit, ...]
    begin: int
    end: int
    size: int
    next_number: int | None

    @property
    def is_at_end(self) -> bool:
        return self.next_number is None


def search_log(path: Path, words: str, begin: int = 0, number: int = 1) -> LogSearch | None:
    """The lines of a log with ``words``, whatever their case, from byte ``begin``, line ``number``
    on: at most 100 of them, and as many bytes as 0.15 seconds are good for. None without a log."""
    file = open_step_log(path)
    if file is None:
        return None
    with file:
        size = file.seek(0, os.SEEK_END)
        search = LogSearch(words, (), begin, begin, size, number)
        needle = words.encode().lower()
        if not needle or begin >= size:
            return replace(search, end=size, next_number=None)
        return _search_parts(file, search, needle, number)


def _search_parts(file: BinaryIO, search: LogSearch, needle: bytes, number: int) -> LogSearch:
    hits: list[LogHit] = []
    place, end = search.begin, time.process_time() + _PATIENCE
    while place < search.size:
        file.seek(place)
        content = file.read(_PART + len(needle) - 1)  # words may lie across two parts
        lowered, found_place = content.lower(), -1
        counted = 0
        while (found_place := lowered.find(needle, found_place + 1)) >= 0:
            number += content.count(b"\n", counted, found_place)
            counted = found_place
            hits.append(_describe_hit(file, place + found_place, len(needle), number))
            line_end = content.find(b"\n", found_place)
            found_place = line_end if line_end >= 0 else len(content)  # once for each line
            if len(hits) >= _MOST_HITS:
                stop = place + min(found_place + 1, len(content))
                number += content.count(b"\n", counted, stop - place)
                return replace(search, hits=tuple(_join_near(hits)), end=stop, next_number=number)
        number += content.count(b"\n", counted, min(_PART, len(content)))
        place += _PART
        if time.process_time() > end and place < search.size:
            return replace(search, hits=tuple(_join_near(hits)), end=place, next_number=number)
    return replace(search, hits=tuple(_join_near(hits)), end=search.size, next_number=None)


def _join_near(hits: list[LogHit]) -> Iterator[LogHit]:
    """The same hits, where no line stands twice."""
    for index, hit in enumerate(hits):
        before = hits[index - 1].number if index else -_AROUND
        after = hits[index + 1].number if index + 1 < len(hits) else hit.number + _AROUND
        gap, gap_after = hit.number - before - 1, after - hit.number - 1
        left = hit.lines_before[max(0, len(hit.lines_before) - max(gap, 0)) :]
        right = hit.lines_after[: max(0, gap_after - _NEIGHBOURS)]
        is_joined = gap <= 2 * _NEIGHBOURS
        yield replace(hit, lines_before=left, lines_after=right, is_joined=is_joined)


def _describe_hit(file: BinaryIO, place: int, length: int, number: int) -> LogHit:
    start = max(0, place - _AROUND)
    file.seek(start)
    content = file.read(place - start + length + _AROUND)
    words_place = place - start
    line_begin = content.rfind(b"\n", 0, words_place) + 1
    line_end = content.find(b"\n", words_place)
    line_end = len(content) if line_end < 0 else line_end
    lines_before = content[:line_begin].split(b"\n")[:-1][-_NEIGHBOURS:]
    lines_after = content[line_end + 1 :].splitlines()[:_NEIGHBOURS]
    before, after = content[line_begin:words_place], content[words_place + length : line_end]
    return LogHit(
        number,
        start + line_begin,
        _show_bytes(before[-_SHOWN:]),
        _show_bytes(content[words_place : words_place + length]),
        _show_bytes(after[:_SHOWN]),
        tuple(_show_lines(lines_before)),
        tuple(_show_lines(lines_after)),
    )


def _show_lines(lines: list[bytes]) -> Iterator[str]:
    return (_show_bytes(line[:_SHOWN]) for line in lines)


def _show_bytes(content: bytes) -> str:
    return plain_text(hide_credentials(content.decode("utf-8", "replace")))
