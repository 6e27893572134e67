"""Making a project when something is in the way: the whole of it or nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from made_project import git

from towpath import projects
from towpath.errors import UserError

MAKE = "from pathlib import Path; from towpath import projects; "
MAKE += "projects.make_from_template('tabular', Path('new'), {}, ask=False)"


def test_an_existing_folder_is_refused_and_left_alone(tmp_path: Path) -> None:
    there = tmp_path / "abalone"
    there.mkdir()
    (there / "thesis.tex").write_text("years of work")
    with pytest.raises(UserError, match="abalone exists; nothing in it was changed"):
        projects.make_from_template("tabular", tmp_path, {}, ask=False)
    assert [path.name for path in there.iterdir()] == ["thesis.tex"]
    assert (there / "thesis.tex").read_text() == "years of work"


def test_a_link_to_nowhere_is_somebodys_too(tmp_path: Path) -> None:
    (tmp_path / "abalone").symlink_to(tmp_path / "not-mounted")
    with pytest.raises(UserError, match="abalone exists"):
        projects.make_from_template("tabular", tmp_path, {}, ask=False)
    assert not (tmp_path / "not-mounted").exists()


def test_a_file_in_the_way_of_the_folder_is_said(tmp_path: Path) -> None:
    (tmp_path / "models").write_text("a file")
    with pytest.raises(UserError, match="cannot be written"):
        projects.make_from_template("tabular", tmp_path / "models", {}, ask=False)
    assert (tmp_path / "models").read_text() == "a file"


def test_without_git_nothing_is_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="could not be finished; why stands above"):
        projects.make_from_template("tabular", tmp_path / "far" / "away", {}, ask=False)
    said = capfd.readouterr().err
    assert said == "Git is not installed, and a project is a Git repository.\n"
    assert not (tmp_path / "far").exists()


def end_while_it_commits(tmp_path: Path, home: Path, number: int) -> int:
    """Make a project in ``new``, and send the signal while Git commits; the exit code."""
    signing = home / "gpg"  # Git waits for it at the first commit, as for a passphrase
    signing.write_text(f"#!/bin/sh\ntouch {tmp_path}/asked\nexec sleep 60\n")
    signing.chmod(0o755)
    git(home, "config", "--global", "commit.gpgSign", "true")
    git(home, "config", "--global", "gpg.program", str(signing))
    call = [sys.executable, "-c", MAKE]
    with subprocess.Popen(
        call, cwd=tmp_path, stderr=subprocess.PIPE, start_new_session=True
    ) as new:
        _wait_for(tmp_path / "asked", new)
        os.killpg(new.pid, number)
        return new.wait(timeout=180)


def test_ctrl_c_leaves_nothing_behind(tmp_path: Path, home: Path) -> None:
    assert end_while_it_commits(tmp_path, home, signal.SIGINT) in (-signal.SIGINT, 130)
    assert not (tmp_path / "new").exists()


def test_killed_it_leaves_no_half_made_project_and_the_next_one_clears_up(
    tmp_path: Path, home: Path
) -> None:
    end_while_it_commits(tmp_path, home, signal.SIGKILL)
    assert not (tmp_path / "new" / "abalone").exists()
    assert len(list((tmp_path / "new").iterdir())) == 1, "what it was making lies beside"
    git(home, "config", "--global", "commit.gpgSign", "false")
    made = projects.make_from_template("tabular", tmp_path / "new", {}, ask=False)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["abalone"]
    assert git(made, "status", "--porcelain") == ""


def test_a_repository_around_that_ignores_the_project_keeps_out_of_it(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    (tmp_path / ".gitignore").write_text("/abalone/\n")
    made = projects.make_from_template("tabular", tmp_path, {}, ask=False)
    assert (made / ".git").is_dir()


def test_a_commit_that_git_refuses_waits_with_its_reason(
    tmp_path: Path, home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    git(home, "config", "--global", "commit.gpgSign", "true")
    git(home, "config", "--global", "gpg.program", "/bin/false")
    project = projects.make_from_template("tabular", tmp_path, {}, ask=False)
    assert "failed to sign" in (said := capfd.readouterr().err)
    assert "The first commit waits; all is staged." in said
    assert "git commit -m 'Start abalone'" in projects.next_commands(project, tmp_path)


def test_two_at_once_make_one_project(tmp_path: Path) -> None:
    call = [sys.executable, "-c", MAKE]
    both = [subprocess.Popen(call, cwd=tmp_path, stderr=subprocess.DEVNULL) for _ in range(2)]
    assert sorted(one.wait(timeout=120) != 0 for one in both) == [False, True]
    project = tmp_path / "new" / "abalone"
    assert git(project, "status", "--porcelain") == ""
    assert git(project, "rev-list", "--count", "HEAD").strip() == "1"


def test_nothing_of_this_persons_cookiecutter_is_read_or_written(
    tmp_path: Path, home: Path
) -> None:
    (home / ".cookiecutterrc").write_text("default_context: {name: another}\n")
    project = projects.make_from_template("tabular", tmp_path / "new", {}, ask=False)
    assert project.name == "abalone"
    assert sorted(path.name for path in home.iterdir()) == [".cookiecutterrc", ".gitconfig"]


def test_the_templates_folder_stays_as_it_was(tmp_path: Path) -> None:
    source = Path(projects.find_template("tabular").folder)
    before = {path: path.stat().st_mtime_ns for path in source.rglob("*.py")}
    projects.make_from_template("tabular", tmp_path, {}, ask=False)
    assert {path: path.stat().st_mtime_ns for path in source.rglob("*.py")} == before


def _wait_for(file: Path, process: subprocess.Popen[bytes]) -> None:
    while not file.exists():
        assert process.poll() is None, "ended before Git asked for a signature"
        time.sleep(0.05)
