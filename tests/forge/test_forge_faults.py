"""What can go wrong between Towpath and GitHub, and what a person then reads."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Callable

import pytest
from github_server import GitHubServer

from towpath.backends.github import GitHub, Patience
from towpath.backends.github.connect_forge import connect_forge
from towpath.config.project_declaration import parse_project
from towpath.errors import ForgeError, UsageError, UserError
from towpath.forge import Forge, NotMergeable, PullRequest

NAME = "acme/abalone"
As = Callable[[str], Forge]
QUICK = Patience(timeout=1.0, attempts=3, pause=0.01, longest=1.0)
PLAIN = "name: abalone\nforge: {kind: github}\n"


def words(error: pytest.ExceptionInfo[ForgeError] | pytest.ExceptionInfo[UserError]) -> str:
    """All that a person reads of an error."""
    return "; ".join(f"{fault.what} [{fault.hint}]" for fault in error.value.faults)


@pytest.fixture
def pull(clone, as_person: As) -> PullRequest:
    """A pull request of ada's."""
    clone.change("promote/a")
    return as_person("ada").open("promote/a", "main", "Promote", "Because.")


def connect(environ: dict[str, str], text: str = PLAIN) -> Forge | None:
    return connect_forge(parse_project(text), environ=environ, patience=QUICK)


# Connecting


def test_a_project_without_a_forge() -> None:
    assert connect({}, "name: abalone\n") is None


def test_no_token_and_no_repository() -> None:
    with pytest.raises(UserError) as error:
        connect({"GITHUB_REPOSITORY": NAME})
    assert "there is no token" in words(error)
    assert "GITHUB_TOKEN" in words(error)
    with pytest.raises(UserError) as error:
        connect({"GITHUB_TOKEN": "t"})
    assert "which repository" in words(error)


@pytest.mark.parametrize("token", ["two words", "töken", "line\nbreak", "a\x1b[2Jb"])
def test_a_token_that_is_none_is_not_repeated(token: str) -> None:
    with pytest.raises(UserError) as error:
        connect({"GITHUB_TOKEN": token, "GITHUB_REPOSITORY": NAME})
    assert token not in words(error)


@pytest.mark.parametrize(
    "api", ["ftp://x", "github.example.org", "http://github.example.org/api/v3", "https://"]
)
def test_an_address_that_a_token_is_not_sent_to(api: str) -> None:
    with pytest.raises(UserError):
        connect({"GITHUB_TOKEN": "t", "GITHUB_REPOSITORY": NAME, "GITHUB_API_URL": api})


# What GitHub refuses


def test_a_token_that_is_not_taken(github: GitHubServer) -> None:
    environ = {"GITHUB_API_URL": github.url, "GITHUB_TOKEN": "stale-secret"}
    found = connect({**environ, "GITHUB_REPOSITORY": NAME})
    assert found is not None
    for ask in (found.user, found.pulls, lambda: found.pull(1)):
        with pytest.raises(ForgeError) as error:
            ask()
        assert "GitHub does not take the token" in words(error)
        assert "stale-secret" not in words(error)
        assert error.value.__cause__ is None, "a chained error would print the request"


def test_a_permission_that_lacks(github: GitHubServer, pull: PullRequest, as_person: As) -> None:
    github.repository(NAME).rights["cleo"] = "read"
    with pytest.raises(ForgeError) as error:
        as_person("cleo").approve(pull.number, pull.head)
    assert "Resource not accessible" in words(error)
    assert "pull_requests: write" in words(error)


@pytest.mark.usefixtures("clone")
def test_what_is_not_there(github: GitHubServer, as_person: As) -> None:
    ada = as_person("ada")
    with pytest.raises(ForgeError) as error:
        ada.pull(99)
    assert "acme/abalone has no pull request 99, or the token may not see it" in words(error)
    with pytest.raises(ForgeError) as error:
        ada.members("@acme/ghosts")
    assert "team @acme/ghosts" in words(error)
    with pytest.raises(UsageError):
        ada.members("@ada")
    github.repository(NAME).rights["ada"] = "none"
    with pytest.raises(ForgeError) as error:
        ada.pulls()
    assert "GitHub knows no acme/abalone" in words(error)


def test_a_rate_limit_says_when_it_ends(github: GitHubServer, as_person: As) -> None:
    reset = str(int(time.time()) + 600)
    headers = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": reset}
    github.fail_next(403, headers, {"message": "API rate limit exceeded"})
    begun = time.monotonic()
    with pytest.raises(ForgeError) as error:
        as_person("ada").user()
    assert time.monotonic() - begun < 2
    assert re.search(r"no more questions from this token until 20\d\d-.*Z", words(error))
    assert "in 10 minutes" in words(error)


