"""`towpath up`, `down` and `status`: a project's API and worker, for stock `prefect` commands."""

from __future__ import annotations

from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path

from towpath.backends.prefect.server import (
    ANSWER_SECONDS,
    api_home,
    begin,
    remote_api,
    server_state,
    start_api,
    wait,
    worker,
)
from towpath.backends.prefect.server.api_home import Home
from towpath.backends.prefect.server.server_state import Api, State
from towpath.backends.prefect.server.worker import Worker
from towpath.errors import EngineError
from towpath.versions.own_files import note_own_files
from towpath.workspace import Workspace

SETTINGS = """\
{ours}
[api]
url = "{url}"
auth_string = "{secret}"

[deployments]
default_work_pool_name = "{pool}"
"""


@dataclass(frozen=True)
class Up:
    """What stands after `towpath up`. `settings` is the file that stock `prefect` commands obey.

    It is None where a `prefect.toml` of the user's own, or an API that the user configured, made
    it needless or impossible; `advice` then says what to do, if anything.
    """

    api: Api
    worker: Worker
    worker_log: Path
    settings: Path | None
    advice: str | None


@dataclass(frozen=True)
class Down:
    """What `towpath down` ended, if there was anything."""

    api: bool
    worker: bool


@dataclass(frozen=True)
class Serving:
    """The process of a local API; `since` is UTC, ISO 8601."""

    pid: int
    since: str
    prefect: str
    log: Path


@dataclass(frozen=True)
class Status:
    """What runs. `url` is None where nothing does, `local` where the user configured the API.

    `trouble` says why a configured API cannot be used. `runs` are those in progress, by name.
    """

    url: str | None
    ui: str | None
    origin: str
    trouble: str | None
    local: Serving | None
    worker: Worker | None
    worker_log: Path
    runs: tuple[str, ...]


def up(project: Path) -> Up:
    """Start what is missing of API, pool and worker, and say so to stock `prefect` commands."""
    project = project.resolve()
    api = begin(project)
    if not api.started_by_us:
        wait(api)
    standing = _standing_worker(api, project)
    wait(api)
    if api.started_by_us:
        worker.make_pool(api)
    if api.started_by_us and not api.warm:
        worker.settle(api.endpoint)
    worker.wait(standing, api.home.worker_log)
    written, advice = _tell_prefect(api, project)
    return Up(api, standing, api.home.worker_log, written, advice)


def down(project: Path, *, force: bool = False) -> Down:
    """Stop worker and API. EngineError while runs are in progress, unless `force`."""
    place = api_home.of(project.resolve())
    found = server_state.running(place)
    busy = _runs(place, found)
    if busy and not force:
        said = f"{len(busy)} run{'s' if len(busy) > 1 else ''} in progress: {', '.join(busy)}"
        raise EngineError(said, hint="wait for the end, or say --force")
    with place.locked() if place.folder.is_dir() else nullcontext():
        worked = worker.remove_worker(place)
    if found and busy:
        with suppress(EngineError):  # an API that does not answer any more is to be stopped, too
            worker.settle(server_state.prove_endpoint(place))
    return Down(start_api.stop(place), worked)


def status(project: Path) -> Status:
    """What runs for this project; nothing is started to find out."""
    project = project.resolve()
    place = api_home.of(project)
    living = _living_worker(place)
    if said := remote_api.find(project):
        api = Api(said.url, False, True, said.origin, place, said.place)
        trouble = server_state.trouble(said.url, ANSWER_SECONDS)
        runs = api_home.find_runs(place)
        return Status(api.url, api.ui, api.origin, trouble, None, living, place.worker_log, runs)
    return _local_status(place, living)


def read_secret(project: Path) -> str:
    """The secret of the project's local API, for its owner's eyes. EngineError where none runs."""
    place = api_home.of(project.resolve())
    if server_state.running(place) is None:
        raise EngineError("no local Prefect API runs here", hint="`towpath up` starts one")
    return server_state.prove_endpoint(place).secret


def _local_status(place: Home, living: Worker | None) -> Status:
    found = server_state.running(place)
    runs = _runs(place, found)
    if found is None:
        return Status(None, None, "local", None, None, living, place.worker_log, runs)
    serving = Serving(server_state.server_pid(place, found), found.since, found.prefect, place.log)
    url, ui = found.url, found.ui
    return Status(url, ui, "local", None, serving, living, place.worker_log, runs)


def _runs(place: Home, found: State | None) -> tuple[str, ...]:
    """Runs of `towpath run`, and deployed ones, which only the API knows."""
    deployed: tuple[str, ...] = ()
    if found and _living_worker(place):
        with suppress(EngineError):
            deployed = worker.running(server_state.prove_endpoint(place))
    return tuple(sorted({*api_home.find_runs(place), *deployed}))


def _living_worker(place: Home) -> Worker | None:
    found = worker.read_mark(place)
    return found if found and found.is_alive else None


def _standing_worker(api: Api, project: Path) -> Worker:
    api.home.make()
    with api.home.locked():
        if standing := _living_worker(api.home):
            return standing
        worker.remove_worker(api.home)
        return worker.start(api, project)


def _tell_prefect(api: Api, project: Path) -> tuple[Path | None, str | None]:
    if not api.started_by_us:
        return None, None
    path = project / "prefect.toml"
    if path.exists() and not remote_api.is_ours(path):
        said = (
            f'prefect.toml is your own and stays as it is: put url = "{api.url}" under [api] in it,'
            " and auth_string with what `towpath status --secret` prints"
        )
        secret = f'{remote_api.AUTH}="$(towpath status --secret)"'
        return None, f"{said}; or export {remote_api.KEY}={api.url} {secret}"
    said = SETTINGS.format(
        ours=remote_api.OURS, url=api.url, secret=api.endpoint.secret, pool=worker.POOL
    )
    server_state.replace(path, said)
    note_own_files([path])
    return path, _warn_of_git(project, path)


def _warn_of_git(project: Path, settings: Path) -> str | None:
    """What to do where the next `git add .` would commit the secret."""
    repository = Workspace(project).repository
    if repository is None or repository.attempt("check-ignore", "-q", str(settings)).code != 1:
        return None
    what = f"Git does not ignore {settings.name}, which holds the secret of the local API"
    return f"{what}: echo /{settings.name} >> .gitignore"
