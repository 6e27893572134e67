"""The template of a shared registry, and this repository, which is the reference of it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from running import Project
from towpath import projects
from towpath.config.project_declaration import read_project
from towpath.errors import UsageError

ROOT = Path(__file__).resolve().parents[2]
TEMPLATES = ROOT / "templates"
IN_ONE = "{{cookiecutter.name}}"
#: What this repository has its own of: the package's, and the front page's.
OWN = {"README.md", "pyproject.toml", ".gitignore"}


def files(folder: Path) -> dict[str, bytes]:
    """What Git keeps in a folder that the template made."""
    names = Project(folder).git("ls-files").split()
    return {name: (folder / name).read_bytes() for name in names}


def lines(file: Path) -> set[str]:
    """The lines that say something."""
    return {line for line in file.read_text().splitlines() if line and not line.startswith("#")}


def test_templates_promote_alike() -> None:
    promote = f"{IN_ONE}/.github/workflows/promote.yml"
    text = (TEMPLATES / "tabular" / promote).read_text()
    assert (TEMPLATES / "registry" / promote).read_text() == text.replace(
        "{{ cookiecutter.name }}@", "abalone@"
    )


def test_this_repository_is_what_the_template_makes(tmp_path: Path) -> None:
    declared = read_project(ROOT)
    assert declared.forge and declared.forge.repository
    answers = {
        "name": declared.name, "forge": "github", "repository": declared.forge.repository,
    }  # fmt: skip
    made = projects.make_from_template("registry", tmp_path, answers, ask=False)
    for name, content in files(made).items():
        if name not in OWN:
            assert (ROOT / name).read_bytes() == content, f"{name} differs"
    assert lines(made / ".gitignore") <= lines(ROOT / ".gitignore")
    workflows = {path.name for path in (ROOT / ".github" / "workflows").iterdir()}
    given = {path.name for path in (made / ".github" / "workflows").iterdir()}
    assert workflows == {"ci.yml", "release.yml", *given}


def test_cookiecutter_alone_makes_the_same_registry(tmp_path: Path) -> None:
    (tmp_path / "stranger").mkdir()
    call = [sys.executable, "-m", "cookiecutter", str(ROOT), "--no-input"]
    subprocess.run(
        [*call, "--directory", "templates/registry"], cwd=tmp_path / "stranger", check=True
    )
    ours = projects.make_from_template("registry", tmp_path / "ours", {}, ask=False)
    assert files(ours) == files(tmp_path / "stranger" / "models")
    assert Project(ours).towpath("check").code == 0
    assert json.loads(Project(ours).towpath("models", "--json").out)["models"] == []
    assert not (ours / ".github" / "workflows" / "reconcile.yml").exists(), "there is no forge"


def test_answers_that_will_not_do(tmp_path: Path) -> None:
    answers = {"name": "My Models", "store": "somewhere", "repository": "acme/models"}
    with pytest.raises(UsageError) as refused:
        projects.make_from_template("registry", tmp_path, answers, ask=False)
    assert [fault.what.partition(":")[0] for fault in refused.value.faults] == [
        "name", "store", "repository",
    ]  # fmt: skip
    assert list(tmp_path.iterdir()) == []
