"""A project on a forge, its stores, and a machine for its jobs: what the workflows work with."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import job_commands
from acting import REPOSITORY, Acted, Runner, pull_request, push
from github_server import GitHubServer
from github_state import Hosted
from job_commands import answer_jobs
from workflow_files import fits, read

from command_line import call_towpath

STAGES = ("dev", "uat", "prod")
#: pip installs the project really, but neither fetches nor builds apart what is installed here.
OFFLINE = {
    "PIP_NO_INDEX": "1",
    "PIP_NO_DEPS": "1",
    "PIP_NO_BUILD_ISOLATION": "0",  # pip's own way to say that there is none
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    "PIP_NO_COLOR": "1",
}
#: A new project asks for pytest alone; the plugins here take as long to import as it.
PLAIN_PYTEST = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}


def git(folder: Path, *words: str) -> str:
    """Stock Git in a folder; its answer."""
    done = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def write_command(file: Path, command: str) -> None:
    """A command of a job's Python, which stands beside it."""
    file.write_text(f'#!/bin/sh\nexec "$(dirname "$0")/python" {command} "$@"\n')
    file.chmod(0o755)


def prepare_python(folder: Path) -> None:
    """A Python for jobs, of which each takes a copy: of its own, but with all that is installed."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    (site,) = (folder / "lib").glob("python*/site-packages")
    shared = sysconfig.get_path("purelib")
    (site / "shared.pth").write_text(f"import site; site.addsitedir({shared!r})\n")
    for module in ("towpath", "pytest"):
        write_command(folder / "bin" / module, f"-m {module}")


@dataclass(frozen=True)
class Platform:
    """A project on ``github``, and a person's clone of it in ``work``."""

    top: Path
    github: GitHubServer
    environment: Mapping[str, str]

    @property
    def work(self) -> Path:
        return self.top / "work" / "abalone"

    @property
    def origin(self) -> str:
        """Where the repository is, without anybody's token."""
        return f"{self.github.url}/{REPOSITORY}.git"

    def store(self, stage: str) -> Path:
        """The folder of a stage's store, or of the project's: ``project``."""
        return self.top / "stores" / stage

    def begin(self, rendered: Path) -> None:
        """Put the project on the forge as a person does: name its stores, its owners, push."""
        shutil.copytree(rendered, self.work)
        self._people()
        with (self.work / ".dvc" / "config").open("a") as file:  # it ends in [core]
            remote = "['remote \"store\"']\n    url = "
            file.write(f"    remote = store\n{remote}{self.store('project')}\n")
        owners = self.work / ".github" / "CODEOWNERS"
        owners.write_text(owners.read_text().replace("@acme", "@bo"))
        self._declare_stores()
        # It runs the whole pipeline: tests/projects/test_baked.py does that.
        git(self.work, "rm", "--quiet", "tests/test_pipeline.py")
        git(self.work, "commit", "--quiet", "--all", "--message", "Name the stores and the owner")
        git(self.work, "remote", "add", "origin", self.github.remote(REPOSITORY, "ada"))
        git(self.work, "push", "--quiet", "--set-upstream", "origin", "main")
        self.towpath("push")

    def _people(self) -> None:
        """Who may what: a token that only reads, one that writes, and an app's."""
        self.hosted.rights |= {"ada": "admin", "reader": "read", "stranger": "none"}
        for login in ("reader", "github-actions[bot]", "towpath[bot]", "stranger"):
            self.github.person(login)

    def _declare_stores(self) -> None:
        file = self.work / "towpath.yaml"
        text = file.read_text()
        for stage in STAGES:
            store = f"\n  {stage}:\n    store: {{url: {self.store(stage)}}}\n"
            text = text.replace(f"\n  {stage}:\n", store)
        file.write_text(text)

    def towpath(self, *words: str, code: int = 0, **around: str) -> str:
        """The command line in the person's clone; it must end as expected."""
        done = call_towpath(self.work, *words, **{**self.environment, **around})
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout

    def change(self, branch: str, files: Mapping[str, str], start: str = "main") -> None:
        """A branch on the forge with other files, as a person pushes it."""
        git(self.work, "fetch", "--quiet", "origin")
        git(self.work, "checkout", "--quiet", "--no-track", "-b", branch, start)
        for path, text in files.items():
            (self.work / path).write_text(text)
        git(self.work, "add", "--all")
        git(self.work, "commit", "--quiet", "--message", f"Change {', '.join(files)}")
        git(self.work, "push", "--quiet", "origin", branch)
        git(self.work, "checkout", "--quiet", "main")

    @property
    def hosted(self) -> Hosted:
        """The repository on the forge, with its pull requests."""
        return self.github.repository(REPOSITORY)

    @property
    def bare(self) -> Path:
        """The same as Git has it."""
        return self.hosted.path

    def main(self) -> str:
        """The head of main on the forge."""
        return git(self.bare, "rev-parse", "main")

    def tags(self) -> list[str]:
        """The tags on the forge."""
        return git(self.bare, "tag").splitlines()

    def starts(self, workflow: str, before: str) -> bool:
        """Whether what was pushed to main since would start a workflow: act does not ask."""
        file = self.work / ".github" / "workflows" / f"{workflow}.yml"
        changed = git(self.bare, "diff", "--name-only", before, "main").splitlines()
        return any(fits(path, read(file)["on"]["push"]["paths"]) for path in changed)

    def pushed(self, workflow: str, before: str) -> Acted:
        """Run a workflow as the forge does after a push to main."""
        return self._runner().act(self._clone(), workflow, "push", push(before, self.main()))

    def proposed(self, workflow: str, branch: str) -> Acted:
        """Run a workflow as the forge does for a pull request from a branch: on its merge."""
        clone = self._clone()
        base, head = self.main(), git(clone, "rev-parse", f"origin/{branch}")
        git(clone, "merge", "--quiet", "--no-ff", "--message", "merge", head)
        git(clone, "push", "--quiet", "--force", str(self.bare), "HEAD:refs/pull/1/merge")
        acted = self._runner().act(
            clone, workflow, "pull_request", pull_request(1, base, head, branch)
        )
        for job, result in acted.jobs.items():
            self.hosted.check(head, job, result)
        return acted

    def dispatched(self, workflow: str, **inputs: str) -> Acted:
        """Run a workflow on main as the forge does where a person asks for it."""
        given = {"ref": "refs/heads/main", "inputs": inputs}
        return self._runner().act(self._clone(), workflow, "workflow_dispatch", given)

    def scheduled(self, workflow: str) -> Acted:
        """Run a workflow on main as the forge does at its hour."""
        given = {"ref": "refs/heads/main"}
        return self._runner().act(self._clone(), workflow, "schedule", given)

    def fork_commands(self) -> None:
        """From now on jobs have their ``towpath`` forked, and all else as before: each would import
        for a second what the one before it has imported."""
        asking = f"-I -S {shlex.quote(job_commands.__file__)} {shlex.quote(answer_jobs())}"
        write_command(self._python() / "bin" / "towpath", asking)

    def _clone(self) -> Path:
        """A fresh clone, from which the forge reads the workflows."""
        folder = self.top / "clones" / f"{len(list(self.top.glob('clones/*')))}"
        git(self.work, "clone", "--quiet", str(self.bare), str(folder))
        return folder

    def _python(self) -> Path:
        """What each job's Python is copied from."""
        python = self.top / "python"
        if not python.exists():
            prepare_python(python)
        return python

    def _runner(self) -> Runner:
        own = {
            "TOWPATH_TEST_PYTHON": str(self._python()),
            "TOWPATH_TEST_ORIGIN": self.origin,
            "TOWPATH_TEST_APP_TOKEN": self.github.person("towpath[bot]").token,
            "GITHUB_API_URL": self.github.url,
        }
        people = {"read": "reader", "write": "github-actions[bot]"}
        tokens = {what: self.github.person(login).token for what, login in people.items()}
        return Runner(
            self.top / "runner", {**own, **OFFLINE, **PLAIN_PYTEST, **self.environment}, tokens
        )
