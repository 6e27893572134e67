"""One repository at GitHub: its pull requests, their reviews and merges."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from towpath.backends.github import github_types, rulesets
from towpath.backends.github.github_requests import GitHubLine, Patience
from towpath.backends.github.refusals import Deed, RefusedByGitHub
from towpath.errors import ForgeError, UsageError
from towpath.forge.forge import MergeWays, Method, NotMergeable, PullRequest, Review, Rules

if TYPE_CHECKING:
    from towpath.config.project_declaration import Project
    from towpath.forge.forge import Forge

_LONGEST = 65_536  # characters that GitHub takes for the body of a pull request or a comment
_CUT = "\n\n*Cut here: the whole of it is on the branch.*\n"
_READ = "pull requests: read"
_WRITE = "pull requests: write"


@dataclass(frozen=True)
class GitHub:
    """A repository at GitHub, as the token's user may see and change it: a ``Forge``."""

    line: GitHubLine
    turn: Callable[[Project, GitHub], Forge | None] | None = field(default=None, repr=False)
    """Connects to what another declaration names."""

    @property
    def name(self) -> str:
        """The forge's own name."""
        return "GitHub"

    @classmethod
    def from_address(
        cls,
        api: str,
        repository: str,
        token: str,
        patience: Patience,
        turn: Callable[[Project, GitHub], Forge | None] | None = None,
    ) -> GitHub:
        """A repository ``owner/name``; nothing is asked yet."""
        return cls(GitHubLine.open_line(api, repository, token, patience), turn)

    def turn_to(self, project: Project) -> Forge | None:
        """The forge that another declaration names, with the same token."""
        return self.turn(project, self) if self.turn else self

    def is_at(self, api: str, repository: str) -> bool:
        """Whether this is the repository of that name at that address."""
        return (self.line.api, self.line.name.lower()) == (api, repository.lower())

    @property
    def repository(self) -> str:
        """``owner/name``."""
        return self.line.name

    def user(self) -> str:
        """Who the token belongs to. An app's token belongs to no user, and is refused."""
        deed = Deed("say whose token this is", "of a user, not of an app")
        account: Any = self.line.ask_of(deed, self._rest_api.users.get_authenticated)
        return str(account.login)

    def open(self, branch: str, base: str, title: str, body: str) -> PullRequest:
        """Open a pull request; the one that is open already for the branch, brought up to date."""
        deed = Deed("open a pull request", _WRITE, f"branch `{branch}` or `{base}`")
        content = {"title": title, "body": _cut_body(body)}
        try:
            opened = self.line.ask(
                deed, self._rest_api.pulls.create, head=branch, base=base, **content
            )
        except RefusedByGitHub as refused:
            open_already = refused.status == 422 and self._open_already(branch, base)
            if not open_already:
                raise
            deed = Deed(f"bring pull request {open_already.number} up to date", _WRITE)
            update = self._rest_api.pulls.update
            opened = self.line.ask(deed, update, pull_number=open_already.number, **content)
        return github_types.parse_pull_request(opened)

    def _open_already(self, branch: str, base: str) -> PullRequest | None:
        return next((pull for pull in self.pulls(branch, "open") if pull.base == base), None)

    def pull(self, number: int) -> PullRequest:
        """A pull request by number."""
        deed = Deed(f"show pull request {number}", _READ, f"pull request {number}")
        return github_types.parse_pull_request(
            self._of_pull(deed, self._rest_api.pulls.get, number)
        )

    def pulls(self, branch: str | None = None, state: str = "all") -> tuple[PullRequest, ...]:
        """Pull requests, the newest first; those of one branch; ``open``, ``closed`` or ``all``."""
        deed = Deed("list pull requests", _READ)
        query: dict[str, Any] = {"state": state}
        if branch:
            query["head"] = branch if ":" in branch else f"{self.line.owner}:{branch}"
        pages = self.line.read_pages(deed, self._rest_api.pulls.list, **query)
        return tuple(github_types.parse_pull_request(pull) for page in pages for pull in page)

    def of_commit(self, commit: str) -> tuple[PullRequest, ...]:
        """The pull requests that brought a commit; none for a commit that GitHub does not know."""
        deed = Deed(f"say what brought commit {commit[:7]}", _READ)
        call = self._rest_api.repos.list_pull_requests_associated_with_commit
        try:
            pulls = [
                pull
                for page in self.line.read_pages(deed, call, commit_sha=commit)
                for pull in page
            ]
        except RefusedByGitHub as refused:
            if refused.status != 422:
                raise
            return ()
        return tuple(self.pull(pull.number) for pull in pulls)  # a list does not say who merged

    def reviews(self, number: int) -> tuple[Review, ...]:
        """All reviews of a pull request, the oldest first."""
        deed = Deed(f"list the reviews of pull request {number}", _READ, f"pull request {number}")
        pages = self.line.read_pages(deed, self._rest_api.pulls.list_reviews, pull_number=number)
        return tuple(github_types.parse_review(review) for page in pages for review in page)

    def approve(self, number: int, head: str, words: str = "") -> Review:
        """Approve this very head, as the token's user."""
        deed = Deed(f"approve pull request {number}", _WRITE, f"pull request {number}")
        fields = {"commit_id": head, "event": "APPROVE", **({"body": words} if words else {})}
        call = self._rest_api.pulls.create_review
        return github_types.parse_review(self._of_pull(deed, call, number, **fields))

    def merge_ways(self) -> MergeWays:
        """How it merges into main."""
        return rulesets.merge_ways(self.line)

    def merge(self, number: int, head: str, method: Method = "merge") -> str:
        """Merge if the head is still this one; the commit that this made on the base."""
        deed = Deed(f"merge pull request {number}", "contents: write", f"pull request {number}")
        fields = {"sha": head, "merge_method": method}
        try:
            return str(self._of_pull(deed, self._rest_api.pulls.merge, number, **fields).sha)
        except RefusedByGitHub as refused:
            if refused.status == 405:
                return self._merged_before(number, head, refused)
            if refused.status == 409:
                what = f"pull request {number} is no longer at {head[:7]}: somebody pushed to it"
                raise ForgeError(what, hint="read what is new, and approve that") from None
            raise

    def _merged_before(self, number: int, head: str, refused: RefusedByGitHub) -> str:
        """The merge of a pull request that is merged: an answer may have been lost on the way."""
        pull = self.pull(number)
        if pull.state == "merged" and pull.head == head:
            deed = Deed(f"say what merged pull request {number}", _READ)
            events = self.line.rows(deed, self._rest_api.issues.list_events, issue_number=number)
            merges = [event.get("commit_id") for event in events if event.get("event") == "merged"]
            if merges and merges[-1]:
                return str(merges[-1])
        messages = "; ".join(refused.messages)
        what = f"pull request {number} is {pull.state}" if pull.state != "open" else messages
        hint = f"{pull.url} says what lacks; a conflict is mended by promoting again from main"
        raise NotMergeable(f"GitHub does not merge pull request {number}: {what}", hint=hint)

    def write_comment(self, number: int, body: str) -> None:
        """Say something on a pull request."""
        deed = Deed(f"comment on pull request {number}", _WRITE, f"pull request {number}")
        call = self._rest_api.issues.create_comment
        self.line.ask(deed, call, issue_number=number, body=_cut_body(body))

    def close_pull_request(self, number: int) -> None:
        """Close a pull request unmerged."""
        deed = Deed(f"close pull request {number}", _WRITE, f"pull request {number}")
        self._of_pull(deed, self._rest_api.pulls.update, number, state="closed")

    def members(self, team: str) -> tuple[str, ...]:
        """The people of a team, ``@owner/team``."""
        owner, _, slug = team.removeprefix("@").partition("/")
        if not owner or not slug:
            raise UsageError(f"`{team}` is no team", hint="teams are written @owner/team")
        deed = Deed(f"list the members of {team}", "members: read", f"team {team}")
        call = self._rest_api.teams.list_members_in_org
        pages = self.line.pages_of(deed, call, org=owner, team_slug=slug)
        return tuple(member.login for page in pages for member in page)

    def rules(self) -> Rules:
        """What is enforced now."""
        return rulesets.read_enforced_rules(self.line)

    def enforce_rules(self, rules: Rules) -> Sequence[str]:
        """Make the forge enforce these rules; what was changed, a line each."""
        return rulesets.enforce_rules(self.line, rules)

    @property
    def _rest_api(self) -> Any:
        return self.line.github.rest

    def _of_pull(self, deed: Deed, call: Callable[..., Any], number: int, **given: Any) -> Any:
        return self.line.ask(deed, call, pull_number=number, **given)


def _cut_body(body: str) -> str:
    """A text that GitHub takes: one that is too long is cut, and says so."""
    return body if len(body) <= _LONGEST else body[: _LONGEST - len(_CUT)] + _CUT
