"""Who is notified in tests: a block of Prefect's, and the server that it sends to."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

#: Makes the block ``hall``, which sends to the address in its first argument, and a secret.
BLOCKS = """
import sys
from prefect.blocks.notifications import CustomWebhookNotificationBlock
from prefect.blocks.system import Secret

Secret(value="hush-very-9").save("api-token")
CustomWebhookNotificationBlock(
    name="hall", url=sys.argv[1], method="POST", json_data={"text": "{{body}}"}
).save("hall")
"""


@contextmanager
def listen_in_hall() -> Iterator[tuple[str, list[str]]]:
    """A server to which a notification can be sent, and what it was sent."""
    bodies: list[str] = []

    class Hall(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
            self.send_response(200)
            self.end_headers()

    with ThreadingHTTPServer(("127.0.0.1", 0), Hall) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/", bodies
        server.shutdown()
