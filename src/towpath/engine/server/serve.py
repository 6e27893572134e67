"""Serves Prefect's API on a socket that is already open: `python serve.py FD READY`.

As `prefect server start` does, but for three things: no port can be lost between choosing and
using it, callers wait at the socket instead of asking again and again, and the garbage collector
rests during the imports (0.4 of 3.5 s).
"""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import sys
from pathlib import Path

gc.disable()

import uvicorn  # noqa: E402


class Server(uvicorn.Server):
    """Says when it answers, and goes when its keeper is gone."""

    def __init__(self, config: uvicorn.Config, ready: Path) -> None:
        super().__init__(config)
        self.ready = ready
        self.keeper = os.getppid()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and then look after the rest."""
        await super().startup(sockets)
        gc.enable()
        gc.freeze()
        self.ready.write_text(str(os.getpid()))
        self.watch = asyncio.create_task(self._follow())

    async def _follow(self) -> None:
        while os.getppid() == self.keeper:
            await asyncio.sleep(2)
        self.should_exit = True


def main(fd: int, ready: Path) -> None:
    """Serve until told to stop."""
    config = uvicorn.Config(
        "prefect.server.api.server:create_app",
        factory=True,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=2,
    )
    Server(config, ready).run(sockets=[socket.socket(fileno=fd)])


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
