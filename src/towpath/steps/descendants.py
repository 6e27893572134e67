"""What a process has started, and what that has started: found, and ended with it.

A group of processes can be killed as one, but a child that begins a session of its own
(``start_new_session=True``, a daemon) leaves the group. On Linux a process may have such orphans
given to it when their parent ends, so that they are still its own to end.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

_LOOK = 0.01  # seconds between two looks at what was told to end
_HELD = 5.0  # seconds after which what the kernel holds is let be: nothing can be done


def adopt_orphans() -> None:
    """Become the parent of what this process's children leave behind; nothing where the system
    knows no such thing."""
    if sys.platform == "linux":
        from towpath.steps import kernel_fences

        with suppress(OSError):
            kernel_fences.adopt_orphans()


def find_children(process: int) -> Iterator[int]:
    """The processes that a process is the parent of; none where the system does not tell."""
    with suppress(OSError):
        for thread in Path(f"/proc/{process}/task").iterdir():
            yield from map(int, (thread / "children").read_text().split())


def find_descendants(process: int) -> Iterator[int]:
    """Its children, their children, and so on."""
    for child in find_children(process):
        yield child
        yield from find_descendants(child)


def end_descendants(patience: float = 0.0) -> None:
    """End all that this process has started, and what was left to it; those that do not heed the
    first signal within ``patience`` seconds are killed."""
    own = os.getpid()
    if patience and (asked := list(find_descendants(own))):
        signal_processes(asked, signal.SIGTERM)
        _wait_for_end(patience)
    deadline = time.monotonic() + _HELD
    # Again and again: what one leaves behind as it ends comes to us only then. Whether any is left
    # the kernel is asked: the lists of /proc may lack one that is just being handed to us.
    while _bury() and time.monotonic() < deadline:
        signal_processes(list(find_descendants(own)), signal.SIGKILL)
        time.sleep(_LOOK)


def signal_processes(processes: Iterable[int], number: int) -> None:
    """Send each a signal; those that are gone are passed over."""
    for process in processes:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(process, number)


def _wait_for_end(patience: float) -> None:
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if not _bury():
            return
        time.sleep(_LOOK)


def _bury() -> bool:
    """Take leave of the children that have ended; whether any other is left."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True
