"""What `towpath up` left standing: a worker, and a `prefect.toml` for stock `prefect` commands."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from towpath.engine.server import configured, process, state
from towpath.engine.server.home import Home


@dataclass(frozen=True)
class Worker:
    """A worker process: it takes deployed runs from a pool and executes them in this project."""

    pid: int
    born: float
    since: str
    pool: str
    project: str

    @property
    def is_alive(self) -> bool:
        """Whether the process still runs."""
        return process.is_alive(self.pid, self.born)


def read(home: Home) -> Worker | None:
    """The worker of `towpath up`, living or not; None where the project is not up."""
    try:
        return Worker(**json.loads(home.up.read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def write(home: Home, worker: Worker) -> None:
    """Say that the project is up."""
    state.replace(home.up, json.dumps(asdict(worker), indent=2) + "\n")


def remove(home: Home) -> Worker | None:
    """End the worker, take away the `prefect.toml` if we wrote it. The worker that lived."""
    found = read(home)
    if found is None:
        return None
    alive = found.is_alive
    if alive:
        process.end(found.pid)
    toml = Path(found.project) / "prefect.toml"
    if configured.is_ours(toml):
        toml.unlink(missing_ok=True)
    home.up.unlink(missing_ok=True)
    return found if alive else None
