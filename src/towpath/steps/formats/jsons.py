"""JSON, from what analysis code really returns: numpy numbers, times, paths, data classes."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import json
import math
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from towpath.spec.artifact import Json

SMALL = 64 * 1024
"""A JSON output of at most so many bytes is handed on with its content."""

if TYPE_CHECKING:
    from towpath.steps.formats import Asked


def read(path: Path, asked: Asked) -> Any:
    """The parsed document; with ``str`` or ``bytes`` asked for, the file as it stands."""
    data = path.read_bytes()
    if asked.wanted == "bytes":
        return data
    return data.decode() if asked.wanted == "str" else json.loads(data)


def write(value: object, path: Path, kind: str) -> None:  # noqa: ARG001
    """Write a document in the order it was made.

    NaN and infinity are written as ``NaN`` and ``Infinity``. JSON has no word for them, but
    Python, pandas and DVC read these; to drop them would make a failed metric look like none.
    """
    path.write_text(json.dumps(plain(value), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def small(path: Path) -> Json:
    """The content of a JSON file of at most :data:`SMALL` bytes; ValueError if it is larger."""
    data = path.read_bytes()
    if len(data) > SMALL:
        raise ValueError("too large to hand on")
    return json.loads(data)  # type: ignore[no-any-return]


def is_finite(value: Json) -> bool:
    """Whether no number inside is NaN or infinite."""
    if isinstance(value, dict):
        return all(is_finite(each) for each in value.values())
    if isinstance(value, list):
        return all(is_finite(each) for each in value)
    return not isinstance(value, float) or math.isfinite(value)


def plain(value: Any) -> Json:
    """The same in JSON's own types; TypeError names what has no place there."""
    if value is None or type(value) in (str, bool, int, float):
        return value  # type: ignore[no-any-return]
    if isinstance(value, Mapping):
        return {_key(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, set | frozenset):
        return sorted((plain(each) for each in value), key=repr)
    return _scalar(value)


def _scalar(value: Any) -> Json:
    if type(value).__name__ in ("NAType", "NaTType"):  # pandas' own nothings; NaT is a datetime
        return None
    if isinstance(value, enum.Enum):
        return plain(value.value)
    if isinstance(value, bool | int | float | str):
        return value  # a subclass of a plain type: numpy.float64 is a float
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, PurePath):
        return value.as_posix()
    if isinstance(value, Decimal):
        return float(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return plain(dataclasses.asdict(value))
    return _of_a_library(value)


def _of_a_library(value: Any) -> Json:
    if hasattr(value, "dtype") and hasattr(value, "tolist"):  # numpy scalars and arrays
        return plain(value.to_dict() if hasattr(value, "to_dict") else value.tolist())
    if hasattr(value, "dtypes"):
        raise TypeError("it is a table: write it as .csv or .parquet, or return its to_dict()")
    raise TypeError(f"a {type(value).__module__}.{type(value).__name__} has no place in JSON")


def _key(key: Any) -> str:
    if isinstance(key, str):
        return str(key)
    simple = plain(key)
    return simple if isinstance(simple, str) else json.dumps(simple)
