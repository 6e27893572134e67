"""Starts a local Prefect API in the background, and waits for it."""

from __future__ import annotations

import socket
import sys
import time
from http.client import HTTPException
from pathlib import Path

from towpath.engine.server import (
    api_processes,
    blank,
    health,
    leases,
    mark,
    process,
    settings,
    state,
    sweep,
)
from towpath.engine.server.home import Home
from towpath.engine.server.state import Endpoint, State
from towpath.errors import EngineError


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
        keepers = _living_keepers(home)
        _end_all(home, keepers)
        mark.remove(home)
        home.state.unlink(missing_ok=True)
    return bool(keepers)


def _usable(home: Home) -> State | None:
    found = state.running(home)
    if found and found.prefect == state.installed():
        return found
    return None


def _start(home: Home) -> State:
    if keepers := _living_keepers(home):
        _refuse_while_used(home, state.running(home))
    _end_all(home, keepers)
    # What `towpath up` left of an API that was killed, or of the time before a reboot.
    mark.remove(home)
    sweep.sweep()
    with _listen(_last_port(home)) as listener:
        endpoint = Endpoint(listener.getsockname()[1], state.make_secret())
        pid = _spawn(home, endpoint, listener.fileno())
    started = state.record(endpoint.port, pid, endpoint.secret)
    home.port.write_text(str(started.port))
    state.write(home, started)
    return started


def _living_keepers(home: Home) -> list[int]:
    """The one that the state tells of, and any that it should have told of."""
    known = state.running(home)
    return list({*([known.pid] if known else []), *api_processes.keepers(home)})


def _end_all(home: Home, keepers: list[int]) -> None:
    """Two servers must never write to one database, nor may an old one that asks for no secret
    go on; a server whose keeper was killed lives for up to two seconds more."""
    for keeper in keepers:
        process.end(keeper)
    for server in api_processes.orphans(home):
        process.end(server)


def _refuse_while_used(home: Home, old: State | None) -> None:
    if runs := leases.runs(home):
        said = (
            f"the local API is Prefect {old.prefect}, this environment has {state.installed()}"
            if old
            else f"{home.state} is lost or of an older Towpath, so that the local API is replaced"
        )
        raise EngineError(f"{said}, and run {runs[0]} uses it", hint="wait for its end")


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


def _spawn(home: Home, endpoint: Endpoint, fd: int) -> int:
    beside = Path(__file__).parent
    # -P and -I: what lies in the folder of the script must not stand in for a library.
    serve: list[str | Path] = [sys.executable, "-P", beside / "serve.py", str(fd), home.ready]
    left = blank.wanted(home)
    keep: list[str | Path] = [
        sys.executable,
        "-I",
        "-S",
        beside / "keeper.py",
        home.folder,
        str(settings.rest()),
    ]
    return process.start(
        [*keep, str(fd), *serve, *([left] if left else [])],
        folder=home.folder,
        environment=settings.server_environment(home, endpoint),
        log=home.log,
        pass_fds=[fd],
    )


def _keeper_lives(home: Home, port: int) -> bool:
    found = state.running(home)
    return found is not None and found.port == port


def _failure(home: Home, what: str) -> EngineError:
    hint = f"`towpath down` and try again; what Prefect keeps is {home.database}"
    return process.failure(what, home.log, hint)
