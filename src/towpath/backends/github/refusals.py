"""What GitHub's refusals mean, in words that a person can act on. Tokens are never among them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from towpath.errors import Fault, ForgeError
from towpath.forge.forge import Forbidden

if TYPE_CHECKING:
    import httpx

_TOKEN = "see who it is of and when it ends at github.com/settings/tokens; GITHUB_TOKEN holds it"
_LONGEST = 1000  # characters that are quoted of an answer
_STATUS = "see githubstatus.com; nothing was lost: run it again later"


@dataclass(frozen=True)
class Deed:
    """What is asked, in words: ``open a pull request``; of what a 404 says that it is not there;
    and the permission that it needs."""

    doing: str
    permission: str
    what: str | None = None


class RefusedByGitHub(ForgeError):
    """GitHub answered with an error; ``status`` is HTTP's, ``messages`` are GitHub's words."""

    status: int = 0
    messages: tuple[str, ...] = ()


class _Forbidden(RefusedByGitHub, Forbidden):
    """403."""


def explain_github_error(error: Exception, deed: Deed, name: str, api: str) -> ForgeError:
    """An error of githubkit's in words."""
    from githubkit.exception import RateLimitExceeded, RequestFailed, RequestTimeout

    if isinstance(error, RateLimitExceeded):
        return _rate_limit_error(deed, error.retry_after, error.response.raw_response)
    if isinstance(error, RequestFailed):
        return _answer_error(error.response.raw_response, deed, name)
    if isinstance(error, RequestTimeout):
        what = f"GitHub did not answer in time when asked to {deed.doing}"
        return ForgeError(what, hint=f"is {api} reachable from here? {_STATUS}")
    cause = getattr(error, "exc", None) or error
    cause_text = str(cause) or type(cause).__name__
    hint = "is there a network, and is GITHUB_API_URL right?"
    return ForgeError(f"{api} cannot be reached: {cause_text}", hint=hint)


def unreadable_answer(error: ValueError, deed: Deed, api: str) -> ForgeError:
    """An answer that is no JSON, or JSON of another shape than GitHub describes."""
    where = ""
    if hasattr(error, "errors") and (first := next(iter(error.errors()), None)):
        where = f" ({_plain_line('.'.join(map(str, first['loc'])) or 'it')}: {first['msg']})"
    what = f"what {api} answered when asked to {deed.doing} is none of GitHub's answers{where}"
    return ForgeError(what, hint="is GITHUB_API_URL right, and no proxy in between?")


def read_messages(response: httpx.Response) -> tuple[str, ...]:
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


def _answer_error(response: httpx.Response, deed: Deed, name: str) -> RefusedByGitHub:
    status, quoted_messages = response.status_code, read_messages(response)
    kind = _Forbidden if status == 403 else RefusedByGitHub
    error = kind(_answer_fault(response, quoted_messages, deed, name))
    error.status, error.messages = status, quoted_messages
    return error


def _answer_fault(response: httpx.Response, said: tuple[str, ...], deed: Deed, name: str) -> Fault:
    status = response.status_code
    quoted = "; ".join(said) or _plain_line(response.reason_phrase) or "no word"
    if status == 401:
        return Fault(f"GitHub does not take the token: {quoted}", hint=_TOKEN)
    if status == 403:
        header = _plain_line(response.headers.get("x-accepted-github-permissions", ""))
        needs = header.replace("=", ": ")
        hint = f"the token needs the permission {needs or deed.permission} on {name}"
        return Fault(f"GitHub does not let this token {deed.doing}: {quoted}", hint=hint)
    if status == 404:
        what = f"{name} has no {deed.what}" if deed.what else f"GitHub knows no {name}"
        hint = f"to a token without the permission {deed.permission} GitHub says the same"
        return Fault(f"{what}, or the token may not see it", hint=hint)
    if status >= 500:
        return Fault(f"GitHub failed ({status}) when asked to {deed.doing}: {quoted}", hint=_STATUS)
    return Fault(f"GitHub refused ({status}) to {deed.doing}: {quoted}")


def _rate_limit_error(deed: Deed, wait: timedelta, response: httpx.Response) -> RefusedByGitHub:
    until = (datetime.now(UTC) + wait).isoformat()[:19] + "Z"
    minutes = max(1, round(wait.total_seconds() / 60))
    what = f"GitHub takes no more questions from this token until {until} (asked to {deed.doing})"
    hint = f"run it again in {minutes} minute{'s' if minutes > 1 else ''}; nothing was lost"
    error = RefusedByGitHub(what, hint=hint)
    error.status, error.messages = response.status_code, read_messages(response)
    return error
