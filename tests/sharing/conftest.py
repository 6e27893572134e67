"""A registry that projects share, as a bare repository somewhere else, and projects that use it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from running import FOLDER, PIPELINE, Project, make

TOWPATH_YAML = """\
name: models
stages:
  dev:
  prod:
    approval: recorded
policy:
  self_approval: true
"""

MakeProject = Callable[..., Project]


@pytest.fixture
def registry(tmp_path: Path) -> Project:
    """A clone of the shared registry in which its keepers work; its origin is ``models.git``."""
    found = Project(tmp_path / "keepers")
    found.write("towpath.yaml", TOWPATH_YAML)
    found.write("registry/stages/dev/.gitkeep", "")
    found.write(".dvc/config", "[core]\n    analytics = false\n")
    found.git("init", "-q", "-b", "main")
    found.commit("start")
    found.git("clone", "-q", "--bare", ".", str(tmp_path / "models.git"))
    found.git("remote", "add", "origin", str(tmp_path / "models.git"))
    found.git("fetch", "-q", "origin")
    return found


@pytest.fixture
def project(tmp_path: Path, registry: Project) -> MakeProject:
    """Projects by name, each in a repository of its own with an origin and a store."""

    def build(name: str, model: str = "mean", shared: str | None = None) -> Project:
        address = shared or f"file://{tmp_path}/models.git"
        files = {
            "towpath.yaml": f"name: {name}\nregistry: {address}\n",
            f"{FOLDER}/pipeline.yaml": PIPELINE.replace("as: mean", f"as: {model}").replace(
                ": 100", ": 9e9"
            ),
            "data/raw.json": f"[1, 2, -3, {sum(name.encode())}]",
            ".dvc/config": f"[core]\n    remote = store\n['remote \"store\"']\n"
            f"    url = ../../store-{name}\n    verify = false\n",
        }
        made = make(tmp_path / name, files)
        made.git("init", "-q", "-b", "main")
        made.commit()
        made.git("clone", "-q", "--bare", ".", str(tmp_path / f"{name}.git"))
        made.git("remote", "add", "origin", f"https://ada:secret@forge.example/{name}.git")
        return made

    assert registry.root.is_dir()
    return build
