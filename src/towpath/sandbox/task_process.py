"""The process of one task, from its first breath to its last: forked, or started by itself.

The task is done by a module with two functions: ``prepare_process(*setting)`` makes a process one
that such tasks can be carried out in, and ``carry_out_task(task)`` does so.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import gc
import importlib
import os
import signal
import socket
import sys
import threading
from typing import Any, NoReturn

from msgspec import Struct

from towpath.errors import Fault, TowpathError
from towpath.sandbox import kernel_fences, process_tree, wire


class Workshop(Struct, frozen=True):
    """A module that carries out tasks, and the words that its processes are prepared with."""

    module: str
    setting: tuple[str, ...]

    def prepare(self) -> None:
        """Make this process one that the tasks can be carried out in."""
        importlib.import_module(self.module).prepare_process(*self.setting)

    def carry_out(self, task: object) -> Any:
        """Do a task."""
        return importlib.import_module(self.module).carry_out_task(task)


def run_task_process() -> None:
    """Take the task that comes over the socket whose descriptor is the first argument."""
    if os.environ.get("TOWPATH_LOG"):
        from towpath import diagnostics

        diagnostics.follow_log()
    workshop = Workshop(sys.argv[2], tuple(sys.argv[3:]))
    answers = socket.socket(fileno=int(sys.argv[1]))
    workshop.prepare()
    serve_task(answers, workshop)


def serve_task(answers: socket.socket, workshop: Workshop) -> NoReturn:
    """Receive a task, carry it out, answer, and end."""
    with contextlib.suppress(wire.Hangup):  # the run is gone
        _become_independent()
        answers.set_inheritable(False)
        task = wire.receive_message(answers)
        wire.send_message(answers, wire.Begun(os.getpid()))
        # Numpy's global generator gets a state of its own; Python's own sees to itself. Before the
        # task's modules are imported: one that sets a seed as it is imported has the last word.
        if numpy := sys.modules.get("numpy"):
            numpy.random.seed()
        answer = _answer_task(task, workshop)
        flush_output()  # who waits for the answer reads the log then
        # The run may be over with this answer, and all are then asked to end. What a pool of
        # processes has to tidy up takes a moment more, and is reported as leaked otherwise.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        wire.send_message(answers, answer)
    _tidy_up()
    os._exit(0)


def _answer_task(task: object, workshop: Workshop) -> wire.TaskAnswer:
    try:
        return wire.TaskAnswer(workshop.carry_out(task))
    except TowpathError as error:
        return wire.TaskAnswer(error=error)
    except BaseException as error:  # a fault of ours must be told too, not look like a crash
        return wire.TaskAnswer(error=TowpathError(Fault(f"{type(error).__name__}: {error}")))


def _become_independent() -> None:
    """Lead a group that can be killed as a whole, hear signals again, die with the supervisor."""
    if os.getsid(0) != os.getpid():
        os.setsid()
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGINT, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    if sys.platform == "linux":
        kernel_fences.die_with_parent(signal.SIGKILL)
    process_tree.adopt_orphans()
    atexit._clear()  # what the supervisor has to tidy up is the supervisor's
    gc.enable()


def _tidy_up() -> None:
    """What ends an ordinary Python process too: its threads are waited for; callbacks at exit;
    buffers. By private functions, as ``multiprocessing`` ends its own processes: to let Python
    itself end would take the supervisor's callbacks and all its modules apart, 30 ms and more."""
    with contextlib.suppress(BaseException):
        threading._shutdown()  # type: ignore[attr-defined]
    with contextlib.suppress(BaseException):
        atexit._run_exitfuncs()
    # Semaphores and folders of pools (joblib's) are given back by these. Where the package was
    # imported before the fork, what calls them at the end was the supervisor's: forgotten.
    if pools := sys.modules.get("multiprocessing.util"):
        with contextlib.suppress(BaseException):
            pools._run_finalizers()
    flush_output()


def flush_output() -> None:
    """Bring all that was printed to where it goes, also by compiled code."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    ctypes.CDLL(None).fflush(None)


if __name__ == "__main__":
    run_task_process()
