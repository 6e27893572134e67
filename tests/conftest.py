"""What every test stands on: a home of its own for Towpath, Prefect, DVC and Git.

`make test-fast` runs the rooms of FAST: they start no server and run no pipeline.

The plan for Prefect's API: `TOWPATH_HOME` is one folder for the whole session, xdist's workers
included. Tests in the rooms of RUNNING use one API together, given as a user would give theirs, by
`PREFECT_API_URL`; the first test that needs it starts it. What a test starts beside it rests soon,
and whatever is left is stopped when the session ends.
"""

from __future__ import annotations

import gc
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Generator, Iterator
from functools import cache
from pathlib import Path

import pytest

import forked_supervisors
from own_home import HASTE, CopyWorld, use_api
from towpath.backends.prefect import run_settings, server
from towpath.backends.prefect.server import api_home, start_api
from towpath.dependencies.module_search import loose_folders
from towpath.sandbox import process_tree

pytest_plugins = ["forge_fixtures"]

HERE = Path(__file__).parent
RUNNING = ("audit", "cli", "examples", "execution", "delivery/reconcile", "sharing", "story")
FAST = (
    "backends/git", "backends/great_expectations", "config", "dependencies", "doctor", "documents",
    "forge", "storage", "test_developers_pages.py", "test_knowledge.py", "test_names.py",
    "test_repository.py",
)  # fmt: skip
SLOW = ("storage/test_s3.py",)
LONGEST = (
    "workflows", "story", "projects/test_baked.py", "cli/test_cli_runs.py", "faults/test_kills.py",
)  # fmt: skip

LOGGED = 5_000  # letters of a log that are shown

GIT_CONFIG = f"""\
{HASTE}[user]
    name = Ada Tester
    email = ada@example.org
[init]
    defaultBranch = main
[commit]
    gpgSign = false
[tag]
    gpgSign = false
"""


def pytest_configure(config: pytest.Config) -> None:
    """Set the environment before anything is imported; xdist's workers inherit it."""
    # A shell ignores interrupts for what it starts in the background, and so would our children.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if hasattr(config, "workerinput"):
        return
    home = Path(tempfile.mkdtemp(prefix="towpath-tests-"))
    (home / "gitconfig").write_text(GIT_CONFIG)
    (home / "supervisors").mkdir()
    forked_supervisors.hold_servers(home / "supervisors")  # until this process ends
    # Whether these are set is the machine's business, and must not decide what a test sees.
    for name in [key for key in os.environ if key.startswith("PREFECT_")] + ["CI", "NO_COLOR"]:
        os.environ.pop(name, None)
    os.environ |= {
        "TOWPATH_HOME": str(home / "towpath"),
        # A disk that others keep busy lets nobody write for half a minute, not even a file's time.
        "TOWPATH_REST": "150s",
        # As steps have it: where both workers want both processors, threads that fit a model in a
        # test's own process would spin for seconds.
        "GOMP_SPINCOUNT": process_tree.CALM["GOMP_SPINCOUNT"],
        "PREFECT_HOME": str(home / "prefect"),
        # Every API here is spoken to without TLS, and yet each client of Prefect's would read the
        # whole bundle of authorities, 18 ms of CPU.
        "PREFECT_API_SSL_CERT_FILE": str(run_settings.NO_AUTHORITY),
        "DVC_NO_ANALYTICS": "1",
        "DVC_SITE_CACHE_DIR": str(home / "dvc"),
        "DO_NOT_TRACK": "1",
        "GIT_CONFIG_GLOBAL": str(home / "gitconfig"),
        "GIT_CONFIG_NOSYSTEM": "1",
    }


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Import nothing of the other rooms for `make test-fast`: to read all takes ten seconds."""
    if config.option.markexpr != "fast" or HERE not in collection_path.parents:
        return None
    above_room = any((HERE / room).is_relative_to(collection_path) for room in FAST)
    return None if above_room or _stands_in(collection_path, FAST) else True


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Look for no garbage among half a million objects that stay: a fifth of the time."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what `make test-fast` runs, and begin with what takes a minute: at the end one worker
    would wait for the other."""
    for item in items:
        if _stands_in(item.path, FAST) and not _stands_in(item.path, SLOW):
            item.add_marker(pytest.mark.fast)
    items.sort(key=lambda item: not _stands_in(item.path, LONGEST))


