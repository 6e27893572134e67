"""The life of the Prefect API that runs use: the user's own, or a local one that comes and goes.

Nothing here imports Prefect, whose import takes longer than all of this: servers and workers are
processes of their own.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from towpath.engine.server.configured import AUTH, AUTH_SET_BY_US, SET_BY_US
from towpath.engine.server.home import Home, of
from towpath.errors import EngineError, Fault, Place, TowpathError

if TYPE_CHECKING:
    from towpath.engine.server.state import Endpoint

__all__ = ["Api", "begin", "ensure", "prepare", "run_in_progress", "settle_killed", "wait"]

ANSWER_SECONDS = 2.5
START_SECONDS = 120.0


@dataclass(frozen=True)
class Api:
    """A Prefect API. `started_by_us` tells a local one, `warm` one that ran before it was wanted.

    `origin` says in words, and `place` by file and line, where the user configured the address.
    """

    url: str
    started_by_us: bool
    warm: bool
    origin: str
    home: Home
    place: Place | None = None

    @property
    def ui(self) -> str:
        """The address of Prefect's pages."""
        return self.url.removesuffix("/").removesuffix("/api")

    @property
    def port(self) -> int:
        """The port of a local API."""
        return int(self.ui.rpartition(":")[2])

    @property
    def endpoint(self) -> Endpoint:
        """The way to a local API, proved to be ours still; EngineError where it has ended."""
        from towpath.engine.server import state

        return state.prove_endpoint(self.home, self.port)

    @property
    def keeper(self) -> int:
        """The process that keeps a local API; EngineError where it has ended."""
        from towpath.engine.server import state

        return state.prove_endpoint(self.home, self.port).keeper

    def environment(self) -> Mapping[str, str]:
        """What a process needs in its environment, before it imports Prefect, to use this API.

        EngineError where a local API has ended meanwhile.
        """
        own = {"PREFECT_API_URL": self.url, "DO_NOT_TRACK": "1"}
        if not self.started_by_us:
            return own
        # Behind a proxy Prefect's client would ask the proxy for the loopback address.
        known = os.environ.get("NO_PROXY", "").split(",")
        direct = ",".join(dict.fromkeys([*filter(None, known), "127.0.0.1"]))
        secret = self.endpoint.secret
        own |= {AUTH: secret, AUTH_SET_BY_US: secret, SET_BY_US: self.url}
        return {**own, "NO_PROXY": direct, "no_proxy": direct}


def ensure(project: Path | None = None) -> Api:
    """An API that answers: the configured one, else a local one, started where none runs.

    Raises EngineError that names the address and where it was configured, or tells why the local
    API did not start.
    """
    return wait(begin(project))


def begin(project: Path | None = None) -> Api:
    """The same without waiting, so that a start and one's own imports overlap. `wait` follows."""
    from towpath.engine.server import configured, local

    home = of(project)
    if said := configured.find(project):
        configured.forget_secret()
        return Api(said.url, False, True, said.origin, home, said.place)
    found, warm = local.begin(home)
    return Api(found.url, True, warm, f"local, kept in {home.folder}", home)


def prepare(project: Path) -> None:
    """Begin early, while a project is being made, where its first start would be a slow one.

    That is the first start with a new version of Prefect (`blank`); others are left alone, and so
    is whatever fails: the run that needs the API says it better.
    """
    from towpath.engine.server import blank

    with suppress(TowpathError, OSError):
        if not blank.path().exists():
            begin(project)


def wait(api: Api, seconds: float = START_SECONDS) -> Api:
    """Until the API of `begin` answers: at most `seconds` for a local one, 2.5 s for another's."""
    from towpath.engine.server import health, local

    if api.started_by_us:
        local.wait(api.home, api.port, seconds)
        return api
    if wrong := health.trouble(api.url, ANSWER_SECONDS):
        raise EngineError(_unreachable(api, wrong))
    return api


@contextmanager
def run_in_progress(api: Api, run_id: str) -> Iterator[None]:
    """While this is open, and however it ends, a local API does not rest and `status` knows it."""
    from towpath.engine.server.leases import held

    with held(api.home, run_id):
        yield


def settle_killed(api: Api) -> None:
    """Say of runs that were killed that they crashed: they themselves could not."""
    from towpath.engine.server import leases, worker

    if api.started_by_us and leases.left(api.home):
        worker.settle_killed(api)


def _unreachable(api: Api, wrong: str) -> Fault:
    known = str(api.place) == api.origin
    said = f"the Prefect API {api.url}{'' if known else f' ({api.origin})'} {wrong}"
    hint = "start it, or remove that setting and Towpath starts its own"
    return Fault(said, api.place, hint)
