"""One step's call, from the run's side: its order sent, its log followed, its end made out."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from towpath.errors import Fault, StepFailed
from towpath.spec.artifact import Made
from towpath.steps import needs, wire
from towpath.steps.following import Tail
from towpath.steps.messages import Answer, CannotFork, Ended, Started
from towpath.steps.order import Order
from towpath.steps.servers import Line, Server

_SHORTEST, _LONGEST = 0.02, 0.5  # seconds between two looks at the log
_GRACE = 2.0  # seconds between asking a process to end and ending it


class Unforkable(Exception):  # not a fault: the step is started another way
    """The server has threads, and a forked process would have their locks without them."""


@dataclass
class Call:
    """A step in progress."""

    order: Order
    timeout: float | None
    log: Callable[[str], object]
    answer: Answer | None = None
    ended: Ended | None = None
    begun: float = field(default_factory=time.monotonic)

    def on(self, server: Server) -> Made:
        """Carry the step out in a process of that server's."""
        order = self.order
        order.directory.mkdir(parents=True, exist_ok=True)
        tail = Tail(order.log, self.log)
        try:
            line = server.connect(needs.of_order(order))
            self._talk(line, tail)
            line.close()
        except wire.Hangup:
            self._make_out_end(server)
        finally:
            tail.look(to_end=True)
        return self._outcome()

    def _talk(self, line: Line, tail: Tail) -> None:
        """Hand the order over, and follow the step until it has answered or is gone."""
        try:
            self._hand_over(line)
            pause = _SHORTEST
            while self.answer is None and self.ended is None:
                if self._listen(line, pause):
                    continue
                tail.look()
                pause = min(pause * 1.5, _LONGEST)
                self._check_time()
        except BaseException:
            self._kill(line)
            line.close()
            raise

    def _hand_over(self, line: Line) -> None:
        try:
            wire.send(line.answers, self.order.plain())
        except wire.Hangup:  # the server could not fork, or the process is gone: it says which
            self._take(wire.receive(line.ends), line)

    def _listen(self, line: Line, pause: float) -> bool:
        """Take what is said within the pause; an answer counts even if its process is gone."""
        if self.timeout is not None:
            pause = max(0.0, min(pause, self.begun + self.timeout - time.monotonic()))
        heard, _, _ = select.select([line.answers, line.ends], [], [], pause)
        if line.answers in heard:
            try:
                self._take(wire.receive(line.answers), line)
            except wire.Hangup:
                self._take(wire.receive(line.ends), line)
        elif heard:
            self._take(wire.receive(line.ends), line)
        return bool(heard)

    def _take(self, message: object, line: Line) -> None:
        if isinstance(message, Started):
            line.pid = message.pid
        elif isinstance(message, CannotFork):
            raise Unforkable
        elif isinstance(message, Answer):
            self.answer = message
        elif isinstance(message, Ended):
            self.ended = message

    def _check_time(self) -> None:
        if self.timeout is not None and time.monotonic() - self.begun >= self.timeout:
            what = f"it ran longer than its timeout of {_duration(self.timeout)} and was killed"
            raise StepFailed(Fault(what), causes=("TimeoutError", "Timeout"))

    def _kill(self, line: Line) -> None:
        """End the step's process and all that it started."""
        if line.pid is not None and self.ended is None:
            _signal(line.pid, signal.SIGTERM)
            select.select([line.ends], [], [], _GRACE)
            _signal(line.pid, signal.SIGKILL)  # what left its group dies with it: `descendants`

    def _make_out_end(self, server: Server) -> None:
        """The line broke without a word: what it ran on has died, or was told to."""
        try:
            code = server.process.wait(2 * _GRACE)  # it ends first what the step left behind
        except subprocess.TimeoutExpired:
            code = 0
        if server.forks or code == 0:
            words = server.last_words() or None
            raise StepFailed(
                Fault("the run ended, or the process that starts its steps died", hint=words)
            )
        self.ended = Ended(-code if code < 0 else code << 8, 0)

    def _outcome(self) -> Made:
        if self.answer is None:
            assert self.ended
            raise StepFailed(_crashed(self.ended), causes=("Killed",))
        if self.answer.error:
            raise self.answer.error
        assert self.answer.made
        return self.answer.made


def _signal(group: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _crashed(ended: Ended) -> Fault:
    peak = f"; its memory peaked at {ended.peak / 2**20:.0f} MB" if ended.peak else ""
    if not os.WIFSIGNALED(ended.status):
        code = os.waitstatus_to_exitcode(ended.status)
        return Fault(
            f"its process ended by itself with code {code}, before the step was done{peak}"
        )
    number = os.WTERMSIG(ended.status)
    hint = _HINTS.get(number, "the log has its last words")
    return Fault(f"its process was killed by {signal.Signals(number).name}{peak}", hint=hint)


_HINTS: dict[int, str] = {
    signal.SIGKILL: "perhaps the machine ran out of memory",
    signal.SIGSEGV: "compiled code crashed: the log shows where",
    signal.SIGABRT: "compiled code gave up: the log shows where",
}


def _duration(seconds: float) -> str:
    return f"{seconds:g} s" if seconds < 120 else f"{seconds / 60:g} min"
