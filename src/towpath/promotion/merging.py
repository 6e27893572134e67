"""Approving without a forge: a merge into the main branch that says who made it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from towpath import registry
from towpath.errors import Fault, Refused, RegistryError, UsageError, did_you_mean
from towpath.git import (
    Repository,
    Stamp,
    branches,
    commit_beside,
    history,
    locked,
    mainline,
    refs,
    remotes,
)
from towpath.promotion import approval, checking, evidence, proposal, signing
from towpath.promotion.approval import Approval, Level
from towpath.promotion.checking import Checked
from towpath.promotion.proposal import BRANCH
from towpath.promotion.writing import LOCK
from towpath.registry import Promotion

if TYPE_CHECKING:
    from towpath.promotion.place import Place
    from towpath.spec.project import Project


@dataclass(frozen=True)
class Approved:
    """What came of approving. ``commit`` is the merge on main, None where a forge has the approval
    and does not merge yet: ``waits`` says why. ``pushed`` says whether the remote's main has it.
    """

    what: tuple[str, ...]
    branch: str
    by: str
    level: Level
    commit: str | None
    url: str | None = None
    waits: str | None = None
    pushed: bool = False


def merge(place: Place, branch: str, sign: bool | None = None, push: bool = False) -> Approved:
    """Merge a promotion's branch into main, if it is clean and the approver may.

    ``sign`` is by default whether the policy asks for a signature, or Git signs every commit.
    The user's work tree is touched only where main is checked out in it, and then only in the
    promotion's files. Raises ``Refused`` with every fault; then nothing is merged.
    """
    with locked(place.repository, LOCK):
        return _pushed(place, _merged(place, branch, sign), push)


def head_of(place: Place, branch: str) -> str:
    """The last commit of a promotion's branch, here or on the remote."""
    repository = place.repository
    near = branches.commit_of(repository, branch)
    ref = f"refs/remotes/{place.remote}/{branch}"
    far = refs.objects(repository, ref).get(ref) if place.remote else None
    if found := near or far:
        return found
    known = refs.names(repository, f"refs/heads/{BRANCH}*")
    waiting = [name.removeprefix("refs/heads/") for name in known]
    hint = did_you_mean(branch, waiting) or (
        f"there is {', '.join(waiting[:5])}" if waiting else "towpath promote makes one"
    )
    raise UsageError(f"there is no promotion `{branch}`", hint=hint)


def sound(place: Place, head: str) -> Checked:
    """A branch that may be merged as far as the rules and the gates say; ``Refused`` if not."""
    checked = checking.of(place.workspace, place.repository, place.base, head)
    if checked.faults:
        raise Refused(*checked.faults)
    if not checked.judged:
        raise UsageError(f"{head[:7]} changes no stage file: it is no promotion")
    return checked


def _merged(place: Place, branch: str, sign: bool | None) -> Approved:
    repository = place.repository
    head = head_of(place, branch)
    _refuse_parted(place)
    checked = sound(place, head)
    cases = [one.case for one in checked.judged]
    project = cases[0].project
    who = repository.identity()
    needed = {approval.least(project, case.stage) for case in cases}
    if "forge" in needed:
        what = f"{', '.join(map(str, cases))} needs an approval at the forge"
        raise Refused(what, hint="push the branch, and let it be reviewed as a pull request")
    signs = _signs(repository, "signed" in needed, sign)
    level: Level = "signed" if signs else "recorded"
    told = [line for case in cases for line in proposal.trailers(case)]
    title = evidence.title(cases[0]) + (f", and {len(cases) - 1} more" if cases[1:] else "")
    words = [title, "", *told, f"Approved-by: {who}", f"Approval: {level}"]
    files, without = _content(repository, checked)
    commit = commit_beside(
        repository,
        place.base,
        files,
        "\n".join(words) + "\n",
        Stamp(who, int(time.time())),
        without=without,
        merging=(head,),
        sign=signs,
    )
    _refuse(place, project, commit, signs)
    branches.advance(repository, mainline.name(repository), commit)
    branches.drop(repository, branch)
    return Approved(tuple(map(str, cases)), branch, str(who), level, commit)


def _refuse_parted(place: Place) -> None:
    name = mainline.name(place.repository)
    mine = branches.commit_of(place.repository, name)
    if mine and not history.is_ancestor(place.repository, mine, place.base):
        what = f"{name} here and {place.remote}'s have parted"
        raise RegistryError(what, hint=f"git switch {name} && git pull --no-rebase")


def _content(
    repository: Repository, checked: Checked
) -> tuple[Mapping[str, bytes], tuple[str, ...]]:
    """What the merge adds to main and takes from it: the promotion's files are its own alone, so
    nothing can be in conflict that the check would not have said."""
    found = checked.inspected
    changed = history.changes(repository, found.start, found.head)
    names = {f"{found.head}:{change.path}": change.path for change in changed if change.new}
    contents = refs.contents(repository, names)
    gone = tuple(change.path for change in changed if change.new is None)
    return {names[name]: content for name, content in contents.items()}, gone


def _signs(repository: Repository, needed: bool, asked: bool | None) -> bool:
    if needed and asked is False:
        raise UsageError("the policy asks for a signature", hint="leave --no-sign out")
    always = (repository.setting("commit.gpgSign") or "").lower() in ("true", "1", "yes", "on")
    configured = signing.is_configured(repository)
    signs = asked if asked is not None else needed or (always and configured)
    if signs and not configured:
        raise UsageError(
            "Git does not know with which SSH key to sign",
            hint="git config gpg.format ssh; git config user.signingkey ~/.ssh/id_ed25519.pub",
        )
    return signs


def _refuse(place: Place, project: Project, commit: str, signs: bool) -> None:
    """The merge is judged as anybody will judge it who finds it on main."""
    found = registry.promotions(place.repository, commit)
    for one in found:
        if one.commit != commit:
            continue
        got = approval.of(one, place.repository, project)
        needed: Level = "signed" if signs else approval.least(project, one.stage)
        if not approval.enough(got, needed):
            raise Refused(_refusal(one, needed, got, place.repository.identity().email))


def _refusal(one: Promotion, needed: Level, got: Approval, mail: str) -> Fault:
    if approval.OWN in got.why:
        what = f"{mail} made {one}, and the policy wants another to approve it"
        return Fault(what, hint=approval.ANOTHER)
    line = f"add a line for your key to {signing.SIGNERS} on main: <mail> ssh-ed25519 ..."
    hint = line if signing.SIGNERS in got.why else None
    why = got.why or f"this would be `{got.level}`"
    return Fault(f"{one} needs an approval that is `{needed}`: {why}", hint=hint)


def _pushed(place: Place, done: Approved, push: bool) -> Approved:
    if not push or place.remote is None or done.commit is None:
        return done
    name = mainline.name(place.repository)
    ref = f"refs/heads/{name}"
    over = remotes.there(place.repository, place.remote, ref, f"refs/heads/{done.branch}")
    refused = remotes.push_branch(place.repository, place.remote, name, done.commit, over.get(ref))
    if refused:
        what = f"{place.remote} refused {name}: {refused}"
        raise RegistryError(what, hint=f"it is merged here; git pull --no-rebase, then push {name}")
    return replace(done, pushed=True)
