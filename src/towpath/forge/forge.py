"""What Towpath asks of a forge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

State = Literal["open", "closed", "merged"]
Method = Literal["merge", "squash", "rebase"]


@dataclass(frozen=True)
class PullRequest:
    """A proposed change. ``merge_commit`` is what a merge made of it on the base branch."""

    number: int
    url: str
    title: str
    body: str
    state: State
    branch: str
    head: str
    base: str
    author: str
    merged_by: str | None = None
    merge_commit: str | None = None
    labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class Review:
    """What a person said of one head of a pull request; ``state`` is in GitHub's words, lower."""

    user: str
    state: Literal["approved", "changes_requested", "commented", "dismissed", "pending"]
    commit: str
    time: str
    url: str | None = None


@dataclass(frozen=True)
class Environment:
    """A protected place of deployment: who must agree, and from which branches one may deploy."""

    name: str
    reviewers: tuple[str, ...] = ()
    branches: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rules:
    """What the forge enforces on the main branch and on tags, and its environments."""

    required_checks: tuple[str, ...] = ()
    pull_request: bool = False
    code_owners: bool = False
    dismiss_stale: bool = False
    no_force_push: bool = False
    protected_tags: tuple[str, ...] = ()
    environments: Mapping[str, Environment] = field(default_factory=dict)


class Forge(Protocol):
    """One repository on a forge. Every failure is a ``ForgeError`` in words a person can act on."""

    name: str
    repository: str

    def user(self) -> str:
        """Who the token belongs to."""
        ...

    def open(self, branch: str, base: str, title: str, body: str) -> PullRequest:
        """Open a pull request; the one that is open already for the branch, brought up to date."""
        ...

    def pull(self, number: int) -> PullRequest:
        """A pull request by number."""
        ...

    def pulls(self, branch: str | None = None, state: str = "all") -> tuple[PullRequest, ...]:
        """Pull requests, the newest first; those of one branch."""
        ...

    def of_commit(self, commit: str) -> tuple[PullRequest, ...]:
        """The pull requests that brought a commit."""
        ...

    def reviews(self, number: int) -> tuple[Review, ...]:
        """All reviews of a pull request, the oldest first."""
        ...

    def approve(self, number: int, head: str, words: str = "") -> Review:
        """Approve this very head, as the token's user."""
        ...

    def merge(self, number: int, head: str, method: Method = "merge") -> str:
        """Merge if the head is still this one; the commit that this made on the base."""
        ...

    def comment(self, number: int, body: str) -> None:
        """Say something on a pull request."""
        ...

    def close(self, number: int) -> None:
        """Close a pull request unmerged."""
        ...

    def members(self, team: str) -> tuple[str, ...]:
        """The people of a team, ``@owner/team``."""
        ...

    def rules(self) -> Rules:
        """What is enforced now."""
        ...

    def enforce(self, rules: Rules) -> Sequence[str]:
        """Make the forge enforce these rules; what was changed, a line each."""
        ...
