"""The life of the Prefect API that runs use: the user's own, or a local one that comes and goes.

Nothing here imports Prefect, whose import takes longer than all of this: servers and workers are
processes of their own.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from towpath.backends.prefect.server.api_home import find_killed_runs, hold_lease, of
from towpath.backends.prefect.server.server_state import Api, trouble
from towpath.errors import EngineError, Fault, TowpathError

__all__ = ["Api", "begin", "ensure", "prepare", "run_in_progress", "settle_killed", "wait"]

ANSWER_SECONDS = 2.5
START_SECONDS = 120.0


def ensure(project: Path | None = None) -> Api:
    """An API that answers: the configured one, else a local one, started where none runs.

    Raises EngineError that names the address and where it was configured, or tells why the local
    API did not start.
    """
    return wait(begin(project))


def begin(project: Path | None = None) -> Api:
    """The same without waiting, so that a start and one's own imports overlap. `wait` follows."""
    from towpath.backends.prefect.server import remote_api, start_api

    home = of(project)
    if said := remote_api.find(project):
        remote_api.forget_secret()
        return Api(said.url, False, True, said.origin, home, said.place)
    found, warm = start_api.begin(home)
    return Api(found.url, True, warm, f"local, kept in {home.folder}", home)


def prepare(project: Path) -> None:
    """Begin early, while a project is being made, where its first start would be a slow one.

    That is the first start with a new version of Prefect (`local.blank_path`); others are left
    alone, and so is whatever fails: the run that needs the API says it better.
    """
    from towpath.backends.prefect.server import start_api

    with suppress(TowpathError, OSError):
        if not start_api.blank_path().exists():
            begin(project)


def wait(api: Api, seconds: float = START_SECONDS) -> Api:
    """Until the API of `begin` answers: at most `seconds` for a local one, 2.5 s for another's."""
    from towpath.backends.prefect.server import start_api

    if api.started_by_us:
        start_api.wait(api.home, api.port, seconds)
        return api
    if wrong := trouble(api.url, ANSWER_SECONDS):
        raise EngineError(_unreachable(api, wrong))
    return api


@contextmanager
def run_in_progress(api: Api, run_id: str) -> Iterator[None]:
    """While this is open, and however it ends, a local API does not rest and `status` knows it."""
    with hold_lease(api.home, run_id):
        yield


def settle_killed(api: Api) -> None:
    """Say of runs that were killed that they crashed: they themselves could not."""
    from towpath.backends.prefect.server import worker

    if api.started_by_us and find_killed_runs(api.home):
        worker.settle_killed(api)


def _unreachable(api: Api, wrong: str) -> Fault:
    known = str(api.place) == api.origin
    said = f"the Prefect API {api.url}{'' if known else f' ({api.origin})'} {wrong}"
    hint = "start it, or remove that setting and Towpath starts its own"
    return Fault(said, api.place, hint)
