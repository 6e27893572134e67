"""Letting a promotion in, or putting it away: at the forge where there is one, else here."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from towpath import registry
from towpath.backends.git import (
    CommitStamp,
    Repository,
    branches,
    commit_beside,
    commit_history,
    hold_lock,
    main_branch,
    refs,
    remotes,
)
from towpath.backends.git.commit_history import CLOCK_SKEW, read_main_line
from towpath.backends.git.git_command import split_lines
from towpath.backends.git.signatures import SIGNERS, read_signing_settings
from towpath.config.foreign_values import clamp_second
from towpath.delivery.promotion import (
    commit_approvers,
    evidence,
    main_line_approvals,
    promotion_approval,
    promotion_check,
    propose,
    rulebook,
)
from towpath.delivery.promotion.commit_approvers import bring_head, find_standing_reviews
from towpath.delivery.promotion.main_line_approvals import ApprovalJudgement, ApprovalRule
from towpath.delivery.promotion.promotion_approval import ApprovalLevel, PromotionApproval
from towpath.delivery.promotion.promotion_case import PromotionCase
from towpath.delivery.promotion.promotion_check import CheckedBranch
from towpath.delivery.promotion.propose import LOCK, PROMOTION_PREFIX, PromotionPlace
from towpath.delivery.promotion.rulebook import least_level
from towpath.delivery.promotion.rules_in_force import connect_forge_in_force, names_forge
from towpath.errors import Fault, Refused, RegistryError, UsageError, did_you_mean
from towpath.forge import Forge, Method, NotMergeable, PullRequest, Review
from towpath.registry import Promotion
from towpath.registry.main_decisions import read_promotions
from towpath.workspace import Workspace

_WAITING = "%(refname)%00%(contents:subject)%00%(authorname)"


class RejectedPromotion(Struct, frozen=True):
    branch: str
    reason: str
    url: str | None = None


class WaitingPromotion(Struct, frozen=True):
    branch: str
    title: str
    author: str
    url: str | None = None


def promotes_at_forge(workspace: Workspace) -> bool:
    """Whether promotions wait at a forge, by what this clone knows: nothing is asked of it."""
    repository = workspace.registry_at_hand
    if not remotes.choose_remote(repository):
        return False
    return names_forge(workspace, repository, main_branch.main_commit(repository))


def find_waiting_promotions(workspace: Workspace) -> tuple[WaitingPromotion, ...]:
    if forge := _find_forge(workspace):
        pulls = (p for p in forge.pulls(state="open") if p.branch.startswith(PROMOTION_PREFIX))
        return tuple(WaitingPromotion(p.branch, p.title, p.author, p.url) for p in pulls)
    return find_proposed_branches(workspace.registry)


def find_proposed_branches(
    repository: Repository, remote: str | None = None
) -> tuple[WaitingPromotion, ...]:
    """The promotions whose branches are in this clone, or as they were last fetched from
    ``remote``, and are not in main."""
    base = main_branch.main_commit(repository)
    flags = ["--no-merged", base] if base else []
    spaces = ["refs/heads/", *([f"refs/remotes/{remote}/"] if remote else [])]
    patterns = [f"{space}{PROMOTION_PREFIX}*" for space in spaces]
    listed = repository.call("for-each-ref", *flags, f"--format={_WAITING}", *patterns)
    waiting: dict[str, WaitingPromotion] = {}
    for line in split_lines(listed):
        ref, title, author = line.split("\0")
        branch = next(ref.removeprefix(space) for space in spaces if ref.startswith(space))
        waiting.setdefault(branch, WaitingPromotion(branch, title, author))
    return tuple(waiting.values())


def find_promotion_reviews(workspace: Workspace, branch: str) -> tuple[Review, ...]:
    """What people said at the forge of a promotion that waits there, each one's last word; none
    without a forge."""
    forge = _find_forge(workspace)
    if forge is None:
        return ()
    reviews = forge.reviews(_find_open_pull_request(forge, branch).number)
    return tuple({review.user.lower(): review for review in reviews}.values())


def approve_promotion(
    workspace: Workspace, named: str, *, sign: bool | None = None, push: bool = False
) -> ApprovedPromotion:
    """Approve and merge a promotion, named by its branch or its pull request's number. ``sign`` is
    by default whether the policy asks for a signature, or Git signs every commit. Raises
    ``Refused`` with every fault where it may not be merged; then nothing is."""
    # Here the commit is made beside the work tree, which is touched only where main is checked out
    # in it, and then only in the promotion's files.
    forge = _find_forge(workspace)
    if forge is None:
        place = propose.find_promotion_place(workspace, push=push)
        branch = _require_promotion_branch(named)
        with hold_lock(place.repository, LOCK):
            approved = _make_merge_commit(place, branch, sign)
            pushed = settle_on_main(place, str(approved.commit), push, branch)
            return replace(approved, pushed=pushed)
    # At a forge it is the forge that merges, into its own main: this clone looks at that first.
    place = propose.find_promotion_place(workspace, push=True)
    return _approve_pull_request(place, forge, named)


def reject_promotion(workspace: Workspace, named: str, reason: str) -> RejectedPromotion:
    repository = workspace.registry
    if forge := _find_forge(workspace):
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
    find_branch_head(PromotionPlace(workspace, repository), branch)
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
    # What is approved is the head that was checked: if the branch moves meanwhile, the forge
    # refuses.
    pull = _find_open_pull_request(forge, named)
    if not bring_head(place.repository, pull):
        raise UsageError(f"the head of {pull.url} is not here", hint="towpath fetch")
    main = main_branch.main_branch_name(place.repository)
    if pull.base != main:  # a merge would not bring it to main, so that nothing came of it
        what = f"{pull.url} is to be merged into `{pull.base}`, and main is `{main}`"
        hint = f"edit its base there, or: gh pr edit {pull.number} --base {main}"
        raise UsageError(what, hint=hint)
    checked = require_mergeable_branch(place, pull.head)
    cases = [judged.case for judged in checked.judged]
    user = forge.user()
    _foresee_judgement(place, forge, pull, checked, user)
    # GitHub refuses a review of one's own; with `self_approval` the merge alone is the approval.
    if user.lower() != pull.author.lower():
        forge.approve(pull.number, pull.head)
    merged = _merge_pull_request(forge, pull)
    named_cases, unchecked = tuple(map(str, cases)), checked.unchecked
    approved = ApprovedPromotion(
        named_cases, pull.branch, user, "forge", None, pull.url, unchecked=unchecked
    )
    if isinstance(merged, str):
        return replace(approved, waits=merged)
    commit, method = merged
    registry.fetch_registry(place.repository)
    _delete_decided_branch(place.repository, pull)
    reached = judge_commit_promotions(place.repository, commit, cases, forge)
    levels: list[ApprovalLevel] = [judgement.approval.level for _, judgement in reached]
    level: ApprovalLevel = min(levels, key=promotion_approval.LEVEL_ORDER.index, default="none")
    return replace(approved, level=level, commit=commit, method=method, pushed=True)


def _merge_pull_request(forge: Forge, pull: PullRequest) -> tuple[str, Method] | str:
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
        reached = promotion_approval.weigh_reviews(
            rules, case.stage, path, forge, pull, reviewers, authors
        )
        if needed == "recorded" and (
            user.lower() not in authors or promotion_approval.allows_self_approval(rules)
        ):
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


class ApprovedPromotion(Struct, frozen=True):
    """What came of approving. ``commit`` is the merge on main, None where a forge has the approval
    and does not merge yet: ``waits`` says why. ``pushed`` says whether the remote's main has it,
    ``unchecked`` which bytes could not be looked at."""

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


def find_branch_head(place: PromotionPlace, branch: str) -> str:
    repository = place.repository
    near = branches.branch_commit(repository, branch)
    ref = f"refs/remotes/{place.remote}/{branch}"
    far = refs.list_ref_objects(repository, ref).get(ref) if place.remote else None
    if head := near or far:
        return head
    if decided := _find_decided(repository, branch):
        by = f"{decided.author} merged it in {decided.commit[:7]}"
        what = f"`{branch}` does not wait any more: {by}"
        raise UsageError(what, hint=f"towpath history {decided.model}")
    branch_refs = refs.list_ref_names(repository, f"refs/heads/{PROMOTION_PREFIX}*")
    waiting = [name.removeprefix("refs/heads/") for name in branch_refs]
    listed = f"there is {', '.join(waiting[:5])}" if waiting else "towpath promote makes one"
    hint = did_you_mean(branch, waiting) or listed
    raise UsageError(f"there is no promotion `{branch}`", hint=hint)


def _find_decided(repository: Repository, branch: str) -> Promotion | None:
    """The last promotion on main whose branch was called so, as when two decided at once."""
    promotions = () if repository.is_shallow() else reversed(read_promotions(repository))
    for entry in promotions:
        name = promotion_approval.short_promotion_name(entry.model, entry.version, entry.stage)
        if branch == PROMOTION_PREFIX + name:
            return entry
    return None


def require_mergeable_branch(place: PromotionPlace, head: str) -> CheckedBranch:
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


def _refuse_parted(place: PromotionPlace) -> None:
    name = main_branch.main_branch_name(place.repository)
    mine = branches.branch_commit(place.repository, name)
    if mine and not commit_history.is_ancestor(place.repository, mine, place.base):
        what = f"{name} here and {place.remote}'s have parted"
        # A pull with a merge would put what was decided there out of main's first-parent line.
        hint = f"git fetch; git switch {name}; git rebase --rebase-merges {place.remote}/{name}"
        raise RegistryError(what, hint=hint)


def _make_merge_commit(place: PromotionPlace, branch: str, sign: bool | None) -> ApprovedPromotion:
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
    trailers = [line for case in cases for line in propose.promotion_trailers(case)]
    more = f", and {len(cases) - 1} more" if cases[1:] else ""
    title = evidence.promotion_title(cases[0]) + more
    words = [title, "", *trailers, f"Approved-by: {who}", f"Approval: {level}"]
    # The promotion's files are its own alone, so nothing can be in conflict that the check would
    # not have said: Git need not merge, and no merge driver of a person's runs.
    changed = commit_history.changed_files(repository, checked.inspected.start, head)
    names = {f"{head}:{change.path}": change.path for change in changed if change.new}
    contents = refs.read_contents(repository, names).items()
    commit = commit_beside(
        repository,
        place.base,
        {names[name]: content for name, content in contents},
        "\n".join(words) + "\n",
        CommitStamp(who, moment_after(repository, place.base, head)),
        without=tuple(change.path for change in changed if change.new is None),
        merging=(head,),
        sign=signs or sign,  # where nothing was said, as Git signs every commit
    )
    reached = _refuse_insufficient(place, commit, cases, signs)
    named, unchecked = tuple(map(str, cases)), checked.unchecked
    return ApprovedPromotion(named, branch, str(who), reached, commit, unchecked=unchecked)


def moment_after(repository: Repository, base: str, *merged: str) -> int:
    """The time of a commit upon main: no earlier than main's and what it merges."""
    # Their clocks may be ahead of this one, and a date before a parent's counts as false. A date
    # that has not come yet, by more than clocks differ, is passed over, as it moves nothing after
    # it (`MainLine.times`): one such commit on main would else hold up all that come after.
    line = read_main_line(repository, base)
    dates = repository.call("log", "--no-walk", "--format=%ct", *merged).split() if merged else []
    times = (clamp_second(date) for date in dates)
    return max(line.now, line.times[base], *(t for t in times if t <= line.now + CLOCK_SKEW))


