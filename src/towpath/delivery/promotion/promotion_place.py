"""Where a promotion is made: the registry's repository, what it is made upon, and its forge."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from towpath import registry
from towpath.backends.git import Repository, branches, remotes
from towpath.delivery.promotion.rules_in_force import (
    connect_forge_if_let_in,
    connect_forge_in_force,
    names_forge,
)
from towpath.errors import UsageError

if TYPE_CHECKING:
    from towpath.forge import Forge
    from towpath.workspace import Workspace


@dataclass(frozen=True)
class PromotionPlace:
    """Where one promotion is made, and what was asked for.

    ``forge`` is None where the rules in force name none, and where nothing is to be pushed and no
    token lets it be asked; ``remote`` where the repository has none. ``pushes`` says whether
    anything is fetched and pushed.
    """

    workspace: Workspace
    repository: Repository
    forge: Forge | None = None
    remote: str | None = None
    pushes: bool = False
    dry_run: bool = False
    why: str | None = None

    @cached_property
    def base(self) -> str:
        """The commit promoted upon: a forge merges into its own main branch, not into ours."""
        remote_main = branches.remote_main(self.repository) if self.names_forge else None
        base = remote_main or branches.main_commit(self.repository)
        if base is None:
            raise UsageError("nothing is committed yet", hint="git add . && git commit")
        return base

    @cached_property
    def names_forge(self) -> bool:
        """Whether the rules in force name a forge."""
        return names_forge(self.workspace, self.repository)

    @property
    def remote_age(self) -> float | None:
        """Seconds since the remote was last looked at; None without a remote."""
        return remotes.tags_age(self.repository) if self.remote else None


def find_promotion_place(
    workspace: Workspace,
    push: bool | None = None,
    dry_run: bool = False,
    why: str | None = None,
) -> PromotionPlace:
    """The place, its view of the remote brought up to date where something is to be pushed.

    ``push`` is by default whether a forge is configured and there is a remote.
    """
    repository = workspace.registry
    remote = remotes.choose_remote(repository)
    if push and remote is None:
        raise UsageError("there is no remote to push to", hint="git remote add origin <url>")
    configured = remote is not None and names_forge(workspace, repository)
    pushes = (configured if push is None else push) and not dry_run
    if pushes:
        registry.fetch_registry(repository)
    promotion_place = PromotionPlace(workspace, repository, None, remote, pushes, dry_run, why)
    if not configured:
        return promotion_place
    ask = connect_forge_in_force if pushes else connect_forge_if_let_in
    return replace(promotion_place, forge=ask(workspace, promotion_place.base))
