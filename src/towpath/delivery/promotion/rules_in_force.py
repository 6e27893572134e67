"""The declaration in force, and the forge that it names.

A ``towpath.yaml`` in the work tree, or on main where nobody agreed to it, may name anybody's
server: what is asked there is asked with the token of whoever acts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from towpath.backends.git import Repository, branches, refs
from towpath.backends.git.commit_history import read_changes, read_main_line
from towpath.delivery.promotion.rule_changes import read_rule_history
from towpath.delivery.promotion.rulebook import Rulebook, read_policy
from towpath.errors import RegistryError, TowpathError, UserError
from towpath.registry import policy_at_commit

if TYPE_CHECKING:
    from towpath.config.project_declaration import Project
    from towpath.forge import Forge
    from towpath.workspace import Workspace


def read_proved_rules(repository: Repository, head: str, folder: str = "") -> Rulebook:
    """The rules in force at a commit of main as far as Git alone proves them: no forge is asked.

    Raises ``RegistryError`` in a shallow clone.
    """
    line = read_main_line(repository, head)
    return read_rule_history(repository, line, strict=True).rules_at(head, folder)


def names_forge(workspace: Workspace, repository: Repository) -> bool:
    """Whether changes of main are proposed and approved at a forge, by the rules in force."""
    head = branches.main_commit(repository)
    if head is None or repository.is_shallow():
        return workspace.policy.forge is not None
    project = read_proved_rules(repository, head, workspace.folder).policy
    return project is not None and project.forge is not None


def connect_forge_in_force(
    workspace: Workspace, head: str | None = None, environ: Mapping[str, str] | None = None
) -> Forge | None:
    """The forge that the rules in force at a commit of main name (default: at its head); None
    where they name none. A change of it counts once it was agreed to at the one before it.

    Raises ``UserError`` where there is no token, ``ForgeError`` where that one does not answer.
    """
    repository = workspace.registry
    head = head or branches.main_commit(repository)
    if head is None:
        return None
    return _connect_proved_forge(repository, head, workspace.folder, environ)


def connect_forge_if_let_in(workspace: Workspace, head: str | None = None) -> Forge | None:
    """The same for who only looks: None, too, where there is no token, or nothing answers."""
    from towpath.backends.github import forge_connection

    if not forge_connection.has_token():
        return None
    try:
        return connect_forge_in_force(workspace, head)
    except TowpathError:  # said with what could not be looked at
        return None


def connect_to_set_up(
    workspace: Workspace, environ: Mapping[str, str] | None = None
) -> Forge | None:
    """The same for a project that may be none yet: where the rules in force name no forge, the one
    of the work tree, at an address that is GitHub's own or this environment's.

    Raises ``UserError`` for another address: no token is sent there before it is agreed to.
    """
    from towpath.backends.github import forge_connection

    try:
        connection = connect_forge_in_force(workspace, environ=environ)
    except RegistryError:  # a shallow clone, or no main branch: nobody can tell what is in force
        connection = None
    if connection is not None or workspace.policy.forge is None:
        return connection
    if forge_connection.has_own_address(workspace.policy, environ):
        what = f"nobody agreed to the address {workspace.policy.forge.api} yet: no token is sent"
        hint = "bring towpath.yaml to main first; or, if you trust it: export GITHUB_API_URL=..."
        raise UserError(what, hint=hint)
    return forge_connection.connect_forge(workspace.policy, environ=environ)


def _connect_proved_forge(
    repository: Repository, head: str, folder: str, environ: Mapping[str, str] | None
) -> Forge | None:
    from towpath.backends.github import forge_connection

    proved = read_proved_rules(repository, head, folder)
    naming = [project for project in _mine_first(proved) if project.forge]
    if not naming:
        return None
    first = forge_connection.connect_forge(naming[0], environ=environ)
    if first is None or len(_ever_named(repository, head)) < 2:
        return first if proved.policy and proved.policy.forge else None
    history = read_rule_history(repository, read_main_line(repository, head), first)
    policy_now = history.rules_at(head, folder).policy
    return first.turn_to(policy_now) if policy_now else None


def _mine_first(rules: Rulebook) -> list[Project]:
    return [*([rules.policy] if rules.policy else []), *rules.policies_by_path.values()]


def _ever_named(repository: Repository, head: str) -> set[tuple[str | None, str | None]]:
    """The forges that any declaration ever named on main, by address and repository."""
    changes = read_changes(repository, head, "--", f":(top,glob)**/{policy_at_commit.FILE}")
    blobs = {blob for change in changes for blob in change.files.values() if blob}
    read = (read_policy(text) for text in refs.read_contents(repository, blobs).values())
    named = (project.forge for project in read if project and project.forge)
    return {(forge.api, forge.repository) for forge in named}
