"""One question to GitHub: asked, asked again where that helps, and every failure put into words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from typing import TYPE_CHECKING, Any, TypeVar

from towpath.backends.github import refusals
from towpath.backends.github.refusals import Deed
from towpath.call_log import is_heard, log_requests

if TYPE_CHECKING:
    import githubkit
    from githubkit.response import Response
    from githubkit.typing import RetryOption

_Parsed = TypeVar("_Parsed")
_PAGE = 100


@dataclass(frozen=True)
class Patience:
    """How long to wait for an answer, how often to ask again, and how long between (seconds)."""

    timeout: float = 20.0
    attempts: int = 3
    pause: float = 0.5
    longest: float = 30.0

    def retry_option(self, error: Exception, tried: int) -> RetryOption:
        """Whether to ask again, and after how long: a busy server, and a limit that ends soon."""
        from githubkit.exception import RateLimitExceeded, RequestFailed
        from githubkit.typing import RetryOption

        if tried + 1 < self.attempts:
            if isinstance(error, RateLimitExceeded):
                wait = max(self.pause, error.retry_after.total_seconds())  # 0 would mean a minute
                # Of no wait at all githubkit makes a minute.
                after = timedelta(seconds=max(wait, self.pause))
                return RetryOption(wait <= self.longest, after)
            if isinstance(error, RequestFailed) and error.response.status_code >= 500:
                return RetryOption(True, timedelta(seconds=self.pause * 2**tried))
        return RetryOption(False)


@dataclass(frozen=True)
class GitHubLine:
    """The line to GitHub, for one repository and one token."""

    github: githubkit.GitHub[Any] = field(repr=False)
    api: str
    owner: str
    repo: str

    @classmethod
    def open_line(cls, api: str, repository: str, token: str, patience: Patience) -> GitHubLine:
        """A line; nothing is sent yet."""
        import githubkit

        if is_heard():
            import httpx

            log_requests(httpx.Client)
        github = githubkit.GitHub(
            githubkit.TokenAuthStrategy(token),
            base_url=api,
            http_cache=False,
            user_agent="towpath",
            timeout=patience.timeout,
            auto_retry=patience.retry_option,
        )
        github.__enter__()  # type: ignore[no-untyped-call]  # one connection for all questions; the process ends with it
        owner, _, repo = repository.partition("/")
        return cls(github, api, owner, repo)

    @property
    def name(self) -> str:
        """``owner/name``."""
        return f"{self.owner}/{self.repo}"

    def ask(self, deed: Deed, call: Callable[..., Response[_Parsed]], **given: Any) -> _Parsed:
        """What GitHub answers to a question about this repository. Raises ``ForgeError``."""
        return self.ask_of(deed, call, owner=self.owner, repo=self.repo, **given)

    def ask_of(self, deed: Deed, call: Callable[..., Response[_Parsed]], **given: Any) -> _Parsed:
        """The same of something that is no part of this repository: a user, a team."""
        return self._parse_answer(deed, self._call_github(deed, call, given))

    def do(self, deed: Deed, call: Callable[..., Response[Any]], **given: Any) -> None:
        """Ask for something that is answered without a word."""
        self._call_github(deed, call, {"owner": self.owner, "repo": self.repo, **given})

    def read_pages(
        self, deed: Deed, call: Callable[..., Response[Any]], **given: Any
    ) -> Iterator[Any]:
        """The answers to a question for a list of this repository's, page by page."""
        return self.pages_of(deed, call, owner=self.owner, repo=self.repo, **given)

    def pages_of(
        self, deed: Deed, call: Callable[..., Response[Any]], **given: Any
    ) -> Iterator[Any]:
        """The same of something that is no part of this repository."""
        for answer in self._answer_pages(deed, call, given):
            yield self._parse_answer(deed, answer)

    def rows(self, deed: Deed, call: Callable[..., Response[Any]], **given: Any) -> Iterator[Any]:
        """A list of this repository's whose rows GitHub's description knows only in part."""
        for answer in self._answer_pages(
            deed, call, {"owner": self.owner, "repo": self.repo, **given}
        ):
            page = self._read_answer(deed, answer.json)
            yield from page if isinstance(page, list) else ()

    def _answer_pages(
        self, deed: Deed, call: Callable[..., Response[Any]], given: dict[str, Any]
    ) -> Iterator[Response[Any]]:
        for number in count(1):
            answer = self._call_github(deed, call, {**given, "per_page": _PAGE, "page": number})
            yield answer
            if 'rel="next"' not in answer.headers.get("link", ""):
                return

    def _parse_answer(self, deed: Deed, answer: Response[_Parsed]) -> _Parsed:
        return self._read_answer(deed, lambda: answer.parsed_data)

    def _read_answer(self, deed: Deed, read: Callable[[], _Parsed]) -> _Parsed:
        try:
            return read()
        except ValueError as error:  # no JSON, or JSON of another shape
            raise refusals.unreadable_answer(error, deed, self.api) from None

    def _call_github(
        self, deed: Deed, call: Callable[..., Response[_Parsed]], given: dict[str, Any]
    ) -> Response[_Parsed]:
        from githubkit.exception import GitHubException

        try:
            return call(**given)
        except GitHubException as error:
            raise refusals.explain_github_error(error, deed, self.name, self.api) from None
        except ValueError as error:  # a header that says no time
            raise refusals.unreadable_answer(error, deed, self.api) from None
