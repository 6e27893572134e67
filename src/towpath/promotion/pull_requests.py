"""What a forge says of a commit on main: the pull request that brought it, and its reviews."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from towpath.forge import Forge, PullRequest, Review


def find_pull(forge: Forge, commit: str, head: str | None) -> PullRequest | None:
    """The merged pull request that brought a commit; of a merge, the one whose head it merged.

    ``head`` is None where it came by a squash or a rebase. It is asked for again by its number,
    for a list does not say who merged it. Raises ``ForgeError``.
    """
    merged = (pull for pull in forge.of_commit(commit) if pull.state == "merged")
    mine = next((pull for pull in merged if head in (None, pull.head)), None)
    return forge.pull(mine.number) if mine else None


def standing(reviews: Sequence[Review], head: str) -> dict[str, Review]:
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
