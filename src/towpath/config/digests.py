"""Names that are computed from bytes: DVC's MD5, SHA-256, and Git's commits.

Each is text that was held against its shape when it was made. A digest becomes a file's name in
stores, caches and buckets, and an argument of Git: one that was not looked at would be a path of
the writer's choice.
"""

from __future__ import annotations

import re

from towpath.errors import Malformed

FOLDER_SUFFIX = ".dir"

_MD5 = re.compile(r"[0-9a-f]{32}(?:\.dir)?")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_LONGEST_SHOWN = 80


class Md5(str):
    """DVC's digest: 32 hexadecimal digits, with ``.dir`` behind them for a folder."""

    __slots__ = ()

    def __new__(cls, value: object) -> Md5:
        return str.__new__(cls, _require_match(_MD5, value, "an MD5 digest"))


class Sha256(str):
    """64 hexadecimal digits."""

    __slots__ = ()

    def __new__(cls, value: object) -> Sha256:
        return str.__new__(cls, _require_match(_SHA256, value, "a SHA-256 digest"))


class CommitId(str):
    """A whole object name of Git's, 40 hexadecimal digits (64 where it names by SHA-256)."""

    __slots__ = ()

    def __new__(cls, value: object) -> CommitId:
        return str.__new__(cls, _require_match(_COMMIT, value, "a commit of Git's"))


def is_md5(value: object) -> bool:
    """Whether a value is the digest of a file or a folder."""
    return isinstance(value, str) and _MD5.fullmatch(value) is not None


def is_sha256(value: object) -> bool:
    """Whether a value is a SHA-256."""
    return isinstance(value, str) and _SHA256.fullmatch(value) is not None


def require_md5(value: str) -> str:
    """The same text; ``Malformed`` where it is no digest: for whoever makes a path of it."""
    if _MD5.fullmatch(value) is None:
        raise Malformed(f"{describe_value(value)} is not an MD5 digest")
    return value


def _require_match(shape: re.Pattern[str], value: object, what: str) -> str:
    if isinstance(value, str) and shape.fullmatch(value):
        return value
    raise Malformed(f"{describe_value(value)} is not {what}")


def describe_value(value: object) -> str:
    """A value of a stranger's in a message: short, in one line, and without control characters."""
    text = ascii(value) if not isinstance(value, str) or not value.isprintable() else value
    return f"`{text[:_LONGEST_SHOWN]}…`" if len(text) > _LONGEST_SHOWN else f"`{text}`"
