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

from towpath.backends.prefect.server import api_home, server_state, worker
from towpath.backends.prefect.server.api_guard import SECRET
from towpath.backends.prefect.server.api_home import ApiHome, base_folder, find_runs
from towpath.backends.prefect.server.server_state import LocalApiState
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
    # Services that look again and again for what one person seldom has: late runs, pauses that run
    # out, leases of limits, workers that were to tidy up, events that failed to come. A minute
    # instead of five seconds each: idle, the API takes 2.3 % of a processor and not 3.3.
    "PREFECT_SERVER_SERVICES_LATE_RUNS_LOOP_SECONDS": "60",
    "PREFECT_SERVER_SERVICES_PAUSE_EXPIRATIONS_LOOP_SECONDS": "60",
    "PREFECT_SERVER_SERVICES_REPOSSESSOR_LOOP_SECONDS": "60",
    "PREFECT_SERVER_SERVICES_CLEANUP_RECONCILER_LOOP_SECONDS": "60",
    "PREFECT_SERVER_EVENTS_PROACTIVE_GRANULARITY": "PT1M",
    # Events are most of the database's growth, 20 kB a step; only Prefect's own pages show them.
    "PREFECT_SERVER_EVENTS_RETENTION_PERIOD": "P2D",
    "DO_NOT_TRACK": "1",
    "PREFECT__SERVER_FINAL": "1",
}
# To look for migrations and to register the kinds of block again takes 0.6 of 3.7 s of a start.
PREPARED: Mapping[str, str] = {
    "PREFECT_SERVER_DATABASE_MIGRATE_ON_START": "false",
    "PREFECT_SERVER_REGISTER_BLOCKS_ON_START": "false",
}


def begin_local_api(home: ApiHome) -> tuple[LocalApiState, bool]:
    """The API of `home`, and whether it was there before: started without waiting where not."""
    home.make()
    # Before the state is read: the keeper looks at both in the other order when it retires.
    home.touch()
    if usable := _usable_state(home):
        return usable, True
    with home.locked():
        if usable := _usable_state(home):  # somebody else started it while we waited
            return usable, True
        return _start_api(home), False


def await_local_api(home: ApiHome, port: int, seconds: float) -> None:
    """Until the API answers. EngineError with the end of its log where it does not."""
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        try:
            if server_state.is_answering(port, left):
                return
        except TimeoutError:
            break
        except (OSError, HTTPException):
            api_state = server_state.running_api_state(home)
            if api_state is None or api_state.port != port:
                what = "the local Prefect API ended while it was starting"
                raise _api_failure(home, what) from None
        time.sleep(0.05)  # the keeper starts a server that crashed anew, at the same socket
    raise _api_failure(home, f"the local Prefect API does not answer within {seconds:g} s")


def stop_local_api(home: ApiHome) -> bool:
    """Stop the API of `home` and whatever belongs to it. False where none ran."""
    if not home.folder.is_dir():
        return False
    with home.locked():
        keepers = _living_keepers(home)
        _end_all(home, keepers)
        worker.remove_worker(home)
        home.state.unlink(missing_ok=True)
    return bool(keepers)


def _usable_state(home: ApiHome) -> LocalApiState | None:
    api_state = server_state.running_api_state(home)
    if api_state and api_state.prefect == server_state.installed_prefect():
        return api_state
    return None


def _start_api(home: ApiHome) -> LocalApiState:
    if keepers := _living_keepers(home):
        _refuse_while_used(home, server_state.running_api_state(home))
    _end_all(home, keepers)
    # What `towpath up` left of an API that was killed, or of the time before a reboot.
    worker.remove_worker(home)
    _sweep_homes()
    with _open_listener(_last_port(home)) as listener:
        port, secret = listener.getsockname()[1], server_state.make_secret()
        environment = server_environment(home, port, secret)
        pid = _spawn_keeper(home, environment, listener.fileno())
    home.port_file.write_text(str(port))
    started = LocalApiState(
        port, pid, api_home.creation_time(pid), api_home.written_time(),
        server_state.installed_prefect(), secret,
    )  # fmt: skip
    server_state.write_process_file(home.state, started)
    return started


def _living_keepers(home: ApiHome) -> list[int]:
    """The one that the state tells of, and any that it should have told of."""
    api_state = server_state.running_api_state(home)
    return list({*([api_state.pid] if api_state else []), *api_home.find_keepers(home)})


