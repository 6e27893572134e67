"""A Prefect server on PostgreSQL, of the programs that this machine has."""

from __future__ import annotations

import getpass
import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def find_programs() -> Path | None:
    """The folder of `initdb` and `pg_ctl`; Debian has them outside of the PATH."""
    beside = shutil.which("initdb")
    if beside:
        return Path(beside).resolve().parent
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return installed[-1].parent if installed else None


def database_user() -> str | None:
    """Who keeps the database: PostgreSQL refuses root."""
    if os.geteuid():
        return getpass.getuser()
    names = [user.pw_name for user in pwd.getpwall()]
    return next((name for name in ("postgres", "nobody") if name in names), None)


@contextmanager
def run_database(programs: Path, user: str) -> Iterator[str]:
    """An empty database that listens at a socket alone; its address for SQLAlchemy."""
    # Not in pytest's own folder, which another user may not enter; and a socket's path is short.
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="towpath-pg-") as name:
        folder = Path(name)
        own = {} if os.geteuid() else {"user": user, "group": pwd.getpwnam(user).pw_gid}
        if own:
            shutil.chown(folder, user, own["group"])
        data = folder / "data"

        def call(program: str, *words: str) -> None:
            command = [str(programs / program), *words]
            subprocess.run(command, check=True, capture_output=True, cwd="/", **own)

        call("initdb", "-D", str(data), "-U", "prefect", "-A", "trust", "--no-sync")
        options = f"-c listen_addresses='' -c unix_socket_directories={folder} -c fsync=off"
        log = ("-l", str(folder / "log"), "-o", options)
        call("pg_ctl", "-D", str(data), "-w", *log, "start")
        try:
            yield f"postgresql+asyncpg://prefect@/postgres?host={folder}"
        finally:
            call("pg_ctl", "-D", str(data), "-m", "immediate", "stop")


@contextmanager
def run_prefect_server(database: str, home: Path) -> Iterator[str]:
    """Stock Prefect's server on a database; the address of its API."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    kept = {k: v for k, v in os.environ.items() if not k.startswith("PREFECT_")}
    environment = {
        **kept,
        "PREFECT_HOME": str(home),
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": database,
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
    }
    command = [sys.executable, "-m", "prefect", "server", "start", "--no-ui", "--port", str(port)]
    home.mkdir(parents=True)
    with (home / "server.log").open("wb") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}/api"
    try:
        _await_answer(server, url, home / "server.log")
        yield url
    finally:
        server.terminate()
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _await_answer(server: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        assert server.poll() is None, log.read_text(errors="replace")
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=2):
                return
        except OSError:
            time.sleep(0.3)
    raise AssertionError(log.read_text(errors="replace"))
