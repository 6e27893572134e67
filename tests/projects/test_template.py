"""The tabular template: what stands there after a stranger's cookiecutter and `towpath new`."""

from __future__ import annotations

import re
import shlex
import tempfile
import tomllib
from pathlib import Path

import pytest
from made_project import contents, cookiecutter, git, run
from msgspec.structs import replace

from command_line import call_dvc
from towpath import projects
from towpath.backends import dvc
from towpath.backends.dvc.dvc_config import load_config
from towpath.backends.dvc.tracked_files import survey_pointers
from towpath.config.project_declaration import read_project
from tracking import track

SHAPE = [
    ".dvc/.gitignore",
    ".dvc/config",
    ".dvcignore",
    ".gitattributes",
    ".github/CODEOWNERS",
    ".github/workflows/checks.yml",
    ".github/workflows/training.yml",
    ".gitignore",
    "README.md",
    "data/.gitignore",
    "data/README.md",
    "data/abalone.csv.dvc",
    "flows/training/expectations/raw.yaml",
    "flows/training/flow.py",
    "flows/training/pipeline.yaml",
    "flows/training/steps.py",
    "prefect.yaml",
    "pyproject.toml",
    "registry/evidence/.gitkeep",
    "registry/models/.gitkeep",
    "registry/stages/dev/.gitkeep",
    "registry/stages/prod/.gitkeep",
    "registry/stages/uat/.gitkeep",
    "tests/test_pipeline.py",
    "tests/test_steps.py",
    "towpath.yaml",
]

TASKS = [{}, {"task": "classification"}]


def test_no_input_makes_the_abalone_project_with_a_first_commit(tmp_path: Path) -> None:
    project = cookiecutter(_folder(tmp_path, "there"), {})
    assert project.name == "abalone"
    assert git(project, "ls-files").split() == SHAPE
    assert git(project, "log", "--format=%D|%an|%s") == (
        "HEAD -> main|Ada Lovelace|Start abalone from the tabular template\n"
    )
    assert git(project, "status", "--porcelain") == ""


@pytest.mark.parametrize("answers", TASKS)
def test_both_ways_give_the_same_project(tmp_path: Path, answers: dict[str, str]) -> None:
    strangers = cookiecutter(_folder(tmp_path, "stranger"), answers)
    ours = projects.make_from_template("tabular", tmp_path / "ours", answers, ask=False)
    assert contents(ours) == contents(strangers)
    assert git(ours, "rev-parse", "HEAD^{tree}") == git(strangers, "rev-parse", "HEAD^{tree}")


def test_the_answers_are_not_left_among_the_temporary_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(_folder(tmp_path, "temporary")))
    projects.make_from_template("blank", tmp_path / "ours", {}, ask=False)
    assert not list(Path(tempfile.gettempdir()).iterdir())


@pytest.mark.parametrize("answers", TASKS)
def test_stock_dvc_agrees_that_the_data_are_tracked(
    tmp_path: Path, answers: dict[str, str]
) -> None:
    project = projects.make_from_template("tabular", tmp_path, answers, ask=False)
    (pointer,) = project.glob("data/*.dvc")
    as_made, table = pointer.read_text(), project / "data" / pointer.stem
    bytes_made = table.read_bytes()
    assert _dvc(project, "status").strip() == "Data and pipelines are up to date."
    table.unlink()
    _dvc(project, "checkout")
    assert table.read_bytes() == bytes_made
    _dvc(project, "add", f"data/{table.name}")
    assert pointer.read_text() == as_made
    assert git(project, "status", "--porcelain") == ""


def test_the_store_would_have_written_the_same(tmp_path: Path) -> None:
    project = projects.make_from_template("tabular", tmp_path, {}, ask=False)
    dvc.initialise_store(fresh := _folder(tmp_path, "fresh"))
    for name in (".dvc/config", ".dvc/.gitignore"):
        assert _text(fresh, name) == _text(project, name)
    (ours,) = survey_pointers(project).pointers
    (project / "data" / "abalone.csv.dvc").unlink()
    tracked = track(project, project / "data" / "abalone.csv")
    assert replace(tracked, place=ours.place) == ours
    assert _dvc(project, "status").strip() == "Data and pipelines are up to date."


def test_abalone_is_the_whole_uci_set_with_its_two_known_defects(tmp_path: Path) -> None:
    project = projects.make_from_template("tabular", tmp_path, {}, ask=False)
    table = (project / "data" / "abalone.csv").read_bytes()
    header, *rows = [line.split(",") for line in table.decode().splitlines()]
    assert (len(rows), len(header), header[-1]) == (4177, 9, "rings")
    defects = [
        number for number, row in enumerate(rows, 1) if float(row[header.index("height")]) == 0
    ]
    assert defects == [1258, 3997]
    assert "Rows 1258 and 3997" in (project / "data" / "README.md").read_text()
    for page in ("README.md", "data/README.md"):
        assert "CC BY 4.0" in (project / page).read_text()


@pytest.mark.parametrize("place", ["with blanks in it", "Škoda/größe-数据", "it's (new) & $HOME"])
def test_odd_places_are_places(tmp_path: Path, place: str) -> None:
    folder = _folder(tmp_path, place)
    project = cookiecutter(folder, {"name": "a1-b2"})
    assert (project, git(project, "log", "--format=%s").strip()) == (
        folder / "a1-b2",
        "Start a1-b2 from the tabular template",
    )
    assert _dvc(project, "status").strip() == "Data and pipelines are up to date."


