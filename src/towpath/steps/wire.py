"""Messages between a run, its fork server and the steps: a length, then a pickle, over a socket.

Both ends are processes of one user on one machine, each other's parent or child.
"""

from __future__ import annotations

import pickle
import socket
import struct
from typing import Any

_LENGTH = struct.Struct("!Q")


class Hangup(Exception):  # the other end is gone, which may be as it should
    """The other end closed before a whole message came."""


def pack(message: object) -> bytes:
    """A message's bytes."""
    body = pickle.dumps(message, protocol=5)
    return _LENGTH.pack(len(body)) + body


def send(connection: socket.socket, message: object) -> None:
    """Send a message; :class:`Hangup` if nobody is there."""
    try:
        connection.sendall(pack(message))
    except OSError as error:
        raise Hangup from error


def receive(connection: socket.socket) -> Any:
    """The next message; :class:`Hangup` if the other end is gone."""
    (length,) = _LENGTH.unpack(_exactly(connection, _LENGTH.size))
    return pickle.loads(_exactly(connection, length))


def _exactly(connection: socket.socket, count: int) -> bytes:
    data = bytearray()
    while len(data) < count:
        try:
            part = connection.recv(min(count - len(data), 1 << 20))
        except OSError as error:
            raise Hangup from error
        if not part:
            raise Hangup
        data += part
    return bytes(data)
