"""Bytes of a version that nobody promoted yet: an audit reads them, as it reads all others."""

from __future__ import annotations

from pathlib import Path

import pytest

from audit_project import Project, begin
from own_home import MAIN, move_in
from towpath import registry


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project with one version, in no stage."""
    move_in(tmp_path / "own home", MAIN, monkeypatch)
    made = begin(tmp_path / "abalone", "name: abalone\nstages: [dev]\n")
    made.register(b"one")
    return made


def _bytes(project: Project) -> Path:
    found = registry.get(project.repository, "abalone@v1.0.0")
    return project.workspace.store.path(found.record.artifact.digest)


def test_altered(project: Project) -> None:
    assert project.found() == []
    path = _bytes(project)
    path.chmod(0o644)
    path.write_bytes(b"bad")
    [one] = project.verify().findings
    assert one.fault.what == "the bytes of abalone@v1.0.0 in the project's store were altered"
    assert str(one.fault.hint).startswith(f"mv '{path}' '{path}.altered'")


def test_lost_and_given_up(project: Project) -> None:
    path = _bytes(project)
    path.chmod(0o644)
    path.unlink()
    [one] = project.verify().findings
    assert one.fault.what == "the bytes of abalone@v1.0.0 are not in the project's store"
    assert "towpath reject abalone@v1.0.0 --reason '...'" in str(one.fault.hint)
    registry.reject(project.repository, "abalone@v1.0.0", "its bytes were lost")
    assert project.found() == []
