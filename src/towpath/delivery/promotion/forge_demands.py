"""What a forge must enforce so that a promotion cannot pass the policy by."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from towpath import forge
from towpath.backends.git import Repository, branches, refs
from towpath.backends.git.git_command import split_lines

if TYPE_CHECKING:
    from towpath.forge import Rules
    from towpath.workspace import Workspace

_FOLDER = ".github/workflows/"
_ENDINGS = (".yml", ".yaml")
_QUEUED = re.compile(rb"^ *(?:- *)?merge_group\b|^on:.*\bmerge_group\b", re.MULTILINE)
QUEUED = "`merge_group:` under `on:`"


def required_forge_rules(workspace: Workspace) -> Rules:
    """The rules for the repository that keeps the registry, by its declaration in the work tree,
    or on main where the registry is a shared one.

    A check is required only if main has the workflow that gives it.
    """
    repository = workspace.registry_at_hand
    return forge.derive_forge_rules(
        workspace.policy,
        branches.main_branch_name(repository),
        list_workflow_names(repository, branches.main_commit(repository)),
    )


def queue_lacks(workspace: Workspace, actual: Rules) -> tuple[forge.Lack, ...]:
    """The required checks that would never report in the forge's merge queue: nothing would be
    merged any more. A check that no workflow of main gives is another's to report."""
    if not actual.merge_queue:
        return ()
    repository = workspace.registry_at_hand
    commit = branches.main_commit(repository)
    names = [
        name for name in actual.required_checks if name in list_workflow_names(repository, commit)
    ]
    paths = {f"{commit}:{_FOLDER}{name}{end}": name for name in names for end in _ENDINGS}
    texts = refs.read_contents(repository, paths)
    silent = [paths[path] for path, text in texts.items() if not _QUEUED.search(text)]
    rule = "checks report in the merge queue"
    missing = ", ".join(f"{name}.yml" for name in silent)
    return (forge.Lack("main", rule, QUEUED, f"not in {missing}"),) if silent else ()


def list_workflow_names(repository: Repository, commit: str | None) -> tuple[str, ...]:
    """The names of the workflow files of a commit; none before the first one."""
    if commit is None:
        return ()
    listed = repository.attempt_git("ls-tree", "--name-only", "--full-tree", commit, _FOLDER).text
    paths = [PurePosixPath(line) for line in split_lines(listed)]
    return tuple(path.stem for path in paths if path.suffix in _ENDINGS)
