"""A supervisor as the run sees it: started, asked for processes, stopped; and the log of a task."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import select
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Lock
from typing import IO, Any

from msgspec import Struct, field

from towpath.errors import Fault, StepFailed
from towpath.sandbox import process_tree, wire
from towpath.sandbox.task_process import Workshop

_SILENCE = 60.0  # seconds after which a process that falls silent in mid-word is taken for dead
_END = 4.0  # seconds that a supervisor gets to end what runs: it gives two of them to that
_SHORTEST, _LONGEST = 0.02, 0.5  # seconds between two looks at a log
_MEMORY_LOOK = 0.05  # seconds between two looks at memory, in which it grows by 100 MB or so
_MOST = 1 << 20  # bytes of a log taken at one look


@dataclasses.dataclass(frozen=True)
class Surroundings:
    """What the processes of a supervisor have besides what this one has: variables, and another
    Python."""

    variables: Mapping[str, str] = dataclasses.field(default_factory=dict, repr=False)
    python: Path | None = None


class Task(Struct, frozen=True):
    """What is to be carried out in a process of its own.

    ``needs`` are the modules of packages to be imported beforehand; ``content`` is what the
    workshop's ``carry_out`` gets. ``say`` gets each line that comes into ``log`` meanwhile. After
    ``timeout`` seconds, or with more bytes of ``memory``, it is killed, with all that it started.
    """

    content: Any
    needs: tuple[str, ...]
    log: Path
    say: Callable[[str], object]
    timeout: float | None = None
    memory: int | None = None


class Client(Struct, frozen=True):
    """The run's side of a running supervisor."""

    process: subprocess.Popen[bytes]
    control: socket.socket
    output: IO[bytes]
    lock: Lock = field(default_factory=Lock)

    @classmethod
    def start(
        cls, workshop: Workshop, needs: tuple[str, ...], surroundings: Surroundings | None = None
    ) -> Client:
        """Start a supervisor; returns while it imports what the tasks will need."""
        around = surroundings or Surroundings()
        ours, theirs = socket.socketpair()
        output = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the supervisor
        with theirs:
            way = "fork" if process_tree.can_fork() else "spawn"
            words = [str(theirs.fileno()), way, workshop.module, *workshop.setting]
            process = process_tree.start_module(
                "towpath.sandbox.supervisor",
                words,
                [theirs.fileno()],
                output=output,
                environment={
                    **process_tree.CALM,
                    **os.environ,
                    "GX_ANALYTICS_ENABLED": "false",
                    **around.variables,
                },
                python=around.python,
            )
        with contextlib.suppress(wire.Hangup):  # it has died: whoever asks it for a process hears
            wire.send_message(ours, needs)
        return cls(process, ours, output)

    @property
    def is_alive(self) -> bool:
        """Whether it has not ended."""
        return self.process.poll() is None

    def carry_out(self, task: Task) -> Any:
        """What comes of a task. May be called from many threads at once.

        :raises TowpathError: what stopped it; StepFailed where it ran too long or was killed.
        """
        tail = LogTail(task.log, task.say)
        try:
            return _TaskCall(self, task).carry_out(tail)
        except wire.Hangup:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(_END)  # it ends first what its tasks left behind
            what = "the run ended, or the process that starts its steps died"
            hint = self._last_words() or None
            raise StepFailed(Fault(what, hint=hint), causes=("Killed",)) from None
        finally:
            tail.hand_on_new(to_end=True)

    def connect_task(self, needs: tuple[str, ...]) -> tuple[socket.socket, socket.socket]:
        """The ways to a new process and, of its life, to the supervisor.

        :raises wire.Hangup: if the supervisor is gone.
        """
        answers, answering = socket.socketpair()
        answers.settimeout(_SILENCE)
        life, living = socket.socketpair()
        try:
            with answering, living, self.lock:
                wire.send_message(life, needs)
                socket.send_fds(self.control, [b"t"], [answering.fileno(), living.fileno()])
        except (OSError, wire.Hangup) as error:
            answers.close()
            life.close()
            raise wire.Hangup from error
        return answers, life

    def _last_words(self) -> str:
        self.output.seek(0)
        return self.output.read()[-2000:].decode(errors="replace").strip()

    def end_tasks(self) -> None:
        """End what runs on it while others wait for that; :meth:`hang_up` follows."""
        with contextlib.suppress(OSError):
            self.control.shutdown(socket.SHUT_RDWR)

    def hang_up(self) -> None:
        """Hang up: the supervisor ends what still runs, and then itself."""
        self.control.close()
        try:
            self.process.wait(_END)
        except subprocess.TimeoutExpired:  # it hangs in an import
            self.process.kill()
            self.process.wait()
        self.output.close()


