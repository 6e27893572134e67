"""Times whole processes: wall, and the CPU of a command with all that it leaves behind."""

from __future__ import annotations

import ctypes
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct

_PR_SET_CHILD_SUBREAPER = 36


class Cost(Struct, frozen=True):
    """Seconds of one run."""

    wall: float
    cpu: float


class Row(Struct, frozen=True):
    """A line of the table: a figure, the bound it has to keep, and what it was measured against."""

    name: str
    value: float
    bound: float
    unit: str
    note: str

    @property
    def kept(self) -> bool:
        """Whether the figure keeps its bound."""
        return self.value <= self.bound


@contextmanager
def _orphans_adopted() -> Iterator[None]:
    """Make what a command leaves behind ours to wait for, so that its CPU counts too (Linux)."""
    if sys.platform != "linux":
        yield
        return
    prctl = ctypes.CDLL(None).prctl
    prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        yield
    finally:
        prctl(_PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


def cost(command: Sequence[str], folder: Path, env: Mapping[str, str] | None = None) -> Cost:
    """Run a command and wait for it and its orphans. Error: CalledProcessError with its output."""
    log = folder.parent / "output.txt"
    began = time.perf_counter()
    with log.open("wb") as output, _orphans_adopted():
        process = subprocess.Popen(
            command, cwd=folder, stdout=output, stderr=output, stdin=subprocess.DEVNULL,
            env={**environment(), **(env or {})},
        )  # fmt: skip
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        cpu = usage.ru_utime + usage.ru_stime + _orphans()
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command, log.read_text())
    return Cost(wall, cpu)


def _orphans(patience: float = 60.0) -> float:
    total, deadline = 0.0, time.monotonic() + patience
    while time.monotonic() < deadline:
        try:
            pid, _, usage = os.wait4(-1, os.WNOHANG)
        except ChildProcessError:
            return total
        total += usage.ru_utime + usage.ru_stime if pid else 0.0
        time.sleep(0.0 if pid else 0.01)
    raise TimeoutError("a measured command left something behind that does not end")


def environment() -> dict[str, str]:
    """Without what would make every import compile anew, and with one thread for each library."""
    dropped = {"PYTHONDONTWRITEBYTECODE", "PYTHONPATH"}
    return {name: value for name, value in os.environ.items() if name not in dropped}


def interleaved(runs: int, *commands: Callable[[int], Cost]) -> list[list[Cost]]:
    """Run commands in turn, so that a machine that slows down slows all of them."""
    found: list[list[Cost]] = [[] for _ in commands]
    for n in range(runs):
        for place, command in enumerate(commands):
            found[place].append(command(n))
    return found


def median(costs: Sequence[Cost], figure: str) -> float:
    """The median of ``wall`` or ``cpu``."""
    values: list[float] = [getattr(c, figure) for c in costs]
    return statistics.median(values)
