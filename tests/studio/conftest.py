"""A project with something to show: versions in stages, trials, a failure, a promotion that waits.

Its names and texts come from somebody who would like a page to obey them.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
import uvicorn

from own_home import CopyWorld
from running import FOLDER, Project, make
from towpath.delivery import promotion
from towpath.studio.access_guard import TokenDoor
from towpath.studio.studio_app import StudioProject, guard_project
from towpath.studio.studio_server import server_config

if TYPE_CHECKING:
    from playwright.sync_api import Browser

EVIL = "</title></style></script><script>alert(1)</script><img src=x onerror=alert(2)>"
TOKEN = "a-token-of-this-test"
POLICY = f"""\
name: small
description: "{EVIL}"
stages:
  dev: {{description: what is tried}}
  uat:
    gates:
      near: {{kind: metric, metric: error, at_most: 1000}}
  prod: {{}}
policy: {{approval: recorded, self_approval: true}}
"""


def make_shown(root: Path) -> Project:
    """The project, its runs and decisions made for real."""
    project = make(root, {"towpath.yaml": POLICY})
    project.edit(f"{FOLDER}/pipeline.yaml", "limit: 100", f'limit: 100\n  words: "{EVIL}"')
    project.edit(f"{FOLDER}/pipeline.yaml", "params: [factor]", "params: [factor, words]")
    project.code(
        "def fit(rows: list, factor: float)", "def fit(rows: list, factor: float, words: str)"
    )
    project.code('    return {"error"', f'    print({EVIL!r})\n    return {{"error"')
    project.code(
        '    return {"mean"',
        "    import towpath\n\n    for step in range(3):\n"
        '        towpath.log_metric("loss", factor / (step + 1), step)\n    return {"mean"',
    )
    project.git("init", "-q", "-b", "main")
    project.commit()
    assert project.run().exit_code == 0
    workspace = project.workspace
    promotion.propose_promotion(workspace, "mean@v1.0.0", "dev")
    promotion.approve_promotion(project.workspace, "promote/mean-v1.0.0-dev")
    project.git("checkout", "-q", "main")
    project.run(params={"factor": 3})
    project.run(params={"limit": 0.001})
    promotion.propose_promotion(project.workspace, "mean@v1.0.0", "uat", why=EVIL)
    return project


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory, copy_world: CopyWorld) -> Project:
    root = tmp_path_factory.mktemp("shown") / "mein Projékt"
    copy_world(make_shown, root)
    return Project(root)


@pytest.fixture
def own_shown(tmp_path: Path, copy_world: CopyWorld) -> Project:
    """The same for a test that changes it."""
    copy_world(make_shown, tmp_path / "shown")
    return Project(tmp_path / "shown")


_RUNNING = ExitStack()


@cache
def _start_browser() -> Browser:
    from chromium import start_browser

    return _RUNNING.enter_context(start_browser())


@pytest.fixture
def browser() -> Iterator[Browser]:
    """One for all tests of this room, in which no page of another test is open."""
    browser = _start_browser()
    yield browser
    for context in browser.contexts:
        context.close()


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(nextitem: pytest.Item | None) -> None:
    """End the browser with the last test of this room, for a thread that has it runs no other event
    loop. (A fixture of the scope "package" would go on to the session's end.)"""
    if nextitem is None or Path(__file__).parent not in nextitem.path.parents:
        _RUNNING.close()
        _start_browser.cache_clear()


@contextmanager
def serve(root: Path) -> Iterator[str]:
    """Studio on a port of its own, as `towpath studio` serves it; its address."""
    listening = socket.create_server(("127.0.0.1", 0))
    app = guard_project(StudioProject(root), TokenDoor(TOKEN))
    server = uvicorn.Server(server_config(app))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)


def _connect(address: str) -> httpx.Client:
    """A client that reads no list of authorities, for Studio is spoken to without TLS."""
    return httpx.Client(base_url=address, timeout=30, verify=False)


@pytest.fixture
def serve_at() -> Callable[[Path], AbstractContextManager[str]]:
    """Serves another project than the module's."""
    return serve


@pytest.fixture
def open_studio() -> Iterator[Callable[[Path], httpx.Client]]:
    """Opens a client that has the token, as a browser has after the first address."""
    with ExitStack() as stack:

        def open_at(root: Path) -> httpx.Client:
            address = stack.enter_context(serve(root))
            client = stack.enter_context(_connect(address))
            assert client.get(f"/?token={TOKEN}").status_code == 303
            return client

        yield open_at


@pytest.fixture(scope="module")
def address(shown: Project) -> Iterator[str]:
    with serve(shown.root) as served:
        yield served


@pytest.fixture
def stranger(address: str) -> Iterator[httpx.Client]:
    """Another user of the machine, or a page in the person's own browser: without the token."""
    with _connect(address) as client:
        yield client


@pytest.fixture
def client(stranger: httpx.Client) -> httpx.Client:
    assert stranger.get(f"/?token={TOKEN}").status_code == 303
    return stranger