def settle_on_main(place: PromotionPlace, commit: str, push: bool, branch: str = "") -> bool:
    """Let main be at a commit that was approved, here and where it is to be pushed, and drop the
    branch that it merged; whether it was pushed."""
    name = main_branch.main_branch_name(place.repository)
    pushed = push and place.remote is not None
    if pushed:  # first, so that where the remote refuses nothing here says what is not so
        _push_main(place, name, commit)
    try:
        branches.advance_branch(place.repository, name, commit)
    except RegistryError as held:
        if not pushed:
            raise
        # Main is checked out here with changes of the person's own: it is merged all the same.
        what = f"{place.remote} has {commit[:7]} on {name}, and {name} here could not follow"
        hint = "commit or stash what is in its way, then: git pull --ff-only"
        raise RegistryError(Fault(what, hint=hint), *held.faults) from held
    if branch:
        branches.drop_branch(place.repository, branch)
    return pushed


def _push_main(place: PromotionPlace, name: str, commit: str) -> None:
    # A remote that went on meanwhile is left as it is: what is approved was made upon an older
    # main, and is made again upon the new one.
    assert place.remote
    ref = f"refs/heads/{name}"
    over = remotes.list_remote_refs(place.repository, place.remote, ref).get(ref)
    is_here = over and place.repository.commit(over) is not None
    if over and not (is_here and commit_history.is_ancestor(place.repository, over, commit)):
        what = f"{name} went on at {place.remote} meanwhile; nothing was approved"
        raise RegistryError(what, hint="towpath fetch, then run it again")
    if refused := remotes.push_branch(place.repository, place.remote, name, commit, over):
        what = f"{place.remote} refused {name}: {refused}; nothing was approved"
        hint = "who may push there? a protected branch takes pull requests alone"
        raise RegistryError(what, hint=hint)


