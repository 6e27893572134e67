"""Studio served until it is interrupted: on loopback, or to the proxy that knows who asks."""

from __future__ import annotations

import gc
import os
import secrets
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from towpath.errors import UsageError
from towpath.scratch import scratch_folder
from towpath.studio.access_guard import HEAD_PATIENCE, LONGEST_HEAD, AccessGuard, Door, TokenDoor
from towpath.studio.pages.run_facts import read_ahead
from towpath.studio.studio_app import StudioProject, guard_project

if TYPE_CHECKING:
    import asyncio

    import uvicorn

    from towpath.studio.proxy_identity import ProxyDoor

_STOP = 2  # seconds that an answer may take to end: else a browser's holds the server up
_MOST_CONNECTIONS = 400
LOOPBACK = "127.0.0.1"


class ServerAddress(Struct, frozen=True):
    """Where Studio listens; ``door`` is there where that is not for this machine alone."""

    host: str = LOOPBACK
    port: int = 0
    door: ProxyDoor | None = None


def serve_studio(root: Path, address: ServerAddress, announce: Callable[[str], None]) -> None:
    """Serve the project at ``root``; ``announce`` is told the address that a browser opens, which
    on loopback holds the token.

    Raises UsageError where the port cannot be had.
    """
    gc.enable()  # a call of the command line is short, and begins without a collector
    token, studio = secrets.token_urlsafe(24), StudioProject(root)
    threading.Thread(target=studio.warm_up, daemon=True).start()
    import uvicorn

    class StudioServer(uvicorn.Server):
        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            studio.streams.end()
            super().handle_exit(sig, frame)

    door: Door = address.door or TokenDoor(token)
    listening = _open_socket(address)
    # uvicorn ends in order, then lets the signal act: what the caller has to clear is cleared.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    port = listening.getsockname()[1]
    announce(address.door.origin if address.door else f"http://{LOOPBACK}:{port}/?token={token}")
    # While nobody waits: the first look at any page, and the first search among thousands of runs,
    # find the templates, pipelines and records read.
    work = (root / ".towpath" / "runs", studio.read_ahead())
    threading.Thread(target=read_ahead, args=work, daemon=True).start()
    StudioServer(server_config(guard_project(studio, door))).run(sockets=[listening])


def server_config(app: AccessGuard) -> uvicorn.Config:
    """How uvicorn serves it: no log of addresses, no socket, and patience with nobody for ever."""
    import uvicorn

    return uvicorn.Config(
        app, log_level="warning", access_log=False, server_header=False, lifespan="off",
        http=_patient_protocol(), ws="none", timeout_graceful_shutdown=_STOP,
        h11_max_incomplete_event_size=LONGEST_HEAD, limit_concurrency=_MOST_CONNECTIONS,
        # Who asks is who is connected: no header of theirs says otherwise.
        proxy_headers=False,
    )  # fmt: skip


def _open_socket(address: ServerAddress) -> socket.socket:
    try:
        family, kind, _, _, place = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as unknown:
        raise UsageError(f"no address is called `{address.host}`: {unknown.strerror}") from None
    listening = socket.socket(family, kind)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(place)
        # At once: two servers can be bound to a port that nobody listens at yet.
        listening.listen(256)
    except OSError as refused:
        listening.close()
        hint = "another with --port, or 0 for any that is free"
        what = f"port {address.port} cannot be used: {refused.strerror}"
        raise UsageError(what, hint=hint) from None
    return listening


def _patient_protocol() -> Any:
    """uvicorn's protocol, which waits for ever for the head of a request, with an end to that."""
    import h11
    from uvicorn.protocols.http.h11_impl import H11Protocol

    class PatientProtocol(H11Protocol):
        _deadline: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._expect_head()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self.conn.their_state is h11.IDLE:
                self._expect_head()
            elif self._deadline:
                self._deadline.cancel()
                self._deadline = None

        def connection_lost(self, exc: Exception | None) -> None:
            if self._deadline:
                self._deadline.cancel()
            super().connection_lost(exc)

        def _expect_head(self) -> None:
            if self._deadline is None:
                self._deadline = self.loop.call_later(HEAD_PATIENCE, self.transport.close)

    return PatientProtocol


@contextmanager
def opening_file(address: str) -> Iterator[str]:
    """The address of a file that leads a browser to Studio, and is this user's alone: the words of
    a command that opens a browser are read by everybody on the machine, and so would be the token.
    It is gone at the end."""
    with scratch_folder() as folder:
        page = Path(folder) / "studio.html"
        with os.fdopen(os.open(page, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(
                f'<!DOCTYPE html><meta charset="utf-8"><title>Towpath Studio</title>'
                f'<meta name="referrer" content="no-referrer">'
                f'<meta http-equiv="refresh" content="0; url={address}">'
                f'<a href="{address}">Studio</a>\n'
            )
        yield page.as_uri()
