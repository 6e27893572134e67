"""Letting a promotion in, or putting it away: at the forge where there is one, else here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from towpath.backends.git import branches, remotes
from towpath.backends.git.git_command import split_lines
from towpath.delivery.promotion import forge_review, merge_promotion, promotion_place
from towpath.delivery.promotion.merge_promotion import ApprovedPromotion
from towpath.delivery.promotion.proposal import PROMOTION_PREFIX
from towpath.delivery.promotion.rules_in_force import connect_forge_in_force
from towpath.errors import UsageError

if TYPE_CHECKING:
    from towpath.forge import Forge
    from towpath.workspace import Workspace

_WAITING = "%(refname:lstrip=2)%00%(contents:subject)%00%(authorname)"


@dataclass(frozen=True)
class RejectedPromotion:
    """A promotion that was put away: its branch, its pull request where it had one."""

    branch: str
    reason: str
    url: str | None = None


@dataclass(frozen=True)
class WaitingPromotion:
    """A promotion that nobody has decided on."""

    branch: str
    title: str
    author: str
    url: str | None = None


def find_waiting_promotions(workspace: Workspace) -> tuple[WaitingPromotion, ...]:
    """The promotions that wait: open pull requests, or branches that main does not hold."""
    if forge := _find_forge(workspace):
        pulls = [
            pull for pull in forge.pulls(state="open") if pull.branch.startswith(PROMOTION_PREFIX)
        ]
        return tuple(
            WaitingPromotion(open_pull.branch, open_pull.title, open_pull.author, open_pull.url)
            for open_pull in pulls
        )
    repository, base = workspace.registry, branches.main_commit(workspace.registry)
    flags = ["--no-merged", base] if base else []
    listed = repository.call(
        "for-each-ref", *flags, f"--format={_WAITING}", f"refs/heads/{PROMOTION_PREFIX}*"
    )
    rows = (line.split("\0") for line in split_lines(listed))
    return tuple(WaitingPromotion(name, title, author) for name, title, author in rows)


def approve_promotion(
    workspace: Workspace, named: str, *, sign: bool | None = None, push: bool = False
) -> ApprovedPromotion:
    """Approve and merge a promotion, named by its branch or its pull request's number.

    Raises ``Refused`` with every fault where it may not be merged; then nothing is.
    """
    forge = _find_forge(workspace)
    if forge is None:
        local_place = promotion_place.find_promotion_place(workspace, push=push)
        return merge_promotion.merge_promotion_branch(
            local_place, _require_promotion_branch(named), sign, push
        )
    remote_place = promotion_place.find_promotion_place(workspace, push=True)
    return forge_review.approve_pull_request(remote_place, forge, named)


def reject_promotion(workspace: Workspace, named: str, reason: str) -> RejectedPromotion:
    """Put a promotion away: close its pull request with the reason, delete its branch here."""
    forge = _find_forge(workspace)
    repository = workspace.registry
    if forge:
        pull = forge_review.close_pull_request(forge, named, reason)
        forge_review.delete_decided_branch(repository, pull)
        return RejectedPromotion(pull.branch, reason, pull.url)
    branch = _require_promotion_branch(named)
    merge_promotion.find_branch_head(promotion_place.PromotionPlace(workspace, repository), branch)
    branches.drop_branch(repository, branch)
    return RejectedPromotion(branch, reason)


def _find_forge(workspace: Workspace) -> Forge | None:
    return connect_forge_in_force(workspace) if remotes.choose_remote(workspace.registry) else None


def _require_promotion_branch(named: str) -> str:
    if named.lstrip("#").isdigit():
        hint = f"name its branch: {PROMOTION_PREFIX}<model>-<version>-<stage>"
        raise UsageError("there is no forge here, so no pull request has a number", hint=hint)
    if not named.startswith(PROMOTION_PREFIX):
        hint = f"a promotion's branch begins with {PROMOTION_PREFIX}, and a version has an @"
        raise UsageError(f"`{named}` is no promotion's branch", hint=hint)
    return named
