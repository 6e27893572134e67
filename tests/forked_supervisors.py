"""Processes above a run's or a sandbox's, forked from one that has imported what they would.

A new Python imports for a tenth of a second before it is a supervisor, and for two seconds more
where steps need pandas, skops and Great Expectations; so does what sandboxes are forked from: a
tenth of the time of all tests. ``python forked_supervisors.py ADDRESS light`` has one thread and a
supervisor's own modules, ``heavy`` those libraries too; ``sandbox`` has the bare environment of
somebody's code, and what gates and smoke tests need. Each imports when it is first asked, and forks
a child for each request. A session has one of each, whichever of xdist's workers asks.

All else is as a run starts it: arguments, environment, folder, descriptors, session, signals, and
how it ends. A sandbox is forked from its server as ever, and finds no more there than what another
sandbox had asked for before it. Where variables differ that are read at an import, each is started
as ever, and so it is in the tests of FRESH, whose subject is that, or what confines.
"""

from __future__ import annotations

import contextlib
import fcntl
import gc
import json
import os
import runpy
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

from towpath.sandbox import confined_process, process_tree
from towpath.sandbox.client import Client
from towpath.sandbox.foreign_code import Sandbox

#: Rooms and files of tests whose supervisors and sandboxes are started by themselves.
FRESH = (
    "backends", "faults/test_own_code.py", "faults/test_sandbox.py", "sandbox",
    "steps/test_process_memory.py", "steps/test_process_starts.py",
)  # fmt: skip

_SUPERVISOR, _FORK_SERVER = "towpath.sandbox.supervisor", "towpath.sandbox.fork_server"
_OWN = ("towpath.steps.kinds.function_step", "towpath.steps.step_worker")
_MODELS = ("scipy.special", "skops.io", "pandas", "pyarrow.parquet")
_VALIDATION = "towpath.backends.great_expectations.validation"
_IMPORTED = {
    "light": _OWN,
    "heavy": (*_OWN, *_MODELS, _VALIDATION),
    "sandbox": (
        "towpath.delivery.gates.gate_process", "towpath.steps.model_io.score_model",
        "towpath.steps.model_io.smoke_predictions", "towpath.steps.model_io.skops_models", *_MODELS,
    ),
}  # fmt: skip
_HEAVY = ("pandas", "pyarrow", "skops", "sklearn", _VALIDATION)
#: What decides at import.
_AT_IMPORT = ("PYTHON", "LC_", "LANG", "OMP_", "OPENBLAS_", "MKL_", "MPL", "GOMP_", "GX_",
              "SOURCE_")  # fmt: skip
_OF_EACH_SANDBOX = ("HOME", "TMPDIR", "PATH")
_SURROUNDINGS = "surroundings.json"

_START, _START_MODULE = Client.start, process_tree.start_module
_chosen: Path | None = None
_needs = local()
_servers: list[subprocess.Popen[bytes]] = []


class ForkedProcess:
    """Of ``subprocess.Popen`` what is asked of a supervisor's process, or of a fork server's."""

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
            raise subprocess.TimeoutExpired("forked", timeout or 0)
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
def hold_servers(folder: Path) -> int:
    """A descriptor: the servers in ``folder`` end when no process has such a one any more."""
    with contextlib.suppress(FileExistsError):
        os.mkfifo(folder / "held")
    return os.open(folder / "held", os.O_RDWR)


@cache
def start_supervisor_servers(folder: Path) -> Path:
    """``folder``, with the addresses of the processes that fork, which the first one starts."""
    hold_servers(folder)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / _SURROUNDINGS).exists():
            _start_servers(folder)
    return folder


def _start_servers(folder: Path) -> None:
    around = {**process_tree.CALM, **os.environ}
    bare = Sandbox(Path("/nonexistent"), 0).bare_environment()
    environments = {"light": around, "heavy": around, "sandbox": bare}
    with (folder / "held").open("rb") as held:
        for kind, environment in environments.items():
            server = subprocess.Popen(
                [sys.executable, "-P", __file__, f"{folder}/{kind}", kind],
                env=environment,
                cwd="/",
                stdin=held,
                stdout=subprocess.DEVNULL,
            )
            _servers.append(server)
    surroundings = {kind: _surroundings(kind, env) for kind, env in environments.items()}
    (folder / _SURROUNDINGS).write_text(json.dumps(surroundings))


