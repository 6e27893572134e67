"""Letting a promotion in, or putting it away: at the forge where there is one, else here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from towpath.backends.git import branches, main_branch, remotes
from towpath.backends.git.git_command import lines
from towpath.delivery.promotion import forge_review, merge_promotion, promotion_place
from towpath.delivery.promotion.merge_promotion import Approved
from towpath.delivery.promotion.proposal import BRANCH
from towpath.delivery.promotion.rules_in_force import connected
from towpath.errors import UsageError

if TYPE_CHECKING:
    from towpath.forge import Forge
    from towpath.workspace import Workspace

_WAITING = "%(refname:lstrip=2)%00%(contents:subject)%00%(authorname)"


@dataclass(frozen=True)
class Put:
    """A promotion that was put away: its branch, its pull request where it had one."""

    branch: str
    reason: str
    url: str | None = None


@dataclass(frozen=True)
class Waiting:
    """A promotion that nobody has decided on."""

    branch: str
    title: str
    author: str
    url: str | None = None


def waiting(workspace: Workspace) -> tuple[Waiting, ...]:
    """The promotions that wait: open pull requests, or branches that main does not hold."""
    if forge := _forge(workspace):
        found = [pull for pull in forge.pulls(state="open") if pull.branch.startswith(BRANCH)]
        return tuple(Waiting(one.branch, one.title, one.author, one.url) for one in found)
    repository, base = workspace.registry, main_branch.main(workspace.registry)
    flags = ["--no-merged", base] if base else []
    told = repository.call("for-each-ref", *flags, f"--format={_WAITING}", f"refs/heads/{BRANCH}*")
    rows = (line.split("\0") for line in lines(told))
    return tuple(Waiting(name, title, author) for name, title, author in rows)


def approve(
    workspace: Workspace, named: str, *, sign: bool | None = None, push: bool = False
) -> Approved:
    """Approve and merge a promotion, named by its branch or its pull request's number.

    Raises ``Refused`` with every fault where it may not be merged; then nothing is.
    """
    forge = _forge(workspace)
    if forge is None:
        here = promotion_place.find(workspace, push=push)
        return merge_promotion.merge(here, _branch(named), sign, push)
    there = promotion_place.find(workspace, push=True)
    return forge_review.approve(there, forge, named)


def refuse(workspace: Workspace, named: str, reason: str) -> Put:
    """Put a promotion away: close its pull request with the reason, delete its branch here."""
    forge = _forge(workspace)
    repository = workspace.registry
    if forge:
        pull = forge_review.refuse(forge, named, reason)
        forge_review.tidy(repository, pull)
        return Put(pull.branch, reason, pull.url)
    branch = _branch(named)
    merge_promotion.head_of(promotion_place.Place(workspace, repository), branch)
    branches.drop(repository, branch)
    return Put(branch, reason)


def _forge(workspace: Workspace) -> Forge | None:
    return connected(workspace) if remotes.chosen(workspace.registry) else None


def _branch(named: str) -> str:
    if named.lstrip("#").isdigit():
        hint = f"name its branch: {BRANCH}<model>-<version>-<stage>"
        raise UsageError("there is no forge here, so no pull request has a number", hint=hint)
    if not named.startswith(BRANCH):
        hint = f"a promotion's branch begins with {BRANCH}, and a version has an @"
        raise UsageError(f"`{named}` is no promotion's branch", hint=hint)
    return named
