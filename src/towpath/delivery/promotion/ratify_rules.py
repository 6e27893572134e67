"""Agreeing to rules of main that were changed without the approval they needed.

They are shown first, as they differ from those in force, and each is agreed to by its name: as
main was here before anything was fetched, for nobody agrees to what they have not seen.
"""

from __future__ import annotations

import difflib
import time
from collections.abc import Sequence

from msgspec import Struct

from towpath.backends.git import (
    CommitStamp,
    branches,
    commit_beside,
    hold_lock,
    main_branch,
    refs,
    remotes,
)
from towpath.delivery.promotion import decide_promotion, propose
from towpath.delivery.promotion.main_line_approvals import ApprovalRule
from towpath.delivery.promotion.propose import LOCK, PromotionPlace
from towpath.delivery.promotion.rule_changes import ALONE, RATIFY, RULES, RuleHistory
from towpath.errors import Fault, Place, Refused, UsageError, did_you_mean
from towpath.workspace import Workspace

RULES_PREFIX = "rules/"
_LONGEST = 400  # lines of a difference in a pull request, whose body a forge bounds


class UnagreedRule(Struct, frozen=True):
    """A rule file that main has otherwise than the rules in force, as the ``commit`` left it."""

    path: str
    commit: str
    author: str
    difference: tuple[str, ...]


class RatifiedRules(Struct, frozen=True):
    """Rule files that were agreed to as main has them, in a commit upon main. ``waits`` says what
    lacks still: another's signature, or, where ``url`` is a pull request, a review of it."""

    paths: tuple[str, ...]
    by: str
    level: str
    commit: str
    url: str | None = None
    waits: str | None = None
    pushed: bool = False


def read_unagreed_rules(workspace: Workspace) -> tuple[UnagreedRule, ...]:
    """The rules of main that wait for an agreement, as main is here; nothing is fetched."""
    place = propose.find_promotion_place(workspace, push=False)
    rules = ApprovalRule(place.repository, place.base, workspace.folder, place.forge).rules
    return _compare_rules(rules, place.base, rules.find_pending(workspace.folder))


def ratify_rules(
    workspace: Workspace, paths: Sequence[str] = (), *, push: bool = False
) -> RatifiedRules:
    """Agree to what main's rule files of these ``paths`` say (default: all that wait): by a signed
    commit that names them, or, where the rules before ask for the forge, by a pull request. Raises
    ``Refused`` where main went on, or the signature does not count; then nothing is written."""
    # Main as it is in this clone's own branch, which is what a person read; looked at before the
    # place is found, for that fetches.
    repository = workspace.registry
    own = branches.branch_commit(repository, main_branch.main_branch_name(repository))
    main_as_read = own or main_branch.seen_main_commit(repository)
    place = propose.find_promotion_place(workspace, push=push or None)
    with hold_lock(repository, LOCK):
        rules = ApprovalRule(repository, place.base, workspace.folder, place.forge).rules
        chosen = _choose_paths(rules.find_pending(workspace.folder), paths)
        # Nobody signs what came a moment ago, after this clone's main was read.
        before = main_as_read or place.base
        name = main_branch.main_branch_name(repository)
        what = f"main went on: this is not as it is in your {name}"
        hint = f"git pull, read it ({RATIFY} shows it), and agree to it then"
        late = [p for p in chosen if not refs.has_same_files(repository, before, place.base, [p])]
        if late:
            raise Refused(*(Fault(what, Place(path), hint) for path in late))
        if any(rules.due[path] == "forge" for path in chosen):
            return _open_pull_request(place, rules, chosen)
        return _ratify_by_signature(place, chosen, push)


def _choose_paths(waiting: tuple[str, ...], paths: Sequence[str]) -> tuple[str, ...]:
    if not waiting:
        raise UsageError("the rules on main are agreed to: there is nothing to approve")
    chosen = [path.removeprefix("./") for path in paths]
    if unknown := [path for path in chosen if path not in waiting]:
        what, listed = "`{}` is no rule that waits for an agreement", ", ".join(waiting)
        hints = [did_you_mean(path, waiting) or f"there waits {listed}" for path in unknown]
        faults = (Fault(what.format(p), hint=h) for p, h in zip(unknown, hints, strict=True))
        raise UsageError(*faults)
    return tuple(dict.fromkeys(chosen)) or waiting


