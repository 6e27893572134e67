"""What Towpath asks of a forge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

from towpath.errors import ForgeError

if TYPE_CHECKING:
    from towpath.config.project_declaration import Project

State = Literal["open", "closed", "merged"]
Method = Literal["merge", "squash", "rebase"]


@dataclass(frozen=True)
class PullRequest:
    """A proposed change. ``merged_by`` is not known of one that came in a list."""

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
    """A protected place of deployment: who must agree (logins, ``@owner/team``), and from which
    branches one may deploy; None is from any."""

    name: str
    reviewers: tuple[str, ...] = ()
    branches: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Rules:
    """What the forge enforces on the main branch and on tags, and its environments.

    ``approvals`` is how many reviews a merge needs; ``last_push`` says that who pushed last does
    not count among them. No tag of ``protected_tags`` (patterns as ``*@v*``) is moved or deleted,
    and none is made but by ``tag_writers`` (``@owner/team``, ``app/<id>``, ``maintain``, ``admin``;
    None: by whoever may push). With a ``merge_queue`` the checks run again on what it holds.
    """

    required_checks: tuple[str, ...] = ()
    pull_request: bool = False
    approvals: int = 0
    code_owners: bool = False
    dismiss_stale: bool = False
    last_push: bool = False
    no_force_push: bool = False
    protected_tags: tuple[str, ...] = ()
    tag_writers: tuple[str, ...] | None = None
    environments: Mapping[str, Environment] = field(default_factory=dict)
    merge_queue: bool = False


@dataclass(frozen=True)
class MergeWays:
    """How the forge merges into main: by the methods that it allows, the usual one first; with a
    ``queue`` it merges itself, once it has checked what the queue holds."""

    methods: tuple[Method, ...]
    queue: bool = False


class Forbidden(ForgeError):
    """The forge knows who asks, and does not let them."""


class NotMergeable(ForgeError):
    """The forge does not let it be merged as it stands: a conflict, a review or a check lacks."""


class Forge(Protocol):
    """One repository on a forge. Every failure is a ``ForgeError`` in words a person can act on."""

    @property
    def name(self) -> str:
        """What people call it: GitHub."""
        ...

    @property
    def repository(self) -> str:
        """``owner/name``."""
        ...

    def turn_to(self, project: Project) -> Forge | None:
        """The forge that another declaration names, with the same token: this one where it is the
        same; None where it names none. Nothing is asked yet."""
        ...

    def user(self) -> str:
        """Who the token belongs to."""
        ...

    def open(self, branch: str, base: str, title: str, body: str) -> PullRequest:
        """Open a pull request; the one that is open already for the branch, brought up to date.

        A branch of another repository, a fork, is named with its owner: ``ada:promote/x``.
        """
        ...

    def pull(self, number: int) -> PullRequest:
        """A pull request by number."""
        ...

    def pulls(self, branch: str | None = None, state: str = "all") -> tuple[PullRequest, ...]:
        """Pull requests, the newest first; those of one branch; ``open``, ``closed`` or ``all``."""
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

    def merge_ways(self) -> MergeWays:
        """How it merges into main."""
        ...

    def merge(self, number: int, head: str, method: Method = "merge") -> str:
        """Merge if the head is still this one; the commit that this made on the base.

        Raises ``NotMergeable`` for what a person can mend at the forge.
        """
        ...

    def write_comment(self, number: int, body: str) -> None:
        """Say something on a pull request."""
        ...

    def close_pull_request(self, number: int) -> None:
        """Close a pull request unmerged."""
        ...

    def members(self, team: str) -> tuple[str, ...]:
        """The people of a team, ``@owner/team``."""
        ...

    def rules(self) -> Rules:
        """What is enforced now."""
        ...

    def enforce_rules(self, rules: Rules) -> Sequence[str]:
        """Make the forge enforce these rules; what was changed, a line each."""
        ...
