"""Starts a Python of this environment that runs a module of ours, and tells how it ended."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from towpath.call_log import log_call

CALM = {
    # Sets iterate alike in every run, and figures that tell when they were drawn tell
    # 1 January 1980: so digests of outputs repeat.
    "PYTHONHASHSEED": "0",
    "SOURCE_DATE_EPOCH": "315532800",
    "MPLBACKEND": "Agg",  # there is no screen
    # OpenMP's threads spin while they wait. Where others want the processor too, fitting then took
    # twenty seconds instead of a fifth of one; with a short spin it takes two, and loses nothing
    # on a quiet machine, as it does where they sleep at once.
    "GOMP_SPINCOUNT": "1000",
    "GX_ANALYTICS_ENABLED": "false",
}
"""Variables for whoever runs somebody's code. Libraries read them when they are imported."""

PrintTarget = int | IO[bytes] | None
"""Where what a process prints goes; None: where that of this one goes."""


def start_module(
    module: str,
    words: Sequence[str],
    passed: Sequence[int],
    *,
    output: PrintTarget = None,
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> subprocess.Popen[bytes]:
    """``python -m MODULE WORDS`` as the leader of a session, with these descriptors and no others.

    Its own folder is no place that it imports from.
    """
    command = [sys.executable, "-P", "-m", module, *words]
    with log_call("process", "start", *command):
        return subprocess.Popen(
            command,
            pass_fds=tuple(passed),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT if output is not None else None,
            cwd=folder,
            env=environment,
            start_new_session=True,
        )


def find_signal(code: int) -> signal.Signals | None:
    """The signal that ended a process, by its exit code: negative, or above 128 as shells and
    containers tell it."""
    number = -code if code < 0 else code - 128
    return next((candidate for candidate in signal.Signals if candidate.value == number), None)


def describe_exit(code: int) -> str:
    """``was killed by SIGKILL``, ``ended with 3``."""
    number = find_signal(code)
    return f"was killed by {number.name}" if number else f"ended with {code}"


def explain_exit(code: int) -> str | None:
    """What may be behind a signal, for a hint; None where nothing is known of it."""
    number = find_signal(code)
    return _EXPLAINED.get(number) if number else None


_EXPLAINED = {
    signal.SIGKILL: "perhaps the machine ran out of memory",
    signal.SIGSEGV: "compiled code crashed: the log shows where",
    signal.SIGABRT: "compiled code gave up: the log shows where",
}
