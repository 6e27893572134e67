"""A process that has Prefect imported, and is forked for each deployed run of `towpath up`.

``python -m towpath.engine.forking SOCKET WORKER`` stands beside the worker, and ends with it. A run
sends its environment, folder and standard files over the Unix socket, then the signals that it
gets; it is answered with the exit code. Imports are what a run of a small pipeline waits for most,
so this process also has those of the steps' libraries, see ``libraries``.
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import socket
import sys
import threading
from dataclasses import dataclass, field
from multiprocessing import connection
from pathlib import Path

from towpath.engine import asking, deployed, libraries
from towpath.engine.asking import Asked
from towpath.engine.flow import build
from towpath.engine.libraries import Held
from towpath.steps.forked import Forked, end_with_parent

BARE = "bare"


@dataclass(frozen=True)
class Child:
    """The process of a run, and a descriptor that tells of its end."""

    process: Forked
    ended: int


@dataclass
class Server:
    """Who waits for which process."""

    listener: socket.socket
    worker: int
    environment: dict[str, str]
    held: Held | None
    running: dict[socket.socket, Child] = field(default_factory=dict)
    alone: bool = False

    @property
    def may_fork(self) -> bool:
        """Whether no library has started a thread, whose locks a fork would take along."""
        return threading.active_count() == 1

    def serve(self) -> None:
        """Serve until the worker, whose process ``worker`` watches, and all runs have ended; or
        until nothing can be forked any more."""
        while self.running or (self.may_fork and not self.alone):
            self._turn()

    def _turn(self) -> None:
        """See to what has happened. Where nothing has, import the next library, or wait."""
        ends = {child.ended: asker for asker, child in self.running.items()}
        watched = (self.listener, self.worker) if self.may_fork and not self.alone else ()
        idle = bool(self.held and self.held.waiting and self.may_fork)
        happened = connection.wait([*watched, *self.running, *ends], 0 if idle else None)
        if self.held and idle and not happened:
            self._import_one(self.held)
        for event in happened:
            if event is self.listener:
                self._begin(self.listener.accept()[0])
            elif event == self.worker:
                self.alone = True
            elif isinstance(event, int):
                self._end(ends[event])
            elif event in self.running:
                self._hear(event)

    @staticmethod
    def _import_one(held: Held) -> None:
        held.bring_one()
        gc.freeze()
        if not held.waiting:
            print("all libraries are imported", flush=True)

    def _begin(self, asker: socket.socket) -> None:
        if not asking.is_own_peer(asker):
            return asker.close()
        try:
            asked = asking.receive(asker)
        except (OSError, ValueError):
            return asker.close()
        if other := asking.different(asked.environment, self.environment):
            print("not forked, for settings that differ:", *other, flush=True)
            asked.close()
            return asker.close()
        try:
            asking.accept(asker)
        except OSError:  # it has not waited, and executes the run itself
            asked.close()
            return asker.close()
        begun = Forked.begin(lambda: self._execute(asked, asker))
        asked.close()
        self.running[asker] = Child(begun, os.pidfd_open(begun.pid))
        return None

    def _execute(self, asked: Asked, asker: socket.socket) -> None:
        """Be the process of a run, which is told to end where this one is gone: nobody else could
        stop it then."""
        os.setsid()
        end_with_parent(signal.SIGTERM)
        for kept in (self.listener, asker, *self.running):
            kept.close()
        asked.enter()
        deployed.execute(asked.root)

    def _hear(self, asker: socket.socket) -> None:
        """Pass a signal on; whoever asked and is gone takes the run along."""
        try:
            said = asker.recv(1)
        except OSError:
            said = b""
        pid = self.running[asker].process.pid
        with contextlib.suppress(ProcessLookupError):
            if said:
                os.kill(pid, said[0])
            else:
                os.killpg(pid, signal.SIGKILL)

    def _end(self, asker: socket.socket) -> None:
        ended = self.running.pop(asker)
        code = ended.process.wait()
        os.close(ended.ended)
        asking.tell(asker, code)
        asker.close()


def main(path: Path, worker: int, bare: bool) -> None:
    """Serve until the worker is gone; where a library starts a thread, anew and without any."""
    watched = os.pidfd_open(worker)
    build.load_for_deployed()
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        path.chmod(0o600)
        listener.listen(64)
        gc.collect()
        gc.freeze()
        held = None if bare else libraries.hold(Path.cwd())
        server = Server(listener, watched, {**os.environ, **build.settings()}, held)
        server.serve()
    path.unlink(missing_ok=True)
    if not server.alone:
        print("begins anew without libraries, of which one has started a thread", flush=True)
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:], BARE])


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), BARE in sys.argv[3:])
