"""Letting a promotion in, or putting it away: at the forge where there is one, else here."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from towpath import registry
from towpath.backends.git import Repository, branches, commit_history, remotes
from towpath.backends.git.git_command import split_lines
from towpath.delivery.promotion import (
    merge_promotion,
    promotion_approval,
    promotion_branch,
    rulebook,
)
from towpath.delivery.promotion.commit_approvers import bring_head, find_standing_reviews
from towpath.delivery.promotion.main_line_approvals import ApprovalRule
from towpath.delivery.promotion.merge_promotion import ApprovedPromotion
from towpath.delivery.promotion.promotion_approval import (
    ApprovalLevel,
    allows_self_approval,
    weigh_reviews,
)
from towpath.delivery.promotion.promotion_branch import PROMOTION_PREFIX, PromotionPlace
from towpath.delivery.promotion.promotion_case import PromotionCase
from towpath.delivery.promotion.promotion_check import CheckedBranch
from towpath.delivery.promotion.rules_in_force import connect_forge_in_force
from towpath.errors import Fault, Refused, UsageError
from towpath.forge import NotMergeable

if TYPE_CHECKING:
    from towpath.forge import Forge, Method, PullRequest
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
        pulls = (p for p in forge.pulls(state="open") if p.branch.startswith(PROMOTION_PREFIX))
        return tuple(WaitingPromotion(p.branch, p.title, p.author, p.url) for p in pulls)
    repository, base = workspace.registry, branches.main_commit(workspace.registry)
    flags = ["--no-merged", base] if base else []
    pattern = f"refs/heads/{PROMOTION_PREFIX}*"
    listed = repository.call("for-each-ref", *flags, f"--format={_WAITING}", pattern)
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
        place = promotion_branch.find_promotion_place(workspace, push=push)
        branch = _require_promotion_branch(named)
        return merge_promotion.merge_promotion_branch(place, branch, sign, push)
    # At a forge it is the forge that merges, into its own main: this clone looks at that first.
    place = promotion_branch.find_promotion_place(workspace, push=True)
    return _approve_pull_request(place, forge, named)


def reject_promotion(workspace: Workspace, named: str, reason: str) -> RejectedPromotion:
    """Put a promotion away: close its pull request with the reason, delete its branch here."""
    forge = _find_forge(workspace)
    repository = workspace.registry
    if forge:
        pull = _find_open_pull_request(forge, named)
        if not pull.branch.startswith(PROMOTION_PREFIX):
            hint = f"their branches begin with {PROMOTION_PREFIX}"
            raise UsageError(f"{pull.url} is no promotion", hint=hint)
        # The reason first: a call that is killed between leaves an open pull request that says it.
        forge.write_comment(pull.number, reason)
        forge.close_pull_request(pull.number)
        _delete_decided_branch(repository, pull)
        return RejectedPromotion(pull.branch, reason, pull.url)
    branch = _require_promotion_branch(named)
    merge_promotion.find_branch_head(PromotionPlace(workspace, repository), branch)
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


# GitHub's words for a method that the older branch protection forbids, which only administrators
# may read: "Merge commits are not allowed on this repository."
_OTHER_METHOD = "are not allowed on this"


def _approve_pull_request(place: PromotionPlace, forge: Forge, named: str) -> ApprovedPromotion:
    """Approve a pull request, named by its number or its branch, and merge it if that may be."""
    # What is approved is the head that was checked: if the branch moves meanwhile, the forge
    # refuses.
    pull = _find_open_pull_request(forge, named)
    if not bring_head(place.repository, pull):
        raise UsageError(f"the head of {pull.url} is not here", hint="towpath fetch")
    main = branches.main_branch_name(place.repository)
    if pull.base != main:  # a merge would not bring it to main, so that nothing came of it
        what = f"{pull.url} is to be merged into `{pull.base}`, and main is `{main}`"
        hint = f"edit its base there, or: gh pr edit {pull.number} --base {main}"
        raise UsageError(what, hint=hint)
    checked = merge_promotion.require_mergeable_branch(place, pull.head)
    cases = [judged.case for judged in checked.judged]
    user = forge.user()
    _foresee_judgement(place, forge, pull, checked, user)
    # GitHub refuses a review of one's own; with `self_approval` the merge alone is the approval.
    if user.lower() != pull.author.lower():
        forge.approve(pull.number, pull.head)
    merged = _merge_pull_request(forge, pull)
    approved = ApprovedPromotion(
        tuple(map(str, cases)),
        pull.branch,
        user,
        "forge",
        None,
        pull.url,
        unchecked=checked.unchecked,
    )
    if isinstance(merged, str):
        return replace(approved, waits=merged)
    commit, method = merged
    registry.fetch_registry(place.repository)
    _delete_decided_branch(place.repository, pull)
    reached = merge_promotion.judge_commit_promotions(place.repository, commit, cases, forge)
    levels: list[ApprovalLevel] = [judgement.approval.level for _, judgement in reached]
    level: ApprovalLevel = min(levels, key=promotion_approval.LEVEL_ORDER.index, default="none")
    return replace(approved, level=level, commit=commit, method=method, pushed=True)


def _merge_pull_request(forge: Forge, pull: PullRequest) -> tuple[str, Method] | str:
    """The merge and its method: the first that the forge allows; else why it waits."""
    ways = forge.merge_ways()
    if ways.queue:  # GitHub's API has no door into the queue but GraphQL's
        press = f"press `Merge when ready` at {pull.url}, or: gh pr merge {pull.number}"
        return f"{pull.base} has a merge queue, which merges it once it is in there: {press}"
    if not ways.methods:
        return f"{forge.name} allows no method of merging into {pull.base}"
    waits = ""
    for method in ways.methods:
        try:
            return forge.merge(pull.number, pull.head, method), method
        except NotMergeable as refused:
            waits = "; ".join(fault.what for fault in refused.faults)
            if _OTHER_METHOD not in waits:  # a conflict or a check lacks for every method
                break
    return waits


def _foresee_judgement(
    place: PromotionPlace, forge: Forge, pull: PullRequest, checked: CheckedBranch, user: str
) -> None:
    """Ask the one rule what the merge will come to, before it is made: what reconcile would refuse
    is not merged. Raises ``Refused`` with what each promotion lacks."""
    approved = find_standing_reviews(forge.reviews(pull.number), pull.head)
    reviewers = {login: review.user for login, review in approved.items()}
    if user.lower() != pull.author.lower():
        reviewers[user.lower()] = user
    faults = []
    for judged in checked.judged:
        case = judged.case
        rule = ApprovalRule(place.repository, place.base, case.folder, forge)
        rule.refuse_unsound()
        rules = rule.rules_now()
        needed = rulebook.least_level(case.project, case.stage)
        # Who wrote the promotion's files, not who brought its branch up to date with main.
        start, head = checked.inspected.start, checked.inspected.head
        writers = commit_history.file_writers(place.repository, start, head, case.file_paths)
        authors = {pull.author.lower(), *promotion_approval.mails_of_writers(writers)}
        path = case.file_paths[0]
        reached = weigh_reviews(rules, case.stage, path, forge, pull, reviewers, authors)
        if needed == "recorded" and (user.lower() not in authors or allows_self_approval(rules)):
            continue
        if isinstance(reached, str):
            faults.append(_lacking_fault(case, needed, reached, user, pull))
    if faults:
        raise Refused(*faults)


def _lacking_fault(
    case: PromotionCase, needed: ApprovalLevel, why: str, user: str, pull: PullRequest
) -> Fault:
    if user.lower() == pull.author.lower():
        what_lacks = f"{user} opened {pull.url}, and the policy wants another to approve"
        return Fault(what_lacks, hint=promotion_approval.ANOTHER)
    what = f"{case} needs an approval that is `{needed}`: {why}"
    owners = f"name them for /{case.file_paths[0]} in CODEOWNERS, or in `approvers` of {case.stage}"
    return Fault(what, hint=f"ask one whom main names; or {owners}, on main")


def _delete_decided_branch(repository: Repository, pull: PullRequest) -> None:
    """Take the branch away of a promotion that was decided, there and here."""
    # Only as it was decided on: a commit that came since is somebody's work.
    remote = remotes.choose_remote(repository)
    if not pull.branch.startswith(PROMOTION_PREFIX) or remote is None:
        return
    remotes.delete_branch(repository, remote, pull.branch, pull.head)
    if branches.branch_commit(repository, pull.branch) == pull.head:
        branches.drop_branch(repository, pull.branch)


def _find_open_pull_request(forge: Forge, named: str) -> PullRequest:
    if named.lstrip("#").isdigit():
        pull = forge.pull(int(named.lstrip("#")))
        if pull.state != "open":
            raise UsageError(f"{pull.url} is {pull.state}")
        return pull
    pulls = forge.pulls(named, "open")
    if not pulls:
        hint = f"git push origin {named}, or towpath promote again, opens one"
        raise UsageError(f"{forge.repository} has no open pull request of `{named}`", hint=hint)
    return pulls[0]
