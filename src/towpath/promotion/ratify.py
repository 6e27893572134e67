"""Agreeing to rules of main that were changed without the approval they needed."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from towpath.errors import Fault, Refused, UsageError
from towpath.git import Stamp, branches, commit_beside, locked, mainline, remotes
from towpath.promotion import merging, place
from towpath.promotion.approval_rule import ApprovalRule
from towpath.promotion.merging import Approved
from towpath.promotion.rule_changes import ALONE, RULES
from towpath.promotion.writing import LOCK

if TYPE_CHECKING:
    from towpath.promotion.place import Place
    from towpath.workspace import Workspace

BRANCH = "rules/"


@dataclass(frozen=True)
class Ratified:
    """Rule files that were agreed to as main has them, in a commit upon main.

    ``waits`` says what lacks still: another's signature, or, where ``url`` is a pull request, a
    review of it.
    """

    paths: tuple[str, ...]
    by: str
    level: str
    commit: str
    url: str | None = None
    waits: str | None = None
    pushed: bool = False


def ratify_rules(workspace: Workspace, *, push: bool = False) -> Ratified:
    """Agree to what main's rule files say now: by a signed commit that names them, or, where the
    rules before ask for the forge, by a pull request that another reviews.

    Raises ``UsageError`` where there is nothing to agree to, ``Refused`` where the signature is
    none of those that count; then nothing is written.
    """
    here = place.find(workspace, push=push or None)
    with locked(here.repository, LOCK):
        rule = ApprovalRule(here.repository, here.base, workspace.folder, here.forge)
        paths = rule.rules.find_pending(rule.folder)
        if not paths:
            raise UsageError("the rules on main are agreed to: there is nothing to approve")
        rules = rule.rules.rules_at(here.base, rule.folder)
        if any(rules.required(path) == "forge" for path in paths):
            return _opened(here, paths)
        return _signed(here, paths, push)


def _message(paths: tuple[str, ...], *trailers: str) -> str:
    title = f"Approve the rules in {paths[0]}" + (f" and {len(paths) - 1} more" * bool(paths[1:]))
    named = [f"{RULES.capitalize()}: {path}" for path in paths]
    return "\n".join([title, "", *named, *trailers]) + "\n"


def _signed(here: Place, paths: tuple[str, ...], push: bool) -> Ratified:
    repository, who = here.repository, here.repository.identity()
    merging.decide_signing(repository, needed=True, asked=None)
    message = _message(paths, f"Approved-by: {who}", "Approval: signed")
    stamp = Stamp(who, merging.moment_after(repository, here.base))
    commit = commit_beside(repository, here.base, {}, message, stamp, sign=True)
    left = ApprovalRule(repository, commit, here.workspace.folder).rules
    faults = [f for f in left.faults(here.workspace.folder) if str(f.place) in paths]
    waits = "; ".join(fault.what for fault in faults if ALONE in fault.what)
    if any(ALONE not in fault.what for fault in faults):
        hint = f"who may sign is said in registry/allowed_signers as it was before: {commit[:7]}^"
        raise Refused(*(Fault(fault.what, fault.place, hint) for fault in faults))
    settled = merging.settle(here, Approved(paths, "", str(who), "signed", commit), push)
    return Ratified(paths, str(who), "signed", commit, waits=waits or None, pushed=settled.pushed)


def _opened(here: Place, paths: tuple[str, ...]) -> Ratified:
    if here.forge is None or here.remote is None:
        what = f"the rules before ask for an approval of {', '.join(paths)} at the forge"
        raise UsageError(what, hint="the same with --push, which opens the pull request")
    repository = here.repository
    stamp = Stamp(repository.identity(), int(time.time()))
    commit = commit_beside(repository, here.base, {}, _message(paths), stamp)
    branch = f"{BRANCH}{here.base[:12]}"
    branches.put(repository, branch, commit)
    if refused := remotes.push_branch(repository, here.remote, branch, commit, None):
        raise Refused(Fault(f"{here.remote} refused the branch {branch}: {refused}"))
    title = _message(paths).partition("\n")[0]
    body = f"Main's {', '.join(paths)} was changed without an approval. Merging this agrees to it."
    pull = here.forge.open(branch, mainline.name(repository), title, body)
    waits = f"an owner approves {pull.url}, and merges it"
    return Ratified(paths, str(stamp.who), "forge", commit, pull.url, waits, pushed=True)
