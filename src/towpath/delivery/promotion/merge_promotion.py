"""Approving without a forge: a merge into the main branch that says who made it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from towpath.backends.git import (
    CommitStamp,
    Repository,
    branches,
    commit_beside,
    commit_history,
    hold_lock,
    refs,
    remotes,
)
from towpath.backends.git.commit_history import CLOCK_SKEW, read_main_line
from towpath.backends.git.signatures import SIGNERS
from towpath.config.foreign_values import clamp_second
from towpath.delivery.promotion import (
    commit_approvers,
    evidence,
    promotion_approval,
    promotion_branch,
    promotion_check,
)
from towpath.delivery.promotion.main_line_approvals import (
    ApprovalJudgement,
    ApprovalRule,
    backdated_fault,
)
from towpath.delivery.promotion.promotion_approval import ApprovalLevel, PromotionApproval
from towpath.delivery.promotion.promotion_branch import LOCK, PROMOTION_PREFIX
from towpath.delivery.promotion.promotion_check import CheckedBranch
from towpath.delivery.promotion.rulebook import least_level
from towpath.errors import Fault, Refused, RegistryError, UsageError, did_you_mean
from towpath.registry import Promotion

if TYPE_CHECKING:
    from towpath.delivery.promotion.promotion_branch import PromotionPlace
    from towpath.delivery.promotion.promotion_case import PromotionCase
    from towpath.forge import Forge


@dataclass(frozen=True)
class ApprovedPromotion:
    """What came of approving. ``commit`` is the merge on main, None where a forge has the approval
    and does not merge yet: ``waits`` says why. ``pushed`` says whether the remote's main has it,
    ``method`` how it was merged (``merge``, ``squash``, ``rebase``), ``unchecked`` which bytes
    could not be looked at.
    """

    what: tuple[str, ...]
    branch: str
    by: str
    level: ApprovalLevel
    commit: str | None
    url: str | None = None
    waits: str | None = None
    pushed: bool = False
    method: str = "merge"
    unchecked: tuple[str, ...] = ()


def merge_promotion_branch(
    place: PromotionPlace, branch: str, sign: bool | None = None, push: bool = False
) -> ApprovedPromotion:
    """Merge a promotion's branch into main, if it is clean and the approver may.

    ``sign`` is by default whether the policy asks for a signature, or Git signs every commit.
    Raises ``Refused`` with every fault; then nothing is merged.
    """
    # The commit is made beside the work tree, which is touched only where main is checked out in
    # it, and then only in the promotion's files.
    with hold_lock(place.repository, LOCK):
        approved = _make_merge_commit(place, branch, sign)
        return settle_on_main(place, approved, push)


def find_branch_head(place: PromotionPlace, branch: str) -> str:
    """The last commit of a promotion's branch, here or on the remote."""
    repository = place.repository
    near = branches.branch_commit(repository, branch)
    ref = f"refs/remotes/{place.remote}/{branch}"
    far = refs.list_ref_objects(repository, ref).get(ref) if place.remote else None
    if head := near or far:
        return head
    branch_refs = refs.list_ref_names(repository, f"refs/heads/{PROMOTION_PREFIX}*")
    waiting = [name.removeprefix("refs/heads/") for name in branch_refs]
    listed = f"there is {', '.join(waiting[:5])}" if waiting else "towpath promote makes one"
    hint = did_you_mean(branch, waiting) or listed
    raise UsageError(f"there is no promotion `{branch}`", hint=hint)


def require_mergeable_branch(place: PromotionPlace, head: str) -> CheckedBranch:
    """A branch that may be merged as far as the rules and the gates say; ``Refused`` if not."""
    checked = promotion_check.check_promotion_commits(
        place.workspace, place.repository, place.base, head, place.forge
    )
    if checked.faults or checked.unasked:
        raise Refused(*checked.faults, *checked.unasked)
    if not checked.judged and commit_history.is_ancestor(place.repository, head, place.base):
        # A call that was ended between the push and what follows it here, or another's merge.
        raise UsageError(f"{head[:7]} was merged already", hint="git pull, then towpath reconcile")
    if not checked.judged:
        raise UsageError(f"{head[:7]} changes no stage file: it is no promotion")
    return checked


