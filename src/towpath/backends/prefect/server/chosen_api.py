"""The Prefect API that a run uses, begun and waited for: the user's own, or a local one."""
# Nothing here imports Prefect, whose import takes longer than all of this: servers and workers are
# processes of their own. What `serve` and `worker` do not need is imported where it is used: this
# file is read first in their processes as well.

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from towpath.backends.prefect.server.api_home import find_killed_runs, hold_lease, home_of_project
from towpath.backends.prefect.server.server_state import PrefectApi, find_api_trouble
from towpath.errors import EngineError, Fault

# A team's server at which fifty runs begin at once, at night, is silent for some seconds.
ANSWER_SECONDS = 10.0
_START_SECONDS = 120.0


def ensure_api(project: Path | None = None) -> PrefectApi:
    """The API of a project's runs, or of any run, once it answers."""
    return await_api(begin_api(project))


def begin_api(project: Path | None = None) -> PrefectApi:
    """The same without waiting, so that a start and one's own imports overlap."""
    from towpath.backends.prefect.server import remote_api, start_api

    home = home_of_project(project)
    if configured := remote_api.find_configured_api(project):
        remote_api.forget_secret()
        return PrefectApi(configured.url, False, True, configured.origin, home, configured.place)
    api_state, warm = start_api.begin_local_api(home)
    return PrefectApi(api_state.url, True, warm, f"local, kept in {home.folder}", home)


def await_api(api: PrefectApi, seconds: float = _START_SECONDS) -> PrefectApi:
    """Wait until the API of `begin_api` answers: at most `seconds` for a local one, else 10."""
    from towpath.backends.prefect.server import start_api

    if api.started_by_us:
        start_api.await_local_api(api.home, api.local_port, seconds)
        return api
    if wrong := find_api_trouble(api.url, ANSWER_SECONDS):
        is_own_place = str(api.place) == api.origin
        what = f"the Prefect API {api.url}{'' if is_own_place else f' ({api.origin})'} {wrong}"
        hint = "start it, or remove that setting and Towpath starts its own"
        raise EngineError(Fault(what, api.place, hint))
    return api


@contextmanager
def run_in_progress(api: PrefectApi, run_id: str) -> Iterator[None]:
    """While this is open, and however it ends, a local API does not rest and `status` knows it."""
    with hold_lease(api.home, run_id):
        yield


def settle_killed_runs(api: PrefectApi) -> None:
    """Say of runs that were killed that they crashed: they themselves could not."""
    from towpath.backends.prefect.server import worker

    if api.started_by_us and find_killed_runs(api.home):
        worker.crash_killed_runs(api)
