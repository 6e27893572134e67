"""A repository at the test's forge, and clones of it in the hands of ada and bo."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from github_server import GitHubServer

from towpath.backends.github import Patience
from towpath.backends.github.connect_forge import connect_forge
from towpath.config.project_declaration import parse_project
from towpath.forge import Forge

NAME = "acme/abalone"
QUICK = Patience(timeout=20.0, attempts=3, pause=0.01, longest=1.0)


@dataclass
class Clone:
    """A clone, and what a person does in it."""

    root: Path

    def git(self, *words: str, ok: bool = True) -> str:
        """Git in this clone."""
        done = subprocess.run(["git", "-C", str(self.root), *words], capture_output=True, text=True)
        assert not ok or done.returncode == 0, done.stderr
        return (done.stdout if ok else done.stderr).strip()

    def change(self, branch: str, file: str = "notes.txt", text: str = "new\n") -> str:
        """A branch from main with one change, pushed; its head."""
        self.git("switch", "--quiet", "-C", branch, "origin/main")
        return self.more(branch, file, text)

    def more(self, branch: str, file: str, text: str) -> str:
        """One more change on a branch, pushed; its head."""
        (self.root / file).parent.mkdir(parents=True, exist_ok=True)
        (self.root / file).write_text(text)
        self.git("add", "--all")
        self.git("commit", "--quiet", "-m", f"change {file}")
        self.git("push", "--quiet", "--force", "origin", branch)
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def clone(github: GitHubServer, tmp_path: Path) -> Clone:
    """Ada's clone of acme/abalone, with one commit on main."""
    url = github.remote(NAME)
    made = Clone(tmp_path / "clone")
    subprocess.run(["git", "clone", "--quiet", url, str(made.root)], check=True, stderr=-3)
    (made.root / "README.md").write_text("abalone\n")
    made.git("add", "--all")
    made.git("commit", "--quiet", "-m", "begin")
    made.git("push", "--quiet", "origin", "main")
    return made


@pytest.fixture
def as_person(github: GitHubServer) -> Callable[[str], Forge]:
    """The forge as a person sees it."""
    project = parse_project(f"name: abalone\nforge: {{kind: github, repository: {NAME}}}\n")

    def connected(login: str = "ada") -> Forge:
        found = connect_forge(project, environ=github.environ(login), patience=QUICK)
        assert found is not None
        return found

    return connected
