"""A forge for tests: GitHub's API over real bare repositories, and Git over HTTP, on 127.0.0.1.

``GitHubServer`` runs in a thread of the test. People act by their tokens; merges are Git's own;
each request and each answer is judged by GitHub's own description, and what breaks it is an entry
of ``faults``, which the fixture fails on.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import github_merging as merging
import github_rules  # noqa: F401 registers its operations
from github_http import Handler
from github_routes import Refusal
from github_state import Hosted, Person, Pull, new_repository, now


@dataclass
class Team:
    """A team of an organisation."""

    id: int
    members: list[str]


@dataclass
class Failure:
    """What is answered instead of the truth, the next so many times.

    ``status`` 0 closes the connection without a word; ``silent`` waits so many seconds before.
    """

    status: int
    headers: dict[str, str]
    body: bytes | Any
    times: int
    path: str
    silent: float


@dataclass
class GitHubServer:
    """The server: ``with GitHubServer(folder).running() as github``."""

    folder: Path
    people: dict[str, Person] = field(default_factory=dict)
    teams: dict[str, Team] = field(default_factory=dict)
    repositories: dict[str, Hosted] = field(default_factory=dict)
    requests: list[tuple[str, str, Any]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    url: str = ""
    page_size: int = 100
    lock: threading.RLock = field(default_factory=threading.RLock)
    stopping: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def running(self) -> Iterator[GitHubServer]:
        """Serve until the end of the block."""
        server = ThreadingHTTPServer(("127.0.0.1", 0), type("_Bound", (Handler,), {"github": self}))
        server.daemon_threads = True
        self.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self.stopping.set()
            server.shutdown()
            server.server_close()
            thread.join()

    def person(self, login: str) -> Person:
        """A user by name, made on first use; the token is ``token-<login>``."""
        return self.people.setdefault(login, Person(login, f"token-{login}"))

    def team(self, name: str, members: Iterable[str]) -> Team:
        """A team ``owner/slug``."""
        self.teams[name] = Team(1000 + len(self.teams), list(members))
        return self.teams[name]

    def repository(self, name: str) -> Hosted:
        """A repository ``owner/name``, made on first use, empty."""
        if name not in self.repositories:
            self.repositories[name] = new_repository(name, self.folder / f"{name}.git")
        return self.repositories[name]

    def fork(self, hosted: Hosted, owner: str) -> Hosted | None:
        """The fork of a repository that belongs to a person or an organisation."""
        return self.repositories.get(f"{owner}/{hosted.name.partition('/')[2]}")

    def remote(self, name: str, login: str = "ada") -> str:
        """The URL to clone and push with, as a person."""
        person = self.person(login)
        self.repository(name)
        there = self.url.replace("http://", f"http://{login}:{person.token}@")
        return f"{there}/{name}.git"

    def environ(self, login: str = "ada") -> dict[str, str]:
        """The variables by which a command speaks to this server as a person."""
        return {"GITHUB_API_URL": self.url, "GITHUB_TOKEN": self.person(login).token}

    def fail_next(
        self,
        status: int,
        headers: dict[str, str] | None = None,
        body: Any = None,
        *,
        times: int = 1,
        path: str = "",
        silent: float = 0,
    ) -> None:
        """Answer the next requests (those whose path holds ``path``) with a failure."""
        self.failures.append(Failure(status, headers or {}, body, times, path, silent))

    def failure(self, path: str) -> Failure | None:
        """The failure that is due for a request."""
        for one in self.failures:
            if one.times > 0 and one.path in path:
                one.times -= 1
                return one
        return None

    def by_token(self, token: str) -> Person:
        """Whose token it is; refuses one that is nobody's."""
        for person in self.people.values():
            if person.token == token:
                return person
        raise Refusal(401, "Bad credentials")

    def merge(self, hosted: Hosted, pull: Pull, who: Person, method: str = "merge") -> str:
        """Merge a pull request, whatever the protection says; also for tests to call."""
        ref = f"refs/heads/{pull.base}"
        base = merging.resolve(hosted.path, ref)
        pull = hosted.pull(pull.number)
        head = pull.head
        title = (
            f"Merge pull request #{pull.number} from {(pull.fork or hosted).owner}/{pull.branch}"
        )
        try:
            if method == "merge":
                message = f"{title}\n\n{pull.title}"
                made = merging.merge(hosted.path, base, head, message, who.author)
            elif method == "squash":
                message = f"{pull.title} (#{pull.number})"
                made = merging.squash(hosted.path, base, head, message, pull.author.author)
            else:
                made = merging.rebase(hosted.path, base, head)
        except merging.Conflict:
            raise Refusal(405, "Pull Request is not mergeable") from None
        merging.git(hosted.path, "update-ref", ref, made, base)
        pull.brought = tuple(merging.between(hosted.path, base, made))
        pull.open, pull.merged_by, pull.merged_at, pull.merge_commit = False, who, now(), made
        return made