def pytest_collection_finish() -> None:
    """Leave on the path what a step could import.

    Dynamic code counts every module that could be imported. With the folders in which pytest looks
    for tests still there, each reading of such code would read all of Towpath and of its tests, and
    each run of it would import what the forge's server stands on: three seconds of CPU."""
    loose = {*loose_folders()}
    sys.path[:] = [folder for folder in sys.path if os.path.realpath(folder) not in loose]


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Have the supervisors of runs forked, and what sandboxes are forked from as well, but where
    the start of one is what is tried, where none is ever started, and on macOS."""
    forks = process_tree.can_fork() and not _stands_in(
        item.path, (*forked_supervisors.FRESH, *FAST)
    )
    folder = Path(os.environ["TOWPATH_HOME"]).with_name("supervisors")
    addresses = forked_supervisors.start_supervisor_servers(folder) if forks else None
    forked_supervisors.choose_start(addresses)


@cache  # a file has many tests, and each worker asks of all of them
def _stands_in(path: Path, rooms: tuple[str, ...]) -> bool:
    return any(path.is_relative_to(HERE / room) for room in rooms)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What the shared API wrote, which is nothing as long as all is well with it: where tests say
    that it does not answer, its home is gone by the time that somebody looks."""
    log = api_home.home_of_project(None).log
    if log.is_file() and (text := log.read_text(errors="replace").strip()):
        terminalreporter.section("the log of the Prefect API that the tests share")
        terminalreporter.write_line(text[-LOGGED:])


def pytest_unconfigure(config: pytest.Config) -> None:
    """Leave no process and no folder behind."""
    if hasattr(config, "workerinput"):
        return
    for each in start_api.find_homes():
        start_api.stop_local_api(each)
    shutil.rmtree(Path(os.environ["TOWPATH_HOME"]).parent, ignore_errors=True)


@pytest.fixture(scope="session")
def copy_world(tmp_path_factory: pytest.TempPathFactory) -> CopyWorld:
    """Puts what ``build`` makes in an empty folder into a folder: built once, copied after that.

    What is built knows nothing of where it stands.
    """
    worlds: dict[Callable[[Path], object], Path] = {}

    def copy(build: Callable[[Path], object], folder: Path) -> None:
        if build not in worlds:
            worlds[build] = tmp_path_factory.mktemp("world")
            build(worlds[build])
        shutil.copytree(worlds[build], folder, symlinks=True, dirs_exist_ok=True)

    return copy


@pytest.fixture(scope="session")
def towpath_home() -> Path:
    """The session's `TOWPATH_HOME`."""
    return Path(os.environ["TOWPATH_HOME"])


@pytest.fixture(scope="session")
def warm_api() -> Iterator[server.PrefectApi]:
    """One local Prefect API for all tests of all workers."""
    api = server.begin_api()
    # Held before it answers: on a busy machine its start takes longer than it may rest.
    with server.run_in_progress(api, f"tests-{os.getpid()}"):
        yield server.await_api(api)


@pytest.fixture(autouse=True)
def prefect_api(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests that run pipelines share one warm API.

    A fixture of a module or of the session is made before this, so that a run in it starts an API
    of its own and leaves the address to every test after it: it has to name one by `use_api`.
    """
    assert "PREFECT_API_URL" not in os.environ, "a fixture, or a test before, has left its own API"
    if _stands_in(request.path, RUNNING):
        use_api(request.getfixturevalue("warm_api"), monkeypatch)
