"""The process above all processes of a run: imports packages once, starts a process a task, kills
and buries. On Linux it forks them; on macOS, whose own libraries do not survive that, and where a
package has started a thread, whose locks a fork would take along, it starts a new Python for each.

It has one thread and is started anew for each run, so a task never sees code of yesterday. It
imports in the order of the tasks and forks one as soon as what it needs is there, so the first
run while the packages of later ones are imported. It imports nothing of the project: a module may
change what other code sees, and only who imports it may see that.

The standard library's fork server does not do: there is one for all of a process, with the
environment of its first use; it imports all before it forks the first, and the caller's
``__main__`` with it; and what a child leaves running in a session of its own goes on.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import select
import signal
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Iterable

from msgspec import Struct, field

from towpath.sandbox import process_tree, task_process, wire
from towpath.sandbox.task_process import Workshop

_GRACE = 2.0
"""Seconds between asking a process to end and ending it."""
_PEAK_UNIT = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss, in bytes


class Applicant(Struct, frozen=True):
    """A task that asks for a process: what must be imported first, the socket that its process
    answers on, and the one on which this supervisor hears of it and tells of its end."""

    needs: tuple[str, ...]
    answers: socket.socket
    life: socket.socket

    def hang_up(self) -> None:
        """Hang up."""
        self.answers.close()
        self.life.close()


class Supervisor(Struct):
    """The supervisor's state: modules that are not imported yet, who waits for them, the socket of
    each process that runs (None where nobody waits for its end any more), and when to kill the
    groups and the orphans that were asked to end."""

    control: socket.socket
    wakeup: socket.socket
    workshop: Workshop
    forks: bool
    pending: deque[str]
    ready: set[str] = field(default_factory=set)
    waiting: list[Applicant] = field(default_factory=list)
    running: dict[int, socket.socket | None] = field(default_factory=dict)
    dying: dict[int, float] = field(default_factory=dict)
    orphans: dict[int, float] = field(default_factory=dict)
    own: set[int] = field(default_factory=set)  # helpers that a package starts as it is imported

    def serve_run(self) -> None:
        """Import, start and bury until the run hangs up."""
        while self._listen_once():
            self._bury_ended()
            self._start_ready()
            if self.pending:
                self._import_module(self.pending.popleft())
                self._start_ready()
        self._end_all()

    def _listen_once(self) -> bool:
        timeout = 0.0 if self.pending else 0.1 if self.dying or self.orphans else None
        lives = [life for life in self.running.values() if life is not None]
        lives += [applicant.life for applicant in self.waiting]
        readable, _, _ = select.select([self.control, self.wakeup, *lives], [], [], timeout)
        for readable_socket in readable:
            if readable_socket is self.wakeup:
                readable_socket.recv(4096)
            elif readable_socket is not self.control:
                self._hear_run(readable_socket)
        return self._accept_applicant() if self.control in readable else True

    def _accept_applicant(self) -> bool:
        _, descriptors, _, _ = socket.recv_fds(self.control, 1, 2)
        if not descriptors:
            return False
        answers, life = (socket.socket(fileno=descriptor) for descriptor in descriptors)
        with contextlib.suppress(wire.Hangup):
            needs = wire.receive_message(life)
            if not self.forks:  # each process imports for itself
                needs = ()
            self.pending.extendleft(name for name in reversed(needs) if name not in self.ready)
            self.waiting.append(Applicant(needs, answers, life))
        return True

    def _hear_run(self, life: socket.socket) -> None:
        """The run wants a process killed, or no more of it."""
        try:
            is_kill = wire.receive_message(life) == wire.KILL
        except wire.Hangup:
            is_kill = False
        for applicant in [candidate for candidate in self.waiting if candidate.life is life]:
            self.waiting.remove(applicant)
            applicant.hang_up()
        for pid in [pid for pid, task_life in self.running.items() if task_life is life]:
            if is_kill:
                self._ask_to_end(pid)
            else:
                self.running[pid] = None
                life.close()

    def _import_module(self, name: str) -> None:
        if name in self.ready:
            return
        before = set(process_tree.find_children(os.getpid()))
        # What fails here fails again in the task's process, which tells it.
        with contextlib.suppress(Exception, SystemExit):
            importlib.import_module(name)
        self.own.update(before.symmetric_difference(process_tree.find_children(os.getpid())))
        self.ready.add(name)

    def _start_ready(self) -> None:
        for applicant in list(self.waiting):
            if not self.ready.issuperset(applicant.needs):
                continue
            self.waiting.remove(applicant)
            has_threads = threading.active_count() > 1  # which a package has started
            start = self._fork_task if self.forks and not has_threads else self._spawn_task
            self.running[start(applicant)] = applicant.life
            applicant.answers.close()

    def _fork_task(self, applicant: Applicant) -> int:
        gc.freeze()  # a collection in the child would touch, and so copy, every page
        pid = os.fork()
        if pid == 0:
            # The supervisor's sockets are left to the supervisor.
            for other in self.waiting:
                other.hang_up()
            lives = [life for life in self.running.values() if life is not None]
            for ours in (self.control, self.wakeup, applicant.life, *lives):
                ours.close()
            task_process.serve_task(applicant.answers, self.workshop)
        return pid

    def _spawn_task(self, applicant: Applicant) -> int:
        answers = applicant.answers.fileno()
        words = [str(answers), self.workshop.module, *self.workshop.setting]
        process = process_tree.start_module(task_process.__name__, words, [answers])
        process.returncode = 0  # it is buried here with all the others
        return process.pid

    def _bury_ended(self) -> None:
        self._kill_overdue()
        while True:
            try:
                pid, status, used = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            code = os.waitstatus_to_exitcode(status)
            self._note_end(pid, wire.Ended(code, used.ru_maxrss * _PEAK_UNIT))

    def _note_end(self, pid: int, ended: wire.Ended) -> None:
        self.orphans.pop(pid, None)
        if pid in self.running:
            # What the step left running is asked to end; killed, where the step was to be ended
            # itself: another attempt may begin at once.
            if self.dying.pop(pid, None):
                process_tree.signal_group(pid, signal.SIGKILL)
            elif process_tree.signal_group(pid, signal.SIGTERM):
                self.dying[pid] = time.monotonic() + _GRACE
            if life := self.running.pop(pid):
                with contextlib.suppress(wire.Hangup):
                    wire.send_message(life, ended)
                life.close()
        self._ask_orphans_to_end()

    def _ask_to_end(self, pid: int) -> None:
        deadline = time.monotonic() + _GRACE
        if sys.platform != "linux":  # what leaves its group there is found as long as it lives
            self._end_soon(list(process_tree.find_descendants(pid)), deadline)
        process_tree.signal_group(pid, signal.SIGTERM)
        self.dying[pid] = deadline

    def _ask_orphans_to_end(self) -> None:
        """Ask to end what steps that are gone left behind, in whatever session: it came to us. What
        a step that still runs has left behind is that step's own."""
        children = process_tree.find_children(os.getpid())
        known_processes = {*self.running, *self.orphans, *self.own}
        self._end_soon(
            [child for child in children if child not in known_processes], time.monotonic() + _GRACE
        )

    def _end_soon(self, processes: Iterable[int], deadline: float) -> None:
        process_tree.signal_processes(processes, signal.SIGTERM)
        self.orphans |= dict.fromkeys(processes, deadline)

    def _kill_overdue(self) -> None:
        """Forget groups that are gone, since their number may be given to others; kill the rest."""
        for pid, deadline in list(self.dying.items()):
            if pid in self.running:  # it stays among the dying until it is buried
                if time.monotonic() > deadline:
                    process_tree.kill_tree(pid)
            elif time.monotonic() > deadline:
                process_tree.signal_group(pid, signal.SIGKILL)
                self.dying.pop(pid)
            elif not process_tree.signal_group(pid, 0):
                self.dying.pop(pid)
        for orphan, deadline in list(self.orphans.items()):
            if time.monotonic() > deadline:
                process_tree.kill_tree(orphan)
                process_tree.signal_processes([orphan], signal.SIGKILL)  # may lead no group
                self.orphans.pop(orphan)  # found again if it is still there

    def _end_all(self) -> None:
        """The run is over or gone: nothing of it goes on."""
        for pid in self.running:
            self._ask_to_end(pid)
        deadline = time.monotonic() + _GRACE
        while (self.running or self.dying or self.orphans) and time.monotonic() < deadline:
            self._bury_ended()
            time.sleep(0.02 if self.running or self.dying or self.orphans else 0)
        for pid in {*self.running, *self.dying}:
            process_tree.kill_tree(pid)
        process_tree.end_descendants()


def run_supervisor() -> None:
    """Serve the run at the other end of the socket whose descriptor is the first argument."""
    control = socket.socket(fileno=int(sys.argv[1]))
    forks = sys.argv[2] == "fork"
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the run decides what an interrupt means
    wakeup, notify = socket.socketpair()
    notify.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(notify.fileno(), warn_on_full_buffer=False)
    if os.environ.get("TOWPATH_LOG"):
        from towpath import diagnostics

        # Before a step's files are watched: the log may stand in the project, and is no step's.
        diagnostics.follow_log()
    workshop = Workshop(sys.argv[3], tuple(sys.argv[4:]))
    needs = wire.receive_message(control)
    process_tree.adopt_orphans()
    if forks:
        workshop.prepare()
    gc.disable()
    Supervisor(control, wakeup, workshop, forks, deque(needs if forks else ())).serve_run()
    os._exit(0)


if __name__ == "__main__":
    run_supervisor()