def chosen_addresses() -> Path | None:
    """What was chosen last."""
    return _chosen


def choose_start(addresses: Path | None) -> None:
    """Have this process fork its supervisors, and what its sandboxes are forked from, at
    ``addresses``, or start them."""
    global _chosen
    if addresses == _chosen:
        return
    _chosen = addresses
    confined_process.end_server()  # it was had the other way
    if addresses is None:
        Client.start, process_tree.start_module = _START, _START_MODULE  # type: ignore[method-assign]
        return
    surroundings = json.loads((addresses / _SURROUNDINGS).read_text())

    def note_needs(workshop: Any, needs: tuple[str, ...], surroundings: Any = None) -> Client:
        _needs.kind = "heavy" if any(need.startswith(_HEAVY) for need in needs) else "light"
        return _START(workshop, needs, surroundings)

    def fork_or_start(
        module: str, words: Sequence[str], passed: Sequence[int], **how: Any
    ) -> subprocess.Popen[bytes] | ForkedProcess:
        kind = _find_kind(module)
        is_same = kind and _surroundings(kind, how["environment"]) == surroundings[kind]
        if not is_same or how.get("python"):
            return _START_MODULE(module, words, passed, **how)
        return _fork(addresses / kind, module, words, passed, how)

    Client.start = note_needs  # type: ignore[method-assign, assignment]
    process_tree.start_module = fork_or_start  # type: ignore[assignment]


def _find_kind(module: str) -> str | None:
    """The server that forks it; None where it is started."""
    if module == _FORK_SERVER:
        return "sandbox"
    return str(_needs.kind) if module == _SUPERVISOR else None


def _surroundings(kind: str, environment: Mapping[str, str]) -> list[Any]:
    """What a process must have in common with the server; of a sandbox's all that does not differ
    from one sandbox to the next."""
    if kind == "sandbox":
        names = environment.keys() - _OF_EACH_SANDBOX
    else:
        names = {name for name in environment if name.startswith(_AT_IMPORT)}
    return [sys.executable, {name: environment[name] for name in names}]


def _fork(
    address: Path, module: str, words: Sequence[str], passed: Sequence[int], how: Mapping[str, Any]
) -> ForkedProcess:
    life = _call_server(address)
    with Path(os.devnull).open("wb") as nothing:
        output = nothing if how["output"] == subprocess.DEVNULL else how["output"]
        socket.send_fds(life, [b"s"], [*passed, output.fileno()])
    asked = {
        "module": module,
        "words": words[1:],
        "folder": str(how.get("folder") or Path.cwd()),
        "environment": how["environment"],
    }
    life.sendall(json.dumps(asked).encode() + b"\n")
    return ForkedProcess(life)


def _call_server(address: Path) -> socket.socket:
    """A connection, once somebody listens."""
    deadline = time.monotonic() + 60
    life = socket.socket(socket.AF_UNIX)
    while not address.exists():
        assert time.monotonic() < deadline, f"nobody listens at {address}"
        time.sleep(0.02)
    life.connect(str(address))
    return life


def _be_module(control: int, output: int, asked: Mapping[str, Any]) -> NoReturn:
    """Be the process of ``python -P -m MODULE CONTROL WORDS``."""
    os.setsid()
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for number, source in enumerate((nothing, output, output)):
        os.dup2(source, number)
    os.close(nothing)
    os.close(output)
    os.environ.clear()
    os.environ.update(asked["environment"])
    os.chdir(asked["folder"])
    tempfile.tempdir = None
    sys.argv = ["-m", str(control), *asked["words"]]
    sys.modules.pop(asked["module"], None)  # it is __main__ alone
    runpy.run_module(asked["module"], run_name="__main__", alter_sys=True)
    os._exit(0)


@cache
def _import_modules(kind: str) -> None:
    for name in _IMPORTED[kind]:
        import_module(name)
    gc.freeze()


def _serve(address: str, kind: str) -> None:
    """Fork for each that calls, and tell it the number and how it ended, while stdin is held."""
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
            _import_modules(kind)
            child = os.fork()
            if child == 0:
                for ours in (listening, wakeup, notify, life, *lives.values()):
                    ours.close()
                _be_module(control, output, asked)
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
    _serve(*sys.argv[1:])
