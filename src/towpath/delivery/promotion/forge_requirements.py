"""What the declaration and the workflows of main ask a forge to enforce, and which checks a merge
queue would wait for in vain."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from towpath import forge
from towpath.backends.git import Repository, main_branch, refs
from towpath.backends.git.git_command import split_lines
from towpath.forge import Rules
from towpath.workspace import Workspace

_FOLDER = ".github/workflows/"
_ENDINGS = (".yml", ".yaml")
# The event in any of the ways that a workflow may list it: a key, an item, or in brackets. Asked of
# the text, not of YAML: a doubtful hit says nothing, and a workflow need not be sound to be there.
_QUEUED = re.compile(rb"^ *(?:- *)?merge_group\b|^on:.*\bmerge_group\b", re.MULTILINE)
QUEUED = "`merge_group:` under `on:`"


def required_forge_rules(workspace: Workspace) -> Rules:
    """By the declaration in the work tree, or on main where the registry is a shared one."""
    repository = workspace.registry_at_hand
    main = main_branch.main_branch_name(repository)
    names = list_workflow_names(repository, main_branch.main_commit(repository))
    return forge.derive_forge_rules(workspace.policy, main, names)


def queue_lacks(workspace: Workspace, actual: Rules) -> tuple[forge.Lack, ...]:
    """The required checks that would never report in the forge's merge queue."""
    if not actual.merge_queue:
        return ()
    repository = workspace.registry_at_hand
    commit = main_branch.main_commit(repository)
    # A check that no workflow of main gives is another's to report.
    names = set(actual.required_checks) & set(list_workflow_names(repository, commit))
    paths = {f"{commit}:{_FOLDER}{name}{end}": name for name in sorted(names) for end in _ENDINGS}
    texts = refs.read_contents(repository, paths)
    silent = [paths[path] for path, text in texts.items() if not _QUEUED.search(text)]
    rule = "checks report in the merge queue"
    missing = ", ".join(f"{name}.yml" for name in silent)
    return (forge.Lack("main", rule, QUEUED, f"not in {missing}"),) if silent else ()


def list_workflow_names(repository: Repository, commit: str | None) -> tuple[str, ...]:
    if commit is None:
        return ()
    listed = repository.attempt_git("ls-tree", "--name-only", "--full-tree", commit, _FOLDER).text
    paths = [PurePosixPath(line) for line in split_lines(listed)]
    return tuple(path.stem for path in paths if path.suffix in _ENDINGS)
