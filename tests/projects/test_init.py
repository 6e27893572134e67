"""`towpath init`: a repository that is there becomes a project, and nothing of it is touched."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from made_project import REPOSITORY, contents, git

from command_line import call_towpath
from towpath import projects
from towpath.backends import dvc
from towpath.config.project_declaration import read_project
from towpath.projects import EMPTY_PIPELINE, adoption

MADE = [
    ".dvc/.gitignore",
    ".dvc/config",
    ".dvcignore",
    ".gitattributes",
    ".gitignore",
    "flows/training/pipeline.yaml",
    "towpath.yaml",
]


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository without a commit, in a folder that no project can be named after."""
    folder = tmp_path / "Wahl & Söhne"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    return folder


def towpath(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return call_towpath(folder, *words)


def adopt(folder: Path) -> tuple[str, ...]:
    """What `towpath init` does, in this process; the paths that it wrote."""
    additions = projects.plan_additions(folder, dvc.missing_store_files(folder))
    projects.apply_additions(folder, additions)
    return tuple(addition.path for addition in additions)


def test_it_makes_what_is_lacking_says_so_and_then_has_nothing_to_do(repository: Path) -> None:
    before = contents(repository)
    said = towpath(repository, "init", "--dry-run")
    assert said.returncode == 0, said.stderr
    assert "would make towpath.yaml\n" in said.stdout
    assert contents(repository) == before
    said = towpath(repository, "init")
    assert sorted(contents(repository)) == MADE
    for path in MADE:
        assert f"made {path}\n" in said.stderr
    again = towpath(repository, "init")
    assert again.stderr == f"nothing to do: {repository} is a project\n"
    checked = towpath(repository, "check")
    assert (checked.returncode, checked.stderr) == (0, "training: no steps yet, nothing wrong\n")
    ran = towpath(repository, "run")
    assert (ran.returncode, ran.stderr.splitlines()[0]) == (
        2,
        "error: flows/training/pipeline.yaml: the pipeline has no steps yet",
    )
    assert read_project(repository).name == "Wahl-S-hne"


def test_what_runs_leave_is_not_added_to_git(repository: Path) -> None:
    adopt(repository)
    for path in (".towpath/runs/x", "artifacts/training/a/b", ".dvc/cache/x", "prefect.toml"):
        (repository / path).parent.mkdir(parents=True, exist_ok=True)
        (repository / path).write_text("x")
    git(repository, "add", "-A")
    assert git(repository, "ls-files").split("\n")[:-1] == MADE


def test_what_is_there_stays_and_only_lines_are_added(repository: Path) -> None:
    (repository / ".gitignore").write_bytes(b"*.log\r\nartifacts/")
    (repository / ".gitattributes").write_bytes(b"*.yaml text eol=crlf\n\xff.bin -text\n")
    (repository / "towpath.yaml").write_text("name: kept\n")
    (repository / "flows/own").mkdir(parents=True)
    (repository / "flows/own/pipeline.yaml").write_text("steps: {}\n")
    (repository / ".dvcignore").write_text("/.towpath\n")
    assert adopt(repository) == (
        ".gitignore", ".gitattributes", ".dvc/config", ".dvc/.gitignore",
    )  # fmt: skip
    lines = (repository / ".gitignore").read_bytes()
    assert lines.startswith(b"*.log\r\nartifacts/\r\n\r\n# What runs")
    assert lines.endswith(b"\r\n/.towpath/\r\n/prefect.toml\r\n")
    attributes = (repository / ".gitattributes").read_bytes()
    assert attributes.startswith(b"*.yaml text eol=crlf\n\xff.bin -text\n\n#")
    assert b"flows" not in attributes and b"*.dvc text eol=lf" in attributes
    assert (repository / "towpath.yaml").read_text() == "name: kept\n"
    assert adopt(repository) == ()


def test_killed_midway_it_completes(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    additions = projects.plan_additions(repository, dvc.missing_store_files(repository))
    for count in range(len(additions)):
        projects.apply_additions(repository, additions[count : count + 1])
        rest = tuple(addition.path for addition in additions[count + 1 :])
        left = projects.plan_additions(repository, dvc.missing_store_files(repository))
        assert tuple(addition.path for addition in left) == rest
    (repository / "towpath.yaml").unlink()

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "link", killed)
    with pytest.raises(KeyboardInterrupt):
        adopt(repository)
    assert not [path for path in contents(repository) if "towpath.yaml" in path]


def test_a_folder_of_a_repository_of_a_project_and_none(repository: Path, tmp_path: Path) -> None:
    inner = repository / "models" / "churn"
    inner.mkdir(parents=True)
    dvc.initialise_store(repository)
    assert ".dvc/config" not in adopt(inner), "it shares the store above"
    assert not (repository / "towpath.yaml").exists()
    below = inner / "deep"
    below.mkdir()
    said = towpath(below, "init")
    assert (said.returncode, said.stdout) == (2, "")
    assert f"this folder is in the project {inner}" in said.stderr
    assert "made towpath.yaml" in towpath(below, "init", ".").stderr
    nowhere = tmp_path / "nowhere"
    nowhere.mkdir()
    said = towpath(nowhere, "init")
    assert said.returncode == 2 and "is not in a Git repository\n  hint: " in said.stderr
    assert not list(nowhere.iterdir())
    assert "there is no folder" in towpath(repository, "init", "absent").stderr


def test_a_work_tree_of_a_bare_clone(repository: Path, tmp_path: Path) -> None:
    git(repository, "commit", "-q", "--allow-empty", "-m", "start")
    git(tmp_path, "clone", "-q", "--bare", str(repository), "bare.git")
    said = towpath(tmp_path / "bare.git", "init")
    assert said.returncode == 2 and "is a bare repository, which has no files" in said.stderr
    git(tmp_path / "bare.git", "worktree", "add", "-q", str(tmp_path / "tree"))
    adopt(tmp_path / "tree")
    assert sorted(path for path in contents(tmp_path / "tree") if path != ".git") == MADE


def test_what_cannot_be_written_is_said_with_its_name(repository: Path) -> None:
    (repository / "flows").write_text("a file")
    said = towpath(repository, "init")
    assert said.returncode == 2
    assert said.stderr.startswith("error: flows/training/pipeline.yaml cannot be written: ")
    (repository / "flows").unlink()
    assert adopt(repository) == ("flows/training/pipeline.yaml",)


def test_its_answer_as_json(repository: Path) -> None:
    document = json.loads(towpath(repository, "init", "--json").stdout)["init"]
    assert sorted(document["made"]) == MADE and document["added"] == {}
    said = towpath(repository, "init", "--pipeline", "x")
    assert said.returncode == 2 and "add `--from dvc.yaml`" in said.stderr


@pytest.mark.parametrize("template", ["tabular", "blank"])
def test_a_project_out_of_a_template_lacks_nothing(template: str, tmp_path: Path) -> None:
    made = projects.make_from_template(template, tmp_path, {}, ask=False)
    assert adopt(made) == ()


def test_a_name_is_found_for_any_folder() -> None:
    for folder in ("a b", "--", "123", "Null", "日本", "x" * 300, "churn_v2"):
        text = adoption._PROJECT.format(name=adoption.project_name(folder))
        from towpath.config.project_declaration import parse_project

        assert parse_project(text).name


def test_the_template_blank_begins_as_init_does() -> None:
    blank = REPOSITORY / "templates/blank/{{cookiecutter.name}}/flows/training/pipeline.yaml"
    assert blank.read_text(encoding="utf-8") == EMPTY_PIPELINE
