"""Projects with versions to promote, in a home of their own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from own_home import MAIN, move_in
from promotion_project import Project, begin
from repository_memory import keep_repositories

#: What counts calls of Git, or holds a fresh look against an old one.
FORGETTING = ("test_judging_many.py",)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home; nothing of the machine's settings or tokens reaches a test."""
    return move_in(tmp_path / "home", MAIN, monkeypatch)


@pytest.fixture(autouse=True)
def kept_repositories(request: pytest.FixtureRequest) -> Iterator[None]:
    """The commands of a test remember as those of a server do."""
    if request.path.name in FORGETTING:
        yield
        return
    with keep_repositories():
        yield


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project with its policy on main, in Ada's hands, without a remote."""
    return begin(tmp_path / "abalone project")
