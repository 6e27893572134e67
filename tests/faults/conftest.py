"""What every attack begins with: a home of its own, in which nothing of the machine's counts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from approval_world import Clone, begin, copy, make_keys

from own_home import MAIN, move_in
from repository_memory import keep_repositories

#: Dozens of commands on one sound clone: what is said is about people, and not about its files.
REMEMBERING = (
    "test_approval.py", "test_foreign_records.py", "test_forge_approval.py", "test_hints.py",
    "test_main_branch.py", "test_main_line_faults.py", "test_merge_ways.py", "test_numbers.py",
    "test_ownership.py", "test_rules_in_force.py", "test_targets.py",
)  # fmt: skip


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home; nothing of the machine's settings or tokens reaches a test."""
    return move_in(tmp_path / "home", MAIN, monkeypatch)


@pytest.fixture(autouse=True)
def kept_repositories(request: pytest.FixtureRequest) -> Iterator[None]:
    """In the files of REMEMBERING the commands of a test remember as those of a server do."""
    if request.path.name not in REMEMBERING:
        yield
        return
    with keep_repositories():
        yield


@pytest.fixture(scope="session")
def told(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the keys of a signed project, its origin and Ada's clone."""
    folder = tmp_path_factory.mktemp("signed")
    with pytest.MonkeyPatch.context() as patch:
        move_in(folder / "home", MAIN, patch)
        begin(folder / "abalone", make_keys(folder / "keys"))
    return folder


@pytest.fixture
def ada(told: Path, tmp_path: Path) -> Clone:
    """A copy of it for one test, in Ada's hands."""
    return copy(told, tmp_path / "world").be("ada")
