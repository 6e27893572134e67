"""Who may speak to a local Prefect API: its owner alone, by the secret of this very API.

On one machine many may reach a port of the loopback address: other users, and every web page in
the owner's browser. Prefect itself looks at no Host, answers each Origin, and reads a request's
body before it asks who sends it; so this stands in front of it.
"""

from __future__ import annotations

import hmac
import json
from base64 import b64encode
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

from msgspec import Struct

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Application: TypeAlias = Callable[[Message, Receive, Send], Awaitable[None]]

# Any port: a tunnel (`ssh -L`) ends at another one, and no page can have these names of its own.
LOOPBACK = (b"127.0.0.1", b"localhost")
# They answer `true`, to whoever waits for a start.
PROBES = ("/api/health", "/api/ready")

MISDIRECTED, FORBIDDEN, UNAUTHORIZED = 421, 403, 401
SECRET = "PREFECT_SERVER_API_AUTH_STRING"  # where Prefect's server reads the secret
POLICY = 1008  # the code with which a web socket is refused


def basic_authorization(secret: str) -> str:
    """The header in which a client says the secret, as Prefect's own clients do."""
    return f"Basic {b64encode(secret.encode()).decode()}"


class Guard(Struct, frozen=True):
    """An application in front of Prefect's. `trusted` answers those who said the secret; `pages`
    the rest, who see the static pages, and open web sockets: a browser cannot send a header with
    these, so Prefect asks for the secret in their first message."""

    trusted: Application
    pages: Application
    secret: str

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer a request, open a web socket, or refuse either."""
        if scope["type"] == "lifespan":
            return await self.pages(scope, receive, send)
        if refusal := self._find_refusal(scope):
            return await _send_refusal(scope, send, *refusal)
        if scope["type"] == "http" and self._is_owner(scope):
            return await self.trusted(scope, receive, send)
        return await self.pages(scope, receive, send)

    def _find_refusal(self, scope: Message) -> tuple[int, str] | None:
        """The status of an answer, and its one sentence."""
        hosts = _header_values(scope, b"host")
        # The name of somebody's page that was made to lead here (DNS rebinding) is not ours.
        if len(hosts) != 1 or not _is_loopback(hosts[0]):
            return MISDIRECTED, "this is no address of the local Prefect API"
        own = b"http://" + hosts[0].lower()
        if any(origin.lower() != own for origin in _header_values(scope, b"origin")):
            return FORBIDDEN, "another page may not use the local Prefect API"
        if scope["type"] == "http" and _wants_secret(scope) and not self._is_owner(scope):
            return UNAUTHORIZED, "Unauthorized"
        return None

    def _is_owner(self, scope: Message) -> bool:
        expected = basic_authorization(self.secret).encode()
        authorizations = _header_values(scope, b"authorization")
        return len(authorizations) == 1 and hmac.compare_digest(authorizations[0], expected)


def _wants_secret(scope: Message) -> bool:
    path = scope["path"]
    if path in PROBES and scope["method"] == "GET":
        return False
    # A preflight carries no secret by design; Prefect's CORS answers it and passes nothing on.
    return str(path).startswith("/api") and scope["method"] != "OPTIONS"


def _is_loopback(host: bytes) -> bool:
    name, colon, port = host.partition(b":")
    return name.lower() in LOOPBACK and (not colon or port.isdigit())


def _header_values(scope: Message, name: bytes) -> list[bytes]:
    return [value for key, value in scope["headers"] if key.lower() == name]


async def _send_refusal(scope: Message, send: Send, status: int, sentence: str) -> None:
    if scope["type"] == "websocket":
        return await send({"type": "websocket.close", "code": POLICY, "reason": sentence})
    body = json.dumps({"exception_message": sentence}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        # What else the sender has to say is not read.
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    return await send({"type": "http.response.body", "body": body})
