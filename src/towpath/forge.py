"""Where changes are proposed, reviewed and merged: what Towpath asks of a forge, and what a forge
must enforce so that a promotion cannot pass the policy by.

GitHub is the one forge so far; ``backends.github`` is the one door to its client.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Literal, Protocol

from msgspec import Struct, field

from towpath.errors import ForgeError

if TYPE_CHECKING:
    from towpath.config.project_declaration import Project

State = Literal["open", "closed", "merged"]
Method = Literal["merge", "squash", "rebase"]

# The template's workflows; two of them check a pull request, each under its own name.
WORKFLOWS = ("checks", "promotion", "training", "promote", "reconcile", "drift")
CHECKS = ("checks", "promotion")
# Versions and their rejections; stage tags. Main's files say what counts, but gto and dvc believe
# a tag, so nobody moves one.
TAGS = ("*@v*", "*#*")


class PullRequest(Struct, frozen=True):
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


class Review(Struct, frozen=True):
    """What a person said of one head of a pull request; ``state`` is in GitHub's words, lower."""

    user: str
    state: Literal["approved", "changes_requested", "commented", "dismissed", "pending"]
    commit: str


class Environment(Struct, frozen=True):
    """A protected place of deployment: who must agree (logins, ``@owner/team``), and from which
    branches one may deploy; None is from any."""

    name: str
    reviewers: tuple[str, ...] = ()
    branches: tuple[str, ...] | None = None


class Rules(Struct, frozen=True):
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


class MergeWays(Struct, frozen=True):
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

    @property
    def repository(self) -> str:
        """``owner/name``."""

    def turn_to(self, project: Project) -> Forge | None:
        """The forge that another declaration names, with the same token: this one where it is the
        same; None where it names none. Nothing is asked yet."""

    def user(self) -> str:
        """Who the token belongs to."""

    def open(self, branch: str, base: str, title: str, body: str) -> PullRequest:
        """Open a pull request; the one that is open already for the branch, brought up to date.

        A branch of another repository, a fork, is named with its owner: ``ada:promote/x``.
        """

    def pull(self, number: int) -> PullRequest:
        """A pull request by number."""

    def pulls(self, branch: str | None = None, state: str = "all") -> tuple[PullRequest, ...]:
        """Pull requests, the newest first; those of one branch; ``open``, ``closed`` or ``all``."""

    def of_commit(self, commit: str) -> tuple[PullRequest, ...]:
        """The pull requests that brought a commit."""

    def reviews(self, number: int) -> tuple[Review, ...]:
        """All reviews of a pull request, the oldest first."""

    def approve(self, number: int, head: str, words: str = "") -> Review:
        """Approve this very head, as the token's user."""

    def merge_ways(self) -> MergeWays:
        """How it merges into main."""

    def merge(self, number: int, head: str, method: Method = "merge") -> str:
        """Merge if the head is still this one; the commit that this made on the base.

        Raises ``NotMergeable`` for what a person can mend at the forge.
        """

    def write_comment(self, number: int, body: str) -> None:
        """Say something on a pull request."""

    def close_pull_request(self, number: int) -> None:
        """Close a pull request unmerged."""

    def members(self, team: str) -> tuple[str, ...]:
        """The people of a team, ``@owner/team``."""

    def rules(self) -> Rules:
        """What is enforced now."""

    def enforce_rules(self, rules: Rules) -> Sequence[str]:
        """Make the forge enforce these rules; what was changed, a line each."""


class Lack(Struct, frozen=True):
    """A rule that is not enforced as it should be. ``where`` is ``main``, ``tags`` or the name of
    an environment with ``environment `` before it."""

    where: str
    rule: str
    wanted: str
    actual: str

    def __str__(self) -> str:
        return f"{self.where}: {self.rule}: {self.wanted}; now: {self.actual}"


def derive_forge_rules(
    project: Project, main: str = "main", workflows: Collection[str] = WORKFLOWS
) -> Rules:
    """What the forge must enforce for a project, by its declaration and the ``workflows`` that its
    repository has."""
    usual, stages = project.policy.approval, project.stages.values()
    reviewed = any((stage.approval or usual) == "forge" for stage in stages)
    return Rules(
        # A required check that no workflow gives would stop every merge.
        required_checks=tuple(name for name in CHECKS if name in workflows),
        pull_request=True,
        approvals=1 if reviewed else 0,
        code_owners=reviewed,
        dismiss_stale=reviewed,
        last_push=reviewed,
        no_force_push=True,
        protected_tags=TAGS,
        tag_writers=(project.forge.tag_writers if project.forge else ()) or None,
        environments={wanted.name: wanted for wanted in _environments(project, main, workflows)},
    )


