"""Makes text harmless in which somebody's password, token or key may stand.

Addresses of remotes hold them (``https://user:password@host``, ``?token=...``), and so do the
errors of the libraries that speak to a remote. Whatever is said of an error passes here, see
``errors.Fault``: a terminal, a log, a run's record and Prefect's pages are read by others.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote, unquote, urlsplit

from towpath.secret_forms import LONG_SECRET, secret_forms

HIDDEN = "***"
_SHORTEST = 4
"""Characters below which a value is no secret, and hiding it would make other words unreadable."""

_USER = re.compile(r"(?P<scheme>[A-Za-z][\w+.-]*)://(?P<who>[^/\s'\"`<>?#]*)@")
_QUERY = re.compile(
    r"(?P<name>[?&;][\w.~%-]*(?:token|key|secret|pass|pwd|sig|auth|cred|sas)[\w.~%-]*=)"
    r"[^&;\s'\"`<>)\]]+",
    re.IGNORECASE,
)
_PAIR = re.compile(
    r"(?P<name>\b(?:AccountKey|SharedAccessKey|SharedAccessSignature)=)[^;\s'\"]+", re.IGNORECASE
)
_HEADER = re.compile(r"(?P<name>\bAuthorization['\"]?\s*[:=]\s*['\"]?\w+\s+)[^\s'\"]+", re.I)
# By the names of DVC's settings. Others that sound alike hold plain words: a way (`auth`), a path
# (`keyfile`, `credentialpath`), a switch (`ask_password`), a header's name.
_SECRET_SETTING = re.compile(
    r"(?<!ask)(?:^|_)(?:password|passphrase|secret|token|connection_string"
    r"|(?:account|access|customer)_key|(?:access|oss)_key_id)$",
    re.IGNORECASE,
)

# Names of variables and options; those of others' programs, so it errs towards hiding. Texts, which
# `re` compiles when the log asks: each command imports this module.
_SECRET_NAME = (
    r"[\w.-]*(?:token|secret|passw(?:or)?d|passphrase|api[-_.]?key|access[-_.]?key|private[-_.]?key"
    r"|credentials?|auth[-_.]?string|connection[-_.]?string)[\w.-]*"
)
_SECRET_VARIABLE = rf"(?i:{_SECRET_NAME}|.*(?:_|\b)(?:KEY|PASS|PAT|DSN))"
_SECRET_OPTION = rf"(?i:-{{1,2}}{_SECRET_NAME})"
_IN_SCRIPT = (
    rf"(?i:(?P<name>(?<![\w.-])(?:{_SECRET_NAME}(?:=|:\s*)|-{{1,2}}{_SECRET_NAME}\s+))"
    r"(?:\"[^\"]*\"|'[^']*'|[^\s'\"]+))"
)
# Tokens that tell themselves: GitHub's, GitLab's, Slack's, AWS's, JSON Web Tokens, and the like.
_TOKEN = (
    r"\b(?:gh[opsru]_|github_pat_|glpat-|xox[a-z]-|sk-|hf_|pnu_|AKIA|ASIA)[\w-]{12,}"
    r"|\beyJ[\w-]{8,}\.[\w-]+(?:\.[\w-]+)?"
)
_PLAIN_VALUES = frozenset(("true", "false", "none", "null"))

_known: set[str] = set()


def hide_credentials(text: str) -> str:
    """The text without what lets somebody in, wherever it stands."""
    for secret in sorted(_known, key=len, reverse=True):
        if len(secret) >= LONG_SECRET:
            text = text.replace(secret, HIDDEN)
        elif secret in text:
            text = re.sub(rf"(?<![A-Za-z0-9]){re.escape(secret)}(?![A-Za-z0-9])", HIDDEN, text)
    if "://" in text:
        text = _USER.sub(_without_password, text)
    if "=" in text or ":" in text:
        for pattern in (_QUERY, _PAIR, _HEADER):
            text = pattern.sub(rf"\g<name>{HIDDEN}", text)
    return text


def strip_credentials(address: str) -> str:
    """An address that lets nobody in, for a file that others read."""
    return re.sub(r"[?&;][^?&;=]*=\*\*\*", "", hide_credentials(address))


def remember_secrets(settings: Mapping[str, object]) -> None:
    """Hide from now on, in this process, what the settings of a remote hold that is secret.

    A library may say a key without a word beside it by which it could be told.
    """
    for name, value in settings.items():
        text = str(value)
        if name == "url" and "://" in text:
            parts = urlsplit(text)
            _remember_secret(parts.password or "")
        elif _SECRET_SETTING.search(name):
            _remember_secret(text)


def remember_environment(environ: Mapping[str, str]) -> None:
    """Hide from now on, in this process, the values of the variables whose names say a secret."""
    for name, value in environ.items():
        if re.fullmatch(_SECRET_VARIABLE, name) and value.lower() not in _PLAIN_VALUES:
            _remember_secret(value.strip())


@dataclass(frozen=True, repr=False)
class Secret:
    """A value that is handed on and never shown."""

    value: str

    def __repr__(self) -> str:
        return HIDDEN


def remember_values(values: Iterable[str]) -> None:
    """Hide these secrets from now on, in this process."""
    for value in values:
        _known.update(form for form in secret_forms(value) if len(form) >= _SHORTEST)


def hide_known(text: str) -> str:
    """The text without the secrets that this process remembers; nothing is guessed."""
    for secret in sorted(_known, key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return text


def is_secret_name(name: str) -> bool:
    """Whether the name of a variable says that its value is a secret."""
    return bool(re.fullmatch(_SECRET_VARIABLE, name))


def hide_words(words: Sequence[str]) -> list[str]:
    """The words of a command without the secrets of whatever program it calls: the value of
    ``--token VALUE``, ``--api-key=VALUE``, ``PASSWORD=VALUE`` and ``X-Auth-Token: VALUE``, in a
    script as well; and what looks like a token."""
    shown: list[str] = []
    for word in words:
        name, is_assigned, _ = word.partition("=")
        if shown and not word.startswith("-") and re.fullmatch(_SECRET_OPTION, shown[-1]):
            shown.append(HIDDEN)
        elif is_assigned and re.fullmatch(_SECRET_VARIABLE, name):
            shown.append(f"{name}={HIDDEN}")
        else:
            hidden = re.sub(_IN_SCRIPT, rf"\g<name>{HIDDEN}", re.sub(_TOKEN, HIDDEN, word))
            shown.append(hide_credentials(hidden))
    return shown


def _remember_secret(secret: str) -> None:
    for form in {secret, unquote(secret), quote(unquote(secret), safe="")}:
        if len(form) >= _SHORTEST:
            _known.add(form)


def _without_password(found: re.Match[str]) -> str:
    """Of http the whole name goes, for a token may stand in its place; of ssh the name stays."""
    scheme, who = found["scheme"], found["who"]
    if scheme.lower().startswith(("http", "git+http", "webdav")):
        return f"{scheme}://"
    return f"{scheme}://{who.partition(':')[0]}@"
