"""Where pages are gathered and written: beside what runs on this machine, and never for ever."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, TypeVar

PAGE_LIMIT = 20.0  # seconds after which a page says that it took too long
_THREADS = 6  # at once: a page that waits for a disk holds one of them
NICENESS = 10  # of what is computed for a page, beside a pipeline of this machine

_Value = TypeVar("_Value")


class PageTooSlow(Exception):
    """What a page reads did not come in time."""


class PageThreads:
    """A few threads, ``niceness`` lower in priority. They are daemons, unlike those of an executor:
    a read that hangs does not keep the server from ending."""

    def __init__(self, niceness: int = NICENESS) -> None:
        self._niceness = niceness
        self._waiting: SimpleQueue[tuple[Future[Any], Callable[[], Any]]] = SimpleQueue()
        self._threads: list[threading.Thread] = []

    async def compute(self, work: Callable[[], _Value], limit: float = PAGE_LIMIT) -> _Value:
        """What ``work`` gives; PageTooSlow after ``limit`` seconds, in which it goes on unheard."""
        if len(self._threads) < _THREADS:
            self._threads.append(threading.Thread(target=self._serve, daemon=True, name="page"))
            self._threads[-1].start()
        result: Future[_Value] = Future()
        self._waiting.put((result, work))
        try:
            # Cancelled, it is not begun where it still waits for a thread.
            return await asyncio.wait_for(asyncio.wrap_future(result), limit)
        except TimeoutError:
            raise PageTooSlow from None

    def _serve(self) -> None:
        # Of this thread alone, as Linux counts: what an action starts keeps the priority of the
        # server, which an ordinary user could not raise again. Elsewhere it is refused.
        with suppress(OSError):
            if self._niceness:
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), self._niceness)
        while True:
            result, work = self._waiting.get()
            if not result.set_running_or_notify_cancel():
                continue
            try:
                result.set_result(work())
            except BaseException as error:  # told to who waits for it
                result.set_exception(error)
