"""The fixture ``github``: a forge of the test's own, which judges whoever speaks to it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path.append(str(Path(__file__).parent / "forge"))

if TYPE_CHECKING:
    from github_server import GitHubServer

PROXIES = ("http_proxy", "https_proxy", "all_proxy")


@pytest.fixture
def github(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[GitHubServer]:
    """A server with the people ada, bo and cleo; the test fails where GitHub's description was
    broken. ``GITHUB_API_URL`` names it, and ada's token is in ``GITHUB_TOKEN``."""
    from github_server import GitHubServer

    server = GitHubServer(tmp_path / "github")
    for login in ("ada", "bo", "cleo"):
        server.person(login)
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    with server.running():
        for name, value in server.environ().items():
            monkeypatch.setenv(name, value)
        yield server
    assert not server.faults, server.faults
