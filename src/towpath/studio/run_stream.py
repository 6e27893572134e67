"""A run's events as they come: server-sent events whose id is the byte in the log where it ends.

https://html.spec.whatwg.org/multipage/server-sent-events.html: a browser that lost the line says
the last id it had, and gets what came since, once.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from towpath.errors import StoreError
from towpath.execution import run_record

_LOOK = 0.25  # seconds between two looks at the log
_BEAT = 15.0  # seconds of silence after which a comment says that the line still holds


async def stream_events(folder: Path, begin: int) -> AsyncIterator[str]:
    """An event for each growth of the run's log after byte ``begin``; ``ended`` is the last."""
    place, silent = begin, 0.0
    while True:
        grown = _last_whole_line(folder / run_record.EVENTS, place)
        if grown > place:
            place, silent = grown, 0.0
            yield f"id: {place}\ndata: {place}\n\n"
        try:
            run = await asyncio.to_thread(run_record.read_run, folder)
        except StoreError:  # damaged meanwhile: its page says so
            run = None
        if run is None or run.state.has_ended:
            yield f"id: {place}\nevent: ended\ndata: {place}\n\n"
            return
        await asyncio.sleep(_LOOK)
        silent += _LOOK
        if silent >= _BEAT:
            silent = 0.0
            yield ": still here\n\n"


def _last_whole_line(path: Path, place: int) -> int:
    try:
        with path.open("rb") as file:
            file.seek(place)
            return place + file.read().rfind(b"\n") + 1
    except OSError:
        return place
