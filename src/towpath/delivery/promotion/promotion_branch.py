"""A promotion's branch, written beside the work tree; pushed, and its pull request opened."""

from __future__ import annotations

import time
from dataclasses import replace
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
from towpath.delivery.promotion import commit_signatures, evidence, proposal
from towpath.delivery.promotion.approval import least_level
from towpath.delivery.promotion.promotion_place import PromotionPlace
from towpath.delivery.promotion.proposal import ProposedPromotion
from towpath.errors import Fault, RegistryError, UsageError

if TYPE_CHECKING:
    from towpath.forge import Forge

LOCK = "promotion"


def write_promotion_branch(place: PromotionPlace, proposed: ProposedPromotion) -> ProposedPromotion:
    """Make the branch or find it as an earlier call left it; go on to the pull request.

    Raises ``UsageError`` where a branch of that name makes another change.
    """
    with hold_lock(place.repository, LOCK):
        written = _make_branch(place, proposed)
        return _open_pull_request(place, written) if place.pushes else written


def _make_branch(place: PromotionPlace, proposed: ProposedPromotion) -> ProposedPromotion:
    repository = place.repository
    old = _existing_branch_head(place, proposed.branch)
    if old and not _is_done(repository, proposed, old):
        if not _is_same(repository, proposed, old):
            raise _other_change_error(proposed, old)
        return replace(
            proposed, head=old, new=False, evidence=_read_evidence(repository, proposed, old)
        )
    stamp = CommitStamp(repository.read_identity(), int(time.time()))
    words = proposal.promotion_message(proposed.case, place.why)
    head = commit_beside(
        repository,
        proposed.base,
        proposed.files,
        words,
        stamp,
        proposed.without,
        sign=_needs_signature(repository, proposed),
    )
    branches.put_branch(repository, proposed.branch, head)
    return replace(proposed, head=head)


def _needs_signature(repository: Repository, proposed: ProposedPromotion) -> bool | None:
    """Whether the promotion is signed: where its stage asks for signatures, nobody can tell its
    maker from its approver otherwise. Raises ``UsageError`` where Git knows no key for it."""
    case = proposed.case
    needed = (
        least_level(case.project, case.stage) == "signed" and not case.project.policy.self_approval
    )
    if needed and not commit_signatures.is_configured(repository):
        what = f"{case.stage} asks for signatures, and an unsigned promotion is nobody's"
        raise UsageError(what, hint=f"{commit_signatures.CONFIGURE}; then promote again")
    return needed or None  # else as Git signs every commit


def _existing_branch_head(place: PromotionPlace, branch: str) -> str | None:
    """A promotion's branch as it is already: here, or on a remote that may be asked."""
    if near := branches.branch_commit(place.repository, branch):
        return near
    ref = f"refs/heads/{branch}"
    remote_to_ask = place.remote if place.pushes else None
    far = (
        remotes.list_remote_refs(place.repository, remote_to_ask, ref).get(ref)
        if remote_to_ask
        else None
    )
    return far if far and place.repository.commit(far) else None


def _is_done(repository: Repository, proposed: ProposedPromotion, old: str) -> bool:
    """Whether a branch was merged: as it is, or its files by a squash or a rebase."""
    if commit_history.is_ancestor(repository, old, proposed.base):
        return True
    names = [f"{commit}:{proposed.case.file_paths[2]}" for commit in (old, proposed.base)]
    contents = refs.read_contents(repository, names)
    return len(contents) == 2 and contents[names[0]] == contents[names[1]]


def _is_same(repository: Repository, proposed: ProposedPromotion, old: str) -> bool:
    """Whether a branch makes this very change; its evidence may be of an earlier hour."""
    start = commit_history.merge_base(repository, proposed.base, old)
    if start is None:
        return False
    page = proposed.case.file_paths[2]
    changed = {change.path for change in commit_history.changed_files(repository, start, old)}
    needed = {*proposed.files, *proposed.without} - _as_on(repository, proposed, start)
    if changed - {page} != needed - {page}:
        return False
    names = {f"{old}:{path}": content for path, content in proposed.files.items() if path != page}
    return refs.read_contents(repository, names) == names


def _as_on(repository: Repository, proposed: ProposedPromotion, start: str) -> set[str]:
    """The files that a commit had already, such as the record of what was promoted before."""
    names = {f"{start}:{path}": path for path in proposed.files}
    contents = refs.read_contents(repository, names)
    return {
        names[name] for name, content in contents.items() if content == proposed.files[names[name]]
    }


def _read_evidence(repository: Repository, proposed: ProposedPromotion, head: str) -> str:
    name = f"{head}:{proposed.case.file_paths[2]}"
    return refs.read_contents(repository, [name]).get(name, b"").decode("utf-8", "replace")


def _other_change_error(proposed: ProposedPromotion, old: str) -> UsageError:
    what = f"the branch {proposed.branch} is there already ({old[:7]}), and makes another change"
    hint = f"towpath reject {proposed.branch} --reason '...' puts it away; then try again"
    return UsageError(Fault(what, hint=hint))


def _open_pull_request(place: PromotionPlace, proposed: ProposedPromotion) -> ProposedPromotion:
    _push_branch(place, proposed)
    if place.forge is None:
        return replace(proposed, pushed=True)
    name = branches.main_branch_name(place.repository)
    pull = place.forge.open(
        _head_at_forge(place, place.forge, proposed.branch),
        name,
        evidence.promotion_title(proposed.case),
        proposed.evidence,
    )
    return replace(proposed, pushed=True, url=pull.url, number=pull.number)


def _head_at_forge(place: PromotionPlace, forge: Forge, branch: str) -> str:
    """What the forge calls a branch: one of a fork, to which the remote leads, with its owner."""
    address = remotes.remote_address(place.repository, place.remote) if place.remote else None
    if address and remotes.is_fork(address, forge.repository):
        return f"{remotes.repository_owner(address)}:{branch}"
    return branch


def _push_branch(place: PromotionPlace, proposed: ProposedPromotion) -> None:
    repository, remote, head = place.repository, place.remote, proposed.head
    assert remote and head
    ref = f"refs/heads/{proposed.branch}"
    over = remotes.list_remote_refs(repository, remote, ref).get(ref)
    if over == head:
        return
    if over and not _may_go(repository, proposed, over, head):
        raise _other_change_error(proposed, over)
    try:
        refused = remotes.push_branch(repository, remote, proposed.branch, head, over)
    except remotes.NotAllowed as no:
        raise RegistryError(*(_by_fork(place, proposed.branch, f.what) for f in no.faults)) from no
    if refused:
        what = f"{remote} refused the branch {proposed.branch}: {refused}"
        raise RegistryError(what, hint="it is here; push it by hand, or run this again")


def _by_fork(place: PromotionPlace, branch: str, what: str) -> Fault:
    """What is left to whom the repository does not let push."""
    where = place.forge.repository if place.forge else place.remote
    own = f"git remote add mine URL-OF-YOUR-FORK, git push mine {branch}"
    if place.forge:
        own = f"gh repo fork {where} --remote --remote-name mine, git push mine {branch}"
        own += f", gh pr create --repo {where} --head YOU:{branch}"
    what = f"{what}; the promotion is here, on the branch {branch}"
    return Fault(what, hint=f"from a fork of your own: {own}; or ask who may push to {where}")


def _may_go(repository: Repository, proposed: ProposedPromotion, over: str, head: str) -> bool:
    """Whether the remote's branch is one that was merged, or that ours goes on from."""
    if repository.commit(over) is None:
        return False
    return _is_done(repository, proposed, over) or commit_history.is_ancestor(
        repository, over, head
    )
