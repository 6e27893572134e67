"""What a run, its supervisor and the processes of its steps say to each other over sockets.

A message is a length, then a pickle. Both ends are processes of one user on one machine, each
other's parent or child, and run code of the same project.
"""

from __future__ import annotations

import io
import pickle
import socket
import struct
from typing import Any

from msgspec import Struct

from towpath.errors import TowpathError

# A module of its own: `task_process` and `supervisor` are run by `python -m`, and pickle would name
# what they define after `__main__`, which is another module at the other end.

_LENGTH = struct.Struct("!Q")
_PROTOCOL = 5

KILL = "kill"
"""To the supervisor: end this process, with all that it has started."""


class Begun(Struct, frozen=True):
    """From a step's process: it has its task."""

    process: int


class TaskAnswer(Struct, frozen=True):
    """From a step's process: what came of its task, or what stopped it."""

    value: Any = None
    error: TowpathError | None = None


class Ended(Struct, frozen=True):
    """From the supervisor: a process is gone. ``code`` is negative for a signal; ``peak`` is that
    of its memory, in bytes."""

    code: int
    peak: int


class Hangup(Exception):  # the other end is gone, which may be as it should
    """The other end closed before a whole message came."""


class _Pickler(pickle.Pickler):
    """Takes of an error what it says, and never what it comes from.

    A package may teach pickle to take causes and frames along for all errors of a process: tblib
    does, which Dask imports, which skops does where it is installed. The other end could not read
    causes of the project's own classes, and frames go as deep as what was called.
    """

    def reducer_override(self, value: Any) -> Any:
        is_error = isinstance(value, BaseException)
        return value.__reduce_ex__(_PROTOCOL) if is_error else NotImplemented


def send_message(connection: socket.socket, message: object) -> None:
    """Send a message; :class:`Hangup` if nobody is there."""
    buffer = io.BytesIO()
    _Pickler(buffer, _PROTOCOL).dump(message)
    body = buffer.getvalue()
    try:
        connection.sendall(_LENGTH.pack(len(body)) + body)
    except OSError as error:
        raise Hangup from error


def receive_message(connection: socket.socket) -> Any:
    """The next message; :class:`Hangup` if the other end is gone."""
    (length,) = _LENGTH.unpack(_read_exactly(connection, _LENGTH.size))
    return pickle.loads(_read_exactly(connection, length))


def _read_exactly(connection: socket.socket, count: int) -> bytes:
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
