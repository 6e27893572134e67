"""What a forge must enforce so that a promotion cannot pass the policy by."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from towpath import forge
from towpath.git import Repository, mainline
from towpath.git.command import lines

if TYPE_CHECKING:
    from towpath.forge import Rules
    from towpath.workspace import Workspace

_FOLDER = ".github/workflows/"


def wanted(workspace: Workspace) -> Rules:
    """The rules for the repository that keeps the registry, by its declaration in the work tree,
    or on main where the registry is a shared one.

    A check is required only if main has the workflow that gives it.
    """
    repository = workspace.registry_at_hand
    return forge.wanted(
        workspace.policy,
        mainline.name(repository),
        workflows(repository, mainline.main(repository)),
    )


def workflows(repository: Repository, commit: str | None) -> tuple[str, ...]:
    """The names of the workflow files of a commit; none before the first one."""
    if commit is None:
        return ()
    listed = repository.attempt("ls-tree", "--name-only", "--full-tree", commit, _FOLDER).text
    paths = [PurePosixPath(line) for line in lines(listed)]
    return tuple(path.stem for path in paths if path.suffix in (".yml", ".yaml"))
