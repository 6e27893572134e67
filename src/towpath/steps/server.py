"""The fork server of a run: imports the steps' packages once, then forks a process a step.

It has one thread and is started anew for each run, so a step never sees code of yesterday. It
imports in the order of the steps and forks a step as soon as what that step needs is there, so
the first steps run while the packages of later ones are imported. It imports nothing of the
project: a module may change what other code sees, and only who imports it may see that.
"""

from __future__ import annotations

import contextlib
import gc
import os
import select
import signal
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from towpath.steps import child, descendants, needs, wire
from towpath.steps.messages import CannotFork, Ended, Hello
from towpath.steps.watching import Watch

GRACE = 2.0
"""Seconds between asking a process to end and ending it."""


@dataclass(frozen=True)
class Applicant:
    """A step that asks for a process: what must be imported first, the socket that its process
    answers on, and the one on which this server tells of its end."""

    needs: tuple[str, ...]
    answers: socket.socket
    ends: socket.socket


@dataclass
class Server:
    """The server's state: needs whose modules are not there yet, the socket to tell the end of
    each process on, and when to kill the process groups and the orphans of steps that were asked
    to end."""

    control: socket.socket
    watch: Watch
    pending: deque[str]
    wakeup: socket.socket
    ready: set[str] = field(default_factory=set)
    waiting: list[Applicant] = field(default_factory=list)
    running: dict[int, socket.socket] = field(default_factory=dict)
    dying: dict[int, float] = field(default_factory=dict)
    orphans: dict[int, float] = field(default_factory=dict)
    own: set[int] = field(default_factory=set)  # helpers that a package starts as it is imported

    def serve(self) -> None:
        """Import, fork and reap until the run hangs up."""
        while self._listen():
            self._reap()
            self._fork_ready()
            if self.pending:
                self._import(self.pending.popleft())
                self._fork_ready()
        self._end_all()

    def _listen(self) -> bool:
        timeout = 0.0 if self.pending else 0.1 if self.dying or self.orphans else None
        readable, _, _ = select.select([self.control, self.wakeup], [], [], timeout)
        if self.wakeup in readable:
            self.wakeup.recv(4096)
        return self._accept() if self.control in readable else True

    def _accept(self) -> bool:
        _, descriptors, _, _ = socket.recv_fds(self.control, 1, 2)
        if not descriptors:
            return False
        answers, ends = (socket.socket(fileno=each) for each in descriptors)
        with contextlib.suppress(wire.Hangup):
            wanted = wire.receive(ends)
            self.pending.extendleft(n for n in reversed(wanted) if n not in self.ready)
            self.waiting.append(Applicant(wanted, answers, ends))
        return True

    def _import(self, need: str) -> None:
        if need not in self.ready:
            before = set(descendants.find_children(os.getpid()))
            needs.bring(need)
            self.own.update(before.symmetric_difference(descendants.find_children(os.getpid())))
            self.watch.imported = tuple(self.watch.opened)
            self.ready.add(need)

    def _fork_ready(self) -> None:
        ready = [each for each in self.waiting if self.ready.issuperset(each.needs)]
        for each in ready:
            self.waiting.remove(each)
            self._fork(each)
            each.answers.close()

    def _fork(self, applicant: Applicant) -> None:
        threads = threading.active_count()
        if threads > 1:
            with contextlib.suppress(wire.Hangup):
                wire.send(applicant.ends, CannotFork(threads))
            applicant.ends.close()
            return
        gc.freeze()  # a collection in the child would touch, and so copy, every page
        pid = os.fork()
        if pid == 0:
            applicant.ends.close()
            self._become_step(applicant.answers)
        self.running[pid] = applicant.ends

    def _become_step(self, answers: socket.socket) -> None:
        """In the child: shed what is the server's, carry out the order, and end."""
        waiting = (
            each for applicant in self.waiting for each in (applicant.answers, applicant.ends)
        )
        for theirs in (self.control, self.wakeup, *self.running.values(), *waiting):
            theirs.close()
        child.main(answers, self.watch)

    def _reap(self) -> None:
        self._kill_overdue()
        while True:
            try:
                pid, status, used = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            self._ended(pid, status, used.ru_maxrss * (1 if sys.platform == "darwin" else 1024))

    def _ended(self, pid: int, status: int, peak: int) -> None:
        ends = self.running.pop(pid, None)
        self.orphans.pop(pid, None)
        if ends is None:
            return self._end_orphans()
        with contextlib.suppress(wire.Hangup):
            wire.send(ends, Ended(status, peak))
        ends.close()
        if _signal_group(pid, signal.SIGTERM):  # what the step left running behind it
            self.dying[pid] = time.monotonic() + GRACE
        return self._end_orphans()

    def _end_orphans(self) -> None:
        """Ask to end what steps that are gone left behind, in whatever session: it came to us. What
        a step that still runs has left behind is that step's own."""
        for orphan in descendants.find_children(os.getpid()):
            known = orphan in self.running or orphan in self.orphans or orphan in self.own
            if not known:
                descendants.signal_processes([orphan], signal.SIGTERM)
                self.orphans[orphan] = time.monotonic() + GRACE

    def _kill_overdue(self) -> None:
        """Forget groups that are gone, since their number may be given to others; kill the rest."""
        for pid, when in list(self.dying.items()):
            overdue = time.monotonic() > when
            if overdue or not _signal_group(pid, 0):
                self.dying.pop(pid)
            if overdue:
                _signal_group(pid, signal.SIGKILL)
        for orphan, when in list(self.orphans.items()):
            if time.monotonic() > when:
                below = list(descendants.find_descendants(orphan))
                descendants.signal_processes([orphan, *below], signal.SIGKILL)

    def _end_all(self) -> None:
        """The run is over or gone: nothing of it goes on."""
        groups = {*self.running, *self.dying}
        alive = [pid for pid in groups if _signal_group(pid, signal.SIGTERM)]
        deadline = time.monotonic() + GRACE
        while (alive or self.orphans) and time.monotonic() < deadline:
            self._reap()
            alive = [pid for pid in alive if _signal_group(pid, 0)]
            time.sleep(0.02 if alive or self.orphans else 0)
        for pid in alive:
            _signal_group(pid, signal.SIGKILL)
        descendants.end_descendants()


def _signal_group(group: int, number: int) -> bool:
    """Whether there was a group to signal."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def become(control: socket.socket, output: int, environment: Mapping[str, str]) -> None:
    """Make a process that was just forked such a server, and be it to the end."""
    os.setsid()
    os.environ.update(environment)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for number, file in enumerate((nothing, output, output)):
        os.dup2(file, number)
    kept = control.fileno()
    os.closerange(3, kept)
    os.closerange(kept + 1, os.sysconf("SC_OPEN_MAX"))
    _serve(control)


def main() -> None:
    """Serve the run at the other end of the socket whose descriptor is the first argument."""
    _serve(socket.socket(fileno=int(sys.argv[1])))


def _serve(control: socket.socket) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the run decides what an interrupt means
    wakeup, notify = socket.socketpair()
    notify.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(notify.fileno(), warn_on_full_buffer=False)
    if os.environ.get("TOWPATH_LOG"):
        from towpath import diagnostics

        # Before the watch begins: the log may stand in the project, and is no file of a step's.
        diagnostics.follow_log()
    hello: Hello = wire.receive(control)
    needs.settle(hello.root, hello.folder)
    watch = Watch.of_project(hello.root)
    descendants.adopt_orphans()
    gc.disable()
    Server(control, watch, deque(hello.needs), wakeup).serve()
    os._exit(0)


if __name__ == "__main__":
    main()
