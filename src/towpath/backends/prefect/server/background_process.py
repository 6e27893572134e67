"""Processes that stay in the background: started, told apart, ended, and what they said last.

Those of a local Prefect API are also found by their command lines: `state.json` may be lost,
unreadable, or of an older Towpath, and what it told of would go on beside a new API, on the same
database.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from towpath.backends.prefect.server.api_home import ApiHome
from towpath.call_log import log_call
from towpath.errors import EngineError, Fault, Place

LOG_LINES = 12
_BESIDE = ("prefect", "server")
KEEPER, SERVER = "keeper.py", "serve.py"
WORKER = "towpath.backends.prefect.server.worker_process"


def start_process(
    command: Sequence[str | Path],
    *,
    folder: Path,
    environment: Mapping[str, str],
    log: Path,
    pass_fds: Sequence[int] = (),
) -> int:
    """Start a process that outlives this one and that its terminal's Ctrl-C does not reach."""
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    logged = log_call("process", "start", *command)
    with os.fdopen(output, "wb") as log_file, logged:
        started = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log_file,
            stderr=log_file,
            pass_fds=pass_fds,
            start_new_session=True,
        )
        logged.answer(f"process {started.pid}")
    # It is meant to be left running: no warning of that when the object is collected.
    started.returncode = 0
    return started.pid


def creation_time(pid: int) -> float:
    """When a process was created, in seconds since 1970; 0 where there is none that runs."""
    import psutil

    try:
        process = psutil.Process(pid)
        gone = process.status() == psutil.STATUS_ZOMBIE
        return 0.0 if gone else float(process.create_time())
    except psutil.NoSuchProcess:
        return 0.0


def is_alive(pid: int, since: float) -> bool:
    """Whether `pid` is still the process that was created at `since`, and not a later one."""
    created = creation_time(pid)
    return created > 0 and abs(created - since) < 1


def is_our_process(pid: int, since: float) -> bool:
    """The same, and whether it is a process of this user."""
    import psutil

    try:
        return is_alive(pid, since) and psutil.Process(pid).uids().effective == os.geteuid()
    except psutil.NoSuchProcess:
        return False


def is_listening(pid: int, port: int) -> bool:
    """Whether a process of this user holds the socket that listens at a loopback port."""
    import psutil

    try:
        sockets = psutil.Process(pid).net_connections(kind="tcp4")
    except psutil.Error:
        return False
    local = ("127.0.0.1", port)
    return any(s.status == psutil.CONN_LISTEN and tuple(s.laddr) == local for s in sockets)


def end_process(pid: int, seconds: float = 20.0) -> None:
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


def written_time() -> str:
    """The time, as Towpath writes it."""
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def process_failure(what: str, log: Path, hint: str) -> EngineError:
    """The error of a process that did not do its duty, with the end of what it said."""
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    tail = "".join(f"{os.linesep}  {line}" for line in lines[-LOG_LINES:] if line.strip())
    what_and_tail = f"{what}; the end of its log:{tail}" if tail else what
    return EngineError(Fault(what_and_tail, Place(str(log)), hint))


def find_keepers(home: ApiHome) -> list[int]:
    """The keepers of the API of `home`."""
    folder = str(home.folder)
    return [pid for pid, words in _own_commands() if _word_after(words, KEEPER, 1) == folder]


def find_servers(home: ApiHome) -> list[int]:
    """The servers of `home`; without a keeper they end by themselves, two seconds later."""
    ready = str(home.ready_file)
    return [pid for pid, words in _own_commands() if _word_after(words, SERVER, 2) == ready]


def find_workers(home: ApiHome) -> list[int]:
    """The workers of `towpath up` that serve the API of `home`."""
    expected = [WORKER, str(home.folder)]
    return [pid for pid, words in _own_commands() if expected == list(words[3:5])]


def _own_commands() -> Iterator[tuple[int, Sequence[str]]]:
    """This user's processes: what another user runs under such a name is not ours to believe."""
    import psutil

    me = os.geteuid()
    for process in psutil.process_iter():
        try:
            if process.uids().effective == me and process.status() != psutil.STATUS_ZOMBIE:
                yield process.pid, process.cmdline()
        except psutil.Error:  # gone meanwhile, or not for our eyes
            continue


def _word_after(words: Sequence[str], script: str, distance: int) -> str | None:
    """The word so many places after that script of ours, wherever Towpath is installed."""
    for number, word in enumerate(words[:5]):
        path = Path(word)
        if path.name == script and path.parts[-3:-1] == _BESIDE:
            return words[number + distance] if number + distance < len(words) else None
    return None
