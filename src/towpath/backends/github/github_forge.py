"""One repository at GitHub: its pull requests, their reviews and merges."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from towpath.backends.github import rulesets
from towpath.backends.github.github_address import locate_repository, read_token
from towpath.backends.github.github_requests import Deed, GitHubLine, Patience, RefusedByGitHub
from towpath.errors import ForgeError, UsageError
from towpath.forge import MergeWays, Method, NotMergeable, PullRequest, Review, Rules, State

if TYPE_CHECKING:
    from towpath.config.project_declaration import Project
    from towpath.forge import Forge

_LONGEST = 65_536  # characters that GitHub takes for the body of a pull request or a comment
_CUT = "\n\n*Cut here: the whole of it is on the branch.*\n"
_READ = "pull requests: read"
_WRITE = "pull requests: write"
_GHOST = "ghost"  # what GitHub itself calls a user who is no more


@dataclass(frozen=True)
class GitHub:
    """A repository at GitHub, as the token's user may see and change it: a ``Forge``."""

    line: GitHubLine
    environ: Mapping[str, str] = field(repr=False)  # it holds the token
    patience: Patience

    @classmethod
    def from_address(
        cls,
        api: str,
        repository: str,
        token: str,
        patience: Patience,
        environ: Mapping[str, str] | None = None,
    ) -> GitHub:
        line = GitHubLine.open_line(api, repository, token, patience)
        return cls(line, environ or {}, patience)

    def turn_to(self, project: Project) -> Forge | None:
        """The forge that another declaration names, with the same token."""
        place = locate_repository(project, self.environ)
        if place is None:
            return None
        # The same one goes on with its open connection; GitHub knows names in any case.
        is_same = (self.line.api, self.repository.lower()) == (place[0], place[1].lower())
        if is_same:
            return self
        return GitHub.from_address(*place, read_token(self.environ), self.patience, self.environ)

    @property
    def name(self) -> str:
        return "GitHub"

    @property
    def repository(self) -> str:
        return self.line.name

    def user(self) -> str:
        """Who the token belongs to. An app's token belongs to no user, and is refused."""
        deed = Deed("say whose token this is", "of a user, not of an app")
        account: Any = self.line.ask_of(deed, self.line.rest.users.get_authenticated)
        return str(account.login)

    def open(self, branch: str, base: str, title: str, body: str) -> PullRequest:
        """Open a pull request; the one that is open already for the branch, brought up to date."""
        deed = Deed("open a pull request", _WRITE, f"branch `{branch}` or `{base}`")
        content = {"title": title, "body": _cut_body(body)}
        create = self.line.rest.pulls.create
        try:
            opened = self.line.ask(deed, create, head=branch, base=base, **content)
            return _parse_pull_request(opened)
        except RefusedByGitHub as refused:
            # 422 is also said of a branch that is not there, so GitHub is asked which it was; a
            # call that was killed after the opening finds its own pull request here.
            pulls = self.pulls(branch, "open") if refused.status == 422 else ()
            open_already = next((pull for pull in pulls if pull.base == base), None)
            if open_already is None:
                raise
        deed = Deed(f"bring pull request {open_already.number} up to date", _WRITE)
        update = self.line.rest.pulls.update
        return _parse_pull_request(self._of_pull(deed, update, open_already.number, **content))

    def pull(self, number: int) -> PullRequest:
        deed = Deed(f"show pull request {number}", _READ, f"pull request {number}")
        return _parse_pull_request(self._of_pull(deed, self.line.rest.pulls.get, number))

    def pulls(self, branch: str | None = None, state: str = "all") -> tuple[PullRequest, ...]:
        """Pull requests, the newest first; those of one branch; ``open``, ``closed`` or ``all``."""
        query: dict[str, Any] = {"state": state}
        if branch:
            # Without an owner GitHub passes `head` over, and lists the pull requests of all.
            query["head"] = branch if ":" in branch else f"{self.line.owner}:{branch}"
        deed = Deed("list pull requests", _READ)
        listed = self.line.read_rows(deed, self.line.rest.pulls.list, **query)
        return tuple(map(_parse_pull_request, listed))

    def of_commit(self, commit: str) -> tuple[PullRequest, ...]:
        """The pull requests that brought a commit; none for a commit that GitHub does not know."""
        deed = Deed(f"say what brought commit {commit[:7]}", _READ)
        call = self.line.rest.repos.list_pull_requests_associated_with_commit
        try:
            pulls = list(self.line.read_rows(deed, call, commit_sha=commit))
        except RefusedByGitHub as refused:
            if refused.status != 422:  # what GitHub says of a commit that was never pushed
                raise
            return ()
        return tuple(self.pull(pull.number) for pull in pulls)  # a list does not say who merged

    def reviews(self, number: int) -> tuple[Review, ...]:
        deed = Deed(f"list the reviews of pull request {number}", _READ, f"pull request {number}")
        call = self.line.rest.pulls.list_reviews
        return tuple(map(_parse_review, self.line.read_rows(deed, call, pull_number=number)))

    def approve(self, number: int, head: str, words: str = "") -> Review:
        deed = Deed(f"approve pull request {number}", _WRITE, f"pull request {number}")
        fields = {"commit_id": head, "event": "APPROVE", **({"body": words} if words else {})}
        call = self.line.rest.pulls.create_review
        return _parse_review(self._of_pull(deed, call, number, **fields))

    def merge_ways(self) -> MergeWays:
        return rulesets.merge_ways(self.line)

    def merge(self, number: int, head: str, method: Method = "merge") -> str:
        """Merge if the head is still this one; the commit that this made on the base."""
        deed = Deed(f"merge pull request {number}", "contents: write", f"pull request {number}")
        fields = {"sha": head, "merge_method": method}
        try:
            return str(self._of_pull(deed, self.line.rest.pulls.merge, number, **fields).sha)
        except RefusedByGitHub as refused:
            if refused.status == 405:
                return self._merged_before(number, head, refused)
            # Somebody pushed between the look and the merge: `sha` makes GitHub refuse that.
            if refused.status == 409:
                what = f"pull request {number} is no longer at {head[:7]}: somebody pushed to it"
                raise ForgeError(what, hint="read what is new, and approve that") from None
            raise

    def _merged_before(self, number: int, head: str, refused: RefusedByGitHub) -> str:
        """The merge of a pull request that is merged: an answer may have been lost on the way."""
        pull = self.pull(number)
        if pull.state == "merged" and pull.head == head:
            deed = Deed(f"say what merged pull request {number}", _READ)
            # A push to main may have come since: the event says which commit the merge made.
            events = self.line.raw_rows(deed, self.line.rest.issues.list_events, number)
            merges = [event.get("commit_id") for event in events if event.get("event") == "merged"]
            if merges and merges[-1]:
                return str(merges[-1])
        messages = "; ".join(refused.messages)
        what = f"pull request {number} is {pull.state}" if pull.state != "open" else messages
        hint = f"{pull.url} says what lacks; a conflict is mended by promoting again from main"
        raise NotMergeable(f"GitHub does not merge pull request {number}: {what}", hint=hint)

    def write_comment(self, number: int, body: str) -> None:
        deed = Deed(f"comment on pull request {number}", _WRITE, f"pull request {number}")
        call = self.line.rest.issues.create_comment
        self.line.ask(deed, call, issue_number=number, body=_cut_body(body))

    def close_pull_request(self, number: int) -> None:
        deed = Deed(f"close pull request {number}", _WRITE, f"pull request {number}")
        self._of_pull(deed, self.line.rest.pulls.update, number, state="closed")

    def members(self, team: str) -> tuple[str, ...]:
        owner, _, slug = team.removeprefix("@").partition("/")
        if not owner or not slug:
            raise UsageError(f"`{team}` is no team", hint="teams are written @owner/team")
        deed = Deed(f"list the members of {team}", "members: read", f"team {team}")
        call = self.line.rest.teams.list_members_in_org
        pages = self.line.pages_of(deed, call, org=owner, team_slug=slug)
        return tuple(member.login for page in pages for member in page)

    def rules(self) -> Rules:
        return rulesets.read_enforced_rules(self.line)

    def enforce_rules(self, rules: Rules) -> Sequence[str]:
        """Make the forge enforce these rules; what was changed, a line each."""
        return rulesets.enforce_rules(self.line, rules)

    def _of_pull(self, deed: Deed, call: Callable[..., Any], number: int, **given: Any) -> Any:
        return self.line.ask(deed, call, pull_number=number, **given)


def _cut_body(body: str) -> str:
    """A text that GitHub takes: one that is too long is cut, and says so."""
    return body if len(body) <= _LONGEST else body[: _LONGEST - len(_CUT)] + _CUT


def _parse_pull_request(pull: Any) -> PullRequest:
    """A pull request, whole or as in a list, which does not say who merged it."""
    merged_by = getattr(pull, "merged_by", None)
    return PullRequest(
        number=pull.number,
        url=pull.html_url,
        title=pull.title,
        body=pull.body or "",
        # GitHub calls a merged one `closed`, too.
        state=cast(State, "merged" if pull.merged_at else pull.state),
        branch=pull.head.ref,
        head=pull.head.sha,
        base=pull.base.ref,
        author=pull.user.login if pull.user else _GHOST,
        merged_by=merged_by.login if merged_by else None,
    )


def _parse_review(review: Any) -> Review:
    user = review.user.login if review.user else _GHOST
    return Review(user, review.state.lower(), review.commit_id or "")