def _make_merge_commit(place: PromotionPlace, branch: str, sign: bool | None) -> ApprovedPromotion:
    """The merge's commit, which no branch holds yet; judged as anybody will judge it."""
    repository = place.repository
    head = find_branch_head(place, branch)
    _refuse_parted(place)
    checked = require_mergeable_branch(place, head)
    cases = [judged.case for judged in checked.judged]
    who = repository.read_identity()
    needed = {least_level(case.project, case.stage) for case in cases}
    if "forge" in needed:
        what = f"{', '.join(map(str, cases))} needs an approval at the forge"
        raise Refused(what, hint="push the branch, and let it be reviewed as a pull request")
    signs = decide_signing(repository, "signed" in needed, sign)
    level: ApprovalLevel = "signed" if signs else "recorded"
    trailers = [line for case in cases for line in promotion_branch.promotion_trailers(case)]
    more = f", and {len(cases) - 1} more" if cases[1:] else ""
    title = evidence.promotion_title(cases[0]) + more
    words = [title, "", *trailers, f"Approved-by: {who}", f"Approval: {level}"]
    files, without = _merge_content(repository, checked)
    commit = commit_beside(
        repository,
        place.base,
        files,
        "\n".join(words) + "\n",
        CommitStamp(who, moment_after(repository, place.base, head)),
        without=without,
        merging=(head,),
        sign=signs or sign,  # where nothing was said, as Git signs every commit
    )
    reached = _refuse_insufficient(place, commit, cases, signs)
    named = tuple(map(str, cases))
    return ApprovedPromotion(named, branch, str(who), reached, commit, unchecked=checked.unchecked)


def moment_after(repository: Repository, base: str, *merged: str) -> int:
    """The time of a commit upon main: no earlier than main's and what it merges."""
    # Their clocks may be ahead of this one, and a date before a parent's counts as false. A date
    # that has not come yet, by more than clocks differ, is passed over, as it moves nothing after
    # it (`MainLine.times`): one such commit on main would else hold up all that come after.
    line = read_main_line(repository, base)
    dates = repository.call("log", "--no-walk", "--format=%ct", *merged).split() if merged else []
    times = (clamp_second(date) for date in dates)
    return max(line.now, line.times[base], *(t for t in times if t <= line.now + CLOCK_SKEW))


def settle_on_main(
    place: PromotionPlace, approved: ApprovedPromotion, push: bool
) -> ApprovedPromotion:
    """Bring a commit that was made upon main there, and to the remote if it is to be pushed."""
    repository = place.repository
    name = branches.main_branch_name(repository)
    assert approved.commit
    pushed = push and place.remote is not None
    if pushed:  # first, so that where the remote refuses nothing here says what is not so
        _push_main(place, name, approved.commit)
    try:
        branches.advance_branch(repository, name, approved.commit)
    except RegistryError as held:
        if not pushed:
            raise
        # Main is checked out here with changes of the person's own: it is merged all the same.
        there = f"{place.remote} has {approved.commit[:7]} on {name}"
        what = f"{there}, and {name} here could not follow"
        hint = "commit or stash what is in its way, then: git pull --ff-only"
        raise RegistryError(Fault(what, hint=hint), *held.faults) from held
    if approved.branch:
        branches.drop_branch(repository, approved.branch)
    return replace(approved, pushed=pushed)


def _push_main(place: PromotionPlace, name: str, commit: str) -> None:
    # A remote that went on meanwhile is left as it is: what is approved was made upon an older
    # main, and is made again upon the new one.
    assert place.remote
    ref = f"refs/heads/{name}"
    over = remotes.list_remote_refs(place.repository, place.remote, ref).get(ref)
    is_over_here = over is None or place.repository.commit(over) is not None
    if not is_over_here or (
        over and not commit_history.is_ancestor(place.repository, over, commit)
    ):
        what = f"{name} went on at {place.remote} meanwhile; nothing was approved"
        raise RegistryError(what, hint="towpath fetch, then run it again")
    if refused := remotes.push_branch(place.repository, place.remote, name, commit, over):
        what = f"{place.remote} refused {name}: {refused}; nothing was approved"
        hint = "who may push there? a protected branch takes pull requests alone"
        raise RegistryError(what, hint=hint)


def _refuse_parted(place: PromotionPlace) -> None:
    name = branches.main_branch_name(place.repository)
    mine = branches.branch_commit(place.repository, name)
    if mine and not commit_history.is_ancestor(place.repository, mine, place.base):
        what = f"{name} here and {place.remote}'s have parted"
        # A pull with a merge would put what was decided there out of main's first-parent line.
        hint = f"git fetch; git switch {name}; git rebase --rebase-merges {place.remote}/{name}"
        raise RegistryError(what, hint=hint)


