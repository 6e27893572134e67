"""A step's process, from its first breath to its last."""

from __future__ import annotations

import atexit
import contextlib
import gc
import os
import signal
import socket
import sys
from typing import NoReturn

from towpath.errors import Fault, TowpathError
from towpath.steps import descendants, wire
from towpath.steps.forked import end_with_parent, flush, tidy
from towpath.steps.messages import Answer, Started
from towpath.steps.order import Order
from towpath.steps.watching import Watch
from towpath.steps.worker import perform


def main(connection: socket.socket, watch: Watch | None) -> NoReturn:
    """Receive an order, carry it out, answer, and end."""
    with contextlib.suppress(wire.Hangup):  # the run is gone
        _be_a_process_of_its_own()
        wire.send(connection, Started(os.getpid()))
        _serve(connection, watch)
    tidy()
    os._exit(0)


def _serve(connection: socket.socket, watch: Watch | None) -> None:
    """Carry out the order.

    What is random is seeded anew first: a module that seeds it when it is imported is the last.
    """
    order: Order = wire.receive(connection)
    _reseed()
    outcome = answer(order, watch)
    flush()  # who waits for the answer reads the log then
    # The run may be over with this answer, and its server then asks all to end. What a pool of
    # processes has to tidy up takes a moment more, and is reported as leaked otherwise.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    wire.send(connection, outcome)


def answer(order: Order, watch: Watch | None) -> Answer:
    """What the step made, or what stopped it."""
    try:
        return Answer(made=perform(order, watch))
    except TowpathError as error:
        return Answer(error=error)
    except BaseException as error:  # a fault of ours must be told too, not look like a crash
        return Answer(error=TowpathError(Fault(f"{type(error).__name__}: {error}")))


def _be_a_process_of_its_own() -> None:
    """Lead a group that can be killed as a whole, hear signals again, die with the server."""
    if os.getsid(0) != os.getpid():
        os.setsid()
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGINT, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    end_with_parent(signal.SIGKILL)
    descendants.adopt_orphans()
    atexit._clear()  # what the server has to tidy up is the server's
    gc.enable()


def _reseed() -> None:
    """Give numpy's global generator a state of its own; Python's own sees to itself."""
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        numpy.random.seed()