def _end_all(home: ApiHome, keepers: list[int]) -> None:
    # Two servers must never write to one database, nor may one go on of whose secret nobody knows;
    # and one whose keeper was killed lives for up to two seconds more.
    for keeper in keepers:
        api_home.end_process(keeper)
    for server in api_home.find_servers(home):
        api_home.end_process(server)


def _refuse_while_used(home: ApiHome, old: LocalApiState | None) -> None:
    if runs := find_runs(home):
        what = (
            f"the local API is Prefect {old.prefect},"
            f" this environment has {server_state.installed_prefect()}"
            if old
            else f"{home.state} is lost or was altered, so that the local API is replaced"
        )
        raise EngineError(f"{what}, and run {runs[0]} uses it", hint="wait for its end")


def _last_port(home: ApiHome) -> int:
    try:
        return int(home.port_file.read_text())
    except (FileNotFoundError, ValueError):
        return 0


def _open_listener(port: int) -> socket.socket:
    """A socket on that port, or on any free one."""
    listener = socket.socket()
    # Without it the port of an API that has just ended is refused for a minute.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
    except OSError:
        listener.bind(("127.0.0.1", 0))
    listener.listen(128)
    return listener


def _spawn_keeper(home: ApiHome, environment: Mapping[str, str], fd: int) -> int:
    beside = Path(__file__).parent
    # -P and -I: what lies in the folder of the script must not stand in for a library. -S: the
    # keeper, which stays for hours, needs no packages.
    python, rest = sys.executable, str(rest_seconds())
    keep = (python, "-I", "-S", beside / "keeper.py", home.folder, rest, str(fd))
    serve = (python, "-P", beside / "serve.py", str(fd), home.ready_file)
    blank = _give_blank(home)
    return api_home.start_process(
        [*keep, *serve, *([blank] if blank else [])], folder=home.folder,
        environment=environment, log=home.log, pass_fds=[fd],
    )  # fmt: skip


def _api_failure(home: ApiHome, what: str) -> EngineError:
    hint = f"`towpath down` and try again; what Prefect keeps is {home.database_file}"
    return api_home.process_failure(what, home.log, hint)


def server_environment(home: ApiHome, port: int, secret: str) -> dict[str, str]:
    """The server's environment: the user's, with none of the user's own Prefect settings."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PREFECT_")}
    origins = ",".join(f"http://{name}:{port}" for name in ("127.0.0.1", "localhost"))
    own = {
        "PREFECT_HOME": str(home.folder),
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": origins,
        # Command lines are for everybody to read, an environment is not.
        SECRET: secret,
    }
    prepared = PREPARED if home.is_prepared(server_state.installed_prefect()) else {}
    return {**kept, **SERVER, **prepared, **own}


def rest_seconds() -> float:
    """How long an unused API lives, in seconds: `TOWPATH_REST` as `900`, `90s`, `15m` or `2h`."""
    text = os.environ.get("TOWPATH_REST", "").strip()
    if not text:
        return REST_SECONDS
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", text)
    if not match:
        raise UsageError(f"TOWPATH_REST={text!r} is no span of time", hint="say 90s, 15m or 2h")
    return float(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[match[2]]


def find_homes() -> Iterator[ApiHome]:
    """The home of each local API of this user, running or not."""
    for folder in sorted((base_folder() / "prefect").glob("*/")):
        if (folder / "leases").is_dir():
            yield ApiHome(folder)


def _sweep_homes() -> None:
    """Remove what projects that were deleted or moved left behind: a few megabytes each."""
    for home in find_homes():
        root = home.project_root()
        if root and not root.is_dir() and not server_state.running_api_state(home):
            shutil.rmtree(home.folder, ignore_errors=True)  # what stays is swept the next time


def blank_path() -> Path:
    # Prefect makes one by a hundred migrations, which take longer (5 to 10 s) than all the rest of
    # a start. The first server that has done so leaves a copy; later homes begin with that.
    return base_folder() / "prefect" / f"blank-{server_state.installed_prefect()}.db"


def _give_blank(home: ApiHome) -> Path | None:
    """Give a new home the copy; where there is none yet, say where the server shall leave one."""
    kept = blank_path()
    if home.database_file.exists():
        return None
    with suppress(FileNotFoundError):
        new = home.folder / f"blank.{os.getpid()}"
        # Copied beside it and moved: a start that is killed here leaves no half of a database.
        shutil.copyfile(kept, new)
        new.chmod(0o600)  # what runs hold is the owner's alone
        new.replace(home.database_file)
        home.prepared_file.write_text(server_state.installed_prefect())
        return None
    return kept
