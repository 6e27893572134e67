"""Who acts where a proxy in front of Studio knows its users: the person whom it names.

What the proxy says is believed from its own addresses alone, and only as one plain name: it
becomes the author of commits, and what a policy knows an approver by.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from msgspec import Struct
from starlette.responses import PlainTextResponse

from towpath.errors import UsageError
from towpath.studio.access_guard import ActingPerson, Admission

if TYPE_CHECKING:
    from starlette.types import Scope

# In ASCII alone: a letter that looks like another would be another person's name. It begins and
# ends as Git leaves it, which takes points and quotes off the ends of a name.
_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._+'-]*[A-Za-z0-9])?"
_IDENTITY = re.compile(rf"(?P<login>{_NAME})(?P<domain>@{_NAME})?")
_LONGEST = 200  # characters of an identity
_HEADER = re.compile(r"[A-Za-z][A-Za-z0-9-]*")


class ProxyDoor(Struct, frozen=True):
    """Opens to whom a proxy lets in. ``header`` is where it says who that is, ``proxies`` the
    addresses that it asks from, ``origin`` what a browser has as ours, such as
    ``https://studio.example.org``."""

    header: str
    proxies: tuple[IPv4Network | IPv6Network, ...]
    origin: str

    @classmethod
    def from_options(cls, header: str, proxies: tuple[str, ...], url: str) -> ProxyDoor:
        """UsageError for what is no header, no address, or no URL of a server's root."""
        if not _HEADER.fullmatch(header):
            raise UsageError(f"`{header}` is no header's name", hint="such as X-Forwarded-User")
        parts = urlsplit(url)
        if (
            parts.scheme not in ("http", "https")
            or not parts.hostname
            or bool(parts.username or parts.query or parts.path.strip("/"))
        ):
            hint = "its scheme and name, such as https://studio.example.org"
            raise UsageError(f"`{url}` is not the address of a server", hint=hint)
        try:
            networks = tuple(ip_network(proxy) for proxy in proxies)
        except ValueError as wrong:
            raise UsageError(f"--proxy: {wrong}", hint="such as 10.0.0.5 or 10.0.0.0/24") from None
        return cls(header.lower(), networks, f"{parts.scheme}://{parts.netloc}".lower())

    def is_ours(self, host: str) -> bool:
        return host.lower() == urlsplit(self.origin).netloc

    def origins_for(self, host: str) -> tuple[str, ...]:
        return (self.origin,) if self.is_ours(host) else ()

    def admit(self, scope: Scope) -> Admission:
        if not self._is_proxy(scope):
            return Admission(PlainTextResponse("Only the proxy may ask this server.\n", 403))
        header_name = self.header.encode()
        values = [value for name, value in scope["headers"] if name.lower() == header_name]
        person = self._read_person(values[0]) if len(values) == 1 else None
        if person is None:
            words = f"The proxy does not say who asks: one plain name in {self.header}.\n"
            return Admission(PlainTextResponse(words, 401))
        return Admission(person=person)

    def _is_proxy(self, scope: Scope) -> bool:
        try:
            address = ip_address((scope.get("client") or ("",))[0])
        except ValueError:
            return False
        plain = getattr(address, "ipv4_mapped", None) or address
        return any(plain in network for network in self.proxies)

    def _read_person(self, value: bytes) -> ActingPerson | None:
        text = value.decode("latin-1").strip(" ")
        match = _IDENTITY.fullmatch(text) if len(text) <= _LONGEST else None
        if match is None:
            return None
        domain = match["domain"] or f"@{urlsplit(self.origin).hostname}"
        return ActingPerson(match["login"], match["login"] + domain)
