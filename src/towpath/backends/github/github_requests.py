"""One question to GitHub: asked, asked again where that helps, and every failure put into words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from itertools import chain, count
from typing import TYPE_CHECKING, Any, Final, TypeVar

from msgspec import Struct

from towpath.call_log import is_heard, log_requests
from towpath.errors import Fault, ForgeError
from towpath.forge import Forbidden

if TYPE_CHECKING:
    import ssl

    import githubkit
    import httpx
    from githubkit.response import Response
    from githubkit.typing import RetryOption


_Parsed = TypeVar("_Parsed")
# The version of GitHub's API that is asked for, whatever newer one githubkit knows.
API_VERSION: Final = "2026-03-10"
_PAGE = 100  # the most rows that GitHub gives a page
_TOKEN = "see who it is of and when it ends at github.com/settings/tokens; GITHUB_TOKEN holds it"
_LONGEST = 1000  # characters that are quoted of an answer
_STATUS = "see githubstatus.com; nothing was lost: run it again later"


class Patience(Struct, frozen=True):
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
                # A limit that is over already says 0, of which githubkit makes a minute.
                wait = max(self.pause, error.retry_after.total_seconds())
                # An hour's limit is told to the person instead, who may have other work.
                return RetryOption(wait <= self.longest, timedelta(seconds=wait))
            if isinstance(error, RequestFailed) and error.response.status_code >= 500:
                return RetryOption(True, timedelta(seconds=self.pause * 2**tried))
        return RetryOption(False)


@dataclass(frozen=True)
class GitHubLine:
    github: githubkit.GitHub[Any] = field(repr=False)
    api: str
    owner: str
    repo: str

    @classmethod
    def open_line(cls, api: str, repository: str, token: str, patience: Patience) -> GitHubLine:
        import githubkit
        import httpx

        if is_heard():
            log_requests(httpx.Client)
        github = githubkit.GitHub(
            githubkit.TokenAuthStrategy(token),
            base_url=api,
            # hishel would keep answers for a minute: an approval of a moment ago would lack.
            http_cache=False,
            user_agent="towpath",
            timeout=patience.timeout,
            ssl_verify=_read_authorities(),
            auto_retry=patience.retry_option,
        )
        # Outside `with` githubkit opens a connection for each question; entered once, it keeps one,
        # which ends with the process. The method has no types.
        github.__enter__()  # type: ignore[no-untyped-call]
        owner, _, repo = repository.partition("/")
        return cls(github, api, owner, repo)

    @property
    def name(self) -> str:
        return f"{self.owner}/{self.repo}"

    @property
    def rest(self) -> Any:
        # Untyped: a body is a plain mapping here, and of githubkit's overloads none fits that.
        return self.github.rest(API_VERSION)

    def ask(self, deed: Deed, call: Callable[..., Response[_Parsed]], **given: Any) -> _Parsed:
        """What GitHub answers to a question about this repository. Raises ``ForgeError``."""
        return self.ask_of(deed, call, owner=self.owner, repo=self.repo, **given)

    def ask_of(self, deed: Deed, call: Callable[..., Response[_Parsed]], **given: Any) -> _Parsed:
        """The same of something that is no part of this repository: a user, a team."""
        answer = self._call_github(deed, call, given)
        return self._read_answer(deed, lambda: answer.parsed_data)

    def send(self, deed: Deed, call: Callable[..., Response[Any]], **given: Any) -> None:
        """Ask for something that is answered without a word: there is nothing to parse."""
        self._call_github(deed, call, {"owner": self.owner, "repo": self.repo, **given})

    def read_pages(self, deed: Deed, call: Callable[..., Any], **given: Any) -> Iterator[Any]:
        """The answers to a question for a list of this repository's, page by page."""
        return self.pages_of(deed, call, owner=self.owner, repo=self.repo, **given)

    def read_rows(self, deed: Deed, call: Callable[..., Any], **given: Any) -> Iterator[Any]:
        """The rows of such a list, where a page is nothing else."""
        return chain.from_iterable(self.read_pages(deed, call, **given))

    def pages_of(self, deed: Deed, call: Callable[..., Any], **given: Any) -> Iterator[Any]:
        for answer in self._answer_pages(deed, call, given):
            yield self._read_answer(deed, partial(getattr, answer, "parsed_data"))

    def raw_rows(self, deed: Deed, call: Callable[..., Any], issue: int) -> Iterator[Any]:
        """The rows of a list of an issue's, as JSON has them."""
        # GitHub's description of an issue's events leaves kinds out, `merged` among them: the
        # types that githubkit makes of it refuse a whole page for one such row.
        given = {"owner": self.owner, "repo": self.repo, "issue_number": issue}
        for answer in self._answer_pages(deed, call, given):
            page = self._read_answer(deed, answer.json)
            yield from page if isinstance(page, list) else ()

    def _answer_pages(
        self, deed: Deed, call: Callable[..., Response[Any]], given: dict[str, Any]
    ) -> Iterator[Response[Any]]:
        # githubkit's own paginator asks on until a page is empty: a question more for each list.
        for number in count(1):
            answer = self._call_github(deed, call, {**given, "per_page": _PAGE, "page": number})
            yield answer
            if 'rel="next"' not in answer.headers.get("link", ""):
                return

    def _read_answer(self, deed: Deed, read: Callable[[], _Parsed]) -> _Parsed:
        try:
            return read()
        except ValueError as error:  # no JSON, or JSON of another shape
            raise _unreadable_answer(error, deed, self.api) from None

    def _call_github(
        self, deed: Deed, call: Callable[..., Response[_Parsed]], given: dict[str, Any]
    ) -> Response[_Parsed]:
        from githubkit.exception import GitHubException

        try:
            return call(**given)
        # `from None`: githubkit's errors hold the request, and its headers the token.
        except GitHubException as error:
            raise _explain_error(error, deed, self.name, self.api) from None
        except ValueError as error:  # githubkit reads the time out of a header that says none
            raise _unreadable_answer(error, deed, self.api) from None


