"""What a person types after a project was made."""

from __future__ import annotations

import shlex
from pathlib import Path

from towpath.backends.git.repository import Repository
from towpath.projects.adoption import EMPTY_PIPELINE


def next_commands(project: Path, folder: Path) -> tuple[str, ...]:
    """The commands, in order, from ``folder``: the first commit too if it still waits."""
    way = project.relative_to(folder) if project.is_relative_to(folder) else project
    pipelines = [path.read_text(encoding="utf-8") for path in project.glob("flows/*/pipeline.yaml")]
    first = "run" if pipelines and EMPTY_PIPELINE not in pipelines else "check"
    begin = (f"towpath {first}", "towpath models")
    return (f"cd {shlex.quote(str(way))}", *_git_commands(project), *begin)


def _git_commands(project: Path) -> tuple[str, ...]:
    repository = Repository.find_repository(project)
    if repository is None or (repository.head() and repository.root == project):
        return ()
    commit = f"git commit -m 'Start {project.name}'"
    if repository.root != project:  # a folder of somebody's repository, who decides what goes in
        return ("git add .", commit)
    return (commit,)
