"""What is known of a local API that runs, and whether that is still true."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from towpath.engine.server import process
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
    return State(port, pid, process.born(pid), process.now(), installed())


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
    return state if state and process.is_alive(state.pid, state.born) else None


def write(home: Home, state: State) -> None:
    """Replace the state at once, so that no reader sees half of it."""
    replace(home.state, json.dumps(asdict(state), indent=2) + "\n")


def replace(path: Path, text: str) -> None:
    """Write a file beside `path` and move it there."""
    new = path.with_name(f"{path.name}.{os.getpid()}")
    new.write_text(text)
    new.replace(path)


def server_pid(home: Home, state: State) -> int:
    """The process that serves; its keeper while that one is being started."""
    try:
        return int(home.ready.read_text())
    except (FileNotFoundError, ValueError):
        return state.pid
