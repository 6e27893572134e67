"""The local Prefect API, and whatever else listens, is its owner's alone."""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import re
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import psutil
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from command_line import call_towpath
from towpath.backends.prefect import server
from towpath.backends.prefect.server import (
    api_guard,
    api_home,
    remote_api,
    server_state,
    start_api,
    worker,
)
from towpath.backends.prefect.server.project_api import (
    read_service_status,
    start_services,
    stop_services,
)
from towpath.errors import EngineError

FLOW = """\
from prefect import flow

@flow(log_prints=True)
def training(learning_rate: float = 0.1) -> None:
    print("rate", learning_rate)
"""
DEPLOYMENTS = """\
name: example
pull:
- prefect.deployments.steps.set_working_directory:
    directory: "{{ $PWD }}"
deployments:
- name: dev
  entrypoint: flow.py:training
"""
STRANGER = "nobody"


@pytest.fixture(scope="module")
def project() -> Iterator[Path]:
    """A project that is up, in a folder that another user may enter; pytest's own they may not."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        root = Path(folder, "project")
        root.mkdir()
        (root / "towpath.yaml").write_text("name: example\n")
        (root / "flow.py").write_text(FLOW)
        (root / "prefect.yaml").write_text(DEPLOYMENTS)
        yield root
        stop_services(root, force=True)


@pytest.fixture
def api(project: Path) -> server.PrefectApi:
    """Its API, which stands."""
    return start_services(project).api


def ask(
    api: server.PrefectApi,
    method: str,
    path: str,
    headers: dict[str, str] | None = None,
    body: str = "{}",
) -> tuple[int, dict[str, str], bytes]:
    """What the API answers: status, headers, body."""
    connection = HTTPConnection("127.0.0.1", api.local_port, timeout=10)
    try:
        connection.request(
            method, path, body, {"content-type": "application/json", **(headers or {})}
        )
        answer = connection.getresponse()
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
    finally:
        connection.close()


def owner(api: server.PrefectApi) -> dict[str, str]:
    """The header of who knows the secret."""
    return {"authorization": api_guard.basic_authorization(api.proven_endpoint.secret)}


def routes(api: server.PrefectApi) -> list[tuple[str, str]]:
    """Every route that Prefect has, with something in place of what it wants to be told."""
    _, _, said = ask(api, "GET", "/api/openapi.json", owner(api), "")
    paths = json.loads(said)["paths"]
    filled = {path: re.sub(r"\{[^}]*\}", "x", path) for path in paths}
    return [(method.upper(), f"/api{filled[path]}") for path in paths for method in paths[path]]


def test_no_route_answers_without_the_secret(api: server.PrefectApi) -> None:
    known = routes(api)
    assert len(known) > 150
    probes = {("GET", path) for path in api_guard.PROBES}
    for method, path in known:
        expected = 200 if (method, path) in probes else 401
        assert ask(api, method, path)[0] == expected, (method, path)
    wrong = {"authorization": api_guard.basic_authorization("towpath:guessed")}
    for method, path in known[::8]:  # the guard stands before all of them, and is one
        assert ask(api, method, path, wrong)[0] == (200 if (method, path) in probes else 401)
    for path in ("/api/docs", "/api/openapi.json", "/api/static/prefect-logo-mark-gradient.png"):
        assert ask(api, "GET", path)[0] == 401
    assert ask(api, "GET", "/api/health")[2] == b"true"


@pytest.mark.parametrize(
    "header",
    ["Bearer {}", "basic {}", "Basic {}=", "Basic ", "Basic é", "{}", "Basic {} Basic {}"],
)
def test_what_only_resembles_the_secret_is_none(api: server.PrefectApi, header: str) -> None:
    secret = owner(api)["authorization"].removeprefix("Basic ").removesuffix("=")
    said = header.replace("{}", secret[:-1]).encode().decode("latin-1")
    assert ask(api, "POST", "/api/flows/", {"authorization": said})[0] == 401


def test_a_body_is_not_read_before_its_sender_is_known(api: server.PrefectApi) -> None:
    with socket.create_connection(("127.0.0.1", api.local_port), timeout=10) as line:
        head = f"POST /api/flows/ HTTP/1.1\r\nHost: 127.0.0.1:{api.local_port}\r\n"
        line.sendall(f"{head}Content-Length: 99999999999\r\n\r\n".encode())
        assert b" 401 " in line.recv(4096)


HOSTS = ["evil.example:{}", "evil.example", "127.0.0.1.evil.example:{}", "localhost@evil:{}", ""]


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("path", ["/api/flows/filter", "/api/health", "/", "/ui-settings"])
def test_a_foreign_host_is_refused_whatever_it_says(
    api: server.PrefectApi, host: str, path: str
) -> None:
    said = {"host": host.format(api.local_port)}
    for headers in (said, {**said, **owner(api)}):
        assert ask(api, "POST" if "filter" in path else "GET", path, headers)[0] == 421


def test_a_request_without_host_or_with_two_is_refused(api: server.PrefectApi) -> None:
    own = f"Host: 127.0.0.1:{api.local_port}\r\n"
    secret = f"Authorization: {owner(api)['authorization']}\r\n"
    two = f"HTTP/1.1\r\n{own}Host: evil.example\r\n"
    for rest in ("HTTP/1.0\r\n", two):
        with socket.create_connection(("127.0.0.1", api.local_port), timeout=10) as line:
            line.sendall(f"GET /api/admin/version {rest}{secret}\r\n".encode())
            assert re.match(rb"HTTP/1.1 4(00|21) ", line.recv(4096))


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "https://127.0.0.1:{}", "http://127.0.0.1:1", ""]
)
def test_a_page_of_another_origin_gets_nothing(api: server.PrefectApi, origin: str) -> None:
    said = {"origin": origin.format(api.local_port)}
    asked = {"access-control-request-method": "POST", "access-control-request-headers": "x"}
    preflight, headers, _ = ask(api, "OPTIONS", "/api/flow_runs/", {**said, **asked}, "")
    assert preflight == 403
    assert not [name for name in headers if name.startswith("access-control")]
    code, headers, _ = ask(api, "POST", "/api/flows/filter", {**said, **owner(api)})
    assert code == 403
    assert not [name for name in headers if name.startswith("access-control")]


def test_prefect_s_pages_work_for_the_owner_and_hold_nothing(api: server.PrefectApi) -> None:
    code, headers, page = ask(api, "GET", "/", {"accept": "text/html"}, "")
    if code == 307:
        code, _, page = ask(api, "GET", headers["location"], {"accept": "text/html"}, "")
    assert code == 200
    script = re.search(r'src="(/[^"]+[.]js)"', page.decode())
    assert script
    assert ask(api, "GET", script[1], body="")[0] == 200
    settings = json.loads(ask(api, "GET", "/ui-settings", body="")[2])
    assert (settings["api_url"], settings["auth"]) == ("/api", "BASIC"), "it asks for the secret"
    own = {"origin": f"http://127.0.0.1:{api.local_port}", **owner(api)}
    assert ask(api, "POST", "/api/flows/filter", own)[0] == 200
    tunnel = {"host": "localhost:9999", "origin": "http://localhost:9999", **owner(api)}
    assert ask(api, "POST", "/api/flows/filter", tunnel)[0] == 200


SOCKETS = {
    "events/in": {"type": "nothing"},
    "events/out": {"type": "filter", "filter": {}},
    "logs/out": {"type": "filter", "filter": {}},
    "task_runs/subscriptions/scheduled": {"type": "subscribe", "keys": ["x"]},
    "work_pools/towpath/workers/connect": {"type": "hello"},
}


@pytest.mark.parametrize("path", SOCKETS)
@pytest.mark.parametrize("token", [None, "towpath:guessed"])
def test_no_web_socket_opens_without_the_secret(
    api: server.PrefectApi, path: str, token: str | None
) -> None:
    url = f"ws://127.0.0.1:{api.local_port}/api/{path}"
    with pytest.raises((ConnectionClosed, InvalidStatus)), connect(url) as plain:
        plain.recv(timeout=10)
    with (
        pytest.raises((ConnectionClosed, InvalidStatus)) as refused,
        connect(url, subprotocols=["prefect"]) as asked,  # type: ignore[list-item]
    ):
        asked.send(json.dumps({"type": "auth", "token": token}))
        asked.send(json.dumps(SOCKETS[path]))
        asked.recv(timeout=10)
    assert not isinstance(refused.value, TimeoutError)
    foreign: dict[str, Any] = {"origin": "http://evil.example", "subprotocols": ["prefect"]}
    with pytest.raises(InvalidStatus, match="403"), connect(url, **foreign):
        pass
    rebound = url.replace("127.0.0.1", "evil.example")  # a name that was made to lead here
    line = socket.create_connection(("127.0.0.1", api.local_port))
    with pytest.raises(InvalidStatus, match="403"), connect(rebound, sock=line):
        pass


def test_a_web_socket_opens_with_the_secret(api: server.PrefectApi) -> None:
    url = f"ws://127.0.0.1:{api.local_port}/api/events/out"
    with connect(url, subprotocols=["prefect"]) as asked:  # type: ignore[list-item]
        asked.send(json.dumps({"type": "auth", "token": api.proven_endpoint.secret}))
        assert json.loads(asked.recv(timeout=10)) == {"type": "auth_success"}


def prefect(project: Path, *words: str) -> str:
    """A stock command in the project's folder, with nothing of ours in its environment."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PREFECT_API", "TOWPATH_SET"))}
    call = [sys.executable, "-m", "prefect", "--no-prompt", *words]
    done = subprocess.run(
        call, cwd=project, env={**kept, "PWD": str(project)}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_stock_prefect_works_and_the_secret_stays_where_it_is(
    project: Path, api: server.PrefectApi
) -> None:
    said = prefect(project, "deploy", "--all")
    said += prefect(project, "deployment", "run", "training/dev", "--param", "learning_rate=0.05")
    runs: list[dict[str, Any]] = []
    deadline = time.monotonic() + 180
    while not runs or runs[0]["state_type"] != "COMPLETED":
        assert time.monotonic() < deadline, api.home.worker_log.read_text()
        runs = worker.ask_local_api(api.proven_endpoint, "POST", "/flow_runs/filter", {})
        time.sleep(0.8)  # each answer is work for the server
    for words in (["status"], ["status", "--json"], ["up"], ["up", "--json"]):
        done = call_towpath(project, *words, COLUMNS="200")  # no word of it is broken in two
        assert done.returncode == 0, done.stderr
        said += done.stdout + done.stderr

    secret = api.proven_endpoint.secret
    encoded = api_guard.basic_authorization(secret).removeprefix("Basic ")
    assert secret not in said
    assert call_towpath(project, "status", "--secret").stdout == f"{secret}\n"
    for word in (secret.encode(), encoded.encode()):
        holders = {p.name for p in api.home.folder.rglob("*") if p.is_file() and holds(p, word)}
        assert holders <= {"state.json"}
        assert {p.name for p in project.rglob("*") if holds(p, word)} <= {"prefect.toml"}
        assert not [c for c in command_lines() if word in c]


def holds(path: Path, word: bytes) -> bool:
    """Whether a file has these bytes somewhere."""
    return path.is_file() and word in path.read_bytes()


def command_lines() -> Iterator[bytes]:
    """How each process was called, as everybody on the machine may read it."""
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            yield (folder / "cmdline").read_bytes()


def test_up_says_where_git_would_commit_the_secret(project: Path) -> None:
    subprocess.run(["git", "init", "-q"], cwd=project, check=True)
    advice = start_services(project).advice
    assert advice
    assert "Git does not ignore prefect.toml" in advice
    (project / ".gitignore").write_text("/prefect.toml\n")
    assert start_services(project).advice is None


def test_its_files_are_the_owner_s(project: Path, api: server.PrefectApi) -> None:
    folders = (api.home.folder, api.home.folder.parent, api.home.leases_folder)
    assert {stat.S_IMODE(folder.stat().st_mode) for folder in folders} == {0o700}
    secret = (api.home.state, project / "prefect.toml", api.home.log, api.home.worker_log)
    assert {stat.S_IMODE(path.stat().st_mode) for path in secret} == {0o600}
    assert stat.S_IMODE(api.home.database_file.stat().st_mode) == 0o600


AS_STRANGER = """
import json, os, sys
from pathlib import Path
user, paths, pids = json.loads(sys.argv[1])
os.setgroups([]); os.setgid(user); os.setuid(user)
got = []
for path in paths + [f"/proc/{pid}/environ" for pid in pids]:
    try:
        Path(path).read_bytes()
        got.append(path)
    except OSError:
        pass
print(json.dumps(got))
"""


def stranger(*told: Any) -> list[str]:
    """What another user of the machine gets to read."""
    if os.geteuid():
        pytest.skip("only root can be another user")
    user = pwd.getpwnam(STRANGER).pw_uid
    call = [sys.executable, "-I", "-c", AS_STRANGER, json.dumps([user, *told])]
    done = subprocess.run(call, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found: list[str] = json.loads(done.stdout)
    return found


def test_another_user_reads_nothing_and_gets_in_nowhere(
    project: Path, api: server.PrefectApi
) -> None:
    known = server_state.running_api_state(api.home)
    assert known
    pids = [known.pid, server_state.server_pid(api.home, known), start_services(project).worker.pid]
    files = [str(project / "prefect.toml"), *map(str, api.home.folder.rglob("*"))]
    (project / "readable").touch()
    got = stranger([str(project / "readable"), *files], pids)
    assert got == [str(project / "readable")]


def test_a_folder_that_somebody_else_has_made_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if os.geteuid():
        pytest.skip("only root can give a folder away")
    monkeypatch.setenv("TOWPATH_HOME", str(tmp_path / "home"))
    place = api_home.home_of_project(tmp_path)
    place.folder.mkdir(parents=True)
    os.chown(place.folder, pwd.getpwnam(STRANGER).pw_uid, -1)
    with pytest.raises(EngineError, match="belongs to another user"):
        server.begin_api(tmp_path)


def test_a_worker_that_no_file_tells_of_is_replaced(project: Path) -> None:
    first = start_services(project).worker
    api_home.home_of_project(project).up_file.unlink()
    second = start_services(project).worker
    assert not first.is_alive
    assert api_home.find_workers(api_home.home_of_project(project)) == [second.pid]


def server_processes(root: Path) -> list[psutil.Process]:
    """Keepers and servers of a project's API."""
    place = api_home.home_of_project(root)
    pids = [*api_home.find_keepers(place), *api_home.find_servers(place)]
    return [psutil.Process(pid) for pid in pids]


SQUATTER = """
import os, socket, sys
listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind(("127.0.0.1", int(sys.argv[1])))
listener.listen()
print("listens", flush=True)
while True:
    line, _ = listener.accept()
    asked = line.recv(65536)
    print(asked, flush=True)
    body = b"true" if b"/api/health" in asked else b"[]"
    line.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n%s" % (len(body), body))
    line.close()
"""


@contextlib.contextmanager
def squatted(port: int) -> Iterator[Callable[[], str]]:
    """Somebody else listens at a port, and says that all is well; call for what was told them."""
    call = [sys.executable, "-I", "-c", SQUATTER, str(port)]
    deadline = time.monotonic() + 180
    while True:
        other = subprocess.Popen(call, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert other.stdout
        if other.stdout.readline() == "listens\n":
            break
        assert time.monotonic() < deadline
        time.sleep(0.1)

    def heard() -> str:
        other.kill()
        return other.communicate()[0]

    try:
        yield heard
    finally:
        other.kill()
        other.wait()


def test_who_took_the_port_hears_no_secret_and_is_not_believed(project: Path) -> None:
    standing = start_services(project)
    dead = standing.api
    secret = dead.proven_endpoint.secret
    left = dead.home.state.read_text()
    # All at once, as the system does that has no memory left: the port is free from then on.
    for gone in server_processes(project):
        gone.send_signal(signal.SIGKILL)
    assert dead.home.state.read_text() == left
    with squatted(dead.local_port):
        deadline = time.monotonic() + 180
        while standing.worker.is_alive and time.monotonic() < deadline:
            time.sleep(0.02)
        assert not standing.worker.is_alive, "it would take runs from who came after its API"
    assert worker.read_mark(dead.home), "the next `towpath up` clears what is left"
    with squatted(dead.local_port) as heard:
        assert server_state.is_answering(dead.local_port, 5), "the squatter says that all is well"
        # A process of ours has the keeper's number by now.
        me = {"pid": os.getpid(), "born": api_home.creation_time(os.getpid())}
        for text in (json.dumps(json.loads(left) | me), left):
            dead.home.state.write_text(text)
            with pytest.raises(EngineError, match="has ended"):
                dead.environment()
        assert read_service_status(project).url is None
        new = server.begin_api(project)
        assert new.local_port != dead.local_port
        assert new.proven_endpoint.secret != secret
        told = heard()
    assert "GET /api/health" in told
    for word in (secret, new.proven_endpoint.secret):
        assert word not in told
        assert api_guard.basic_authorization(word) not in told


def forget(api: server.PrefectApi, left: str) -> None:
    """Lose the state of an API, or its secret."""
    known = json.loads(api.home.state.read_text())
    api.home.state.unlink()
    if left == "unreadable":
        api.home.state.write_bytes(b"\xff[")
    elif left == "without a secret":
        del known["secret"]
        api.home.state.write_text(json.dumps(known))


def test_an_api_that_no_state_tells_of_is_replaced(project: Path) -> None:
    old = server.begin_api(project)
    for left in ("lost", "without a secret"):
        secret = old.proven_endpoint.secret
        with server.run_in_progress(old, "20261122-144200-3fa1"):
            forget(old, left)
            with pytest.raises(EngineError, match="run 20261122-144200-3fa1 uses it"):
                server.ensure_api(project)
        new = server.ensure_api(project)
        assert not new.warm
        assert len(server_processes(project)) == 2, "a keeper and a server, the new ones"
        known = server_state.running_api_state(new.home)
        assert known
        assert [known.pid] == api_home.find_keepers(new.home)
        before = {"authorization": api_guard.basic_authorization(secret)}
        for headers in ({}, before):
            assert ask(new, "POST", "/api/flows/filter", headers)[0] == 401
        assert ask(new, "POST", "/api/flows/filter", owner(new))[0] == 200
        old = new
    forget(old, "unreadable")
    assert start_api.stop_local_api(old.home), "`towpath down` ends it all the same"
    assert not server_processes(project)


def test_what_a_run_set_for_itself_does_not_reach_another_s_api(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(remote_api.AUTH, server_state.make_secret())
    monkeypatch.setenv(remote_api.KEY, "http://127.0.0.1:1/api")
    with socket.socket() as theirs:
        theirs.bind(("127.0.0.1", 0))
        theirs.listen()
        theirs.settimeout(60)
        url = f"http://127.0.0.1:{theirs.getsockname()[1]}/api"
        call = [sys.executable, "-c", ASK_STAGE, url]
        asking = subprocess.Popen(call, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        line, _ = theirs.accept()
        asked = line.recv(65536).lower()
        asking.kill()
        asking.wait()
        line.close()
    assert b" /api/" in asked
    assert b"authorization" not in asked


ASK_STAGE = "import sys; from towpath.backends.prefect import deployments; "
ASK_STAGE += "wanted = deployments.WantedDeployment('a', 'b', None, '', '', {}); "
ASK_STAGE += "deployments.read_standing(sys.argv[1], wanted)"
