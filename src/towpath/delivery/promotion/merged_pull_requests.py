"""What a forge says of a commit on main: the pull request that brought it, and its reviews."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from towpath.backends.git import Repository, branches, refs, remotes
from towpath.errors import RegistryError

if TYPE_CHECKING:
    from towpath.forge import Forge, PullRequest, Review


def find_pull(
    repository: Repository, forge: Forge, commit: str, head: str | None
) -> PullRequest | None:
    """The pull request that was merged into main and brought a commit; of a merge, the one whose
    head it merged.

    One that was merged into another branch was reviewed for that branch, whoever put it on main
    afterwards. ``head`` is None where it came by a squash or a rebase. It is asked for again by
    its number, for a list does not say who merged it. Raises ``ForgeError``.
    """
    bases = _main_names(repository)
    merged = (
        pull for pull in forge.of_commit(commit) if pull.state == "merged" and pull.base in bases
    )
    mine = next((pull for pull in merged if head in (None, pull.head)), None)
    return forge.pull(mine.number) if mine else None


def _main_names(repository: Repository) -> frozenset[str]:
    """What main is called, and was, as far as one can tell: a forge leaves the old name in what
    was merged before a renaming. A branch that is there still is not main under its old name."""
    remote = remotes.choose_remote(repository)
    usual = {f"refs/remotes/{remote}/{name}": name for name in branches.USUAL}
    refs_here = set(refs.list_ref_names(repository, *usual))
    gone = {name for ref, name in usual.items() if ref not in refs_here}
    return frozenset({branches.main_branch_name(repository), *gone})


def bring_head(repository: Repository, pull: PullRequest) -> bool:
    """Have the head of a pull request here, be its branch gone or a fork's; whether it is."""
    remote = remotes.choose_remote(repository)
    if repository.commit(pull.head) is None and remote:
        ref = f"refs/pull/{pull.number}/head"
        with suppress(RegistryError):
            remotes.fetch_refs(repository, remote, f"+{ref}:refs/towpath/pulls/{pull.number}")
    return repository.commit(pull.head) is not None


def find_standing_reviews(reviews: Sequence[Review], head: str) -> dict[str, Review]:
    """The reviews that approve a head, by login: of each person the last word counts."""
    last: dict[str, Review] = {}
    for review in reviews:
        if review.state in ("approved", "changes_requested", "dismissed"):
            last[review.user.lower()] = review
    return {
        user: review
        for user, review in last.items()
        if review.state == "approved" and review.commit == head
    }
