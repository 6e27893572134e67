"""Approving and refusing at a forge: a review of the very head, and a merge if the forge allows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from towpath import registry
from towpath.errors import Refused, UsageError
from towpath.forge import NotMergeable
from towpath.git import Repository, branches, remotes
from towpath.promotion import approval, merging
from towpath.promotion.merging import Approved
from towpath.promotion.proposal import BRANCH

if TYPE_CHECKING:
    from towpath.forge import Forge, PullRequest
    from towpath.promotion.place import Place


def approve(place: Place, forge: Forge, named: str) -> Approved:
    """Approve a pull request, named by its number or its branch, and merge it if that may be.

    What is approved is the head that was checked: if the branch moves meanwhile, the forge refuses.
    """
    pull = find(forge, named)
    _bring(place, pull)
    checked = merging.sound(place, pull.head)
    what = tuple(str(one.case) for one in checked.judged)
    user = forge.user()
    if user.lower() != pull.author.lower():
        forge.approve(pull.number, pull.head)
    elif not checked.judged[0].case.project.policy.self_approval:
        said = f"{user} opened {pull.url}, and the policy wants another to approve"
        raise Refused(said, hint=approval.ANOTHER)
    try:
        commit = forge.merge(pull.number, pull.head)
    except NotMergeable as refused:
        waits = "; ".join(fault.what for fault in refused.faults)
        return Approved(what, pull.branch, user, "forge", None, pull.url, waits)
    registry.fetch(place.repository)
    tidy(place.repository, pull)
    return Approved(what, pull.branch, user, "forge", commit, pull.url, pushed=True)


def refuse(forge: Forge, named: str, reason: str) -> PullRequest:
    """Close a pull request unmerged, with the reason as a comment."""
    pull = find(forge, named)
    if not pull.branch.startswith(BRANCH):
        raise UsageError(f"{pull.url} is no promotion", hint=f"their branches begin with {BRANCH}")
    forge.comment(pull.number, reason)
    forge.close(pull.number)
    return pull


def tidy(repository: Repository, pull: PullRequest) -> None:
    """Take the branch away of a promotion that was decided, there and here, if it is as it was."""
    remote = remotes.chosen(repository)
    if not pull.branch.startswith(BRANCH) or remote is None:
        return
    remotes.delete_branch(repository, remote, pull.branch, pull.head)
    if branches.commit_of(repository, pull.branch) == pull.head:
        branches.drop(repository, pull.branch)


def find(forge: Forge, named: str) -> PullRequest:
    """The open pull request of a number or a branch."""
    if named.lstrip("#").isdigit():
        pull = forge.pull(int(named.lstrip("#")))
        if pull.state != "open":
            raise UsageError(f"{pull.url} is {pull.state}")
        return pull
    found = forge.pulls(named, "open")
    if not found:
        hint = f"git push origin {named}, or towpath promote again, opens one"
        raise UsageError(f"{forge.repository} has no open pull request of `{named}`", hint=hint)
    return found[0]


def _bring(place: Place, pull: PullRequest) -> None:
    """The head of a pull request, here; one from a fork has no branch in this repository."""
    if place.repository.commit(pull.head) is None and place.remote:
        ref = f"refs/pull/{pull.number}/head"
        remotes.fetch(place.repository, place.remote, f"+{ref}:refs/towpath/pulls/{pull.number}")
    if place.repository.commit(pull.head) is None:
        raise UsageError(f"the head of {pull.url} is not here", hint="towpath fetch")
