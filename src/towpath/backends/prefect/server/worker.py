"""The worker of `towpath up`, its mark in the home, the pool that it serves, and its process.

``python -P -m towpath.backends.prefect.server.worker FOLDER KEEPER WORD...`` is ``prefect
WORD...``, and ends with the API. FOLDER is the API's home, by which the worker is found again;
KEEPER the process that keeps a local API, 0 for an API of the user's own.
"""

from __future__ import annotations

import json
import os
import runpy
import select
import shlex
import signal
import sys
import threading
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path
from typing import Any

from msgspec import Struct

from towpath.backends.prefect.server import api_home, remote_api, server_state
from towpath.backends.prefect.server.api_guard import basic_authorization
from towpath.backends.prefect.server.api_home import ApiHome, find_killed_runs
from towpath.backends.prefect.server.server_state import (
    ApiLine,
    BirthSecond,
    LocalApiState,
    PrefectApi,
    ProcessNumber,
    read_process_file,
)
from towpath.errors import EngineError
from towpath.sandbox import kernel_fences

POOL = "towpath"
START_SECONDS = 60.0
ASK_SECONDS = 30.0
LOOK_SECONDS = 0.2
BUSY = 503

SETTINGS = {
    # The default is to ask every 10 s. A question costs 17 ms of worker and API together: twice a
    # second, 3 % of a core; five times a second, the two took 11 % while nothing ran.
    "PREFECT_WORKER_QUERY_SECONDS": "0.5",
    "DO_NOT_TRACK": "1",
}


class PoolWorker(Struct, frozen=True):
    """A worker process: it takes deployed runs from a pool and executes them in this project."""

    pid: ProcessNumber
    born: BirthSecond
    since: str
    pool: str
    project: str

    @property
    def is_alive(self) -> bool:
        return api_home.is_our_process(self.pid, self.born)


def start_worker(api: PrefectApi, project: Path) -> PoolWorker:
    """A worker of this environment in this project; it may come up before the API does."""
    keeper = str(api.proven_endpoint.pid) if api.started_by_us else "0"
    # -P: what lies in the project's folder must not stand in for a library.
    command = [sys.executable, "-P", "-m", api_home.WORKER, str(api.home.folder), keeper]
    words = ["worker", "start", "--pool", POOL, "--type", "process", "--name", project.name]
    pid = api_home.start_process(
        [*command, *words, "--install-policy", "never"],
        folder=project,
        environment={**os.environ, **api.environment(), **SETTINGS},
        log=api.home.worker_log,
    )
    born, since = api_home.creation_time(pid), api_home.written_time()
    worker = PoolWorker(pid, born, since, POOL, str(project))
    write_mark(api.home, worker)
    return worker


def await_worker(worker: PoolWorker, log: Path) -> None:
    """Until the worker takes runs. EngineError with the end of its log where it does not."""
    deadline = time.monotonic() + START_SECONDS
    while " started!" not in log.read_text(errors="replace"):
        if not worker.is_alive:
            raise _worker_failure("the worker ended while it was starting", log)
        if time.monotonic() > deadline:
            raise _worker_failure(f"the worker did not start within {START_SECONDS:g} s", log)
        time.sleep(0.05)


def make_pool(api: PrefectApi) -> None:
    """Make the pool of a local API where it is missing."""
    endpoint = api.proven_endpoint
    kinds = ask_local_api(endpoint, "GET", "/collections/views/aggregate-worker-metadata")
    template = kinds["prefect"]["process"]["default_base_job_configuration"]
    # The command that executes a run is Prefect's own. Left to itself the worker starts a
    # supervisor first, which imports Prefect to start this: 1.7 s a run.
    command = shlex.join([sys.executable, "-m", "prefect.engine"])
    template["variables"]["properties"]["command"]["default"] = command
    pool_fields = {"type": "process", "base_job_template": template}
    new_pool = {"name": POOL, **pool_fields}
    # 409: it is there, and its command may be that of an environment that was removed.
    if ask_local_api(endpoint, "POST", "/work_pools/", new_pool, but=409) is None:
        ask_local_api(endpoint, "PATCH", f"/work_pools/{POOL}", {"base_job_template": template})


def deployed_run_names(endpoint: LocalApiState) -> tuple[str, ...]:
    return tuple(flow_run["name"] for flow_run in _deployed_runs(endpoint))


def settle_deployed_runs(endpoint: LocalApiState) -> None:
    """Call the deployed runs crashed whose worker is gone: nobody else would ever say so."""
    message = "The worker was stopped while it executed this run."
    _crash_runs(endpoint, _deployed_runs(endpoint), message)


