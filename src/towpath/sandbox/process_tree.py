"""What a process has started, and what that has started: found, and ended with it.

A group of processes can be killed as one, but a child that begins a session of its own
(``start_new_session=True``, a daemon) leaves the group. On Linux a process may have such orphans
given to it when their parent ends, so that they are still its own to end. macOS knows no such
thing: there they are found as long as their parent lives.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from towpath.call_log import log_call
from towpath.sandbox import kernel_fences

_LOOK = 0.01  # seconds between two looks at what was told to end
_HELD = 5.0  # seconds after which what the kernel holds is let be: nothing can be done


def adopt_orphans() -> None:
    """Become the parent of what this process's children leave behind; nothing where the system
    knows no such thing."""
    if sys.platform == "linux":
        with suppress(OSError):
            kernel_fences.become_subreaper()


def find_children(process: int) -> Iterator[int]:
    """The processes that a process is the parent of."""
    if sys.platform == "linux":  # psutil would read all of /proc, and only for this
        with suppress(OSError):
            for thread in Path(f"/proc/{process}/task").iterdir():
                yield from map(int, (thread / "children").read_text().split())
        return
    import psutil

    with suppress(psutil.Error):
        yield from (child.pid for child in psutil.Process(process).children())


def find_descendants(process: int) -> Iterator[int]:
    """Its children, their children, and so on."""
    for child in find_children(process):
        yield child
        yield from find_descendants(child)


def measure_memory(process: int, limit: int) -> int:
    """The bytes that a process and all that it started hold; a sum up to ``limit`` may be too high.

    No limit of the kernel's (``setrlimit``) counts this: ``RLIMIT_AS`` and ``RLIMIT_DATA`` count
    what is reserved. Having read a small CSV with pyarrow, a process had reserved 2,000 and 1,400
    MB, and held 220.
    """
    family = [process, *find_descendants(process)]
    resident = sum(map(_resident_bytes, family))
    # What forked processes share, and files that are mapped, count in each of them: the true share
    # of each is known too, but walks its page tables, which is not for every look.
    return resident if resident <= limit else sum(map(_held_bytes, family))


def _resident_bytes(process: int) -> int:
    """What is in memory of a process, and swapped out; nothing where it is gone."""
    if sys.platform != "linux":
        import psutil

        with suppress(psutil.Error):
            return int(psutil.Process(process).memory_info().rss)
        return 0
    return _sum_figures(Path(f"/proc/{process}/status"), "VmRSS:", "VmSwap:") or 0


def _held_bytes(process: int) -> int:
    """The same without files and with its share of what it shares; where a process does not let
    itself be looked into, all that is in memory."""
    rollup = Path(f"/proc/{process}/smaps_rollup")
    share = _sum_figures(rollup, "Pss_Anon:", "Pss_Shmem:", "SwapPss:")
    return _resident_bytes(process) if share is None else share


def _sum_figures(file: Path, *names: str) -> int | None:
    with suppress(OSError):
        lines = [line.split() for line in file.read_text().splitlines()]
        return sum(int(line[1]) << 10 for line in lines if line and line[0] in names)
    return None


def end_descendants() -> None:
    """Kill all that this process has started, and what was left to it."""
    own = os.getpid()
    deadline = time.monotonic() + _HELD
    # Again and again: what one leaves behind as it ends comes to us only then. Whether any is left
    # the kernel is asked: the lists of /proc may lack one that is just being handed to us.
    while _bury_children() and time.monotonic() < deadline:
        signal_processes(list(find_descendants(own)), signal.SIGKILL)
        time.sleep(_LOOK)


def kill_tree(leader: int) -> None:
    """Kill a process that leads a group, and all that it has started, in whatever session."""
    below = list(find_descendants(leader))  # before their parent is gone
    signal_group(leader, signal.SIGKILL)
    signal_processes(below, signal.SIGKILL)


def signal_processes(processes: Iterable[int], number: int) -> None:
    """Send each a signal; those that are gone are passed over."""
    for process in processes:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(process, number)


def signal_group(group: int, number: int) -> bool:
    """Whether there was a group to signal."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _bury_children() -> bool:
    """Take leave of the children that have ended; whether any other is left."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True


def can_fork() -> bool:
    """Whether processes may be forked: not on macOS, whose own libraries do not survive it."""
    return sys.platform != "darwin" and os.environ.get("TOWPATH_FORK", "1") != "0"


# Starts a Python of this environment that runs a module of ours, and tells how it ended.

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
    python: Path | None = None,
) -> subprocess.Popen[bytes]:
    """``python -m MODULE WORDS`` as the leader of a session, with these descriptors and no others.

    Its own folder is no place that it imports from. ``python`` is another than this one.
    """
    command = [str(python or sys.executable), "-P", "-m", module, *words]
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
