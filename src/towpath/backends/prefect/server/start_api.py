"""Starts a local Prefect API in the background, and waits for it."""

from __future__ import annotations

import os
import re
import shutil
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path

from towpath.backends.prefect.server import background_process, server_state, worker
from towpath.backends.prefect.server.api_guard import SECRET
from towpath.backends.prefect.server.api_home import Home, base, find_runs
from towpath.backends.prefect.server.server_state import Endpoint, State
from towpath.errors import EngineError, UsageError

REST_SECONDS = 15 * 60.0

SERVER: Mapping[str, str] = {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    # Prefect's pages call 127.0.0.1:4200 whatever their own port, unless told a path.
    "PREFECT_SERVER_UI_API_URL": "/api",
    # One commit for each event keeps SQLite busy: the API answers 503, clients sleep 2 s and more.
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "50",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_READ_BATCH_SIZE": "25",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "1",
    # Events are most of the database's growth, 20 kB a step; only Prefect's own pages show them.
    "PREFECT_SERVER_EVENTS_RETENTION_PERIOD": "P2D",
    "DO_NOT_TRACK": "1",
    "PREFECT__SERVER_FINAL": "1",
}


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
            if server_state.answers(port, left):
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
        worker.remove_worker(home)
        home.state.unlink(missing_ok=True)
    return bool(keepers)


def _usable(home: Home) -> State | None:
    found = server_state.running(home)
    if found and found.prefect == server_state.installed():
        return found
    return None


def _start(home: Home) -> State:
    if keepers := _living_keepers(home):
        _refuse_while_used(home, server_state.running(home))
    _end_all(home, keepers)
    # What `towpath up` left of an API that was killed, or of the time before a reboot.
    worker.remove_worker(home)
    _sweep()
    with _listen(_last_port(home)) as listener:
        endpoint = Endpoint(listener.getsockname()[1], server_state.make_secret())
        pid = _spawn(home, endpoint, listener.fileno())
    started = server_state.record(endpoint.port, pid, endpoint.secret)
    home.port.write_text(str(started.port))
    server_state.write(home, started)
    return started


def _living_keepers(home: Home) -> list[int]:
    """The one that the state tells of, and any that it should have told of."""
    known = server_state.running(home)
    return list({*([known.pid] if known else []), *background_process.keepers(home)})


def _end_all(home: Home, keepers: list[int]) -> None:
    """Two servers must never write to one database, nor may an old one that asks for no secret
    go on; a server whose keeper was killed lives for up to two seconds more."""
    for keeper in keepers:
        background_process.end(keeper)
    for server in background_process.orphans(home):
        background_process.end(server)


def _refuse_while_used(home: Home, old: State | None) -> None:
    if runs := find_runs(home):
        said = (
            f"the local API is Prefect {old.prefect},"
            f" this environment has {server_state.installed()}"
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
    left = _give_blank(home)
    keep: list[str | Path] = [
        sys.executable,
        "-I",
        "-S",
        beside / "keeper.py",
        home.folder,
        str(rest()),
    ]
    return background_process.start(
        [*keep, str(fd), *serve, *([left] if left else [])],
        folder=home.folder,
        environment=server_environment(home, endpoint),
        log=home.log,
        pass_fds=[fd],
    )


def _keeper_lives(home: Home, port: int) -> bool:
    found = server_state.running(home)
    return found is not None and found.port == port


def _failure(home: Home, what: str) -> EngineError:
    hint = f"`towpath down` and try again; what Prefect keeps is {home.database}"
    return background_process.failure(what, home.log, hint)


def server_environment(home: Home, endpoint: Endpoint) -> dict[str, str]:
    """The server's environment: the user's, with none of the user's own Prefect settings.

    The secret goes this way because command lines are for everybody to read, this is not.
    """
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PREFECT_")}
    origins = ",".join(f"http://{name}:{endpoint.port}" for name in ("127.0.0.1", "localhost"))
    own = {
        "PREFECT_HOME": str(home.folder),
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": origins,
        SECRET: endpoint.secret,
    }
    return {**kept, **SERVER, **own}


def rest() -> float:
    """How long an unused API lives, in seconds: `TOWPATH_REST` as `900`, `90s`, `15m` or `2h`."""
    said = os.environ.get("TOWPATH_REST", "").strip()
    if not said:
        return REST_SECONDS
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", said)
    if not match:
        raise UsageError(f"TOWPATH_REST={said!r} is no span of time", hint="say 90s, 15m or 2h")
    return float(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[match[2]]


def find_homes() -> Iterator[Home]:
    """The home of each local API of this user, running or not."""
    for folder in sorted((base() / "prefect").glob("*/")):
        if (folder / "leases").is_dir():
            yield Home(folder)


def _abandoned() -> Iterator[Home]:
    """Homes of projects that were deleted or moved, where nothing runs."""
    for each in find_homes():
        root = each.project_root()
        if root and not root.is_dir() and not server_state.running(each):
            yield each


def _sweep() -> None:
    """Remove what deleted projects left behind: a few megabytes each."""
    for each in _abandoned():
        shutil.rmtree(each.folder, ignore_errors=True)


def blank_path() -> Path:
    """Where an empty database of the installed version of Prefect is kept.

    Prefect makes one by a hundred migrations, which take longer (5 to 10 s) than all the rest of a
    start. The first server that has done so leaves a copy; later homes begin with that.
    """
    return base() / "prefect" / f"blank-{server_state.installed()}.db"


def _give_blank(home: Home) -> Path | None:
    """Give a new home the copy; where there is none yet, say where the server shall leave one."""
    kept = blank_path()
    if home.database.exists():
        return None
    with suppress(FileNotFoundError):
        new = home.folder / f"blank.{os.getpid()}"
        shutil.copyfile(kept, new)
        new.chmod(0o600)  # what runs hold is the owner's alone
        new.replace(home.database)
        return None
    return kept
