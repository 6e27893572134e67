"""Takes secrets out of what a step prints, before it reaches the step's log.

This file is a program too, in a process of its own, for what a step prints may come from any
program that it starts, and a step may be killed in the middle of a line. It reads what is printed
from its standard input, and knows nothing but the standard library, so that it starts at once.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

HIDDEN = b"***"
_MARK = b"\0towpath-settled\0"
_AT_ONCE = 1 << 16
_REQUESTS = (signal.SIGTERM, signal.SIGINT)


@dataclass(frozen=True)  # of the standard library, as all of this program
class LogMask:
    """The program that takes the secrets out, as the process sees it that prints."""

    descriptor: int
    answers: int

    @classmethod
    def start(cls, log: Path, secrets: Iterable[str]) -> LogMask:
        """Start it. What is written to ``descriptor`` comes into ``log`` without the secrets."""
        reading, writing = os.pipe()
        answers, answering = os.pipe()
        orders, ordering = os.pipe()
        with _deaf_to_its_end():
            program = subprocess.Popen(
                [sys.executable, "-I", "-S", __file__, str(orders), str(answering), str(log)],
                stdin=reading, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                pass_fds=(orders, answering), start_new_session=True,
            )  # fmt: skip
        program.returncode = 0  # it ends after this process, of which it is none to bury
        for taken in (reading, answering, orders):
            os.close(taken)
        with os.fdopen(ordering, "w", encoding="utf-8") as pipe:
            json.dump(sorted(secrets), pipe)  # not as arguments, which every user may see
        mask = cls(writing, answers)
        _of_this_process.append(mask)
        return mask

    def settle(self) -> None:
        """Wait until all that was written is in the log."""
        try:
            os.write(self.descriptor, _MARK)
            os.read(self.answers, 1)
        except OSError:  # it was killed: nothing more comes into the log
            return


@contextmanager
def _deaf_to_its_end() -> Iterator[None]:
    """What is started meanwhile hears no request to end, not even before its first line: the end of
    a step is asked of all that the step started, and its last words are yet to come."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in _REQUESTS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


_of_this_process: list[LogMask] = []


def settle_log() -> None:
    """Wait until all that this process printed so far is in its log; at once without secrets."""
    for mask in _of_this_process:
        mask.settle()


def mask_stream(pending: bytes, secrets: Sequence[bytes]) -> tuple[bytes, bytes]:
    """What of ``pending`` can be said, without the secrets, and the end that may begin one."""
    for secret in secrets:
        pending = pending.replace(secret, HIDDEN)
    longest = max((len(secret) for secret in (*secrets, _MARK)), default=0)
    for size in range(min(longest - 1, len(pending)), 0, -1):
        tail = pending[-size:]
        if any(secret.startswith(tail) for secret in (*secrets, _MARK)):
            return pending[:-size], tail
    return pending, b""


def run_mask() -> None:
    """Copy the standard input into the log until nobody can write to it any more."""
    with os.fdopen(int(sys.argv[1]), encoding="utf-8") as orders:
        # The longest first: one may be a part of another.
        secrets = sorted((text.encode() for text in json.load(orders)), key=len, reverse=True)
    log = os.open(sys.argv[3], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    pending = b""
    while data := os.read(0, _AT_ONCE):
        pending += data
        while _MARK in pending:
            before, _, pending = pending.partition(_MARK)
            for part in mask_stream(before, secrets):  # its writer has nothing to add to the end
                os.write(log, part)
            os.write(int(sys.argv[2]), b"s")
        text, pending = mask_stream(pending, secrets)
        os.write(log, text)
    os.write(log, pending)


if __name__ == "__main__":
    run_mask()
