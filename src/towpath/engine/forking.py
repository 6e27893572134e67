"""A process that has Prefect imported, and is forked for each deployed run of `towpath up`.

``python -m towpath.engine.forking SOCKET WORKER`` stands beside the worker, and ends with it. A run
sends its environment, folder and standard files over the Unix socket, then the signals that it
gets; it is answered with the exit code. Imports are what a run of a small pipeline waits for most.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import os
import signal
import socket
import sys
from dataclasses import dataclass, field
from multiprocessing import connection, get_context
from multiprocessing.context import ForkProcess
from pathlib import Path

from towpath.engine import asking, deployed
from towpath.engine.asking import Asked
from towpath.engine.flow import build


@dataclass
class Server:
    """Who waits for which process."""

    listener: socket.socket
    worker: int
    environment: dict[str, str]
    running: dict[socket.socket, ForkProcess] = field(default_factory=dict)
    alone: bool = False

    def serve(self) -> None:
        """Serve until the worker, whose process ``worker`` watches, and all runs have ended."""
        while self.running or not self.alone:
            self._turn()

    def _turn(self) -> None:
        """Wait for something to happen, and see to it."""
        ends = {process.sentinel: asker for asker, process in self.running.items()}
        watched = () if self.alone else (self.listener, self.worker)
        for event in connection.wait([*watched, *self.running, *ends]):
            if event is self.listener:
                self._begin(self.listener.accept()[0])
            elif event == self.worker:
                self.alone = True
            elif isinstance(event, int):
                self._end(ends[event])
            elif event in self.running:
                self._hear(event)

    def _begin(self, asker: socket.socket) -> None:
        try:
            asked = asking.receive(asker)
        except (OSError, ValueError):
            return asker.close()
        if other := asking.different(asked.environment, self.environment):
            print("not forked, for settings that differ:", *other, flush=True)
            asked.close()
            return asker.close()
        asking.accept(asker)
        begun = get_context("fork").Process(target=self._execute, args=(asked,))
        begun.start()
        asked.close()
        self.running[asker] = begun
        return None

    def _execute(self, asked: Asked) -> None:
        """Be the process of a run."""
        os.setsid()
        for kept in (self.listener, *self.running):
            kept.close()
        asked.enter()
        try:
            deployed.execute(asked.root)
        finally:
            atexit._run_exitfuncs()  # Prefect sends its last logs and events there

    def _hear(self, asker: socket.socket) -> None:
        """Pass a signal on; whoever asked and is gone takes the run along."""
        said = asker.recv(1)
        pid = self.running[asker].pid
        assert pid is not None
        with contextlib.suppress(ProcessLookupError):
            if said:
                os.kill(pid, said[0])
            else:
                os.killpg(pid, signal.SIGKILL)

    def _end(self, asker: socket.socket) -> None:
        ended = self.running.pop(asker)
        ended.join()
        with contextlib.suppress(OSError):
            asker.sendall(bytes([(ended.exitcode or 0) % 256]))
        asker.close()
        ended.close()


def main(path: Path, worker: int) -> None:
    """Serve until the worker is gone."""
    watched = os.pidfd_open(worker)
    build.load_for_deployed()
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(64)
        gc.collect()
        gc.freeze()
        Server(listener, watched, {**os.environ, **build.settings()}).serve()
    path.unlink(missing_ok=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
