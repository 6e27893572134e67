"""A fork server as the run sees it: a process and a socket to hand it connections."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import IO

from towpath.call_log import log_call
from towpath.steps import wire
from towpath.steps.forked import Forked
from towpath.steps.messages import Hello

_PATIENCE = 60.0
"""Seconds after which a process that falls silent in the middle of a word is taken for dead."""


SEEDED = {"PYTHONHASHSEED": "0", "SOURCE_DATE_EPOCH": "315532800"}
"""Sets iterate alike in every run, and figures that tell when they were drawn tell 1 January 1980:
so digests of outputs repeat. What the run's own environment says goes before."""


@dataclass
class Line:
    """The way to one process: ``answers`` leads to itself, ``ends`` to the server. ``needs`` is
    what it has imported, and ``module`` the one file of the project whose functions it may call;
    without, it takes one step only. ``pid`` is known once it has said so."""

    needs: frozenset[str]
    module: Path | None
    answers: socket.socket
    ends: socket.socket
    pid: int | None = None

    @property
    def silent(self) -> bool:
        """Whether nothing waits to be read, which from an idle process is the news of its end."""
        return not select.select([self.answers, self.ends], [], [], 0)[0]

    def close(self) -> None:
        """Hang up."""
        self.answers.close()
        self.ends.close()


@dataclass(frozen=True)
class Server:
    """A running server."""

    process: subprocess.Popen[bytes] | Forked
    control: socket.socket
    output: IO[bytes]
    forks: bool
    lock: Lock = field(default_factory=Lock)
    idle: list[Line] = field(default_factory=list)

    @classmethod
    def start(cls, root: Path, folder: str, needs: tuple[str, ...], forks: bool = True) -> Server:
        """Start a server for a pipeline of a project; returns while it imports.

        :param forks: without, it turns into the process of the first step that asks for one.
        """
        mine, theirs = socket.socketpair()
        output = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the server
        module = "towpath.steps.server" if forks else "towpath.steps.alone"
        with theirs:
            command = [sys.executable, "-P", "-m", module, str(theirs.fileno())]
            with log_call("process", "start", *command):
                process = subprocess.Popen(
                    command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, stdout=output,
                    stderr=output, env=_environment(), start_new_session=True,
                )  # fmt: skip
        wire.send(mine, Hello(str(root), folder, needs))
        return cls(process, mine, output, forks)

    @classmethod
    def fork(cls, root: Path, folder: str, needs: tuple[str, ...]) -> Server:
        """The same, forked from this process with all that it has imported."""
        from towpath.steps import server

        mine, theirs = socket.socketpair()
        output = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the server
        with theirs:
            process = Forked.begin(lambda: server.become(theirs, output.fileno(), _environment()))
        wire.send(mine, Hello(str(root), folder, needs))
        return cls(process, mine, output, forks=True)

    @property
    def alive(self) -> bool:
        """Whether it has not ended."""
        return self.process.poll() is None

    def connect(self, needs: tuple[str, ...], module: Path | None) -> Line:
        """A line to a process for one step: one that has nothing to do, or a new one.

        :param module: the file of the step's function, if it may share a process with others'.
        :raises wire.Hangup: if the server is gone.
        """
        return (module and self._free(needs, module)) or self._new(needs, module)

    def _free(self, needs: tuple[str, ...], module: Path) -> Line | None:
        with self.lock:
            same = (line for line in self.idle if line.module == module)
            fit = [line for line in same if line.needs.issuperset(needs)]
            for line in fit:
                self.idle.remove(line)
                if line.silent:
                    return line
                line.close()
        return None

    def keep(self, line: Line) -> None:
        """Take back a line whose process can take another step."""
        with self.lock:
            self.idle.append(line)

    def _new(self, needs: tuple[str, ...], module: Path | None) -> Line:
        answers, answering = socket.socketpair()
        answers.settimeout(_PATIENCE)
        ends, ending = socket.socketpair()
        with answering, ending, self.lock:
            wire.send(ends, needs)
            try:
                socket.send_fds(self.control, [b"s"], [answering.fileno(), ending.fileno()])
            except OSError as error:
                answers.close()
                ends.close()
                raise wire.Hangup from error
        return Line(frozenset(needs), module, answers, ends)

    def last_words(self) -> str:
        """The end of what the server itself printed."""
        self.output.seek(0)
        return self.output.read()[-2000:].decode(errors="replace").strip()

    def stop(self) -> None:
        """End what runs on it while others wait for that; :meth:`close` follows."""
        if self.forks:
            with contextlib.suppress(OSError):
                self.control.shutdown(socket.SHUT_RDWR)
        elif self.alive:
            with contextlib.suppress(ProcessLookupError):
                if sys.platform == "linux":  # it ends the step and all that this has started
                    os.kill(self.process.pid, signal.SIGTERM)
                else:
                    os.killpg(self.process.pid, signal.SIGKILL)

    def close(self) -> None:
        """Hang up: the server ends what still runs, and then itself."""
        self.control.close()
        for line in self.idle:
            line.close()
        try:
            self.process.wait(4)  # it gives what still runs two seconds to end
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.output.close()


def _environment() -> dict[str, str]:
    return SEEDED | dict(os.environ) | {"GX_ANALYTICS_ENABLED": "false"}
