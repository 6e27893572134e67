"""Who may ask: whoever has the token of the first address, or whom a declared proxy let in; and
nobody by a web page of another site.

A page elsewhere can make a browser ask a server on loopback. So the name that is asked for must be
ours (DNS rebinding), and what changes something must come from our own pages (Origin,
https://owasp.org/www-community/attacks/csrf).
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol
from urllib.parse import parse_qs, urlencode

from msgspec import Struct
from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response

from towpath.studio.request_limits import find_excess, take_whole_body

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from towpath.studio.acting_person import ActingPerson

COOKIE = "towpath_studio"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "frame-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
_HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    # Not `no-referrer`: a browser would then say `Origin: null` with our own forms.
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
ACTOR = "towpath.actor"  # of a request: the person who acts, None for whom the server runs as
FORM_TOKEN = "towpath.form_token"  # of a request: what a form of the person's pages holds


class Admission(Struct, frozen=True):
    """What a door says of a request: ``refused`` is its answer in place of a page, else
    ``person`` is who asks, None for whom the server runs as."""

    refused: Response | None = None
    person: ActingPerson | None = None


class Door(Protocol):
    """Who is let in, and under which names this server may be asked."""

    def is_ours(self, host: str) -> bool:
        """Whether a ``Host`` header names this server."""

    def origins_for(self, host: str) -> tuple[str, ...]:
        """The ``Origin`` of our own pages, asked under that host."""

    def admit(self, scope: Scope) -> Admission: ...


class TokenDoor(Struct, frozen=True):
    """Opens to whoever has the token: it stands in the first address, then in a cookie."""

    token: str

    def is_ours(self, host: str) -> bool:
        name, _, port = host.rpartition(":")
        return (name.lower() if port.isdigit() and name else host.lower()) in _LOOPBACK

    def origins_for(self, host: str) -> tuple[str, ...]:
        return tuple(f"{scheme}://{host}" for scheme in ("http", "https"))

    def admit(self, scope: Scope) -> Admission:
        cookie, headers = cookie_name(scope), Headers(scope=scope)
        # As a browser writes them: the standard library's reader drops all for one that is odd, and
        # a cookie of any other server of this machine comes along, whatever its port.
        if self._holds_token(cookie_parser(headers.get("cookie", "")).get(cookie, "")):
            return Admission()
        query = parse_qs(scope["query_string"].decode("latin-1"))
        if not self._holds_token(next(iter(query.pop("token", ())), "")):
            words = "Open the address that `towpath studio` printed: it holds the token.\n"
            return Admission(PlainTextResponse(words, 401))
        rest = urlencode(query, doseq=True)
        # With one slash at the front: two would be another host.
        address = "/" + scope["path"].lstrip("/") + (f"?{rest}" if rest else "")
        answer = _lead_on(address, headers)
        # A name for each port: a browser keeps one jar for all ports of a host.
        answer.set_cookie(cookie, self.token, httponly=True, samesite="strict", path="/")
        return Admission(answer)

    def _holds_token(self, shown: str) -> bool:
        return hmac.compare_digest(shown.encode(), self.token.encode())


def cookie_name(scope: Scope) -> str:
    server = scope.get("server") or ("", "")
    return f"{COOKIE}_{server[1]}"


def _lead_on(address: str, headers: Mapping[str, str]) -> Response:
    """To the same address without the token, where no history or screen shows it."""
    if headers.get("sec-fetch-site", "none") in ("none", "same-origin"):
        return RedirectResponse(address, 303)
    # Led here by another site's link, or by the file that opens the browser: with a redirect the
    # strict cookie would not come along, as the first step was not ours. A page of ours is.
    headers_on = {"refresh": f"0; url={address}"}
    return HTMLResponse("<!DOCTYPE html><title>Studio</title>", headers=headers_on)


@dataclass(frozen=True)
class AccessGuard:
    """An ASGI application in front of another, which it tells who acts."""

    app: ASGIApp
    door: Door
    _secret: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":  # no page has a socket
            return
        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }

        async def send_guarded(message: Message) -> None:
            await send(_with_own_headers(message))

        admission = self._judge(scope, headers)
        answer = admission.refused
        if answer is None and scope["method"] not in ("GET", "HEAD"):
            taken = await take_whole_body(receive)
            if isinstance(taken, Response):
                answer = taken
            else:
                receive = taken
        if answer is None:
            self._tell_actor(scope, admission.person)
        await (answer or self.app)(scope, receive, send_guarded)

    def _tell_actor(self, scope: Scope, person: ActingPerson | None) -> None:
        """What a page knows of who asks: the person, and the word that its forms hold."""
        address = person.address if person else ""
        word = hmac.new(self._secret, f"form {address}".encode(), "sha256").hexdigest()
        scope[ACTOR], scope[FORM_TOKEN] = person, word

    def _judge(self, scope: Scope, headers: Mapping[str, str]) -> Admission:
        if not self.door.is_ours(headers.get("host", "")):
            return Admission(PlainTextResponse("This is not the name of this server.\n", 421))
        if not self._is_from_us(scope["method"], headers):
            return Admission(PlainTextResponse("Another site may not ask for this.\n", 403))
        if excess := find_excess(scope, headers):
            return Admission(excess)
        return self.door.admit(scope)

    def _is_from_us(self, method: str, headers: Mapping[str, str]) -> bool:
        """Whether no other site asks: pages may be opened from anywhere, nothing else."""
        site = headers.get("sec-fetch-site", "none")
        if method in ("GET", "HEAD"):
            is_page = headers.get("sec-fetch-mode", "navigate") == "navigate"
            return site in ("none", "same-origin") or is_page
        ours = self.door.origins_for(headers.get("host", ""))
        return site in ("none", "same-origin") and headers.get("origin") in ours


def _with_own_headers(message: Message) -> Message:
    """An answer with the headers that each of ours has, where it does not set them itself."""
    if message["type"] != "http.response.start":
        return message
    names = {name.lower() for name, _ in message["headers"]}
    own = ((name.encode(), value.encode()) for name, value in _HEADERS.items())
    added = [pair for pair in own if pair[0] not in names]
    return {**message, "headers": [*message["headers"], *added]}