def decide_signing(repository: Repository, needed: bool, asked: bool | None) -> bool:
    """Whether a commit that approves is signed: where that is needed, asked for, or Git's habit.
    Raises ``UsageError`` where it is to be and Git knows no key."""
    if needed and asked is False:
        raise UsageError("the policy asks for a signature", hint="leave --no-sign out")
    can_sign = commit_approvers.is_configured(repository)
    signs = asked
    if signs is None:
        signs = needed or (can_sign and read_signing_settings(repository).commits)
    if signs and not can_sign:
        what = "Git does not know with which SSH key to sign"
        raise UsageError(what, hint=commit_approvers.CONFIGURE)
    return signs


def judge_commit_promotions(
    repository: Repository, commit: str, cases: Sequence[PromotionCase], forge: Forge | None = None
) -> list[tuple[Promotion, ApprovalJudgement]]:
    """The promotions of a commit upon main, each as anybody will judge it who finds it."""
    folders = {case.file_paths[0]: case.folder for case in cases}
    rules = {f: ApprovalRule(repository, commit, f, forge) for f in set(folders.values())}
    first = next(iter(rules.values()))
    mine = [promotion for promotion in first.log if promotion.commit == commit]
    return [(promotion, rules[folders[promotion.path]].judge(promotion)) for promotion in mine]


def _refuse_insufficient(
    place: PromotionPlace, commit: str, cases: Sequence[PromotionCase], signs: bool
) -> ApprovalLevel:
    # No branch holds it yet: what does not count is dropped by Git's own sweeping, and main never
    # said it.
    reached: list[ApprovalLevel] = []
    rule = ApprovalRule(place.repository, commit)
    for promotion, judged in judge_commit_promotions(place.repository, commit, cases):
        if judged.backdated:
            raise Refused(
                main_line_approvals.backdated_fault(promotion, judged.backdated, rule.log)
            )
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