@pytest.mark.parametrize("status", [403, 429])
def test_a_limit_that_ends_soon_is_waited_for(
    status: int, github: GitHubServer, as_person: As
) -> None:
    """A wait of no seconds too, of which githubkit would make a minute."""
    github.fail_next(status, {"Retry-After": "0"}, {"message": "secondary rate limit"}, times=2)
    assert as_person("ada").user() == "ada"


def test_a_limit_that_does_not_end_is_not_waited_for_for_ever(
    github: GitHubServer, as_person: As
) -> None:
    github.fail_next(429, {"Retry-After": "0"}, {"message": "secondary rate limit"}, times=99)
    with pytest.raises(ForgeError) as error:
        as_person("ada").user()
    assert "GitHub takes no more questions" in words(error)
    assert 99 - github.failures[0].times == QUICK.attempts


def test_a_limit_whose_end_is_no_number(github: GitHubServer, as_person: As) -> None:
    headers = {"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}
    github.fail_next(429, headers, {"message": "slow down"}, times=9)
    with pytest.raises(ForgeError):
        as_person("ada").user()


def test_what_a_field_lacks(clone, as_person: As) -> None:
    with pytest.raises(ForgeError) as error:
        as_person("ada").open("not/pushed", "main", "Promote", "Because.")
    assert "head: invalid" in words(error)
    clone.git("push", "-q", "origin", "main:promote/empty")
    with pytest.raises(ForgeError) as error:
        as_person("ada").open("promote/empty", "main", "Promote", "Because.")
    assert "No commits between main and promote/empty" in words(error)


def test_nobody_approves_what_is_their_own(pull: PullRequest, as_person: As) -> None:
    with pytest.raises(ForgeError) as error:
        as_person("ada").approve(pull.number, pull.head)
    assert "Can not approve your own pull request" in words(error)
    assert as_person("ada").reviews(pull.number) == ()


# A server that fails


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_server_that_recovers(status: int, github: GitHubServer, as_person: As) -> None:
    github.fail_next(status, {}, b"<html>busy</html>", times=2)
    assert as_person("ada").user() == "ada"


def test_a_server_that_does_not(github: GitHubServer, as_person: As) -> None:
    github.fail_next(502, {"Content-Type": "text/html"}, b"<html>bad gateway</html>", times=99)
    with pytest.raises(ForgeError) as error:
        as_person("ada").user()
    assert "GitHub failed (502)" in words(error)
    assert 99 - github.failures[0].times == QUICK.attempts


def test_nobody_answers() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        api = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(ForgeError) as error:
        GitHub.from_address(api, NAME, "ghp_secret", QUICK).user()
    assert f"{api} cannot be reached: " in words(error)
    assert "refused" in words(error)
    assert "ghp_secret" not in words(error)


def test_an_answer_that_does_not_come(github: GitHubServer) -> None:
    github.fail_next(200, silent=5, times=9)
    api, token = github.url, github.person("ada").token
    begun = time.monotonic()
    with pytest.raises(ForgeError) as error:
        GitHub.from_address(api, NAME, token, Patience(0.2, 3, 0.01, 1.0)).pulls()
    assert time.monotonic() - begun < 3
    assert "did not answer in time when asked to list pull requests" in words(error)


def test_a_line_that_is_cut(github: GitHubServer, as_person: As) -> None:
    github.fail_next(0, times=9)
    with pytest.raises(ForgeError) as error:
        as_person("ada").user()
    assert "cannot be reached" in words(error)


@pytest.mark.parametrize(
    "body", [b"<html>log in</html>", b"", b"[]", b'{"login": 1}', b'"x"', b"\xff\xfe", b"null"]
)
def test_what_is_no_answer_of_github_s(body: bytes, github: GitHubServer, as_person: As) -> None:
    github.fail_next(200, {}, body)
    with pytest.raises(ForgeError) as error:
        as_person("ada").user()
    assert "none of GitHub's answers" in words(error)


# Proposing twice


def test_a_pull_request_that_is_open_already_is_brought_up_to_date(
    pull: PullRequest, clone, as_person: As
) -> None:
    head = clone.more("promote/a", "more.txt", "x\n")
    again = as_person("ada").open("promote/a", "main", "Promote again", "Better.")
    assert (again.number, again.title, again.body) == (pull.number, "Promote again", "Better.")
    assert again.head == head
    assert [one.number for one in as_person("bo").pulls("promote/a")] == [pull.number]


def test_an_answer_that_was_lost_opens_no_second_one(
    github: GitHubServer, clone, as_person: As
) -> None:
    """GitHub made it, and the answer was a 502: asked again, it says that there is one."""
    clone.change("promote/b")
    ada = as_person("ada")
    first = ada.open("promote/b", "main", "Promote", "Because.")
    github.fail_next(502, path="/pulls")
    assert ada.open("promote/b", "main", "Promote", "Because.").number == first.number


def test_one_that_was_closed_is_followed_by_another(pull: PullRequest, as_person: As) -> None:
    ada = as_person("ada")
    ada.close_pull_request(pull.number)
    assert ada.pull(pull.number).state == "closed"
    again = ada.open("promote/a", "main", "Promote", "Because.")
    assert again.number == pull.number + 1
    states = {one.number: one.state for one in ada.pulls("promote/a")}
    assert states == {1: "closed", 2: "open"}
    assert [one.number for one in ada.pulls(state="open")] == [2]


def test_a_body_that_is_too_long_is_cut(github: GitHubServer, clone, as_person: As) -> None:
    clone.change("promote/d")
    opened = as_person("ada").open("promote/d", "main", "P", "ä" * 70_000)
    assert opened.body.endswith("on the branch.*\n")
    assert len(opened.body) == 65_536
    as_person("bo").write_comment(opened.number, "x" * 70_000)
    assert len(github.repository(NAME).pulls[1].comments[0][1]) == 65_536


def test_pages_are_read_to_the_end(github: GitHubServer, clone, as_person: As) -> None:
    github.page_size = 2
    for number in range(3):
        clone.change(f"promote/{number}", f"{number}.txt")
        as_person("ada").open(f"promote/{number}", "main", f"P{number}", "")
    bo = as_person("bo")
    assert [one.number for one in bo.pulls()] == [3, 2, 1]
    github.team("acme/owners", [f"p{number}" for number in range(5)])
    assert bo.members("@acme/owners") == ("p0", "p1", "p2", "p3", "p4")
    head = bo.pull(1).head
    for _ in range(3):
        bo.approve(1, head)
    assert len(bo.reviews(1)) == 3


# Merging


@pytest.mark.parametrize("method", ["squash", "rebase"])
def test_each_way_of_merging_is_git_s(method: str, pull: PullRequest, clone, as_person: As) -> None:
    as_person("bo").approve(pull.number, pull.head)
    made = as_person("bo").merge(pull.number, pull.head, method)
    clone.git("fetch", "-q", "origin")
    assert clone.git("rev-parse", "origin/main") == made
    assert len(clone.git("log", "-1", "--format=%P", made).split()) == 1
    assert clone.git("show", f"{made}:notes.txt") == "new"
    (found,) = as_person("ada").of_commit(made)
    assert (found.state, found.merged_by, found.head) == ("merged", "bo", pull.head)


def test_a_head_that_moved_is_not_merged(pull: PullRequest, clone, as_person: As) -> None:
    moved = clone.more("promote/a", "more.txt", "x\n")
    with pytest.raises(ForgeError) as error:
        as_person("bo").merge(pull.number, pull.head)
    assert f"no longer at {pull.head[:7]}" in words(error)
    assert as_person("bo").pull(pull.number).head == moved


def test_a_conflict_is_not_merged(pull: PullRequest, clone, as_person: As) -> None:
    clone.git("switch", "-q", "-C", "main", "origin/main")
    (clone.root / "notes.txt").write_text("other\n")
    clone.git("add", "--all")
    clone.git("commit", "-q", "-m", "theirs")
    theirs = clone.git("rev-parse", "HEAD")
    clone.git("push", "-q", "origin", "main")
    with pytest.raises(NotMergeable) as error:
        as_person("bo").merge(pull.number, pull.head)
    assert "Pull Request is not mergeable" in words(error)
    assert "promoting again from main" in words(error)
    clone.git("fetch", "-q", "origin")
    assert clone.git("rev-parse", "origin/main") == theirs


def test_a_merge_whose_answer_was_lost_is_found(
    github: GitHubServer, pull: PullRequest, as_person: As
) -> None:
    hosted, bo = github.repository(NAME), github.person("bo")
    made = github.merge(hosted, hosted.pull(1), bo)
    assert as_person("bo").merge(pull.number, pull.head) == made


def test_one_that_was_closed_is_not_merged(pull: PullRequest, as_person: As) -> None:
    as_person("ada").close_pull_request(pull.number)
    with pytest.raises(NotMergeable) as error:
        as_person("bo").merge(pull.number, pull.head)
    assert "is closed" in words(error)
