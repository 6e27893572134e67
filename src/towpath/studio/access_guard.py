"""Who may ask: on loopback whoever has the token of the first address, and nobody by a web page.

A page elsewhere can make a browser ask a server on loopback. So the name that is asked for must be
ours (DNS rebinding), what changes something must come from our own pages (Origin,
https://owasp.org/www-community/attacks/csrf), and a cookie that other users of the machine do not
have says that it is the person who started it.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlencode

from starlette.requests import cookie_parser
from starlette.responses import PlainTextResponse, RedirectResponse

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE = "towpath_studio"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "frame-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
_HEADERS = (
    ("content-security-policy", POLICY),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("cache-control", "no-store"),
)
_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


@dataclass(frozen=True)
class AccessGuard:
    """An ASGI application in front of another. ``token`` opens it; ``hosts`` are the names under
    which it may be asked."""

    app: ASGIApp
    token: str
    hosts: frozenset[str] = frozenset(_LOOPBACK)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":  # no page has a socket
            return
        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                # What a step made has a policy of its own, which is stricter.
                set_ones = {name.lower() for name, _ in message["headers"]}
                named = ((name.encode(), value.encode()) for name, value in _HEADERS)
                message["headers"] = [
                    *message["headers"], *(pair for pair in named if pair[0] not in set_ones)
                ]  # fmt: skip
            await send(message)

        answer = self._answer_refused(scope, headers)
        await (answer or self.app)(scope, receive, send_guarded)

    def _answer_refused(
        self, scope: Scope, headers: Mapping[str, str]
    ) -> PlainTextResponse | RedirectResponse | None:
        if self._name_asked(headers.get("host", "")) not in self.hosts:
            return PlainTextResponse("This is not the name of this server.\n", 421)
        if not self._is_from_us(scope["method"], headers):
            return PlainTextResponse("Another site may not ask for this.\n", 403)
        if self._holds_token(_cookie_of(headers)):
            return None
        query = parse_qs(scope["query_string"].decode("latin-1"))
        if self._holds_token(next(iter(query.pop("token", ())), "")):
            rest = urlencode(query, doseq=True)
            # With one slash at the front: two would be another host.
            path = "/" + scope["path"].lstrip("/")
            answer = RedirectResponse(path + (f"?{rest}" if rest else ""), 303)
            answer.set_cookie(COOKIE, self.token, httponly=True, samesite="strict", path="/")
            return answer
        words = "Open the address that `towpath studio` printed: it holds the token.\n"
        return PlainTextResponse(words, 401)

    def _holds_token(self, shown: str) -> bool:
        return hmac.compare_digest(shown.encode(), self.token.encode())

    @staticmethod
    def _name_asked(host: str) -> str:
        name, _, port = host.rpartition(":")
        return name.lower() if port.isdigit() and name else host.lower()

    def _is_from_us(self, method: str, headers: Mapping[str, str]) -> bool:
        """Whether no other site asks: pages may be opened from anywhere, nothing else."""
        site = headers.get("sec-fetch-site", "none")
        if method in ("GET", "HEAD"):
            is_page = headers.get("sec-fetch-mode", "navigate") == "navigate"
            return site in ("none", "same-origin") or is_page
        ours = [f"{scheme}://{headers.get('host')}" for scheme in ("http", "https")]
        return site in ("none", "same-origin") and headers.get("origin") in ours


def _cookie_of(headers: Mapping[str, str]) -> str:
    # As a browser writes them: the standard library's reader drops all for one that is odd, and a
    # cookie of any other server of this machine comes along, whatever its port.
    return cookie_parser(headers.get("cookie", "")).get(COOKIE, "")
