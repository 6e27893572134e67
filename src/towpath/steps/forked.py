"""A process forked from this one: what ``subprocess.Popen`` is to a program."""

from __future__ import annotations

import atexit
import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Lock

_libc = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1
_LOOK = 0.01  # seconds between two looks at a process that is waited for


@dataclass
class Forked:
    """A process and, once it was seen to have ended, its exit code: negative for a signal."""

    pid: int
    returncode: int | None = None
    _lock: Lock = field(default_factory=Lock, repr=False)

    @classmethod
    def begin(cls, work: Callable[[], object]) -> Forked:
        """Do some work in a process of its own, which ends with it as Python does."""
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        pid = os.fork()
        if pid:
            return cls(pid)
        _work(work)
        raise AssertionError("a process that has ended")

    def poll(self) -> int | None:
        """The exit code, or None while it runs."""
        with self._lock:
            if self.returncode is None:
                pid, status = os.waitpid(self.pid, os.WNOHANG)
                self.returncode = os.waitstatus_to_exitcode(status) if pid else None
            return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """The exit code, as soon as there is one. TimeoutExpired after ``timeout`` seconds."""
        begun = time.monotonic()
        while (code := self.poll()) is None:
            if timeout is not None and time.monotonic() > begun + timeout:
                raise subprocess.TimeoutExpired([str(self.pid)], timeout)
            time.sleep(_LOOK)
        return code

    def kill(self) -> None:
        """End it at once."""
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)


def end_with_parent(number: int) -> None:
    """Have this process sent a signal when the one that forked it ends; on Linux alone."""
    if sys.platform == "linux":
        _libc.prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)


def _work(work: Callable[[], object]) -> None:
    """Work, and end: what was to be tidied up at the end of the other process is not ours."""
    atexit._clear()
    code = 1
    try:
        work()
        code = 0
    except SystemExit as end:
        code = _code(end)
    except BaseException:
        traceback.print_exc()
    finally:
        tidy()
        os._exit(code)


def tidy() -> None:
    """What ends an ordinary Python process too: its threads are waited for, of which one may send
    logs to the last of them; callbacks at exit; buffers."""
    with suppress(BaseException):
        threading._shutdown()  # type: ignore[attr-defined]
    with suppress(BaseException):
        atexit._run_exitfuncs()
    # Semaphores and folders of pools (joblib's) are given back by these. Where the package was
    # imported before the fork, what calls them at the end was the other process's: forgotten.
    if pools := sys.modules.get("multiprocessing.util"):
        with suppress(BaseException):
            pools._run_finalizers()
    flush()


def flush() -> None:
    """Bring all that was printed to where it goes, also by compiled code."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):
            stream.flush()
    _libc.fflush(None)


def _code(end: SystemExit) -> int:
    if isinstance(end.code, str):
        print(end.code, file=sys.stderr)
        return 1
    return (end.code or 0) % 256
