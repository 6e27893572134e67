"""Readers of what a stranger may have written: each gives the type that it names, or ``Malformed``.

What comes from Git, a store, a remote or ``.towpath`` may hold anything. It passes one of these
where it is read, and is not looked at again. They stand here rather than pydantic, whose import
costs more than showing a version of ten thousand may take.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, KeysView, Mapping
from datetime import UTC, datetime
from typing import Any, NoReturn, TypeAlias, TypeVar

from towpath.errors import Malformed

FOLDER_SUFFIX = ".dir"

# A digest becomes a file's name in stores, caches and buckets, and an argument of Git: one that
# was not held against its shape would be a path, or an option, of the writer's choice.
_MD5 = re.compile(r"[0-9a-f]{32}(?:\.dir)?")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_LONGEST_SHOWN = 80


class Md5(str):
    """DVC's digest: 32 hexadecimal digits, with ``.dir`` behind them for a folder."""

    __slots__ = ()

    def __new__(cls, value: object) -> Md5:
        return str.__new__(cls, _require_shape(_MD5, value, "an MD5 digest"))


class Sha256(str):
    """64 hexadecimal digits."""

    __slots__ = ()

    def __new__(cls, value: object) -> Sha256:
        return str.__new__(cls, _require_shape(_SHA256, value, "a SHA-256 digest"))


class CommitId(str):
    """A whole object name of Git's, 40 hexadecimal digits (64 where it names by SHA-256)."""

    __slots__ = ()

    def __new__(cls, value: object) -> CommitId:
        return str.__new__(cls, _require_shape(_COMMIT, value, "a commit of Git's"))


def is_md5(value: object) -> bool:
    return isinstance(value, str) and _MD5.fullmatch(value) is not None


def is_sha256(value: object) -> bool:
    return isinstance(value, str) and _SHA256.fullmatch(value) is not None


def require_md5(value: str) -> str:
    """The same text; ``Malformed`` where it is no digest: for whoever makes a path of it."""
    return _require_shape(_MD5, value, "an MD5 digest")


def describe_value(value: object) -> str:
    """A value of a stranger's in a message: short, in one line, and without control characters."""
    text = ascii(value) if not isinstance(value, str) or not value.isprintable() else value
    return f"`{text[:_LONGEST_SHOWN]}…`" if len(text) > _LONGEST_SHOWN else f"`{text}`"


T = TypeVar("T")
N = TypeVar("N", int, float)
ReadValue: TypeAlias = Callable[[Any], T]
Scalar: TypeAlias = str | int | float | bool | None
Json: TypeAlias = "Scalar | list[Json] | dict[str, Json]"

LAST_SECOND = 253_402_300_799
"""9999-12-31T23:59:59Z in seconds since 1970: the last that a calendar has."""
MOST_BYTES = (1 << 63) - 1
"""The largest file that any file system knows."""
DEEPEST = 100
"""How deep a document may nest: less than what would exhaust the stack of who walks it."""
LARGEST = 10**300
"""Beyond it a whole number is no floating one any more, and cannot be shown as one."""

_MODEL = re.compile(r"[a-z0-9](?:[a-z0-9_-]{0,98}[a-z0-9])?")
_PIPELINE = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?")
_KEY = re.compile(r"[0-9a-f]{64}")


def parse_json(content: bytes | str) -> Any:
    """The document in a JSON text; ``Malformed`` where it is none, or nests without end."""
    try:
        return json.loads(content)
    except RecursionError:
        raise Malformed("it nests too deep") from None
    except ValueError as wrong:  # also what is no UTF-8, and a number of a million digits
        raise Malformed(f"it is not JSON: {wrong}") from None


def read_text(value: object) -> str:
    """Text that can be written as UTF-8. It is shown, and no more: no path is made of it."""
    if not isinstance(value, str):
        _refuse_value(value, "text")
    if not value.isascii():  # nearly all is, and need not be encoded to know it
        try:
            value.encode()
        except UnicodeEncodeError:  # JSON can spell half a character, which no file can hold
            _refuse_value(value, "text that can be written")
    return value


def read_flag(value: object) -> bool:
    if not isinstance(value, bool):
        _refuse_value(value, "true or false")
    return value


def read_count(value: object) -> int:
    """A size in bytes, or a count: not negative, and no larger than a file system can hold."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MOST_BYTES:
        _refuse_value(value, "a size")
    return value


def read_number(value: object) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not is_finite_number(value):
        _refuse_value(value, "a finite number")
    return value


def read_duration(value: object) -> float:
    """Seconds that something took; clocks may have stepped back meanwhile."""
    return float(read_number(value))


def read_port(value: object) -> int:
    return _require_range(1, read_count(value), 65535, "a port")


def read_process(value: object) -> int:
    """A process's number: 0 and negative ones would mean a whole group to who ends it."""
    return _require_range(1, read_count(value), (1 << 31) - 1, "the number of a process")


def read_second(value: object) -> float:
    """A moment as seconds since 1970, within the calendar."""
    return float(_require_range(0, read_number(value), LAST_SECOND, "a moment"))


