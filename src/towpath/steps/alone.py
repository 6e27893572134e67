"""A step's process that was not forked: for macOS, and where a package starts threads."""

from __future__ import annotations

import socket
import sys

from towpath.steps import child, needs, wire
from towpath.steps.messages import Hello


def main() -> None:
    """Carry out the one order that comes over the socket whose descriptor is the first argument.

    The socket for the end of the process is never written to: that it closes tells as much.
    """
    control = socket.socket(fileno=int(sys.argv[1]))
    hello: Hello = wire.receive(control)
    needs.settle(hello.root, hello.folder)
    _, descriptors, _, _ = socket.recv_fds(control, 1, 2)
    if not descriptors:
        return
    answers, _ends = (socket.socket(fileno=each) for each in descriptors)
    child.main(answers, None)


if __name__ == "__main__":
    main()
