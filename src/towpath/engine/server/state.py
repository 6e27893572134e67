"""What is known of a local API that runs, and whether that is still true."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import asdict, dataclass, field
from pathlib import Path

from towpath.engine.server import process
from towpath.engine.server.home import Home
from towpath.errors import EngineError, Malformed
from towpath.spec import foreign_values as foreign
from towpath.spec.foreign_values import Fields

LOCAL_USER = "towpath"
"""The name in front of each local API's secret, by which it is told from others."""


@dataclass(frozen=True)
class State:
    """A local API: its address, its keeper's process, and what it was started with.

    `born` is the keeper's creation time (seconds since 1970), which tells it from a later process
    of the same number. `secret` is what a client of this API must say, as ``user:password``; each
    start has a new one, for when an API has ended, whoever takes its port hears the old one.
    """

    port: int
    pid: int
    born: float
    since: str
    prefect: str
    secret: str = field(repr=False)

    @property
    def url(self) -> str:
        """The address of the API, as `PREFECT_API_URL` wants it."""
        return f"http://127.0.0.1:{self.port}/api"

    @property
    def ui(self) -> str:
        """The address of Prefect's pages."""
        return f"http://127.0.0.1:{self.port}"


@dataclass(frozen=True)
class Endpoint:
    """Where a local API listens, the secret that it wants to hear, and the process that keeps it
    (0 where that is not asked for)."""

    port: int
    secret: str = field(repr=False)
    keeper: int = 0


def make_secret() -> str:
    """A secret for one API, of letters that need no quotes in TOML and in a shell."""
    return f"{LOCAL_USER}:{secrets.token_urlsafe(32)}"


def is_local_secret(secret: str) -> bool:
    """Whether a secret is one of a local API, and so not for the ears of another."""
    return secret.startswith(f"{LOCAL_USER}:")


def record(port: int, pid: int, secret: str) -> State:
    """The state of an API that was started just now, kept by process `pid`."""
    return State(port, pid, process.born(pid), process.now(), installed(), secret)


def prove_endpoint(home: Home, port: int | None = None) -> Endpoint:
    """The way to the API of `home`, once the system has said that its keeper holds the port.

    The secret is for that process alone: had the API ended, anybody could listen there by now.
    Raises EngineError where it does not run, or no longer at `port`.
    """
    state = running(home)
    if (
        state is None
        or port not in (None, state.port)
        or not process.listens(state.pid, state.port)
    ):
        raise EngineError("the local Prefect API has ended", hint="run the command again")
    return Endpoint(state.port, state.secret, state.pid)


def installed() -> str:
    """The version of Prefect in this environment, without importing it."""
    from importlib.metadata import version

    return version("prefect")


def read(home: Home) -> State | None:
    """The state as it was last written, true or not."""
    try:
        return read_state(home.state.read_bytes())
    except (FileNotFoundError, Malformed):
        return None


def read_state(content: bytes) -> State:
    """The state in a file; ``Malformed`` for what is none: it names a process and an address."""
    fields = Fields(foreign.parse_json(content))
    return State(
        port=fields.get("port", foreign.read_port),
        pid=fields.get("pid", foreign.read_process),
        born=fields.get("born", foreign.read_second),
        since=fields.get("since", foreign.read_text),
        prefect=fields.get("prefect", foreign.read_text),
        secret=fields.get("secret", foreign.read_text),
    )


def running(home: Home) -> State | None:
    """The state of an API whose keeper lives, a process of this user."""
    state = read(home)
    return state if state and process.is_ours(state.pid, state.born) else None


def write(home: Home, state: State) -> None:
    """Replace the state at once, so that no reader sees half of it."""
    replace(home.state, json.dumps(asdict(state), indent=2) + "\n")


def replace(path: Path, text: str) -> None:
    """Write a file beside `path` and move it there; none but its owner may ever read it."""
    new = path.with_name(f"{path.name}.{os.getpid()}")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    new.replace(path)


def server_pid(home: Home, state: State) -> int:
    """The process that serves; its keeper while that one is being started."""
    try:
        return int(home.ready.read_text())
    except (FileNotFoundError, ValueError):
        return state.pid