def _merge_content(
    repository: Repository, checked: CheckedBranch
) -> tuple[Mapping[str, bytes], tuple[str, ...]]:
    # The promotion's files are its own alone, so nothing can be in conflict that the check would
    # not have said: Git need not merge, and no merge driver of a person's runs.
    inspected = checked.inspected
    changed = commit_history.changed_files(repository, inspected.start, inspected.head)
    names = {f"{inspected.head}:{change.path}": change.path for change in changed if change.new}
    contents = refs.read_contents(repository, names)
    gone = tuple(change.path for change in changed if change.new is None)
    return {names[name]: content for name, content in contents.items()}, gone


def decide_signing(repository: Repository, needed: bool, asked: bool | None) -> bool:
    """Whether a commit that approves is signed: where that is needed, asked for, or Git's habit.

    Raises ``UsageError`` where it is to be and Git knows no key.
    """
    if needed and asked is False:
        raise UsageError("the policy asks for a signature", hint="leave --no-sign out")
    signs = asked if asked is not None else needed or commit_approvers.is_usual(repository)
    if signs and not commit_approvers.is_configured(repository):
        what = "Git does not know with which SSH key to sign"
        raise UsageError(what, hint=commit_approvers.CONFIGURE)
    return signs


def judge_commit_promotions(
    repository: Repository, commit: str, cases: Sequence[PromotionCase], forge: Forge | None = None
) -> list[tuple[Promotion, ApprovalJudgement]]:
    """The promotions of a commit upon main, each as anybody will judge it who finds it there: by
    the rules of the project whose model it is."""
    folders = {case.file_paths[0]: case.folder for case in cases}
    rules = {f: ApprovalRule(repository, commit, f, forge) for f in set(folders.values())}
    first = next(iter(rules.values()))
    mine = [promotion for promotion in first.log if promotion.commit == commit]
    return [(promotion, rules[folders[promotion.path]].judge(promotion)) for promotion in mine]


def _refuse_insufficient(
    place: PromotionPlace, commit: str, cases: Sequence[PromotionCase], signs: bool
) -> ApprovalLevel:
    """The merge is judged as anybody will judge it; the level it reached."""
    # No branch holds it yet: what does not count is dropped by Git's own sweeping, and main never
    # said it.
    reached: list[ApprovalLevel] = []
    rule = ApprovalRule(place.repository, commit)
    for promotion, judged in judge_commit_promotions(place.repository, commit, cases):
        if judged.backdated:
            raise Refused(backdated_fault(promotion, judged.backdated, rule.log))
        needed: ApprovalLevel = "signed" if signs else judged.needed
        if not promotion_approval.reaches_level(judged.approval, needed):
            mail = place.repository.read_identity().email
            raise Refused(_refusal_fault(promotion, needed, judged.approval, mail))
        reached.append(judged.approval.level)
    folders = {case.folder for case in cases}
    left = [fault for folder in folders for fault in rule.rules.faults(folder)]
    if left:
        # A rule that comes with it, such as whose the model is, would stop all that comes after.
        hint = f"let another signer make it, or approve it: {commit_approvers.CONFIGURE}"
        raise Refused(*(replace(fault, hint=hint) for fault in dict.fromkeys(left)))
    return min(reached, key=promotion_approval.LEVEL_ORDER.index)


def _refusal_fault(
    promotion: Promotion, needed: ApprovalLevel, got: PromotionApproval, mail: str
) -> Fault:
    if promotion_approval.UNSIGNED in got.why:
        what = f"{promotion} needs an approval that is `{needed}`: {got.why}"
        sign_it = f"let its maker sign it: {commit_approvers.CONFIGURE}; then promote again"
        return Fault(what, hint=sign_it)
    if promotion_approval.OWN in got.why:
        what = f"{mail} made {promotion}, and the policy wants another to approve it"
        return Fault(what, hint=promotion_approval.ANOTHER)
    line = f"add a line for your key to {SIGNERS} on main: <mail> ssh-ed25519 ..."
    hint = line if SIGNERS in got.why else None
    why = got.why or f"this would be `{got.level}`"
    return Fault(f"{promotion} needs an approval that is `{needed}`: {why}", hint=hint)