@cache
def _read_authorities() -> ssl.SSLContext:
    """Whom a connection trusts, as httpx finds it: read once a process, for it takes 30 ms of CPU.

    Studio's server and a reconciliation of many stages open several lines."""
    import httpx

    return httpx.create_ssl_context()


class Deed(Struct, frozen=True):
    """What is asked, in words; the permission that it needs; and what a 404 says is not there."""

    doing: str
    permission: str
    what: str | None = None


class RefusedByGitHub(ForgeError):
    """GitHub answered with an error; ``status`` is HTTP's, ``messages`` are GitHub's words."""

    status: int = 0
    messages: tuple[str, ...] = ()


class _Forbidden(RefusedByGitHub, Forbidden):
    """403: callers who know no GitHub catch ``Forbidden``."""


def _explain_error(error: Exception, deed: Deed, name: str, api: str) -> ForgeError:
    from githubkit.exception import RateLimitExceeded, RequestFailed, RequestTimeout

    # A limit is a failed request too, so it is asked about first.
    if isinstance(error, RateLimitExceeded):
        response = error.response.raw_response
        return _with_answer(RefusedByGitHub(_rate_limit_fault(deed, error.retry_after)), response)
    if isinstance(error, RequestFailed):
        response = error.response.raw_response
        kind = _Forbidden if response.status_code == 403 else RefusedByGitHub
        return _with_answer(kind(_answer_fault(response, deed, name)), response)
    if isinstance(error, RequestTimeout):
        what = f"GitHub did not answer in time when asked to {deed.doing}"
        return ForgeError(what, hint=f"is {api} reachable from here? {_STATUS}")
    cause = getattr(error, "exc", None) or error  # githubkit wraps what httpx raised
    cause_text = str(cause) or type(cause).__name__
    hint = "is there a network, and is GITHUB_API_URL right?"
    return ForgeError(f"{api} cannot be reached: {cause_text}", hint=hint)


def _unreadable_answer(error: ValueError, deed: Deed, api: str) -> ForgeError:
    """An answer that is no JSON, or JSON of another shape than GitHub describes."""
    where = ""
    # pydantic's error is a ValueError that lists each field; the first is enough to act on.
    if hasattr(error, "errors") and (first := next(iter(error.errors()), None)):
        where = f" ({_plain_line('.'.join(map(str, first['loc'])) or 'it')}: {first['msg']})"
    what = f"what {api} answered when asked to {deed.doing} is none of GitHub's answers{where}"
    return ForgeError(what, hint="is GITHUB_API_URL right, and no proxy in between?")


def _read_messages(response: httpx.Response) -> tuple[str, ...]:
    """GitHub's own words, the faults of single fields first."""
    try:
        answer = response.json()
    except ValueError:
        return ()
    if not isinstance(answer, dict):
        return ()
    listed = answer.get("errors")
    texts = [_message_text(message) for message in listed] if isinstance(listed, list) else []
    texts += [str(answer["message"])] if answer.get("message") else []
    return tuple(_plain_line(message) for message in texts)


def _plain_line(text: str) -> str:
    """On one line, without what moves a terminal's cursor."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:_LONGEST]


def _message_text(error: Any) -> str:
    if not isinstance(error, dict):
        return str(error)
    if error.get("message"):
        return str(error["message"])
    return f"{error.get('field', 'it')}: {str(error.get('code', 'wrong')).replace('_', ' ')}"


def _with_answer(error: RefusedByGitHub, response: httpx.Response) -> RefusedByGitHub:
    error.status, error.messages = response.status_code, _read_messages(response)
    return error


def _answer_fault(response: httpx.Response, deed: Deed, name: str) -> Fault:
    status = response.status_code
    quoted = "; ".join(_read_messages(response)) or _plain_line(response.reason_phrase) or "no word"
    if status == 401:
        return Fault(f"GitHub does not take the token: {quoted}", hint=_TOKEN)
    if status == 403:
        # GitHub names the permission itself, where it knows it better than we do.
        header = _plain_line(response.headers.get("x-accepted-github-permissions", ""))
        needs = header.replace("=", ": ")
        hint = f"the token needs the permission {needs or deed.permission} on {name}"
        return Fault(f"GitHub does not let this token {deed.doing}: {quoted}", hint=hint)
    if status == 404:
        # GitHub does not say to a stranger whether a thing is there, so neither can we.
        what = f"{name} has no {deed.what}" if deed.what else f"GitHub knows no {name}"
        hint = f"to a token without the permission {deed.permission} GitHub says the same"
        return Fault(f"{what}, or the token may not see it", hint=hint)
    if status >= 500:
        return Fault(f"GitHub failed ({status}) when asked to {deed.doing}: {quoted}", hint=_STATUS)
    return Fault(f"GitHub refused ({status}) to {deed.doing}: {quoted}")


def _rate_limit_fault(deed: Deed, wait: timedelta) -> Fault:
    until = (datetime.now(UTC) + wait).isoformat()[:19] + "Z"
    minutes = max(1, round(wait.total_seconds() / 60))
    what = f"GitHub takes no more questions from this token until {until} (asked to {deed.doing})"
    unit = "minutes" if minutes > 1 else "minute"
    return Fault(what, hint=f"run it again in {minutes} {unit}; nothing was lost")