def _compare_rules(
    history: RuleHistory, head: str, paths: tuple[str, ...]
) -> tuple[UnagreedRule, ...]:
    old, new = history.rules_at(head).texts, history.rules_written().texts
    compared = []
    for path in paths:
        last = history.last_change(path)
        commit, author = (last.commit, last.author) if last else ("", "")
        mine, theirs = old.get(path), new.get(path)
        before = "/dev/null" if mine is None else f"{path} (in force)"
        after = "/dev/null" if theirs is None else f"{path} (on main)"
        a, b = ((text or b"").decode("utf-8", "replace").splitlines() for text in (mine, theirs))
        difference = difflib.unified_diff(a, b, before, after, lineterm="")
        compared.append(UnagreedRule(path, commit, author, tuple(difference)))
    return tuple(compared)


def _agreement_message(paths: tuple[str, ...], *trailers: str) -> str:
    title = f"Approve the rules in {paths[0]}" + (f" and {len(paths) - 1} more" * bool(paths[1:]))
    named = [f"{RULES.capitalize()}: {path}" for path in paths]
    return "\n".join([title, "", *named, *trailers]) + "\n"


def _ratify_by_signature(
    place: PromotionPlace, paths: tuple[str, ...], push: bool
) -> RatifiedRules:
    repository, who = place.repository, place.repository.read_identity()
    decide_promotion.decide_signing(repository, needed=True, asked=None)
    message = _agreement_message(paths, f"Approved-by: {who}", "Approval: signed")
    stamp = CommitStamp(who, decide_promotion.moment_after(repository, place.base))
    commit = commit_beside(repository, place.base, {}, message, stamp, sign=True)
    # Judged as anybody will judge it, before any branch holds it.
    left = ApprovalRule(repository, commit, place.workspace.folder, place.forge).rules
    lacks = [f for f in left.faults(place.workspace.folder) if str(f.place) in paths]
    waits = "; ".join(fault.what for fault in lacks if ALONE in fault.what)
    if any(ALONE not in fault.what for fault in lacks):
        hint = f"who may sign is said in registry/allowed_signers as it was before: {commit[:7]}^"
        raise Refused(*(Fault(fault.what, fault.place, hint) for fault in lacks))
    pushed = decide_promotion.settle_on_main(place, commit, push)
    return RatifiedRules(paths, str(who), "signed", commit, waits=waits or None, pushed=pushed)


def _open_pull_request(
    place: PromotionPlace, history: RuleHistory, paths: tuple[str, ...]
) -> RatifiedRules:
    if place.forge is None or place.remote is None or not place.pushes:
        what = f"the rules before ask for an approval of {', '.join(paths)} at the forge"
        raise UsageError(what, hint="the same with --push, which opens the pull request")
    repository = place.repository
    stamp = CommitStamp(repository.read_identity(), int(time.time()))
    commit = commit_beside(repository, place.base, {}, _agreement_message(paths), stamp)
    branch = f"{RULES_PREFIX}{commit[:12]}"
    branches.put_branch(repository, branch, commit)
    if refused := remotes.push_branch(repository, place.remote, branch, commit, None):
        raise Refused(Fault(f"{place.remote} refused the branch {branch}: {refused}"))
    title = _agreement_message(paths).partition("\n")[0]
    # The pull request changes nothing itself, so the forge has no difference to show.
    compared = _compare_rules(history, place.base, paths)
    named = ", ".join(f"`{rule.path}` ({rule.commit[:7]})" for rule in compared)
    lines = [f"    {line}" for rule in compared for line in rule.difference]
    more = [f"    ... and {len(lines) - _LONGEST} lines more"] if lines[_LONGEST:] else []
    body = f"Main's {named} was changed without an approval. Merging this agrees to it as it is:"
    body = "\n".join([body, "", *lines[:_LONGEST], *more]) + "\n"
    pull = place.forge.open(branch, main_branch.main_branch_name(repository), title, body)
    waits = f"an owner approves {pull.url}, and merges it"
    return RatifiedRules(paths, str(stamp.who), "forge", commit, pull.url, waits, pushed=True)
