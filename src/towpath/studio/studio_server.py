"""Studio served on loopback, until it is interrupted."""

from __future__ import annotations

import secrets
import socket
import threading
from collections.abc import Callable
from pathlib import Path

from towpath.errors import UsageError
from towpath.studio.pages.run_facts import read_ahead
from towpath.studio.studio_app import make_app

_STOP = 2  # seconds that a page's stream may take to end: else a browser's holds the server up


def serve_studio(root: Path, port: int, announce: Callable[[str], None]) -> None:
    """Serve the project at ``root``; ``announce`` is told the address, which holds the token.

    Raises UsageError where the port is taken.
    """
    import uvicorn

    token = secrets.token_urlsafe(24)
    listening = _open_socket(port)
    config = uvicorn.Config(
        make_app(root, token), log_level="warning", access_log=False, server_header=False,
        timeout_graceful_shutdown=_STOP, lifespan="off",
    )  # fmt: skip
    announce(f"http://127.0.0.1:{listening.getsockname()[1]}/?token={token}")
    # While nobody waits: the first search among thousands of runs finds their records read.
    threading.Thread(target=read_ahead, args=(root / ".towpath" / "runs",), daemon=True).start()
    uvicorn.Server(config).run(sockets=[listening])


def _open_socket(port: int) -> socket.socket:
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(("127.0.0.1", port))
    except OSError as refused:
        listening.close()
        hint = "another with --port, or 0 for any that is free"
        raise UsageError(f"port {port} cannot be used: {refused.strerror}", hint=hint) from None
    return listening
