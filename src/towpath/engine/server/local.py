"""Starts a local Prefect API in the background, and waits for it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from http.client import HTTPException
from pathlib import Path

from towpath.engine.server import health, keeper, settings, state
from towpath.engine.server.home import Home
from towpath.engine.server.state import State
from towpath.errors import EngineError, Fault, Place

LOG_LINES = 12


def begin(home: Home) -> tuple[State, bool]:
    """The API of `home`, and whether it was there before: started without waiting where not."""
    home.make()
    # Before the state is read: the keeper looks at both in the other order when it retires.
    home.touch()
    if found := _usable(home):
        return found, True
    with home.locked():
        if found := _usable(home):
            return found, True
        return _start(home), False


def wait(home: Home, port: int, seconds: float) -> None:
    """Until the API answers. EngineError with the end of its log where it does not."""
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        try:
            if health.answers(port, left):
                return
        except TimeoutError:
            break
        except (OSError, HTTPException):
            if not _keeper_lives(home, port):
                raise _failure(home, "the local Prefect API ended while it was starting") from None
        time.sleep(0.05)
    raise _failure(home, f"the local Prefect API does not answer within {seconds:g} s")


def stop(home: Home) -> bool:
    """Stop the API of `home` and whatever belongs to it. False where none ran."""
    if not home.folder.is_dir():
        return False
    with home.locked():
        found = state.running(home)
        if found:
            end(found.pid)
        home.state.unlink(missing_ok=True)
    return found is not None


def end(pid: int, seconds: float = 20.0) -> None:
    """End a process and those below it: asked first, killed when that does not help."""
    import psutil

    try:
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
        process.terminate()
    except psutil.NoSuchProcess:
        return
    _, left = psutil.wait_procs(family, timeout=seconds)
    for stubborn in left:
        stubborn.kill()
    psutil.wait_procs(left, timeout=seconds)


def _usable(home: Home) -> State | None:
    found = state.running(home)
    if found and found.prefect == state.installed():
        return found
    return None


def _start(home: Home) -> State:
    if (old := state.running(home)) is not None:
        end(old.pid)
    with _listen(_last_port(home)) as listener:
        started = state.record(listener.getsockname()[1], _spawn(home, listener.fileno()))
    home.port.write_text(str(started.port))
    state.write(home, started)
    return started


def _last_port(home: Home) -> int:
    try:
        return int(home.port.read_text())
    except (FileNotFoundError, ValueError):
        return 0


def _listen(port: int) -> socket.socket:
    """A socket on that port, or on any free one."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
    except OSError:
        listener.bind(("127.0.0.1", 0))
    listener.listen(128)
    return listener


def _spawn(home: Home, fd: int) -> int:
    command = [sys.executable, "-I", "-S", str(Path(keeper.__file__)), str(home.folder)]
    with home.log.open("wb") as log:
        process = subprocess.Popen(
            [*command, str(settings.rest()), str(fd)],
            cwd=home.folder,
            env=settings.server_environment(home),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=[fd],
            start_new_session=True,
        )
    # It outlives this process on purpose: say nothing of that when the object is collected.
    process.returncode = 0
    return process.pid


def _keeper_lives(home: Home, port: int) -> bool:
    found = state.running(home)
    return found is not None and found.port == port


def _failure(home: Home, what: str) -> EngineError:
    said = home.log.read_text(errors="replace").splitlines() if home.log.exists() else []
    tail = os.linesep.join(f"  {line}" for line in said[-LOG_LINES:] if line.strip())
    return EngineError(
        Fault(
            f"{what}; the end of its log:{os.linesep}{tail}" if tail else what,
            Place(str(home.log)),
            f"`towpath down` and try again; a broken database is {home.database}",
        ),
    )
