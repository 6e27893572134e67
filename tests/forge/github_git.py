"""Git over smart HTTP: `git http-backend` behind the test server."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple


class Served(NamedTuple):
    """What Git answers."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


@cache
def _backend() -> Path:
    """The program itself, as web servers run it: through `git` each request starts two."""
    done = subprocess.run(["git", "--exec-path"], capture_output=True, text=True, check=True)
    return Path(done.stdout.strip(), "git-http-backend")


def serve(
    root: Path, who: str, method: str, path: str, headers: Mapping[str, str], body: bytes
) -> Served:
    """One request of a Git client, for ``who``."""
    file, _, query = path.partition("?")
    env = {
        **os.environ,
        "GIT_PROJECT_ROOT": str(root),
        "GIT_HTTP_EXPORT_ALL": "1",
        "PATH_INFO": file,
        "QUERY_STRING": query,
        "REQUEST_METHOD": method,
        "REMOTE_USER": who,
        "REMOTE_ADDR": "127.0.0.1",
        "CONTENT_TYPE": headers.get("Content-Type", ""),
        "CONTENT_LENGTH": str(len(body)),
        "HTTP_CONTENT_ENCODING": headers.get("Content-Encoding", ""),
        "GIT_PROTOCOL": headers.get("Git-Protocol", ""),
    }
    done = subprocess.run([_backend()], input=body, capture_output=True, env=env)
    head, _, answer = done.stdout.partition(b"\r\n\r\n")
    pairs = [line.split(": ", 1) for line in head.decode().splitlines() if ": " in line]
    status = next((int(value.split()[0]) for name, value in pairs if name == "Status"), 200)
    return Served(status, [(name, value) for name, value in pairs if name != "Status"], answer)
