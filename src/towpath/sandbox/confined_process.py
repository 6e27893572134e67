"""The outside of a sandbox's process: forked from a Python that has the packages, or started anew.

Where the system can fork, all sandboxes of this process are forked from one server, which is
started with the first and ends with this process. On macOS, where a variable is declared for the
code alone, and where the server cannot be had, each is a new Python.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from towpath.sandbox import fork_server, process_tree

_PATIENCE = 5.0  # seconds that the server gets to kill and bury


@dataclass(frozen=True)
class Confinement:
    """What is to be started: the file of the order, the pipe that is answered into, the folder in
    which it works, all variables of its environment, and the modules that it will import."""

    order: Path
    answer: int
    folder: Path
    environment: Mapping[str, str] = field(repr=False)
    needs: tuple[str, ...] = ()


class ConfinedProcess(Protocol):
    """A sandbox's process as this one sees it; ``printed`` is the descriptor of what it prints."""

    printed: int

    def wait(self, seconds: float) -> int:
        """Its exit code, negative for a signal; ``TimeoutExpired`` while it runs."""

    def end(self) -> None:
        """Have it ended, with all that it started, where it has not ended by itself."""


class StartedProcess(Struct):
    """A Python of its own."""

    process: subprocess.Popen[bytes]
    printed: int

    @classmethod
    def start(cls, confinement: Confinement) -> StartedProcess:
        """Start it."""
        printed, printing = os.pipe()
        try:
            process = process_tree.start_module(
                "towpath.sandbox.confinement",
                [str(confinement.order), str(confinement.answer)],
                [confinement.answer],
                output=printing,
                folder=confinement.folder,
                environment=confinement.environment,
            )
        except BaseException:
            os.close(printed)
            raise
        finally:
            os.close(printing)
        return cls(process, printed)

    def wait(self, seconds: float) -> int:
        return self.process.wait(seconds)

    def end(self) -> None:
        if self.process.poll() is None:
            process_tree.kill_tree(self.process.pid)
        else:  # its number may be another's, but for what it left of its group
            process_tree.signal_group(self.process.pid, signal.SIGKILL)
        self.process.wait()


class ForkedProcess(Struct):
    """A fork of the server's, which alone may wait for it and so kills it under its true number."""

    server: _Server
    life: socket.socket
    printed: int
    code: int | None = None

    def has_begun(self, seconds: float) -> bool:
        """Whether it has; not where the server is gone, or does not fork.

        :raises subprocess.TimeoutExpired: while the server imports.
        """
        return self._hear_server(seconds) == fork_server.BEGUN

    def _hear_server(self, seconds: float) -> bytes:
        if not select.select([self.life], [], [], seconds)[0]:
            raise subprocess.TimeoutExpired("fork", seconds)
        try:
            return self.life.recv(64)
        except OSError:
            return b""

    def wait(self, seconds: float) -> int:
        if self.code is None:
            word = self._hear_server(seconds)
            if word == fork_server.BEGUN:  # later than anybody waited for it
                return self.wait(seconds)
            # Without a word the server is gone, and the fork was killed with it.
            self.code = int(word or -signal.SIGKILL)
        return self.code

    def end(self) -> None:
        with contextlib.suppress(OSError):
            self.life.shutdown(socket.SHUT_WR)
        try:
            self.wait(_PATIENCE)
        except subprocess.TimeoutExpired:  # it hangs in an import
            self.server.end()
        finally:
            self.life.close()


class _Server(Struct, frozen=True):
    """A running server, and what it was started with: it serves nobody with another."""

    surroundings: tuple[object, ...]
    process: subprocess.Popen[bytes]
    control: socket.socket

    @classmethod
    def start(cls, surroundings: tuple[object, ...], environment: Mapping[str, str]) -> _Server:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        nowhere = {"HOME": "/nonexistent", "TMPDIR": "/nonexistent"}
        with theirs:
            process = process_tree.start_module(
                fork_server.__name__,
                [str(theirs.fileno())],
                [theirs.fileno()],
                output=subprocess.DEVNULL,
                folder=Path("/"),
                environment={**environment, **nowhere},
            )
        return cls(surroundings, process, ours)

    def fork(self, confinement: Confinement) -> ForkedProcess:
        """Ask for a fork; ``OSError`` where nobody is there."""
        request = {
            "order": str(confinement.order),
            "folder": str(confinement.folder),
            "environment": dict(confinement.environment),
            "needs": confinement.needs,
        }
        message = json.dumps(request).encode()
        if len(message) > fork_server.LONGEST_MESSAGE:
            raise OSError("the environment is too long for a message")
        printed, printing = os.pipe()
        life, living = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            with living:
                passed = [confinement.answer, printing, living.fileno()]
                socket.send_fds(self.control, [message], passed)
        except BaseException:
            os.close(printed)
            life.close()
            raise
        finally:
            os.close(printing)
        return ForkedProcess(self, life, printed)

    def end(self) -> None:
        """End it, and with it all its forks."""
        self.control.close()
        self.process.kill()
        self.process.wait()


_servers: list[_Server] = []  # none or one
_lock = threading.Lock()


def _find_server(environment: Mapping[str, str]) -> _Server:
    """The server of this process; a new one where variables that packages read are others now."""
    own = {"HOME", "TMPDIR", "PATH"}  # of the fork, which sets them before anything reads them
    kept = sorted(item for item in environment.items() if item[0] not in own)
    surroundings = (os.getpid(), sys.executable, kept)
    with _lock:
        if _servers and _servers[0].surroundings[0] != os.getpid():
            _servers.clear()  # this process is a fork, and the server its parent's
        if _servers:
            if _servers[0].surroundings == surroundings and _servers[0].process.poll() is None:
                return _servers[0]
            _servers.pop().end()
        else:
            atexit.register(end_server)
        _servers.append(_Server.start(surroundings, environment))
        return _servers[0]


def end_server() -> None:
    """End the server of this process, where there is one."""
    with _lock:
        if _servers and _servers[0].surroundings[0] == os.getpid():
            _servers.pop().end()


def start_confined(confinement: Confinement, deadline: float, forks: bool) -> ConfinedProcess:
    """Start what a sandbox asks for, forked if ``forks`` and if it can be.

    :raises subprocess.TimeoutExpired: if the deadline (of the monotonic clock) passes before.
    """
    if forks and process_tree.can_fork() and sys.platform == "linux":
        with contextlib.suppress(OSError):
            forked = _find_server(confinement.environment).fork(confinement)
            has_begun = False
            try:
                has_begun = forked.has_begun(max(0.0, deadline - time.monotonic()))
            finally:
                if not has_begun:
                    forked.end()
                    os.close(forked.printed)
            if has_begun:
                return forked
    return StartedProcess.start(confinement)