def read_moment(value: object) -> str:
    """A moment as it is written in ISO 8601, with its zone."""
    text = read_text(value)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        _refuse_value(value, "a moment in ISO 8601")
    if moment.tzinfo is None:
        _refuse_value(value, "a moment with its zone")
    return text


def read_key(value: object) -> str:
    return _require_shape(_KEY, value, "a step's key")


def read_model_name(value: object) -> str:
    """The name of a model or a stage: safe in a path, a tag, a branch."""
    return _require_shape(_MODEL, value, "a model's name")


def is_model_name(text: str) -> bool:
    return _MODEL.fullmatch(text) is not None


def read_pipeline_name(value: object) -> str:
    return _require_shape(_PIPELINE, value, "a pipeline's name")


def read_json(value: Any, depth: int = DEEPEST) -> Json:
    """A value of JSON's types, which nests no deeper than ``depth``.

    A float may be NaN or infinite, as what a step computed may be. A whole number that no float
    can say could neither be compared nor shown: it becomes its digits.
    """
    if value is None or isinstance(value, bool | float):  # a bool before the int that it also is
        return value
    if isinstance(value, str):
        return read_text(value)
    if isinstance(value, int):
        return value if is_finite_number(value) else str(value)
    if depth <= 0:
        _refuse_value(value, "so shallow as it must be")
    if isinstance(value, list):
        return [read_json(item, depth - 1) for item in value]
    if isinstance(value, dict):
        return {read_text(key): read_json(item, depth - 1) for key, item in value.items()}
    return _refuse_value(value, "a value of JSON's types")


def table_of(read: ReadValue[T]) -> ReadValue[dict[str, T]]:
    """A reader of a mapping, all of whose values are read alike."""

    def read_table(value: object) -> dict[str, T]:
        if not isinstance(value, Mapping):
            _refuse_value(value, "a mapping")
        return {read_text(name): _read_at(name, read, item) for name, item in value.items()}

    return read_table


def list_of(read: ReadValue[T]) -> ReadValue[tuple[T, ...]]:
    """A reader of a list, all of whose items are read alike."""

    def read_list(value: object) -> tuple[T, ...]:
        if not isinstance(value, list):
            _refuse_value(value, "a list")
        return tuple(_read_at(place, read, item) for place, item in enumerate(value))

    return read_list


def one_of(*known: str) -> ReadValue[str]:
    def read_word(value: object) -> str:
        if not isinstance(value, str) or value not in known:
            _refuse_value(value, f"one of {', '.join(known)}")
        return value

    return read_word


class Fields:
    """A mapping of a stranger's, asked for one value after the other by key."""

    def __init__(self, value: object) -> None:
        if not isinstance(value, Mapping):
            _refuse_value(value, "a mapping")
        self._values = value

    @property
    def names(self) -> KeysView[str]:
        """Its keys, which may be any."""
        return self._values.keys()

    def get(self, key: str, read: ReadValue[T]) -> T:
        """The value of a key that must be there."""
        if key not in self._values:
            raise Malformed(f"`{key}` is missing")
        return _read_at(key, read, self._values[key])

    def find_optional(self, key: str, read: ReadValue[T]) -> T | None:
        """The value of a key, None where it is missing or null."""
        value = self._values.get(key)
        return None if value is None else _read_at(key, read, value)

    def get_table(self, key: str, read: ReadValue[T]) -> dict[str, T]:
        """The mapping at a key, empty where it is missing or null."""
        return self.find_optional(key, table_of(read)) or {}

    def refuse_others(self, *known: str) -> None:
        for key in self._values:
            if key not in known:
                raise Malformed(f"{describe_value(key)} is no key of it")


def _require_shape(shape: re.Pattern[str], value: object, what: str) -> str:
    if not isinstance(value, str) or not shape.fullmatch(value):
        _refuse_value(value, what)
    return value


def _require_range(least: int, number: N, most: int, what: str) -> N:
    if not least <= number <= most:
        _refuse_value(number, what)
    return number


def _read_at(key: object, read: ReadValue[T], value: object) -> T:
    """What a reader says of a value, with the key before its words."""
    try:
        return read(value)
    except Malformed as wrong:
        # Without its cause: the value of a stranger would stand in the traceback a second time.
        raise Malformed(f"{describe_value(key)}: {wrong.faults[0].what}") from None


def _refuse_value(value: object, what: str) -> NoReturn:
    raise Malformed(f"{describe_value(value)} is not {what}")


def is_finite_number(value: int | float) -> bool:
    """Whether a number can be shown: no NaN, no infinity, no integer without end."""
    return -LARGEST < value < LARGEST


def is_same(one: object, other: object) -> bool:
    """Whether two values of documents say the same: a NaN says what another NaN says."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(is_same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(is_same, one, other))
    return one == other or (one != one and other != other)


def clamp_second(text: str) -> int:
    """A second since 1970 as Git prints it; one that no calendar has becomes its end, none is 0.

    Whoever pushes a tag or a commit chooses its date freely.
    """
    return min(int(text), LAST_SECOND) if text.isascii() and text.isdigit() else 0


def format_second(second: float) -> str:
    """A second since 1970 in UTC, ISO 8601; one that no calendar has becomes its end."""
    return datetime.fromtimestamp(min(second, LAST_SECOND), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
