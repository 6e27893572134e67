"""What a gate's process answers, read as a stranger's word: the model's code may have written it.

Each reader gives the answer of one kind, or ``Malformed``; nothing of it is used unread.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from towpath.config import foreign_values as foreign
from towpath.config.artifact import Json
from towpath.config.foreign_values import Fields, ReadValue, T, is_finite_number
from towpath.errors import Malformed


@dataclass(frozen=True)
class FunctionAnswer:
    """What the project's own function said: whether it passed, and what a reviewer reads of it."""

    passed: bool
    value: Json
    bound: Json
    detail: str


@dataclass(frozen=True)
class GoldenAnswer:
    """What the model gives for each sample, and what it should."""

    given: tuple[Json, ...]
    expected: tuple[Json, ...]


@dataclass(frozen=True)
class FairnessAnswer:
    """The error of each group, and the groups that are too small to be judged."""

    errors: Mapping[str, float]
    small: tuple[str, ...]


@dataclass(frozen=True)
class SafeAnswer:
    """What is unsafe, by file, and what was looked at."""

    unsafe: Mapping[str, str]
    looked_at: tuple[str, ...]


@dataclass(frozen=True)
class ExpectationsAnswer:
    """How many expectations hold, of how many, over how many rows; those that do not, in words."""

    rows: int
    count: int
    held: int
    failed: tuple[str, ...]
    warned: tuple[str, ...]


@dataclass(frozen=True)
class GateRefusal:
    """Why the process gave no answer, in its own words."""

    why: str


def read_reply(reply: object, read: ReadValue[T]) -> T | GateRefusal:
    """The answer of a gate's process, or why there is none."""
    fields = Fields(reply)
    fields.refuse_others("why", "answer")
    why = fields.find_optional("why", foreign.read_text)
    return fields.get("answer", read) if why is None else GateRefusal(why)


def read_function(value: object) -> FunctionAnswer:
    """What ``passed``, ``value``, ``bound`` and ``detail`` are."""
    fields = _read_fields(value, "passed", "value", "bound", "detail")
    return FunctionAnswer(
        fields.get("passed", foreign.read_flag),
        fields.find_optional("value", read_finite),
        fields.find_optional("bound", read_finite),
        str(fields.find_optional("detail", read_finite) or ""),
    )


def read_golden(value: object) -> GoldenAnswer:
    """One value given for each that is expected."""
    fields = _read_fields(value, "given", "expected")
    values = foreign.list_of(read_finite)
    answer = GoldenAnswer(fields.get("given", values), fields.get("expected", values))
    if len(answer.given) != len(answer.expected):
        raise Malformed("`given` and `expected` are not of one length")
    return answer


def read_latency(value: object) -> tuple[float, ...]:
    """The seconds of each call."""
    return _read_fields(value, "seconds").get("seconds", foreign.list_of(_read_seconds))


def read_fairness(value: object) -> FairnessAnswer:
    """Numbers by group."""
    fields = _read_fields(value, "errors", "small")
    return FairnessAnswer(
        fields.get("errors", foreign.table_of(foreign.read_number)),
        fields.get("small", foreign.list_of(foreign.read_text)),
    )


def read_safe(value: object) -> SafeAnswer:
    """Words by file."""
    fields = _read_fields(value, "unsafe", "looked_at")
    return SafeAnswer(
        fields.get("unsafe", foreign.table_of(foreign.read_text)),
        fields.get("looked_at", foreign.list_of(foreign.read_text)),
    )


def read_expectations(value: object) -> ExpectationsAnswer:
    """Counts, and sentences; all hold or some are named that do not."""
    fields = _read_fields(value, "rows", "count", "held", "failed", "warned")
    answer = ExpectationsAnswer(
        fields.get("rows", foreign.read_count),
        fields.get("count", foreign.read_count),
        fields.get("held", foreign.read_count),
        fields.get("failed", foreign.list_of(foreign.read_text)),
        fields.get("warned", foreign.list_of(foreign.read_text)),
    )
    if answer.held + len(answer.failed) + len(answer.warned) != answer.count:
        raise Malformed("`held`, `failed` and `warned` do not add up to `count`")
    return answer


def read_finite(value: object) -> Json:
    """A value of JSON's types without a NaN or an infinity, which no bound holds."""
    json = foreign.read_json(value)
    if not _is_finite(json):
        raise Malformed("a number in it is NaN or infinite")
    return json


def _is_finite(value: Json) -> bool:
    if isinstance(value, float):
        return is_finite_number(value)
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return all(_is_finite(item) for item in inner)


def _read_seconds(value: object) -> float:
    seconds = foreign.read_number(value)
    if seconds < 0:
        raise Malformed(f"{seconds} is no time that something took")
    return float(seconds)


def _read_fields(value: object, *keys: str) -> Fields:
    fields = Fields(value)
    fields.refuse_others(*keys)
    return fields
