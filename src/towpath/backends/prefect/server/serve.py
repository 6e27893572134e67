"""Serves Prefect's API on a socket that is already open: `python serve.py FD READY [BLANK]`.

As `prefect server start` does, but for six things: it answers its owner alone (`api_guard`), no
port can be lost between choosing and using it, callers wait at the socket instead of asking again
and again, the garbage collector rests during the imports (0.4 of 3.5 s) and has a thread of its own
after them, and two writes that meet are no matter of the callers.
READY is a file to write when it answers; BLANK one to copy the database to while there is nothing
in it yet.
"""

from __future__ import annotations

import asyncio
import gc
import os
import random
import socket
import sqlite3
import sys
import threading
import time
from contextlib import closing, suppress
from functools import partial
from importlib.metadata import version
from pathlib import Path

from msgspec import Struct

gc.disable()

import uvicorn  # noqa: E402
from uvicorn.importer import import_from_string  # noqa: E402

from towpath.backends.prefect.server.api_guard import (  # noqa: E402
    SECRET,
    Application,
    Guard,
    Message,
    Receive,
    Send,
)

PREFECT = "prefect.server.api.server:create_app"
BUSY = 503
PAUSES = (0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 0.64)  # seconds; then the caller hears what it is
COLLECT_SECONDS = 1.0
COLLECT_OBJECTS = 10_000  # more new ones than that are looked through


def mark_used(used: Path) -> None:
    with suppress(FileNotFoundError):  # somebody removed the home: the keeper sees to that
        os.utime(used)


class PersistentApplication(Struct, frozen=True):
    """An application whose answer "busy" to a request is not sent, but the request made again.
    Prefect answers so where a write met another one in SQLite and was rolled back. Its clients then
    sleep for two seconds and more, which is half of what a small deployed run takes."""

    application: Application
    used: Path  # touched at each request: an API that somebody asks is not at rest

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.application(scope, receive, send)
        mark_used(self.used)
        request = await _read_whole(receive)
        for pause in PAUSES:
            answer = BusyAnswer(send)
            try:
                await self.application(dict(scope), _replay_request(request, receive), answer)
            except Exception:  # it raises what it has answered to, for the server's log
                if not answer.busy:
                    raise
            if not answer.busy:
                return None
            await asyncio.sleep(pause * random.uniform(0.5, 1.5))  # or they meet again
        return await self.application(scope, _replay_request(request, receive), send)


class BusyAnswer(Struct):
    """Sends an answer as it comes, unless it is "busy"."""

    send: Send
    busy: bool = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.busy = message["status"] == BUSY
        if not self.busy:
            await self.send(message)


async def _read_whole(receive: Receive) -> Message:
    """A request with its body in one message."""
    body, more = b"", True
    while more:
        part = await receive()
        if part["type"] != "http.request":
            return part
        body, more = body + part.get("body", b""), part.get("more_body", False)
    return {"type": "http.request", "body": body, "more_body": False}


def _replay_request(asked: Message, receive: Receive) -> Receive:
    """The request once more, and then what comes after it."""
    parts = [asked]

    async def following() -> Message:
        return parts.pop() if parts else await receive()

    return following


def make_application(used: Path) -> Guard:
    """Prefect's API and pages, for its owner. KeyError without a secret: it is not served then."""
    secret = os.environ[SECRET]
    prefect: Application = import_from_string(PREFECT)()
    return Guard(PersistentApplication(prefect, used), prefect, secret)


class ApiServer(uvicorn.Server):
    """Says when it answers, and goes when its keeper is gone."""

    def __init__(self, config: uvicorn.Config, ready: Path, blank: Path | None) -> None:
        super().__init__(config)
        self.ready, self.blank = ready, blank
        self.keeper = os.getppid()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and then look after the rest."""
        await super().startup(sockets)
        gc.freeze()
        threading.Thread(target=collect_garbage, daemon=True).start()
        if self.blank:
            copy_database(self.ready.with_name("prefect.db"), self.blank)
        # The next start with this Prefect need not look whether its database is up to date.
        self.ready.with_name("prepared").write_text(version("prefect"))
        # A start may take longer than the rest; the keeper counts it from now on.
        mark_used(self.ready.with_name("used"))
        self.ready.write_text(str(os.getpid()))
        self.watch = asyncio.create_task(self._follow_keeper())

    async def _follow_keeper(self) -> None:
        while os.getppid() == self.keeper:
            await asyncio.sleep(2)
            # A write may wait for SQLite longer than the API rests: who waits for it uses it.
            if self.server_state.tasks:
                mark_used(self.ready.with_name("used"))
        self.should_exit = True


def collect_garbage() -> None:
    """Collect cycles as long as this process lives, in a thread that may be kept waiting.

    Python's own collector runs wherever an object is made. There it resets the cursors that failed
    statements left, and SQLite lets that wait while the cursor's connection waits for the database.
    On the loop's thread nothing goes on then: who holds the database cannot end its transaction,
    and the API stands still for the minute that Prefect lets a connection wait.
    """
    while True:
        time.sleep(COLLECT_SECONDS)
        if gc.get_count()[0] > COLLECT_OBJECTS:
            gc.collect()


def copy_database(source: Path, target: Path) -> None:
    """A whole copy of an SQLite database that is in use, there at once or not at all."""
    new = target.with_name(f"{target.name}.{os.getpid()}")
    with closing(sqlite3.connect(source)) as live, closing(sqlite3.connect(new)) as copy:
        live.backup(copy)
    new.replace(target)


def serve_api(fd: int, ready: Path, blank: Path | None) -> None:
    config = uvicorn.Config(
        partial(make_application, ready.with_name("used")), factory=True, log_level="warning",
        access_log=False, timeout_graceful_shutdown=1,
    )  # fmt: skip
    ApiServer(config, ready, blank).run(sockets=[socket.socket(fileno=fd)])


if __name__ == "__main__":
    serve_api(int(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]) if sys.argv[3:] else None)