class _TaskCall(Struct):
    """A task in progress."""

    client: Client
    task: Task
    process: int | None = None
    answer: wire.TaskAnswer | None = None
    ended: wire.Ended | None = None
    begun: float = field(default_factory=time.monotonic)

    def carry_out(self, tail: LogTail) -> Any:
        answers, life = self.client.connect_task(self.task.needs)
        with answers, life:
            try:
                try:
                    wire.send_message(answers, self.task.content)
                except wire.Hangup:  # the process is gone already: how, the supervisor says
                    self.ended = wire.receive_message(life)
                self._follow_task(answers, life, tail)
            except wire.Hangup:
                raise
            except BaseException:
                # Have the process ended with all that it started, and wait for that: another
                # attempt may follow, and finds the same folder.
                with contextlib.suppress(wire.Hangup):
                    wire.send_message(life, wire.KILL)
                    select.select([life], [], [], _END)
                raise
        if self.answer is None:
            assert self.ended
            raise StepFailed(_explain_end(self.ended), causes=("Killed",))
        if self.answer.error:
            raise self.answer.error
        return self.answer.value

    def _follow_task(self, answers: socket.socket, life: socket.socket, tail: LogTail) -> None:
        """Follow the task until it has answered or is gone."""
        pause = _SHORTEST
        while self.answer is None and self.ended is None:
            if not self._listen_once(answers, life, pause):
                tail.hand_on_new()
                pause = min(pause * 1.5, _MEMORY_LOOK if self.task.memory else _LONGEST)
                self._check_time()
                self._check_memory()

    def _listen_once(self, answers: socket.socket, life: socket.socket, pause: float) -> bool:
        """Take what is said within the pause; an answer counts even if its process is gone."""
        if self.task.timeout is not None:
            pause = max(0.0, min(pause, self.begun + self.task.timeout - time.monotonic()))
        heard, _, _ = select.select([answers, life], [], [], pause)
        if answers in heard:
            try:
                message = wire.receive_message(answers)
                if isinstance(message, wire.Begun):
                    self.process = message.process
                else:
                    self.answer = message
            except wire.Hangup:
                self.ended = wire.receive_message(life)
        elif heard:
            self.ended = wire.receive_message(life)
        return bool(heard)

    def _check_time(self) -> None:
        timeout = self.task.timeout
        if timeout is not None and time.monotonic() - self.begun >= timeout:
            shown = f"{timeout:g} s" if timeout < 120 else f"{timeout / 60:g} min"
            what = f"it ran longer than its timeout of {shown} and was killed"
            raise StepFailed(Fault(what), causes=("TimeoutError", "Timeout"))

    def _check_memory(self) -> None:
        # From here, not from the supervisor, which looks at nothing while it imports a package.
        limit = self.task.memory
        if limit and self.process and process_tree.measure_memory(self.process, limit) > limit:
            shown = f"{limit / 2**30:g} GB" if limit >= 1 << 30 else f"{limit / 2**20:g} MB"
            what = f"it needed more than the {shown} of its memory and was killed"
            raise StepFailed(Fault(what), causes=("MemoryError",))


def _explain_end(ended: wire.Ended) -> Fault:
    peak = f"; its memory peaked at {ended.peak / 2**20:.0f} MB" if ended.peak else ""
    if ended.code >= 0:
        what = f"its process ended by itself with code {ended.code}, before the step was done"
        return Fault(f"{what}{peak}")
    hint = process_tree.explain_exit(ended.code) or "the log has its last words"
    return Fault(f"its process {process_tree.describe_exit(ended.code)}{peak}", hint=hint)


class LogTail:
    """Hands on the lines that a file gains from now on, whole lines only until its end."""

    def __init__(self, path: Path, say: Callable[[str], object]) -> None:
        self.path = path
        self.say = say
        self.position = path.stat().st_size if path.exists() else 0
        self.rest = b""

    def hand_on_new(self, to_end: bool = False) -> None:
        """Hand on what has come since the last look."""
        while data := self._read_new():
            *lines, self.rest = (self.rest + data).split(b"\n")
            for line in lines:
                self._hand_on(line)
        if to_end and self.rest:
            self._hand_on(self.rest)
            self.rest = b""

    def _read_new(self) -> bytes:
        if not self.path.exists() or self.path.stat().st_size <= self.position:
            return b""
        with self.path.open("rb") as file:
            file.seek(self.position)
            data = file.read(_MOST)
        self.position += len(data)
        return data

    def _hand_on(self, line: bytes) -> None:
        self.say(line.decode("utf-8", errors="replace").rstrip("\r"))
