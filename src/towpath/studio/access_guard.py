"""Who may ask, and how much: whoever has the token of the first address, or whom a declared proxy
let in; and nobody by a web page of another site.

A page elsewhere can make a browser ask a server on loopback. So the name that is asked for must be
ours (DNS rebinding), and what changes something must come from our own pages (Origin,
https://owasp.org/www-community/attacks/csrf).
"""

from __future__ import annotations

import asyncio
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

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

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

LONGEST_ADDRESS = 32 << 10  # bytes: a comparison of 500 runs names each of them
LONGEST_HEAD = 64 << 10  # bytes of an address with all headers
LONGEST_BODY = 256 << 10  # bytes: a form of a hundred values of the longest that an action takes
HEAD_PATIENCE = 10.0  # seconds in which the head of a request comes, from its connection on
_BODY_PATIENCE = 10.0  # seconds in which the whole of a body comes
# A signature would be that of whom the server runs as: there is none, and a stage that wants one
# refuses the approval.
_UNSIGNED = {
    "commit.gpgSign": "false",
    "tag.gpgSign": "false",
    "tag.forceSignAnnotated": "false",
    "gpg.program": "false",
    "gpg.ssh.program": "false",
    "gpg.x509.program": "false",
}
# By these a command would act at a forge or a remote as whom the server runs as.
_SERVER_SECRETS = ("GITHUB_TOKEN", "GH_TOKEN", "SSH_AUTH_SOCK")


class ActingPerson(Struct, frozen=True):
    """Who acts, as Git writes it: ``name`` and ``address``."""

    name: str
    address: str

    def dress_environment(self, environment: Mapping[str, str]) -> dict[str, str]:
        """The variables with which a command acts as this person, with nobody else's key or
        token."""
        own = {name: value for name, value in environment.items() if name not in _SERVER_SECRETS}
        for role in ("GIT_AUTHOR", "GIT_COMMITTER"):
            own |= {f"{role}_NAME": self.name, f"{role}_EMAIL": self.address}
        own["LOGNAME"] = self.name  # whom a run's record names
        begin = own.get("GIT_CONFIG_COUNT", "0")
        first = int(begin) if begin.isdecimal() else 0
        for number, (key, value) in enumerate(_UNSIGNED.items(), first):
            own |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
        return own | {"GIT_CONFIG_COUNT": str(first + len(_UNSIGNED))}


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
        # A name for each port: a browser keeps one jar for all ports of a host.
        cookie, headers = f"{COOKIE}_{(scope.get('server') or ('', ''))[1]}", Headers(scope=scope)
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
        answer.set_cookie(cookie, self.token, httponly=True, samesite="strict", path="/")
        return Admission(answer)

    def _holds_token(self, shown: str) -> bool:
        return hmac.compare_digest(shown.encode(), self.token.encode())


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


def find_excess(scope: Scope, headers: Mapping[str, str]) -> PlainTextResponse | None:
    """What is said to a request whose address or announced body is longer than any of ours."""
    if len(scope["raw_path"]) + len(scope["query_string"]) > LONGEST_ADDRESS:
        return PlainTextResponse("The address is too long.\n", 414)
    if sum(len(name) + len(value) for name, value in scope["headers"]) > LONGEST_HEAD:
        return PlainTextResponse("The headers are too long.\n", 431)
    length = headers.get("content-length", "0")
    if not length.isdecimal() or int(length) > LONGEST_BODY:
        return _TOO_LARGE
    return None


async def take_whole_body(receive: Receive) -> Receive | PlainTextResponse:
    """The body of a request at once, for who asks next; or what is said to one that is too large
    or does not come."""
    content = b""
    try:
        async with asyncio.timeout(_BODY_PATIENCE):
            while True:
                message = await receive()
                if message["type"] != "http.request":
                    return PlainTextResponse("The request broke off.\n", 400)
                content += message.get("body", b"")
                if len(content) > LONGEST_BODY:
                    return _TOO_LARGE
                if not message.get("more_body", False):
                    break
    except TimeoutError:
        return PlainTextResponse("The request took too long to come.\n", 408)
    bodies: list[Message] = [{"type": "http.request", "body": content, "more_body": False}]

    async def receive_whole() -> Message:
        return bodies.pop() if bodies else await receive()

    return receive_whole


_TOO_LARGE = PlainTextResponse("The form is too large.\n", 413)
