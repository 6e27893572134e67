"""What is known of a Prefect API: where it is, whether it answers, who keeps a local one."""

from __future__ import annotations

import json
import os
import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias, TypeVar
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta, Struct

from towpath.backends.prefect.server import api_home
from towpath.backends.prefect.server.api_home import ApiHome
from towpath.backends.prefect.server.remote_api import AUTH, AUTH_SET_BY_US, SET_BY_US
from towpath.call_log import log_call
from towpath.config.foreign_values import LAST_SECOND
from towpath.errors import EngineError, Place
from towpath.plain_data import list_fields
from towpath.quantities import readable_size

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_LONGEST = 8 << 20  # bytes of an answer
# The name in front of each local API's secret, by which it is told from others.
LOCAL_USER = "towpath"
T = TypeVar("T")
# 0 and negative numbers would mean a whole group to who ends a process.
ProcessNumber: TypeAlias = Annotated[int, Meta(ge=1, le=(1 << 31) - 1)]
# Seconds since 1970; it tells a process from a later one of the same number.
BirthSecond: TypeAlias = Annotated[float, Meta(ge=0, le=LAST_SECOND)]


@dataclass(frozen=True)
class LocalApiState:
    port: Annotated[int, Meta(ge=1, le=65535)]
    pid: ProcessNumber
    born: BirthSecond
    since: str
    prefect: str
    # What a client must say, as `user:password`. Each start has a new one: when an API has ended,
    # whoever takes its port hears the old one.
    secret: str = field(repr=False)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/api"

    @property
    def pages_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@dataclass(frozen=True)
class ApiLine:
    """The way to an API, with what lets us in."""

    api: str
    authorization: str | None = field(default=None, repr=False)

    def request(self, method: str, path: str, body: object, seconds: float) -> tuple[int, bytes]:
        """The status of an answer, and what it holds. OSError or HTTPException where there is none,
        TimeoutError where `seconds` were not enough."""
        parts = urlsplit(self.api)
        connect = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        connection = connect(parts.hostname or "", parts.port, timeout=seconds)
        headers = {"content-type": "application/json"}
        if self.authorization:
            headers["authorization"] = self.authorization
        try:
            with log_call("http", method, f"{self.api}{path}") as logged:
                asked = None if body is None else json.dumps(body)
                connection.request(method, f"{parts.path}{path}", asked, headers)
                answer = connection.getresponse()
                logged.answer(answer.status)
                content = answer.read(_LONGEST + 1)
                if len(content) > _LONGEST:
                    raise HTTPException(f"an answer of more than {readable_size(_LONGEST)}")
                return answer.status, content
        finally:
            connection.close()


class PrefectApi(Struct, frozen=True):
    """A Prefect API. `started_by_us` tells a local one, `warm` one that ran before it was wanted.
    `origin` says in words, and `place` by file and line, where the user configured the address."""

    url: str
    started_by_us: bool
    warm: bool
    origin: str
    home: ApiHome
    place: Place | None = None

    @property
    def pages_url(self) -> str:
        return self.url.removesuffix("/").removesuffix("/api")

    @property
    def local_port(self) -> int:
        return int(self.pages_url.rpartition(":")[2])

    @property
    def proven_endpoint(self) -> LocalApiState:
        """The way to a local API, proved to be ours still; EngineError where it has ended."""
        return prove_endpoint(self.home, self.local_port)

    def environment(self) -> Mapping[str, str]:
        """What a process needs in its environment, before it imports Prefect, to use this API."""
        own = {"PREFECT_API_URL": self.url, "DO_NOT_TRACK": "1"}
        if not self.started_by_us:
            return own
        # Behind a proxy Prefect's client would ask the proxy for the loopback address.
        excluded_hosts = os.environ.get("NO_PROXY", "").split(",")
        direct = ",".join(dict.fromkeys([*filter(None, excluded_hosts), "127.0.0.1"]))
        secret = self.proven_endpoint.secret
        own |= {AUTH: secret, AUTH_SET_BY_US: secret, SET_BY_US: self.url}
        return {**own, "NO_PROXY": direct, "no_proxy": direct}


