"""The fixture ``github``: a forge of the test's own, which judges whoever speaks to it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

FORGE = str(Path(__file__).parent / "forge")
sys.path.append(FORGE)  # until the tests are collected

if TYPE_CHECKING:
    from github_server import GitHubServer
    from github_state import Hosted

    from promotion_project import Project
    from towpath import forge

REPOSITORY_NAME = "acme/abalone"
PROXIES = ("http_proxy", "https_proxy", "all_proxy")


@pytest.fixture
def github(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[GitHubServer]:
    """A server with the people ada, bo and cleo; the test fails where GitHub's description was
    broken. ``GITHUB_API_URL`` names it, and ada's token is in ``GITHUB_TOKEN``."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(FORGE)
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


@dataclass
class ForgeWorld:
    """A project on the forge, in the hands of whoever acts."""

    project: Project
    github: GitHubServer
    monkeypatch: pytest.MonkeyPatch

    @property
    def hosted(self) -> Hosted:
        """The repository, as the forge has it."""
        return self.github.repository(REPOSITORY_NAME)

    def be(self, login: str) -> forge.Forge:
        """Act with another's token."""
        for name, value in self.github.environ(login).items():
            self.monkeypatch.setenv(name, value)
        return self.client

    @property
    def client(self) -> forge.Forge:
        """The forge, for who acts now."""
        from towpath.backends.github.connect_forge import connect_forge

        found = connect_forge(self.project.workspace.project)
        assert found
        return found
