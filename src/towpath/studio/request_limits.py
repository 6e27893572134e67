"""How much a request may be, and how long it may take to come."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING

from starlette.responses import PlainTextResponse

if TYPE_CHECKING:
    from starlette.types import Message, Receive, Scope

LONGEST_ADDRESS = 32 << 10  # bytes: a comparison of 500 runs names each of them
LONGEST_HEAD = 64 << 10  # bytes of an address with all headers
LONGEST_BODY = 256 << 10  # bytes: a form of a hundred values of the longest that an action takes
HEAD_PATIENCE = 10.0  # seconds in which the head of a request comes, from its connection on
_BODY_PATIENCE = 10.0  # seconds in which the whole of a body comes


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
