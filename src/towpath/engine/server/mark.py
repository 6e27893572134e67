"""What `towpath up` left standing: a worker, and a `prefect.toml` for stock `prefect` commands."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from towpath.engine.server import api_processes, configured, process, state
from towpath.engine.server.home import Home
from towpath.errors import Malformed
from towpath.spec import foreign_values as foreign
from towpath.spec.foreign_values import Fields


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
        return process.is_ours(self.pid, self.born)


def read(home: Home) -> Worker | None:
    """The worker of `towpath up`, living or not; None where the project is not up."""
    try:
        return read_worker(home.up.read_bytes())
    except (FileNotFoundError, Malformed):
        return None


def read_worker(content: bytes) -> Worker:
    """The worker in a file; ``Malformed`` for what is none: its process would be ended."""
    fields = Fields(foreign.parse_json(content))
    return Worker(
        pid=fields.get("pid", foreign.read_process),
        born=fields.get("born", foreign.read_second),
        since=fields.get("since", foreign.read_text),
        pool=fields.get("pool", foreign.read_text),
        project=fields.get("project", foreign.read_text),
    )


def write(home: Home, worker: Worker) -> None:
    """Say that the project is up."""
    state.replace(home.up, json.dumps(asdict(worker), indent=2) + "\n")


def remove(home: Home) -> bool:
    """End the worker, take away the `prefect.toml` if we wrote it. Whether a worker lived.

    A worker that no file tells of any more is ended as well: it would take runs beside a new one.
    """
    worker = read(home)
    project = worker.project if worker else home.project_root()
    living = {worker.pid} if worker and worker.is_alive else set()
    living |= set(api_processes.workers(home))
    for pid in living:
        process.end(pid)
    if project and configured.is_ours(toml := Path(project) / "prefect.toml"):
        toml.unlink(missing_ok=True)
    home.up.unlink(missing_ok=True)
    return bool(living)
