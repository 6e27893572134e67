"""Letting a promotion in, or putting it away: at the forge where there is one, else here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from towpath.errors import UsageError
from towpath.git import branches, mainline, remotes
from towpath.git.command import lines
from towpath.promotion import merging, place, reviewing
from towpath.promotion.in_force import connected
from towpath.promotion.merging import Approved
from towpath.promotion.proposal import BRANCH

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
    repository, base = workspace.registry, mainline.main(workspace.registry)
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
        here = place.find(workspace, push=push)
        return merging.merge(here, _branch(named), sign, push)
    there = place.find(workspace, push=True)
    return reviewing.approve(there, forge, named)


def refuse(workspace: Workspace, named: str, reason: str) -> Put:
    """Put a promotion away: close its pull request with the reason, delete its branch here."""
    forge = _forge(workspace)
    repository = workspace.registry
    if forge:
        pull = reviewing.refuse(forge, named, reason)
        reviewing.tidy(repository, pull)
        return Put(pull.branch, reason, pull.url)
    branch = _branch(named)
    merging.head_of(place.Place(workspace, repository), branch)
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
