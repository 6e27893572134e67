"""What is known of a local API that runs, and whether that is still true."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from towpath.engine.server.home import Home


@dataclass(frozen=True)
class State:
    """A local API: its address, its keeper's process, and what it was started with.

    `born` is the keeper's creation time (seconds since 1970), which tells it from a later process
    of the same number.
    """

    port: int
    pid: int
    born: float
    since: str
    prefect: str
    python: str

    @property
    def url(self) -> str:
        """The address of the API, as `PREFECT_API_URL` wants it."""
        return f"http://127.0.0.1:{self.port}/api"

    @property
    def ui(self) -> str:
        """The address of Prefect's pages."""
        return f"http://127.0.0.1:{self.port}"


def record(port: int, pid: int) -> State:
    """The state of an API that was started just now, kept by process `pid`."""
    now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return State(port, pid, born(pid) or 0.0, now, installed(), sys.prefix)


def installed() -> str:
    """The version of Prefect in this environment, without importing it."""
    from importlib.metadata import version

    return version("prefect")


def read(home: Home) -> State | None:
    """The state as it was last written, true or not."""
    try:
        return State(**json.loads(home.state.read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def running(home: Home) -> State | None:
    """The state of an API whose keeper lives."""
    state = read(home)
    return state if state and is_alive(state.pid, state.born) else None


def write(home: Home, state: State) -> None:
    """Replace the state at once, so that no reader sees half of it."""
    replace(home.state, json.dumps(asdict(state), indent=2) + "\n")


def replace(path: Path, text: str) -> None:
    """Write a file beside `path` and move it there."""
    new = path.with_name(f"{path.name}.{os.getpid()}")
    new.write_text(text)
    new.replace(path)


def born(pid: int) -> float | None:
    """When a process was created, or None where there is none (a dead one not yet reaped too)."""
    import psutil

    try:
        process = psutil.Process(pid)
        gone = process.status() == psutil.STATUS_ZOMBIE
        return None if gone else process.create_time()
    except psutil.NoSuchProcess:
        return None


def is_alive(pid: int, since: float) -> bool:
    """Whether process `pid` is the one that was created at `since`."""
    now = born(pid)
    return now is not None and abs(now - since) < 1
