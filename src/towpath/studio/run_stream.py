"""A run's events as they come: server-sent events whose id is the byte in the log where it ends.

https://html.spec.whatwg.org/multipage/server-sent-events.html: a browser that lost the line says
the last id it had, and gets what came since, once.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

from msgspec import Struct, field

from towpath.errors import StoreError
from towpath.execution import run_record
from towpath.regular_files import open_regular_file
from towpath.studio.page_threads import PageThreads, PageTooSlow

MOST_STREAMS = 64  # at once: a browser closes those of pages that nobody sees
_LOOK = 0.25  # seconds between two looks at the log
_PROBE = 2.0  # seconds of silence after which a killed run is told from a quiet one
_BEAT = 15.0  # seconds of silence after which a comment says that the line still holds
_LONGEST_LINE = 8 << 20  # bytes that are looked at for the end of the last whole line


class RunLook(Struct, frozen=True):
    """How far the log of a run went, and whether the run has ended, at a moment."""

    place: int
    has_ended: bool
    size: int
    looked: float
    probed: float


class RunStreams(Struct):
    """All streams of a server: those of one run share its looks."""

    threads: PageThreads
    open_count: int = 0
    is_ending: bool = False
    _looks: dict[Path, RunLook] = field(default_factory=dict)
    _locks: dict[Path, asyncio.Lock] = field(default_factory=dict)

    def end(self) -> None:
        """Let every stream run out: the server ends."""
        self.is_ending = True

    def is_full(self) -> bool:
        return self.open_count >= MOST_STREAMS

    async def stream_events(self, folder: Path, begin: int) -> AsyncIterator[str]:
        """An event for each growth of the run's log after byte ``begin``; ``ended`` is the last."""
        place, heard = begin, time.monotonic()
        self.open_count += 1
        try:
            while not self.is_ending:
                look = await self._look_at(folder)
                if look.place > place:
                    place, heard = look.place, time.monotonic()
                    yield f"id: {place}\ndata: {place}\n\n"
                if look.has_ended:
                    yield f"id: {place}\nevent: ended\ndata: {place}\n\n"
                    return
                await asyncio.sleep(_LOOK)
                if time.monotonic() - heard >= _BEAT:
                    heard = time.monotonic()
                    yield ": still here\n\n"
        finally:
            self.open_count -= 1
            if not self.open_count:
                self._looks.clear()
                self._locks.clear()

    async def _look_at(self, folder: Path) -> RunLook:
        async with self._locks.setdefault(folder, asyncio.Lock()):
            before = self._looks.get(folder)
            if before and time.monotonic() - before.looked < _LOOK / 2:
                return before
            with suppress(PageTooSlow):  # a disk that hangs: the look before still holds
                self._looks[folder] = await self.threads.compute(lambda: _read_look(folder, before))
            return self._looks.get(folder) or RunLook(0, False, 0, time.monotonic(), 0.0)


def _read_look(folder: Path, before: RunLook | None) -> RunLook:
    moment, log = time.monotonic(), folder / run_record.EVENTS
    try:
        size = log.stat().st_size
    except OSError:  # its folder was removed
        return RunLook(before.place if before else 0, True, 0, moment, moment)
    if before and before.size == size and moment - before.probed < _PROBE:
        return RunLook(before.place, before.has_ended, size, moment, before.probed)
    place = before.place if before and before.size == size else _last_whole_line(log, size)
    try:
        run = run_record.read_run(folder)
    except StoreError:  # damaged meanwhile: its page says so
        run = None
    has_ended = run is None or run.state.has_ended
    return RunLook(place, has_ended, size, moment, moment)


def _last_whole_line(log: Path, size: int) -> int:
    start = max(0, size - _LONGEST_LINE)
    try:
        with open_regular_file(log) as file:
            file.seek(start)
            return start + file.read(size - start).rfind(b"\n") + 1
    except OSError:
        return 0
