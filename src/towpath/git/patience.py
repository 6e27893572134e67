"""How long a server may say nothing: after that it is an error, and not a hang."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress

HTTP = {"http.lowSpeedLimit": "1", "http.lowSpeedTime": "30"}
SSH = "ssh -o ConnectTimeout=30 -o ServerAliveInterval=15 -o ServerAliveCountMax=2"
SILENCE = 60.0
"""Seconds for any transport: what neither of the two above can see, and git:// itself."""
FAREWELL = 5.0
AT_ONCE = 65536


def listen(
    words: Sequence[str], environment: Mapping[str, str], silence: float
) -> subprocess.CompletedProcess[bytes]:
    """Run a program that shows its progress; end it once it has shown none for ``silence`` s.

    What it answers then ends in a line that says so.
    """
    out, err = bytearray(), bytearray()
    with _alone(words, environment) as process, selectors.DefaultSelector() as waiting:
        assert process.stdout and process.stderr
        waiting.register(process.stdout, selectors.EVENT_READ, out)
        waiting.register(process.stderr, selectors.EVENT_READ, err)
        while waiting.get_map():
            ready = waiting.select(silence)
            if not ready:
                if process.poll() is None:
                    _end(process)
                    err += f"\nfatal: no answer for {silence:.0f} seconds".encode()
                break  # what it left running, an agent say, may hold its output open
            for key, _ in ready:
                part = os.read(key.fd, AT_ONCE)
                key.data.extend(part)
                if not part:
                    waiting.unregister(key.fileobj)
    return subprocess.CompletedProcess(words, process.returncode, bytes(out), bytes(err))


@contextmanager
def _alone(
    words: Sequence[str], environment: Mapping[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    """A program in a session of its own, which does not outlive an interruption here."""
    process = subprocess.Popen(
        words,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        start_new_session=True,
    )
    with process:
        try:
            yield process
        except BaseException:
            _end(process)
            raise


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a program and what it started; Git is asked first, for it takes its locks away."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(FAREWELL)
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