def crash_killed_runs(api: PrefectApi) -> None:
    """The same for runs of `towpath run` whose process was killed, by a local API's leases."""
    for run in find_killed_runs(api.home):
        flow_runs = ask_local_api(
            api.proven_endpoint, "POST", "/flow_runs/filter", _in_progress(name={"any_": [run]})
        )
        _crash_runs(api.proven_endpoint, flow_runs, "The process of this run was killed.")
        # Only now: until Prefect has heard of it, the lease is all that tells of the run.
        (api.home.leases_folder / run).unlink(missing_ok=True)


def _crash_runs(endpoint: LocalApiState, runs: Iterable[Mapping[str, Any]], message: str) -> None:
    body = {"state": {"type": "CRASHED", "message": message}, "force": True}
    for flow_run in runs:
        ask_local_api(endpoint, "POST", f"/flow_runs/{flow_run['id']}/set_state", body)


def _deployed_runs(endpoint: LocalApiState) -> list[dict[str, Any]]:
    flow_runs = ask_local_api(endpoint, "POST", "/flow_runs/filter", _in_progress())
    return [flow_run for flow_run in flow_runs if flow_run["deployment_id"]]


def _in_progress(**also: Any) -> dict[str, Any]:
    return {"flow_runs": {"state": {"type": {"any_": ["RUNNING", "CANCELLING"]}}, **also}}


def ask_local_api(
    endpoint: LocalApiState, method: str, path: str, body: object = None, but: int | None = None
) -> Any:
    """Call a local API: its answer, or None where it answered with the status `but`."""
    deadline = time.monotonic() + ASK_SECONDS
    status, content = _call_api(endpoint, method, path, body)
    # A write that meets another one in SQLite is answered by 503, after `serve` tried it again.
    while status == BUSY and time.monotonic() < deadline:
        time.sleep(0.1)
        status, content = _call_api(endpoint, method, path, body)
    if status == but:
        return None
    if status >= 300:
        raise EngineError(f"the local Prefect API said {status} to {method} {path}")
    return json.loads(content) if content else None


def _call_api(endpoint: LocalApiState, method: str, path: str, body: object) -> tuple[int, bytes]:
    line = ApiLine(endpoint.url, basic_authorization(endpoint.secret))
    try:
        return line.request(method, path, body or {}, ASK_SECONDS)
    except (OSError, HTTPException) as error:
        raise EngineError(f"the local Prefect API failed at {method} {path}: {error}") from error


def _worker_failure(what: str, log: Path) -> EngineError:
    return api_home.process_failure(what, log, "`towpath down`, then `towpath up` again")


def read_mark(home: ApiHome) -> PoolWorker | None:
    """The worker of `towpath up`, living or not; None where the project is not up."""
    return read_process_file(home.up_file, PoolWorker)


def write_mark(home: ApiHome, worker: PoolWorker) -> None:
    server_state.write_process_file(home.up_file, worker)


def remove_worker(home: ApiHome) -> bool:
    """End the worker, take away the `prefect.toml` if we wrote it. Whether a worker lived."""
    worker = read_mark(home)
    project = worker.project if worker else home.project_root()
    living = {worker.pid} if worker and worker.is_alive else set()
    # One that no file tells of any more would take runs beside a new one.
    living |= set(api_home.find_workers(home))
    for pid in living:
        api_home.end_process(pid)
    if project and remote_api.is_our_settings(toml := Path(project) / "prefect.toml"):
        toml.unlink(missing_ok=True)
    home.up_file.unlink(missing_ok=True)
    return bool(living)


def _follow_keeper(keeper: int) -> None:
    """End this process, and what it has started, as soon as its API's keeper is gone."""
    import psutil

    # A worker executes what its API says. Once the keeper is gone, the port is free for everybody
    # on the machine, and who takes it could give the worker commands.
    _wait_for_end(keeper)
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            child.terminate()
    os.kill(os.getpid(), signal.SIGKILL)  # asked to end, it would go on to ask the API for runs


def _wait_for_end(pid: int) -> None:
    if sys.platform == "linux":
        try:
            select.select([kernel_fences.open_process(pid)], [], [])
            return
        except ProcessLookupError:
            return
        except OSError:  # an old kernel
            pass
    # No handle of a process that is no child tells of its end.
    while _goes_on(pid):
        time.sleep(LOOK_SECONDS)


def _goes_on(pid: int) -> bool:
    import psutil

    try:
        # Who started it may not have buried it.
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def run_worker() -> None:
    """Be the worker: Prefect's command, and a thread beside it that watches the keeper."""
    keeper = int(sys.argv[2])
    if keeper:
        threading.Thread(target=_follow_keeper, args=(keeper,), daemon=True).start()
    sys.argv = ["prefect", *sys.argv[3:]]
    runpy.run_module("prefect", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    run_worker()
