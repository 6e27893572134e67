"""An expectation's dates as the column has them: a suite is YAML, in which a date is text.

Great Expectations hands a bound to pandas as it stands or makes a ``datetime.date`` of it, and
pandas holds neither against a time. So a bound is made what the column holds: a time with or
without a zone, or a day. Where the column is text that spells times, as one of a CSV does, the
text is read.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from towpath.backends.great_expectations.suite_outcome import Expectation

_DATE = re.compile(r"\d{4}-\d\d(-\d\d([T ].*)?)?")
_BOUNDED = frozenset(
    f"expect_column_{name}_to_be_between" for name in ("values", "min", "max", "mean", "median")
)
_BOUNDS = ("min_value", "max_value")
_SETS = ("value_set",)


@dataclass(frozen=True)
class TypedArguments:
    """What Great Expectations is given; ``column`` replaces the one of the table, if it is read
    otherwise than it stands."""

    arguments: Mapping[str, Any]
    column: Any = None


def type_arguments(expectation: Expectation, frame: Any) -> TypedArguments:
    """The arguments of an expectation in the types of the table's columns.

    Raises ``ValueError``, whose words a person reads, where they cannot be held against each other.
    """
    arguments = dict(expectation.arguments)
    name = arguments.get("column")
    if not isinstance(name, str) or name not in frame.columns:
        return TypedArguments(arguments)
    column, read = frame[name], None
    keys = [key for key in _BOUNDS if isinstance(arguments.get(key), str | int | float)]
    if expectation.type in _BOUNDED and keys:
        if _is_text(column) and all(_is_date(arguments[key]) for key in keys):
            column = read = _read_times(column, name)
        for key in keys:
            arguments[key] = _as_bound(arguments[key], column, name)
    for key in _SETS:
        if isinstance(arguments.get(key), list) and _held_kind(column):
            arguments[key] = [_as_member(value, column, name) for value in arguments[key]]
    return TypedArguments(arguments, read)


def _is_date(value: Any) -> bool:
    return isinstance(value, str) and bool(_DATE.fullmatch(value.strip()))


def _is_text(column: Any) -> bool:
    import pandas

    if pandas.api.types.is_string_dtype(column.dtype) and column.dtype != object:
        return True
    return bool(column.dtype == object and isinstance(_first_value(column), str))


def _held_kind(column: Any) -> str:
    """Whether a column holds times or days (``time``, ``day``); empty for anything else."""
    if column.dtype.kind == "M":
        return "time"
    first = _first_value(column) if column.dtype == object else None
    if isinstance(first, datetime.datetime):
        return "time"
    return "day" if isinstance(first, datetime.date) else ""


def _first_value(column: Any) -> Any:
    values = column.dropna()
    return values.iloc[0] if len(values) else None


def _read_times(column: Any, name: str) -> Any:
    """The times that a column of text spells."""
    import pandas

    texts = column.dropna()
    zoned = texts.str.contains(r"(?:Z|[+-]\d\d:?\d\d)$", regex=True).any()
    times = pandas.to_datetime(texts, format="ISO8601", errors="coerce", utc=bool(zoned))
    if times.isna().any():
        text = texts[times.isna()].iloc[0]
        raise ValueError(f"`{name}` holds `{text}`, which is no date as 2026-01-31 is one")
    return times.reindex(column.index)


def _as_bound(value: Any, column: Any, name: str) -> Any:
    kind = _held_kind(column)
    if not kind:
        if _is_date(value) and column.dtype.kind in "iuf":
            raise ValueError(f"`{name}` holds numbers, and `{value}` is a date")
        return value
    if not isinstance(value, str):
        raise ValueError(f"`{name}` holds dates, and {value} is none")
    return _as_time(value, kind, column, name)


def _as_member(value: Any, column: Any, name: str) -> Any:
    """What may be in a set beside dates stays as it is, and is in no column of dates."""
    if not _is_date(value):
        return value
    return _as_time(value, _held_kind(column), column, name)


def _as_time(text: str, kind: str, column: Any, name: str) -> Any:
    import pandas

    try:
        time = pandas.Timestamp(text)
    except ValueError:
        raise ValueError(f"`{name}` holds dates, and `{text}` is none") from None
    if kind == "day":
        return time.date()
    zone = getattr(column.dtype, "tz", None) or getattr(_first_value(column), "tzinfo", None)
    if zone is not None:
        return time.tz_localize(zone) if time.tzinfo is None else time.tz_convert(zone)
    if time.tzinfo is not None:
        raise ValueError(f"`{name}` holds times without a zone, and `{text}` has one")
    return time
