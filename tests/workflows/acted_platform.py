"""A project on a forge, its stores, and a machine for its jobs: what the workflows work with."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from acting import Acted, Runner, pull_request, push

STAGES = ("dev", "uat", "prod")
#: pip installs the project really, but neither fetches nor builds apart what is installed here.
OFFLINE = {
    "PIP_NO_INDEX": "1",
    "PIP_NO_DEPS": "1",
    "PIP_NO_BUILD_ISOLATION": "0",  # pip's own way to say that there is none
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    "PIP_NO_COLOR": "1",
}


def git(folder: Path, *words: str) -> str:
    """Stock Git in a folder; its answer."""
    done = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def python(folder: Path) -> Path:
    """The folder of commands of a Python for jobs: of its own, but with all that is installed."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    (site,) = (folder / "lib").glob("python*/site-packages")
    shared = sysconfig.get_path("purelib")
    (site / "shared.pth").write_text(f"import site; site.addsitedir({shared!r})\n")
    for module in ("towpath", "pytest"):
        command = folder / "bin" / module
        command.write_text(f'#!/bin/sh\nexec "{folder}/bin/python" -m {module} "$@"\n')
        command.chmod(0o755)
    return folder / "bin"


@dataclass(frozen=True)
class Platform:
    """``origin`` is where the project is pushed to, ``work`` a person's clone of it."""

    top: Path
    origin: str
    environment: Mapping[str, str]

    @property
    def work(self) -> Path:
        return self.top / "work" / "abalone"

    def store(self, stage: str) -> Path:
        """The folder of a stage's store, or of the project's: ``project``."""
        return self.top / "stores" / stage

    def begin(self, rendered: Path) -> None:
        """Put the project on the forge as a person does: name its stores, commit, push."""
        shutil.copytree(rendered, self.work)
        with (self.work / ".dvc" / "config").open("a") as file:  # it ends in [core]
            remote = "['remote \"store\"']\n    url = "
            file.write(f"    remote = store\n{remote}{self.store('project')}\n")
        self._declare_stores()
        git(self.work, "commit", "--quiet", "--all", "--message", "Name the stores")
        git(self.work, "remote", "add", "origin", self.origin)
        git(self.work, "push", "--quiet", "--set-upstream", "origin", "main")
        self.towpath("push")

    def _declare_stores(self) -> None:
        file = self.work / "towpath.yaml"
        text = file.read_text()
        for stage in STAGES:
            store = f"\n  {stage}:\n    store: {{url: {self.store(stage)}}}\n"
            text = text.replace(f"\n  {stage}:\n", store)
        kept = (line for line in text.splitlines(True) if not line.startswith("forge:"))
        file.write_text("".join(kept).replace("    approval: forge\n", ""))

    def towpath(self, *words: str, code: int = 0, **around: str) -> str:
        """The command line in the person's clone; it must end as expected."""
        done = subprocess.run(
            [sys.executable, "-m", "towpath", *words],
            cwd=self.work,
            env={**os.environ, **self.environment, **around},
            capture_output=True,
            text=True,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout

    def change(self, branch: str, files: Mapping[str, str], start: str = "main") -> None:
        """A branch on the forge with other files, as a person pushes it."""
        git(self.work, "checkout", "--quiet", "--no-track", "-b", branch, start)
        for path, text in files.items():
            (self.work / path).write_text(text)
        git(self.work, "add", "--all")
        git(self.work, "commit", "--quiet", "--message", f"Change {', '.join(files)}")
        git(self.work, "push", "--quiet", "origin", branch)
        git(self.work, "checkout", "--quiet", "main")

    def main(self) -> str:
        """The head of main on the forge."""
        return git(self.work, "ls-remote", self.origin, "refs/heads/main").split()[0]

    def tags(self) -> list[str]:
        """The tags on the forge."""
        listed = git(self.work, "ls-remote", "--tags", "--refs", self.origin)
        return [line.partition("refs/tags/")[2] for line in listed.splitlines()]

    def pushed(self, workflow: str, before: str) -> Acted:
        """Run a workflow as the forge does after a push to main."""
        return self._runner().act(self._clone(), workflow, "push", push(before, self.main()))

    def proposed(self, workflow: str, branch: str) -> Acted:
        """Run a workflow as the forge does for a pull request from a branch: on its merge."""
        clone = self._clone()
        base, head = self.main(), git(clone, "rev-parse", f"origin/{branch}")
        git(clone, "merge", "--quiet", "--no-ff", "--message", "merge", head)
        git(clone, "push", "--quiet", "--force", "origin", "HEAD:refs/pull/1/merge")
        payload = pull_request(1, base, head, branch)
        return self._runner().act(clone, workflow, "pull_request", payload)

    def called(self, workflow: str, event: str, **payload: object) -> Acted:
        """Run a workflow on main for an event that says no more than it is."""
        given = {"ref": "refs/heads/main", **payload}
        return self._runner().act(self._clone(), workflow, event, given)

    def _clone(self) -> Path:
        """A fresh clone, from which the forge reads the workflows."""
        folder = self.top / "clones" / f"{len(list(self.top.glob('clones/*')))}"
        git(self.work, "clone", "--quiet", self.origin, str(folder))
        return folder

    def _runner(self) -> Runner:
        commands = self.top / "python"
        if not commands.exists():
            python(commands)
        own = {
            "TOWPATH_TEST_PYTHON": str(commands / "bin"),
            "TOWPATH_TEST_ORIGIN": self.origin,
        }
        return Runner(self.top / "runner", {**own, **OFFLINE, **self.environment})
