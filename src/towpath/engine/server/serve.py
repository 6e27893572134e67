"""Serves Prefect's API on a socket that is already open: `python serve.py FD READY [BLANK]`.

As `prefect server start` does, but for three things: no port can be lost between choosing and
using it, callers wait at the socket instead of asking again and again, and the garbage collector
rests during the imports (0.4 of 3.5 s). READY is a file to write when it answers; BLANK one to
copy the database to while there is nothing in it yet.
"""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

gc.disable()

import uvicorn  # noqa: E402


class Server(uvicorn.Server):
    """Says when it answers, and goes when its keeper is gone."""

    def __init__(self, config: uvicorn.Config, ready: Path, blank: Path | None) -> None:
        super().__init__(config)
        self.ready, self.blank = ready, blank
        self.keeper = os.getppid()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and then look after the rest."""
        await super().startup(sockets)
        gc.enable()
        gc.freeze()
        if self.blank:
            copy_database(self.ready.with_name("prefect.db"), self.blank)
        self.ready.write_text(str(os.getpid()))
        self.watch = asyncio.create_task(self._follow())

    async def _follow(self) -> None:
        while os.getppid() == self.keeper:
            await asyncio.sleep(2)
        self.should_exit = True


def copy_database(source: Path, target: Path) -> None:
    """A whole copy of an SQLite database that is in use, there at once or not at all."""
    new = target.with_name(f"{target.name}.{os.getpid()}")
    with closing(sqlite3.connect(source)) as live, closing(sqlite3.connect(new)) as copy:
        live.backup(copy)
    new.replace(target)


def main(fd: int, ready: Path, blank: Path | None) -> None:
    """Serve until told to stop."""
    config = uvicorn.Config(
        "prefect.server.api.server:create_app",
        factory=True,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=1,
    )
    Server(config, ready, blank).run(sockets=[socket.socket(fileno=fd)])


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]) if sys.argv[3:] else None)
