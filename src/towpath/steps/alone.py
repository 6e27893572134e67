"""A step's process that was not forked: for macOS, and where a package starts threads."""

from __future__ import annotations

import os
import resource
import signal
import socket
import sys
from contextlib import suppress

from towpath.steps import child, descendants, needs, wire
from towpath.steps.forked import end_with_parent
from towpath.steps.messages import Hello

_PATIENCE = 0.5
"""Seconds that what a step left running has to end by itself."""


def main() -> None:
    """Carry out the one order that comes over the socket whose descriptor is the first argument.

    The socket for the end of the process is never written to: that it closes tells as much.
    """
    control = socket.socket(fileno=int(sys.argv[1]))
    if sys.platform == "linux":
        _stand_by(control)
    if os.environ.get("TOWPATH_LOG"):
        from towpath import diagnostics

        diagnostics.follow_log()
    hello: Hello = wire.receive(control)
    needs.settle(hello.root, hello.folder)
    _, descriptors, _, _ = socket.recv_fds(control, 1, 2)
    if not descriptors:
        return
    answers, _ends = (socket.socket(fileno=each) for each in descriptors)
    child.main(answers, None)


def _stand_by(control: socket.socket) -> None:
    """Go on in a child of this process, which ends whatever that leaves behind, and then as it
    did: a step that is killed can end nothing by itself."""
    descendants.adopt_orphans()
    end_with_parent(signal.SIGTERM)
    step = os.fork()
    if step == 0:
        end_with_parent(signal.SIGKILL)
        return
    control.close()
    signal.signal(signal.SIGTERM, _end_now)  # the run is gone, or wants no more of it
    status = _wait_for(step)
    descendants.end_descendants(_PATIENCE)
    _end_as(status)


def _wait_for(step: int) -> int:
    """How the step ended; what was left to this process before that is buried on the way."""
    while True:
        process, status = os.waitpid(-1, 0)
        if process == step:
            return status


def _end_now(*_: object) -> None:
    descendants.end_descendants()
    os._exit(128 + signal.SIGTERM)


def _end_as(status: int) -> None:
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        with suppress(OSError, ValueError):  # SIGKILL has no handler to be reset
            signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    os._exit(os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main()