def make_secret() -> str:
    # Of letters that need no quotes in TOML and in a shell.
    return f"{LOCAL_USER}:{secrets.token_urlsafe(32)}"


def is_local_secret(secret: str) -> bool:
    """Whether a secret is one of a local API, and so not for the ears of another."""
    return secret.startswith(f"{LOCAL_USER}:")


def prove_endpoint(home: ApiHome, port: int | None = None) -> LocalApiState:
    """The way to the API of `home`; EngineError where it does not run, or no longer at `port`."""
    state = running_api_state(home)
    right_port = state is not None and port in (None, state.port)
    # The secret is for the keeper alone, so the system must say that it holds the port: had the
    # API ended, anybody could listen there by now.
    if state is None or not right_port or not api_home.is_listening(state.pid, state.port):
        raise EngineError("the local Prefect API has ended", hint="run the command again")
    return state


def installed_prefect() -> str:
    """The version of Prefect in this environment, without importing it."""
    from importlib.metadata import version

    return version("prefect")


def read_api_state(home: ApiHome) -> LocalApiState | None:
    """The state as it was last written, true or not."""
    return read_process_file(home.state, LocalApiState)


def read_process_file(path: Path, kind: type[T]) -> T | None:
    """What a file tells of a process in the background; None where it tells of none: its process
    would be ended, and its address asked."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (FileNotFoundError, msgspec.MsgspecError, RecursionError):
        return None


def write_process_file(path: Path, process: DataclassInstance) -> None:
    replace_private_file(path, json.dumps(list_fields(process), indent=2) + "\n")


def running_api_state(home: ApiHome) -> LocalApiState | None:
    """The state of an API whose keeper lives, a process of this user."""
    state = read_api_state(home)
    return state if state and api_home.is_our_process(state.pid, state.born) else None


def replace_private_file(path: Path, text: str) -> None:
    """Write a file that none but its owner may ever read; no reader sees half of it."""
    new = path.with_name(f"{path.name}.{os.getpid()}")
    # A killed process of this number may have left one; O_EXCL follows no link of somebody else's.
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    new.replace(path)


def server_pid(home: ApiHome, state: LocalApiState) -> int:
    """The process that serves; its keeper while that one is being started."""
    try:
        return int(home.ready_file.read_text())
    except (FileNotFoundError, ValueError):
        return state.pid


def is_answering(port: int, seconds: float) -> bool:
    """Ask a local API, waiting at its socket until it serves. OSError or HTTPException where nobody
    listens or the server went, TimeoutError where `seconds` were not enough."""
    # `timeout=0` would not wait at all, and fail with an error of its own.
    line = ApiLine(f"http://127.0.0.1:{port}/api")
    return line.request("GET", "/health", None, max(seconds, 0.1))[1].strip() == b"true"


def find_api_trouble(url: str, seconds: float) -> str | None:
    """What is wrong with the API at an address of any kind; None where it answers in time."""
    troubles = [f"does not answer within {seconds:g} s"]

    def ask() -> None:
        troubles[:] = _ask_health(url, seconds)

    # From a thread, for a name that does not resolve cannot be interrupted.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(seconds)
    return troubles[0] if troubles else None


def _ask_health(url: str, seconds: float) -> list[str]:
    from urllib.error import HTTPError, URLError
    from urllib.request import urlopen

    try:
        address = f"{url.rstrip('/')}/health"
        # It waits a little longer than the thread is waited for, so that the words are ours.
        with log_call("http", "GET", address), urlopen(address, timeout=seconds + 1) as answer:
            return [] if answer.status == 200 else [f"answers {answer.status}"]
    except HTTPError as error:
        # An API that wants a key first is there; the key is Prefect's business.
        return [] if error.code in (401, 403) else [f"answers {error.code} {error.reason}"]
    except URLError as error:
        return [f"does not answer: {error.reason}"]
    except (OSError, HTTPException, ValueError) as error:
        return [f"does not answer: {error}"]