def test_answers_stand_where_they_belong(tmp_path: Path) -> None:
    answers = {
        "name": "shells",
        "registry": "https://git.example.org/models.git",
        "forge": "github",
        "repository": "canal-company/shells",
        "towpath": "towpath==1.2",
    }
    project = projects.make_from_template("tabular", tmp_path, answers, ask=False)
    declared = _text(project, "towpath.yaml")
    assert "registry: https://git.example.org/models.git" in declared
    assert "stages:" not in declared and "policy:" not in declared, "they are the registry's"
    assert not (project / "registry").exists()
    assert [path.name for path in sorted((project / ".github" / "workflows").iterdir())] == [
        "checks.yml", "training.yml",
    ]  # fmt: skip
    assert "    as: shells" in _text(project, "flows/training/pipeline.yaml")
    assert "@canal-company" in _text(project, ".github/CODEOWNERS")
    assert "github.com/canal-company/shells.git" in _text(project, "README.md")
    assert '"towpath==1.2",' in _text(project, "pyproject.toml")


def test_answers_with_odd_characters_are_quoted_where_they_stand(tmp_path: Path) -> None:
    registry = "/srv/Team #1: all/models.git"
    odd = {"registry": registry, "towpath": r"https://x.org/a\qb.git"}
    project = projects.make_from_template("tabular", tmp_path, odd, ask=False)
    assert read_project(project).registry == registry
    (line, *_) = tomllib.loads(_text(project, "pyproject.toml"))["project"]["dependencies"]
    assert line == r"towpath @ git+https://x.org/a\qb.git"


@pytest.mark.parametrize("place", ["/srv/a #1", r"/srv/a, b\c", "s3://models/store"])
def test_dvc_reads_the_store_that_was_answered(tmp_path: Path, place: str) -> None:
    project = projects.make_from_template("registry", tmp_path, {"store": place}, ask=False)
    assert _dvc(project, "config", "remote.store.url").strip() == place
    assert load_config(project / ".dvc").remote_sections()["store"]["url"] == place
    (line,) = re.findall("dvc remote add --default (.*)", _text(project, "README.md"))
    assert shlex.split(line) == ["store", place]


def test_without_an_identity_the_first_commit_waits_and_says_so(tmp_path: Path, home: Path) -> None:
    (home / ".gitconfig").write_text("")
    folder = _folder(tmp_path, "there")
    project = cookiecutter(folder, {})
    assert run("git", "rev-parse", "HEAD", cwd=project).returncode != 0
    assert set(git(project, "diff", "--cached", "--name-only").split()) == set(SHAPE)
    assert projects.next_commands(project, folder)[:2] == (
        "cd abalone",
        "git commit -m 'Start abalone'",
    )
    again = run("git", "commit", "-m", "x", cwd=project, **_named("Grace"))
    assert again.returncode == 0, again.stderr


def test_a_folder_of_somebodys_repository_is_left_to_them(tmp_path: Path) -> None:
    outer = _folder(tmp_path, "monorepo")
    git(outer, "init", "--quiet")
    (outer / ".gitignore").write_text("/scratch/\n")
    inner = projects.make_from_template("tabular", outer / "models", {}, ask=False)
    assert not (inner / ".git").exists()
    assert projects.next_commands(inner, outer)[:2] == ("cd models/abalone", "git add .")
    ignored = projects.make_from_template("tabular", outer / "scratch", {}, ask=False)
    assert git(ignored, "rev-parse", "--show-toplevel").strip() == str(ignored)


def test_a_repository_named_by_a_git_hook_is_not_touched(tmp_path: Path) -> None:
    other = _folder(tmp_path, "other")
    git(other, "init", "--quiet")
    project = cookiecutter(_folder(tmp_path, "there"), {}, GIT_DIR=str(other / ".git"))
    assert (project / ".git").is_dir()
    assert run("git", "rev-parse", "HEAD", cwd=other).returncode != 0


def test_what_a_person_ignores_everywhere_is_committed_here(tmp_path: Path, home: Path) -> None:
    (home / "ignore").write_text("data/\n*.yaml\n.github\n")
    git(home, "config", "--global", "core.excludesFile", str(home / "ignore"))
    project = cookiecutter(_folder(tmp_path, "there"), {})
    assert git(project, "ls-files").split() == SHAPE


def _folder(parent: Path, name: str) -> Path:
    folder = parent / name
    folder.mkdir(parents=True)
    return folder


def _text(project: Path, path: str) -> str:
    return (project / path).read_text()


def _named(name: str) -> dict[str, str]:
    mail = f"{name.lower()}@example.org"
    return {
        "GIT_AUTHOR_NAME": name,
        "GIT_AUTHOR_EMAIL": mail,
        "GIT_COMMITTER_NAME": name,
        "GIT_COMMITTER_EMAIL": mail,
    }


def _dvc(project: Path, *words: str) -> str:
    said = call_dvc(project, *words)
    assert said.returncode == 0, said.stderr
    return said.stdout


@pytest.mark.fast
def test_what_templates_share_stands_once() -> None:
    home = Path(__file__).parents[2] / "templates"
    files = [path for path in home.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    own = [path for path in files if not path.is_symlink() and path.stat().st_size]
    assert len({path.read_bytes() for path in own}) == len(own)
    shared = home / "common"
    assert all(path.resolve().is_relative_to(shared) for path in files if path.is_symlink())
    taken = {path.resolve() for path in files if path.is_symlink()}
    assert taken == {path for path in own if path.is_relative_to(shared)}
