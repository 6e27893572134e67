"""Supervisors of runs, forked from a process that has imported what they would.

A new Python imports for a tenth of a second before it is a supervisor, and for two seconds more
where steps need pandas, skops and Great Expectations: a tenth of the time of all tests. ``python
forked_supervisors.py ADDRESS light`` has one thread and a supervisor's own modules, ``heavy`` those
libraries too, and forks a child for each request. All else is as a run starts it: arguments,
environment, folder, descriptors, session, and how it ends. Where variables differ that are read at
an import, a run starts it as ever, and so it does in the tests of FRESH, whose subject is that.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from threading import local
from typing import Any, NoReturn

from towpath.sandbox import process_tree, supervisor
from towpath.sandbox.client import Client

#: Rooms and files of tests whose supervisors are started by themselves.
FRESH = ("backends", "sandbox", "steps/test_process.py")

_OWN = ("towpath.steps.kinds.function_step", "towpath.steps.step_worker")
_LIBRARIES = ("scipy.special", "pandas", "pyarrow.parquet", "skops.io",
              "towpath.backends.great_expectations.validation")  # fmt: skip
_HEAVY = ("pandas", "pyarrow", "skops", "sklearn", _LIBRARIES[-1])
#: What decides at import.
_AT_IMPORT = ("PYTHON", "LC_", "LANG", "OMP_", "OPENBLAS_", "MKL_", "MPL", "GOMP_", "GX_",
              "SOURCE_")  # fmt: skip
_VARIABLES = "variables.json"

_START, _START_MODULE = Client.start, process_tree.start_module
_chosen: Path | None = None
_needs = local()
_servers: list[subprocess.Popen[bytes]] = []  # each ends when nobody holds its stdin any more


class ForkedSupervisor:
    """Of ``subprocess.Popen`` what a run asks of its supervisor's process."""

    def __init__(self, life: socket.socket) -> None:
        self._life = life.makefile("r")
        self.pid = int(self._life.readline())
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """How it ended; None while it goes on."""
        return self._listen(0)

    def wait(self, timeout: float | None = None) -> int:
        """How it ended, within so many seconds."""
        code = self._listen(timeout)
        if code is None:
            raise subprocess.TimeoutExpired("supervisor", timeout or 0)
        return code

    def kill(self) -> None:
        """End it by force."""
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)

    def _listen(self, timeout: float | None) -> int | None:
        if self.returncode is None and select.select([self._life], [], [], timeout)[0]:
            self.returncode = int(self._life.readline())
            self._life.close()
        return self.returncode


@cache
def start_supervisor_servers(folder: Path) -> Path:
    """The addresses, in a folder in ``folder``, of two processes that fork; they end with this."""
    addresses = Path(tempfile.mkdtemp(dir=folder, prefix="sv"))
    around = {**process_tree.CALM, **os.environ}
    (addresses / _VARIABLES).write_text(json.dumps(_variables_at_import(around)))
    for kind in ("light", "heavy"):
        server = subprocess.Popen(
            [sys.executable, "-P", __file__, f"{addresses}/{kind}", kind],
            env=around,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
        )
        _servers.append(server)
    return addresses


def chosen_addresses() -> Path | None:
    """What was chosen last."""
    return _chosen


def choose_start(addresses: Path | None) -> None:
    """Have the runs of this process fork their supervisors at ``addresses``, or start them."""
    global _chosen
    if addresses == _chosen:
        return
    _chosen = addresses
    if addresses is None:
        Client.start, process_tree.start_module = _START, _START_MODULE  # type: ignore[method-assign]
        return
    at_import = json.loads((addresses / _VARIABLES).read_text())

    def note_needs(workshop: Any, needs: tuple[str, ...], surroundings: Any = None) -> Client:
        _needs.kind = "heavy" if any(need.startswith(_HEAVY) for need in needs) else "light"
        return _START(workshop, needs, surroundings)

    def fork_or_start(
        module: str, words: Sequence[str], passed: Sequence[int], **how: Any
    ) -> subprocess.Popen[bytes] | ForkedSupervisor:
        is_ours = module == supervisor.__name__ and words[1] == "fork" and not how.get("python")
        if not is_ours or _variables_at_import(how["environment"]) != at_import:
            return _START_MODULE(module, words, passed, **how)
        life = _call_server(addresses / _needs.kind)
        socket.send_fds(life, [b"s"], [*passed, how["output"].fileno()])
        asked = {"words": words[1:], "folder": str(Path.cwd()), "environment": how["environment"]}
        life.sendall(json.dumps(asked).encode() + b"\n")
        return ForkedSupervisor(life)

    Client.start = note_needs  # type: ignore[method-assign, assignment]
    process_tree.start_module = fork_or_start  # type: ignore[assignment]


def _variables_at_import(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name.startswith(_AT_IMPORT)}


def _call_server(address: Path) -> socket.socket:
    """A connection, once it has imported all."""
    deadline = time.monotonic() + 60
    life = socket.socket(socket.AF_UNIX)
    while not address.exists():
        assert time.monotonic() < deadline, f"nobody listens at {address}"
        time.sleep(0.02)
    life.connect(str(address))
    return life


def _be_supervisor(control: int, output: int, asked: Mapping[str, Any]) -> NoReturn:
    """Be the process of a supervisor."""
    os.setsid()
    nothing = os.open(os.devnull, os.O_RDONLY)
    for number, source in enumerate((nothing, output, output)):
        os.dup2(source, number)
    os.close(nothing)
    os.close(output)
    os.environ.clear()
    os.environ.update(asked["environment"])
    os.chdir(asked["folder"])
    tempfile.tempdir = None
    sys.argv = [str(supervisor.__file__), str(control), *asked["words"]]
    supervisor.run_supervisor()
    os._exit(0)


def _serve(address: str) -> None:
    """Fork for each that calls, and tell it the number and how it ended, until stdin is closed."""
    wakeup, notify = socket.socketpair()
    notify.setblocking(False)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(notify.fileno(), warn_on_full_buffer=False)
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(f"{address}.new")
    listening.listen(64)
    Path(f"{address}.new").rename(address)
    lives: dict[int, socket.socket] = {}
    while True:
        readable, _, _ = select.select([listening, wakeup, sys.stdin], [], [])
        if wakeup in readable:
            wakeup.recv(4096)
        for pid, code in _bury_ended():
            with lives.pop(pid) as life:
                _tell(life, code)
        if listening in readable:
            life, _ = listening.accept()
            _, (control, output), _, _ = socket.recv_fds(life, 1, 2)
            asked = json.loads(life.makefile().readline())
            child = os.fork()
            if child == 0:
                signal.set_wakeup_fd(-1)
                for ours in (listening, wakeup, notify, life, *lives.values()):
                    ours.close()
                _be_supervisor(control, output, asked)
            os.close(control)
            os.close(output)
            lives[child] = life
            _tell(life, child)
        if sys.stdin in readable:
            return


def _bury_ended() -> Iterator[tuple[int, int]]:
    """Each child that has ended, and how."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        yield pid, os.waitstatus_to_exitcode(status)


def _tell(life: socket.socket, number: int) -> None:
    with contextlib.suppress(OSError):  # the run is gone
        life.sendall(b"%d\n" % number)


if __name__ == "__main__":
    gc.disable()
    for name in (*_OWN, *(_LIBRARIES if sys.argv[2] == "heavy" else ())):
        import_module(name)
    gc.freeze()
    _serve(sys.argv[1])
