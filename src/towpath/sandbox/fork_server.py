"""The process that sandboxes are forked from: packages are imported in it once, and each piece of
somebody's code gets a fork of its own, which builds its fences before it works.

It has one thread, a bare environment and nobody's code: it imports Towpath's modules and installed
packages, reads no order and opens no model. What is asked comes as JSON with three descriptors:
where the answer goes, where what is printed goes, and a socket of this fork's life. Over that one
goes ``begun``, and its exit code at its end; whoever closes the other end has it killed.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
import tempfile
import threading
import traceback
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NoReturn

from msgspec import Struct, field

from towpath.sandbox import confinement, kernel_fences, process_tree

LONGEST_MESSAGE = 1 << 16
BEGUN = b"begun"


class ForkServer(Struct):
    """The server's state: the socket of who asks; of each fork, by the handle that tells of its
    end, its number and the socket of its life."""

    control: socket.socket
    forks: dict[int, tuple[int, socket.socket]] = field(default_factory=dict)

    def serve_client(self) -> None:
        """Fork and bury until the client hangs up."""
        while True:
            lives = {life: handle for handle, (_, life) in self.forks.items()}
            sources: list[int | socket.socket] = [self.control, *self.forks, *lives]
            ready, _, _ = select.select(sources, [], [])
            for handle in [source for source in ready if source in self.forks]:
                self._bury_fork(handle)
            for life in [source for source in ready if source in lives]:
                if lives[life] in self.forks:  # nobody speaks to us but by hanging up
                    _kill_fork(self.forks[lives[life]][0])
                    self._bury_fork(lives[life])
            if self.control in ready and not self._take_request():
                return

    def end_forks(self) -> None:
        """End all that still runs."""
        for pid, _ in self.forks.values():
            _kill_fork(pid)

    def _take_request(self) -> bool:
        message, descriptors, _, _ = socket.recv_fds(self.control, LONGEST_MESSAGE, 3)
        if not message:
            return False
        if len(descriptors) != 3:  # there is no room for them: what came is given back
            for descriptor in descriptors:
                os.close(descriptor)
            return True
        answer, printed = descriptors[:2]
        life = socket.socket(fileno=descriptors[2])
        request = json.loads(message)
        _import_packages(request["needs"])
        # A fork would take along the locks of another thread: who asks hears nothing, and starts
        # a Python of its own.
        if threading.active_count() == 1:
            self._fork_sandbox(request, answer, printed, life)
        else:
            life.close()
        os.close(answer)
        os.close(printed)
        return True

    def _fork_sandbox(
        self, request: Mapping[str, Any], answer: int, printed: int, life: socket.socket
    ) -> None:
        gc.freeze()  # a collection in the child would touch, and so copy, every page
        try:
            room = self.control.dup()  # for the handle: what was forked is kept
            with room:
                pid = os.fork()
        except OSError:
            life.close()
            return
        if pid == 0:
            for other in (self.control, life, *(life for _, life in self.forks.values())):
                other.close()
            for handle in self.forks:
                os.close(handle)
            _run_forked(request, answer, printed)
        self.forks[kernel_fences.open_process(pid)] = (pid, life)
        with contextlib.suppress(OSError):
            life.send(BEGUN)

    def _bury_fork(self, handle: int) -> None:
        pid, life = self.forks.pop(handle)
        os.close(handle)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        process_tree.signal_group(pid, signal.SIGKILL)  # what it left, where no namespace ended it
        with contextlib.suppress(OSError):
            life.send(str(code).encode())
        life.close()


def _kill_fork(pid: int) -> None:
    """Kill it with all that it started; one that was just born leads no group yet."""
    process_tree.kill_tree(pid)
    process_tree.signal_processes([pid], signal.SIGKILL)


def _import_packages(names: Iterable[str]) -> None:
    for name in names:
        # What fails here fails again in the fork, which tells it.
        with contextlib.suppress(Exception, SystemExit):
            importlib.import_module(name)


def _run_forked(request: Mapping[str, Any], answer: int, printed: int) -> NoReturn:
    """What a Python that was just started would be, then the confinement."""
    code = 1
    try:
        os.setsid()
        kernel_fences.set_visibility(True)  # its own files of /proc are the server's otherwise
        os.dup2(printed, 1)
        os.dup2(printed, 2)
        os.close(printed)
        os.chdir(request["folder"])
        os.environ.clear()
        os.environ.update(request["environment"])
        tempfile.tempdir = None
        importlib.invalidate_caches()
        if numpy := sys.modules.get("numpy"):
            numpy.random.seed()  # Python's own generator sees to itself
        gc.enable()
        confinement.run_confinement(Path(request["order"]), answer)
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def run_fork_server() -> None:
    """Serve the client at the other end of the socket whose descriptor is the first argument."""
    server = ForkServer(socket.socket(fileno=int(sys.argv[1])))
    # Who runs as the same user, in a system without fences, does not look into what forks the next.
    kernel_fences.set_visibility(False)
    gc.disable()
    os.close(kernel_fences.open_process(os.getpid()))  # else who asks finds nobody
    try:
        server.serve_client()
    finally:
        server.end_forks()
        os._exit(0)


if __name__ == "__main__":
    run_fork_server()
