"""A project with models of real bytes, its stages, and a person who approves what enters them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import reconcile_children
from reconcile_children import Children
from reconcile_project import Project, initialised


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing outside of the test's folder is read or written by Git and DVC."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "GITHUB_", "GH_"))]:
        monkeypatch.delenv(name)
    for name in ("SITE_CACHE_DIR", "GLOBAL_CONFIG_DIR", "SYSTEM_CONFIG_DIR"):
        monkeypatch.setenv(f"DVC_{name}", os.fspath(tmp_path / "dvc" / name.lower()))


@pytest.fixture
def make_project(tmp_path: Path) -> Callable[..., Project]:
    """Projects by the text of their stages in towpath.yaml."""

    def make(stages: str = "[dev, uat, prod]", name: str = "shells") -> Project:
        return initialised(tmp_path / name, stages)

    return make


@pytest.fixture
def project(make_project: Callable[..., Project]) -> Project:
    """A project whose prod puts bundles into a folder."""
    return make_project("{dev: , uat: , prod: {deploy: {to: files, path: deploy/prod}}}")


@pytest.fixture(scope="session")
def children() -> Iterator[Children]:
    """Processes that may be killed."""
    with reconcile_children.running() as found:
        yield found
