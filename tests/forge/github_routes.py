"""The operations of the test server: each a function, found by GitHub's name for it."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import github_answers as answers
import github_merging as merging
from github_description import Operation, operation
from github_state import Hosted, Person, Pull, Said, now

if TYPE_CHECKING:
    from github_server import GitHubServer

_numbers = itertools.count(1)


@dataclass
class Call:
    """One request, as far as an operation needs it."""

    server: GitHubServer
    who: Person
    named: dict[str, str]
    query: dict[str, str] = field(default_factory=dict)
    body: Any = None

    @property
    def hosted(self) -> Hosted:
        """The repository, if this person may see it."""
        found = self.server.repositories.get(f"{self.named['owner']}/{self.named['repo']}")
        if found is None or found.right(self.who) == "none":
            raise Refusal(404, "Not Found")
        return found

    def writable(self, permission: str, least: str = "write") -> Hosted:
        """The repository, if this person may write this part of it."""
        hosted = self.hosted
        order = ("read", "write", "admin")
        if order.index(hosted.right(self.who)) < order.index(least):
            header = {"X-Accepted-GitHub-Permissions": f"{permission}=write"}
            raise Refusal(403, "Resource not accessible by personal access token", headers=header)
        return hosted

    @property
    def pull(self) -> Pull:
        """The pull request that is named."""
        number = self.named.get("pull_number") or self.named["issue_number"]
        if not number.isdigit() or int(number) not in self.hosted.pulls:
            raise Refusal(404, "Not Found")
        return self.hosted.pull(int(number))


@dataclass
class Refusal(Exception):
    """An answer that is an error."""

    status: int
    message: str
    errors: list[Any] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)


Answer = Any
ROUTES: list[tuple[Operation, Callable[[Call], Answer], int]] = []


def route(
    room: str, name: str, status: int = 200, like: str | None = None
) -> Callable[[Callable[[Call], Answer]], Any]:
    """Register an operation under GitHub's name for it; its answer is described as that of
    ``like``, where the description of its own leaves something out."""
    found = operation(room, name)
    if like:
        found = replace(found, answer=operation(room, like).answer)

    def register(function: Callable[[Call], Answer]) -> Callable[[Call], Answer]:
        ROUTES.append((found, function, status))
        return function

    return register


@route("users", "get_authenticated")
def whoami(call: Call) -> Answer:
    return {**answers.user(call.who), "user_view_type": "private", "type": "User"}


@route("repos", "get")
def repository(call: Call) -> Answer:
    right = call.hosted.right(call.who)
    permissions = {"pull": True, "push": right != "read", "admin": right == "admin"}
    told = answers.repository(call.hosted)
    if right == "read":  # who may not push is not told how it is merged
        told = {key: value for key, value in told.items() if not key.startswith("allow_")}
    return {**told, "permissions": permissions}


@route("pulls", "create", 201)
def open_pull(call: Call) -> Answer:
    hosted, body = call.hosted, call.body
    owner, _, branch = body["head"].rpartition(":")
    # Of a fork one needs to be its owner, and of this repository to see it.
    fork = call.server.fork(hosted, owner) if owner and owner != hosted.owner else None
    if fork is None:
        call.writable("pull_requests")
    elif fork.right(call.who) == "read":
        raise _invalid("PullRequest", "head")
    head = (fork or hosted).branch(branch, hosted)
    base = merging.resolve(hosted.path, f"refs/heads/{body['base']}")
    for name, commit in (("head", head), ("base", base)):
        if commit is None:
            raise _invalid("PullRequest", name)
    if not merging.between(hosted.path, base, head):
        raise _custom(f"No commits between {body['base']} and {branch}")
    said = (fork, branch, body["base"])
    if any(p.open and (p.fork, p.branch, p.base) == said for p in hosted.pulls.values()):
        raise _custom(f"A pull request already exists for {owner or hosted.owner}:{branch}.")
    if len(body.get("body") or "") > 65536:
        raise _custom("body is too long (maximum is 65536 characters)")
    number = len(hosted.pulls) + 1
    words = (body["title"], body.get("body"), branch, body["base"])
    hosted.pulls[number] = Pull(number, *words, call.who, head, fork=fork)
    return answers.pull(hosted, hosted.pull(number), call.server.url)


@route("pulls", "list")
def list_pulls(call: Call) -> Answer:
    hosted, asked = call.hosted, call.query
    found = [hosted.pull(number) for number in sorted(hosted.pulls, reverse=True)]
    state, head = asked.get("state", "open"), asked.get("head")
    found = [p for p in found if state == "all" or p.open == (state == "open")]
    found = [p for p in found if head in (None, f"{(p.fork or hosted).owner}:{p.branch}")]
    return [answers.pull(hosted, p, call.server.url) for p in found]


@route("pulls", "get")
def get_pull(call: Call) -> Answer:
    return answers.pull(call.hosted, call.pull, call.server.url)


@route("pulls", "update")
def update_pull(call: Call) -> Answer:
    hosted, pull = call.hosted, call.pull
    if pull.author is not call.who:  # who opened it may change it
        call.writable("pull_requests")
    pull.title = call.body.get("title", pull.title)
    pull.body = call.body.get("body", pull.body)
    if pull.merged_at and call.body.get("state") == "open":
        raise _custom("state cannot be changed. The pull request was merged.")
    pull.open = {"closed": False, "open": True}.get(call.body.get("state"), pull.open)
    return answers.pull(hosted, pull, call.server.url)


@route("pulls", "list_reviews")
def reviews(call: Call) -> Answer:
    pull = call.pull
    return [answers.review(call.hosted, pull, said, call.server.url) for said in pull.reviews]


@route("pulls", "create_review")
def review(call: Call) -> Answer:
    hosted, pull, body = call.writable("pull_requests"), call.pull, call.body
    states = {"APPROVE": "APPROVED", "REQUEST_CHANGES": "CHANGES_REQUESTED", "COMMENT": "COMMENTED"}
    state = states.get(body.get("event"), "PENDING")
    if pull.author is call.who and state in ("APPROVED", "CHANGES_REQUESTED"):
        what = "approve" if state == "APPROVED" else "request changes on"
        raise Refusal(422, "Unprocessable Entity", [f"Can not {what} your own pull request"])
    commit = body.get("commit_id", pull.head)
    if merging.resolve(hosted.path, commit) is None:
        raise Refusal(422, "Unprocessable Entity", ["Commit is not part of the pull request"])
    said = Said(next(_numbers), call.who, state, body.get("body", ""), commit)
    pull.reviews.append(said)
    return answers.review(hosted, pull, said, call.server.url)


@route("pulls", "merge")
def merge(call: Call) -> Answer:
    hosted, pull, body = call.writable("contents"), call.pull, call.body or {}
    if not pull.open:
        raise Refusal(405, "Pull Request is not mergeable")
    if body.get("sha", pull.head) != pull.head:
        raise Refusal(409, "Head branch was modified. Review and try the merge again.")
    method = body.get("merge_method", "merge")
    if refused := hosted.unmergeable(method) or hosted.refusal(pull):
        raise Refusal(405, refused)
    call.server.merge(hosted, pull, call.who, method)
    return {"sha": pull.merge_commit, "merged": True, "message": "Pull Request successfully merged"}


@route("issues", "create_comment", 201)
def comment(call: Call) -> Answer:
    call.writable("issues")
    pull = call.pull
    pull.comments.append((call.who, call.body["body"]))
    time = {"created_at": now(), "updated_at": now()}
    return {"id": next(_numbers), "body": call.body["body"], "user": answers.user(call.who), **time}


@route("issues", "list_events", like="list_events_for_repo")  # its own kinds know no merge
def events(call: Call) -> Answer:
    pull = call.pull
    if pull.merged_by is None:
        return []
    known = {"event": "merged", "commit_id": pull.merge_commit, "created_at": pull.merged_at}
    return [{**known, "actor": answers.user(pull.merged_by), "id": 1}]


@route("repos", "list_pull_requests_associated_with_commit")
def of_commit(call: Call) -> Answer:
    hosted, commit = call.hosted, call.named["commit_sha"]
    if merging.resolve(hosted.path, commit) is None:
        raise Refusal(422, f"No commit found for SHA: {commit}")
    return [answers.pull(hosted, pull, call.server.url) for pull in hosted.of_commit(commit)]


@route("teams", "list_members_in_org")
def members(call: Call) -> Answer:
    team = call.server.teams.get(f"{call.named['org']}/{call.named['team_slug']}")
    if team is None:
        raise Refusal(404, "Not Found")
    return [answers.user(call.server.person(login)) for login in team.members]


def _invalid(resource: str, name: str) -> Refusal:
    error = {"resource": resource, "field": name, "code": "invalid"}
    return Refusal(422, "Validation Failed", [error])


def _custom(message: str) -> Refusal:
    error = {"resource": "PullRequest", "code": "custom", "message": message}
    return Refusal(422, "Validation Failed", [error])