def _environments(project: Project, main: str, workflows: Collection[str]) -> Iterator[Environment]:
    # Only main may use one: a branch would else bring a workflow of its own to the stage's keys.
    for name, stage in project.stages.items():
        yield Environment(name, _forge_reviewers(stage.approvers), (main,))
        # What only looks needs nobody's leave, and has keys that cannot write.
        if "drift" in workflows:
            yield Environment(f"{name}-read", (), (main,))
    for name in ("training", "promote"):
        if name in workflows:
            yield Environment(name, (), (main,))


def _forge_reviewers(approvers: Collection[str]) -> tuple[str, ...]:
    """Those approvers that a forge knows: logins and teams. Mails are for signatures."""
    known = (approver for approver in approvers if "@" not in approver.removeprefix("@"))
    return tuple(name if "/" in name else name.removeprefix("@") for name in known)


def find_lacking_rules(wanted: Rules, actual: Rules) -> tuple[Lack, ...]:
    """What is wanted and not enforced. A forge that enforces more than is wanted lacks nothing."""
    return (
        *_lacks_on_main(wanted, actual),
        *_lacks_on_tags(wanted, actual),
        *_lacking_environments(wanted, actual),
    )


def _lacks_on_main(wanted: Rules, actual: Rules) -> Iterator[Lack]:
    named = (
        ("pull_request", "changes come by pull request alone"),
        ("no_force_push", "no history is overwritten, and it is not deleted"),
        ("code_owners", "a code owner reviews"),
        ("dismiss_stale", "a push dismisses the reviews before it"),
        ("last_push", "who pushed last does not count as reviewer"),
    )
    for name, rule in named:
        if getattr(wanted, name) and not getattr(actual, name):
            yield Lack("main", rule, "yes", "no")
    if wanted.approvals > actual.approvals:
        many = str(wanted.approvals)
        yield Lack("main", "reviews that approve", f"at least {many}", str(actual.approvals))
    if not set(wanted.required_checks) <= set(actual.required_checks):
        checks, held = ", ".join(wanted.required_checks), ", ".join(actual.required_checks)
        yield Lack("main", "checks that must pass", checks, held or "none")


def _lacks_on_tags(wanted: Rules, actual: Rules) -> Iterator[Lack]:
    for pattern in wanted.protected_tags:
        if pattern not in actual.protected_tags:
            yield Lack("tags", f"{pattern} is not moved or deleted", "by nobody", "by who may push")
    # Names of people and teams have no case at a forge.
    writers, held = wanted.tag_writers, actual.tag_writers
    if writers is not None and _lowercase_set(writers) != _lowercase_set(held):
        rule = f"{' and '.join(wanted.protected_tags)} is made"
        yield Lack("tags", rule, _allowed_writers(writers), _allowed_writers(held))


def _lacking_environments(wanted: Rules, actual: Rules) -> Iterator[Lack]:
    for name, place in wanted.environments.items():
        where, existing = f"environment {name}", actual.environments.get(name)
        if existing is None:
            yield Lack(where, "is there", "yes", "no")
        current = existing or Environment(name)
        if place.reviewers and _lowercase_set(place.reviewers) != _lowercase_set(current.reviewers):
            agreed = ", ".join(current.reviewers) or "nobody"
            yield Lack(where, "who must agree", ", ".join(place.reviewers), agreed)
        if place.branches != current.branches:
            branches, held = _allowed_branches(place.branches), _allowed_branches(current.branches)
            yield Lack(where, "may be used from", branches, held)


def _lowercase_set(names: Collection[str] | None) -> frozenset[str] | None:
    return None if names is None else frozenset(name.lower() for name in names)


def _allowed_writers(writers: Collection[str] | None) -> str:
    return "by who may push" if writers is None else f"by {', '.join(writers) or 'nobody'}"


def _allowed_branches(branches: Collection[str] | None) -> str:
    return "any branch" if branches is None else ", ".join(branches) or "no branch"
