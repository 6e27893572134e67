"""The template `blank`: a project that `check` accepts, and the same files as `tabular`'s."""

from __future__ import annotations

import subprocess
from pathlib import Path

from made_project import REPOSITORY, git

from command_line import call_towpath
from towpath import projects
from towpath.config.project_declaration import read_project

BLANK = REPOSITORY / "templates" / "blank"


def towpath(project: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return call_towpath(project, *words)


def test_it_begins_with_one_commit_and_check_accepts_it(tmp_path: Path) -> None:
    made = towpath(tmp_path, "new", "blank", "--no-input", "name=leaf")
    assert made.returncode == 0, made.stderr
    assert made.stderr.endswith("  cd leaf\n  towpath check\n  towpath models\n")
    project = tmp_path / "leaf"
    assert git(project, "log", "--format=%s") == "Start leaf from the blank template\n"
    assert git(project, "status", "--porcelain") == ""
    assert not list(project.rglob("*.csv*"))
    said = towpath(project, "check")
    assert (said.returncode, said.stderr) == (0, "training: no steps yet, nothing wrong\n")
    assert list(read_project(project).stages) == ["dev", "uat", "prod"]
    assert sorted(path.name for path in (project / ".github/workflows").iterdir()) == ["checks.yml"]


def test_with_a_shared_registry_it_has_none_of_its_own(tmp_path: Path) -> None:
    answers = {"registry": "https://git.example.org/models.git"}
    project = projects.make_from_template("blank", tmp_path, answers, ask=False)
    assert read_project(project).registry == answers["registry"]
    assert not (project / "registry").exists()


def test_with_a_forge_it_has_the_workflows_of_promotions(tmp_path: Path) -> None:
    answers = {"forge": "github", "repository": "ada/leaf"}
    project = projects.make_from_template("blank", tmp_path, answers, ask=False)
    assert len(list((project / ".github/workflows").iterdir())) == 6
    declared = read_project(project)
    assert declared.forge and declared.forge.repository == "ada/leaf"
