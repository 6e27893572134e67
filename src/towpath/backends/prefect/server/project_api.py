"""`towpath up`, `down` and `status`: a project's API and worker, for stock `prefect` commands."""

from __future__ import annotations

from contextlib import nullcontext, suppress
from pathlib import Path

from msgspec import Struct

from towpath.backends.prefect.server import (
    api_home,
    await_api,
    begin_api,
    remote_api,
    server_state,
    start_api,
    worker,
)
from towpath.backends.prefect.server.api_home import ApiHome
from towpath.backends.prefect.server.server_state import LocalApiState, PrefectApi
from towpath.backends.prefect.server.worker import PoolWorker
from towpath.errors import EngineError
from towpath.versions.work_tree_files import note_own_files
from towpath.workspace import Workspace

_LOOK_SECONDS = 2.5  # for an API's answer: a person sits before the terminal

SETTINGS = """\
{ours}
[api]
url = "{url}"
auth_string = "{secret}"

[deployments]
default_work_pool_name = "{pool}"
"""


class StartedServices(Struct, frozen=True):
    """What stands after `towpath up`, and what is left to the user to do."""

    api: PrefectApi
    worker: PoolWorker
    worker_log: Path
    # The file that stock `prefect` commands obey; None where a `prefect.toml` of the user's own, or
    # an API that the user configured, made it needless or impossible.
    settings: Path | None
    advice: str | None


class StoppedServices(Struct, frozen=True):
    """What `towpath down` ended, if there was anything."""

    api: bool
    worker: bool


class ServingProcess(Struct, frozen=True):
    """The process of a local API; `since` is UTC, ISO 8601."""

    pid: int
    since: str
    prefect: str
    log: Path


class ServiceStatus(Struct, frozen=True):
    """What runs. `url` is None where nothing does, `local` where the user configured the API.
    `trouble` says why a configured API cannot be used. `runs` are those in progress, by name."""

    url: str | None
    ui: str | None
    origin: str
    trouble: str | None
    local: ServingProcess | None
    worker: PoolWorker | None
    worker_log: Path
    runs: tuple[str, ...]


def start_services(project: Path) -> StartedServices:
    """Start what is missing of API, pool and worker, and say so to stock `prefect` commands."""
    project = project.resolve()
    api = begin_api(project)
    if not api.started_by_us:  # a worker is of no use where the user's API does not answer
        await_api(api)
    # Before a local API answers: the worker's import of Prefect and the server's overlap.
    standing = _standing_worker(api, project)
    await_api(api)
    if api.started_by_us:
        worker.make_pool(api)
    # What runs at a server that was only just started has lost its worker with the one before.
    if api.started_by_us and not api.warm:
        worker.settle_deployed_runs(api.proven_endpoint)
    worker.await_worker(standing, api.home.worker_log)
    written, advice = _tell_prefect(api, project)
    return StartedServices(api, standing, api.home.worker_log, written, advice)


def stop_services(project: Path, *, force: bool = False) -> StoppedServices:
    """Stop worker and API. EngineError while runs are in progress, unless `force`."""
    home = api_home.home_of_project(project.resolve())
    api_state = server_state.running_api_state(home)
    busy = _runs_in_progress(home, api_state)
    if busy and not force:
        what = f"{len(busy)} run{'s' if len(busy) > 1 else ''} in progress: {', '.join(busy)}"
        raise EngineError(what, hint="wait for the end, or say --force")
    # The worker first: what it still says of its runs comes before they are called crashed.
    with home.locked() if home.folder.is_dir() else nullcontext():
        worked = worker.remove_worker(home)
    if api_state and busy:
        with suppress(EngineError):  # an API that does not answer any more is to be stopped, too
            worker.settle_deployed_runs(server_state.prove_endpoint(home))
    return StoppedServices(start_api.stop_local_api(home), worked)


def read_service_status(project: Path) -> ServiceStatus:
    """What runs for this project; nothing is started to find out."""
    project = project.resolve()
    home = api_home.home_of_project(project)
    living = _living_worker(home)
    if configured_api := remote_api.find_configured_api(project):
        url, origin = configured_api.url, configured_api.origin
        pages = PrefectApi(url, False, True, origin, home).pages_url
        trouble = server_state.find_api_trouble(url, _LOOK_SECONDS)
        runs = api_home.find_runs(home)
        return ServiceStatus(url, pages, origin, trouble, None, living, home.worker_log, runs)
    return _local_status(home, living)


def read_secret(project: Path) -> str:
    """The secret of the project's local API, for its owner's eyes. EngineError where none runs."""
    home = api_home.home_of_project(project.resolve())
    if server_state.running_api_state(home) is None:
        raise EngineError("no local Prefect API runs here", hint="`towpath up` starts one")
    return server_state.prove_endpoint(home).secret


def _local_status(home: ApiHome, living: PoolWorker | None) -> ServiceStatus:
    api_state = server_state.running_api_state(home)
    runs = _runs_in_progress(home, api_state)
    if api_state is None:
        return ServiceStatus(None, None, "local", None, None, living, home.worker_log, runs)
    serving = ServingProcess(
        server_state.server_pid(home, api_state), api_state.since, api_state.prefect, home.log
    )
    url, ui = api_state.url, api_state.pages_url
    return ServiceStatus(url, ui, "local", None, serving, living, home.worker_log, runs)


def _runs_in_progress(home: ApiHome, found: LocalApiState | None) -> tuple[str, ...]:
    """Runs of `towpath run`, and deployed ones, which only the API knows."""
    deployed: tuple[str, ...] = ()
    if found and _living_worker(home):
        with suppress(EngineError):
            deployed = worker.deployed_run_names(server_state.prove_endpoint(home))
    return tuple(sorted({*api_home.find_runs(home), *deployed}))


def _living_worker(home: ApiHome) -> PoolWorker | None:
    marked = worker.read_mark(home)
    return marked if marked and marked.is_alive else None


def _standing_worker(api: PrefectApi, project: Path) -> PoolWorker:
    api.home.make()
    with api.home.locked():
        if standing := _living_worker(api.home):
            return standing
        worker.remove_worker(api.home)
        return worker.start_worker(api, project)


def _tell_prefect(api: PrefectApi, project: Path) -> tuple[Path | None, str | None]:
    if not api.started_by_us:
        return None, None
    path = project / "prefect.toml"
    if path.exists() and not remote_api.is_our_settings(path):
        text = (
            f'prefect.toml is your own and stays as it is: put url = "{api.url}" under [api] in it,'
            " and auth_string with what `towpath status --secret` prints"
        )
        secret = f'{remote_api.AUTH}="$(towpath status --secret)"'
        return None, f"{text}; or export {remote_api.KEY}={api.url} {secret}"
    text = SETTINGS.format(
        ours=remote_api.OURS, url=api.url, secret=api.proven_endpoint.secret, pool=worker.POOL
    )
    server_state.replace_private_file(path, text)
    note_own_files([path])
    return path, _warn_of_git(project, path)


def _warn_of_git(project: Path, settings: Path) -> str | None:
    """What to do where the next `git add .` would commit the secret."""
    repository = Workspace(project).repository
    if repository is None or repository.attempt_git("check-ignore", "-q", str(settings)).code != 1:
        return None
    what = f"Git does not ignore {settings.name}, which holds the secret of the local API"
    return f"{what}: echo /{settings.name} >> .gitignore"
