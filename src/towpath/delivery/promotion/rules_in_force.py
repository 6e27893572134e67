"""The declaration in force, and the forge that it names.

A ``towpath.yaml`` in the work tree, or on main where nobody agreed to it, may name anybody's
server: what is asked there is asked with the token of whoever acts.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from towpath.backends.git import Repository, main_branch, refs
from towpath.backends.git.commit_history import read_changes, read_main_line
from towpath.backends.github.connect_forge import connect_forge, has_own_address, has_token
from towpath.delivery.promotion.rule_changes import read_rule_history
from towpath.delivery.promotion.rulebook import Rulebook, read_policy
from towpath.errors import RegistryError, TowpathError, UserError
from towpath.forge import Forge
from towpath.registry import policy_at_commit
from towpath.workspace import Workspace

if TYPE_CHECKING:
    from towpath.config.project_declaration import Project


def read_proved_rules(repository: Repository, head: str, folder: str = "") -> Rulebook:
    """The rules in force at a commit of main as far as Git alone proves them: no forge is asked."""
    line = read_main_line(repository, head)
    return read_rule_history(repository, line, strict=True).rules_at(head, folder)


def names_forge(workspace: Workspace, repository: Repository, head: str | None) -> bool:
    """Whether changes of main, whose commit ``head`` is, are proposed and approved at a forge, by
    the rules in force."""
    # Where the history is not here nobody can tell what is in force; whoever acts upon main asks
    # for all of it first.
    if head is None or repository.is_shallow():
        return workspace.policy.forge is not None
    project = read_proved_rules(repository, head, workspace.folder).policy
    return project is not None and project.forge is not None


def connect_forge_in_force(
    workspace: Workspace, head: str | None = None, environ: Mapping[str, str] | None = None
) -> Forge | None:
    """The forge that the rules in force at a commit of main name (default: at its head); None where
    they name none. A change of it counts once it was agreed to at the one before it. Raises
    ``UserError`` where there is no token, ``ForgeError`` where that one does not answer."""
    repository, folder = workspace.registry, workspace.folder
    head = head or main_branch.main_commit(repository)
    if head is None:
        return None
    proved = read_proved_rules(repository, head, folder)
    projects = [*([proved.policy] if proved.policy else []), *proved.policies_by_path.values()]
    naming = next((project for project in projects if project.forge), None)
    if naming is None:
        return None
    first = _connect_declared(workspace, naming, environ)
    # The usual case ends here, with no question: main never named another forge than this one.
    if first is None or len(_forges_ever_named(repository, head)) < 2:
        return first if proved.policy and proved.policy.forge else None
    history = read_rule_history(repository, read_main_line(repository, head), first)
    policy_now = history.rules_at(head, folder).policy
    return first.turn_to(policy_now) if policy_now else None


def _connect_declared(
    workspace: Workspace, project: Project, environ: Mapping[str, str] | None
) -> Forge | None:
    variables = os.environ if environ is None else environ
    if not workspace.shared_registry:
        return connect_forge(project, variables)
    # The repository that Actions works in is the project's: nothing is proposed there.
    if project.forge and not project.forge.repository:
        what = "the shared registry does not say which repository at GitHub it is"
        hint = "in its towpath.yaml, on its main: forge: {kind: github, repository: owner/name}"
        raise UserError(what, hint=hint)
    kept = {name: value for name, value in variables.items() if name != "GITHUB_REPOSITORY"}
    return connect_forge(project, kept)


def connect_forge_if_let_in(workspace: Workspace, head: str | None = None) -> Forge | None:
    """The same for who only looks: None, too, where there is no token, or nothing answers."""
    if not has_token():
        return None
    try:
        return connect_forge_in_force(workspace, head)
    except TowpathError:  # said with what could not be looked at
        return None


def connect_to_set_up(
    workspace: Workspace, environ: Mapping[str, str] | None = None
) -> Forge | None:
    """The same for a project that may be none yet: where the rules in force name no forge, that of
    the work tree, but no token goes to an address that nobody agreed to: ``UsageError``."""
    try:
        connection = connect_forge_in_force(workspace, environ=environ)
    except RegistryError:  # a shallow clone, or no main branch: nobody can tell what is in force
        connection = None
    if connection is not None or workspace.policy.forge is None:
        return connection
    if has_own_address(workspace.policy, environ):
        what = f"nobody agreed to the address {workspace.policy.forge.api} yet: no token is sent"
        hint = "bring towpath.yaml to main first; or, if you trust it: export GITHUB_API_URL=..."
        raise UserError(what, hint=hint)
    return _connect_declared(workspace, workspace.policy, environ)


def _forges_ever_named(repository: Repository, head: str) -> set[tuple[str | None, str | None]]:
    changes = read_changes(repository, head, "--", f":(top,glob)**/{policy_at_commit.FILE}")
    blobs = {blob for change in changes for blob in change.files.values() if blob}
    ever = (read_policy(text) for text in refs.read_contents(repository, blobs).values())
    return {(p.forge.api, p.forge.repository) for p in ever if p and p.forge}
