"""What a deployed run says to the process that is forked for it; see ``forking``.

It imports nothing but what Python begins with anyway: a run waits for it.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

STANDARD = (0, 1, 2)
PATIENCE = 5.0
OWN = "PREFECT__"
YES = b"+"
_LENGTH = struct.Struct("!I")
_PEER = struct.Struct("3i")
_CODE = struct.Struct("!h")


@dataclass(frozen=True)
class Asked:
    """A run to be executed: of which project, and where."""

    root: Path
    environment: Mapping[str, str]
    folder: str
    files: tuple[int, ...]

    def enter(self) -> None:
        """Make this process the run's: its environment, folder and standard files."""
        os.environ.clear()
        os.environ.update(self.environment)
        os.chdir(self.folder)
        for number, file in zip(STANDARD, self.files, strict=True):
            os.dup2(file, number)
        self.close()

    def close(self) -> None:
        """Leave the files to whom they belong."""
        for file in self.files:
            os.close(file)


def different(asked: Mapping[str, str], ours: Mapping[str, str]) -> list[str]:
    """The variables in which two environments differ that Prefect reads when it is imported."""
    names = {n for n in {*asked, *ours} if n.startswith("PREFECT_") and not n.startswith(OWN)}
    return sorted(name for name in names if asked.get(name) != ours.get(name))


def ask(path: Path, root: Path) -> int | None:
    """Have a run executed by the server at ``path``: its exit code, negative for the signal that
    killed it; None where it does not."""
    with socket.socket(socket.AF_UNIX) as server:
        try:
            server.settimeout(PATIENCE)
            server.connect(str(path))
            if not is_own_peer(server):
                return None
            _send(server, root)
            if server.recv(1) != YES:
                return None
        except OSError:
            return None
        server.settimeout(None)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda got, _: server.sendall(bytes([got])))
        said = server.recv(_CODE.size)
        return int(_CODE.unpack(said)[0]) if len(said) == _CODE.size else 1


def is_own_peer(other: socket.socket) -> bool:
    """Whether a process of this user is at the other end, as the system knows; the folder of the
    socket is its owner's alone, this holds where somebody has opened it."""
    if not hasattr(socket, "SO_PEERCRED"):  # macOS, where nothing is forked
        return False
    said = other.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size)
    _, user, _ = _PEER.unpack(said)
    return bool(user == os.geteuid())


def _send(server: socket.socket, root: Path) -> None:
    said = {"root": str(root), "environment": dict(os.environ), "folder": str(Path.cwd())}
    body = json.dumps(said).encode()
    socket.send_fds(server, [_LENGTH.pack(len(body))], STANDARD)
    server.sendall(body)


def receive(asker: socket.socket) -> Asked:
    """What is asked for. OSError or ValueError where that is no whole question."""
    asker.settimeout(PATIENCE)
    head, files, _, _ = socket.recv_fds(asker, _LENGTH.size, len(STANDARD))
    try:
        (length,) = _LENGTH.unpack(head)
        said = json.loads(_exactly(asker, length))
        return Asked(Path(said["root"]), said["environment"], said["folder"], tuple(files))
    except (struct.error, KeyError) as error:
        raise ValueError("no question") from error


def accept(asker: socket.socket) -> None:
    """Say that the run will be executed."""
    asker.sendall(YES)
    asker.settimeout(None)


def tell(asker: socket.socket, code: int) -> None:
    """Say how the run has ended; nobody may be there to hear it."""
    with contextlib.suppress(OSError):
        asker.sendall(_CODE.pack(code))


def _exactly(asker: socket.socket, length: int) -> bytes:
    data = b""
    while len(data) < length:
        part = asker.recv(length - len(data))
        if not part:
            raise ValueError("no whole question")
        data += part
    return data
