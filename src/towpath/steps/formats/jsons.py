"""JSON documents: read, written, and looked into where they are small."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import json
import math
import sys
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from fractions import Fraction
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, NoReturn

from msgspec import Struct, field, structs

from towpath.config.artifact import Json
from towpath.errors import StepFailed

if TYPE_CHECKING:
    from towpath.steps.formats import ReadRequest

SMALL = 64 * 1024  # A JSON output of at most so many bytes is handed on with its content.
_PLAIN = frozenset({str, bool, int, float})
_BYTES = (bytes, bytearray, memoryview)


def read(path: Path, asked: ReadRequest) -> Any:
    data = path.read_bytes()
    if asked.wanted == "bytes":
        return data
    return data.decode() if asked.wanted == "str" else parse_document(data, asked.name)


def write(value: object, path: Path, kind: str) -> None:  # noqa: ARG001
    """Write a document in the order it was made. NaN and infinity are ``NaN`` and ``Infinity``,
    which Python, pandas and DVC read: to drop them would make a failed metric look like none."""
    text = json.dumps(plain_json(value), indent=2, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")


def parse_document(data: bytes, name: str) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        why = str(error).strip() if isinstance(error, ValueError) else "it is nested too deeply"
        lines = isinstance(error, json.JSONDecodeError) and error.msg == "Extra data"
        hint = "JSON Lines are .jsonl" if lines else None
        what = f"{name} is no JSON document: {why if data.strip() else 'it is empty'}"
        raise StepFailed(what, hint=hint) from error


def is_finite_document(value: Json) -> bool:
    if isinstance(value, dict):
        return all(is_finite_document(part) for part in value.values())
    if isinstance(value, list):
        return all(is_finite_document(part) for part in value)
    return not isinstance(value, float) or math.isfinite(value)


# Values of analysis code as JSON's own types: nothing is lost on the way, or an error says where.
#
# Numbers of NumPy, times, durations, paths, models and data classes have one text each. Two keys
# that would be one in JSON, a label that stands twice, or a value that has no text are errors that
# name the key.

_NANOSECONDS = 1_000_000_000
_UNITS = {"Y": "P{}Y", "M": "P{}M"}  # Units of NumPy's durations that are no number of seconds.


def plain_json(value: Any) -> Json:
    """The same in JSON's own types; ``TypeError`` names the key of what has no place there."""
    return _Reading().plain_value(value)


class _Reading(Struct):
    """Where in a value we are: the keys on the way, and the containers that we are inside of."""

    way: list[str] = field(default_factory=list)
    inside: list[int] = field(default_factory=list)

    def plain_value(self, value: Any) -> Json:
        if value is None or type(value) in _PLAIN:
            return value  # type: ignore[no-any-return]
        if isinstance(value, Mapping):
            return self._plain_mapping(value, value.items())
        if isinstance(value, list | tuple):
            return self._plain_list(value, value)
        if isinstance(value, set | frozenset):
            return _sort_values(self._plain_list(value, value))
        return self._plain_scalar(value)

    def _plain_mapping(self, whole: Any, items: Any) -> dict[str, Json]:
        plain_parts: dict[str, Json] = {}
        names: dict[str, Any] = {}
        with self._within_container(whole):
            for key, part in items:
                name = self._plain_key(key)
                if name in plain_parts:
                    self._refuse_value(_collision_words(name, names[name], key))
                names[name] = key
                if type(part) in _PLAIN:
                    plain_parts[name] = part
                    continue
                with self._at_step(f".{name}"):
                    plain_parts[name] = self.plain_value(part)
        return plain_parts

    def _plain_list(self, whole: Any, parts: Any) -> list[Json]:
        plain_parts = []
        with self._within_container(whole):
            for number, part in enumerate(parts):
                if type(part) in _PLAIN:
                    plain_parts.append(part)
                    continue
                with self._at_step(f"[{number}]"):
                    plain_parts.append(self.plain_value(part))
        return plain_parts

    def _plain_key(self, key: Any) -> str:
        if type(key) is str:
            return key
        if isinstance(key, tuple):
            self._refuse_value(f"the key {key!r} is a tuple: join its parts into one text")
        with self._at_step(f" key {key!r}"):
            simple = self.plain_value(key)
        if isinstance(simple, dict | list):
            self._refuse_value(f"the key {key!r} is no text and no number")
        return simple if isinstance(simple, str) else json.dumps(simple)

    def _plain_scalar(self, value: Any) -> Json:
        if type(value).__name__ in ("NAType", "NaTType"):  # pandas' nothings; NaT is a datetime
            return None
        if isinstance(value, enum.Enum):
            return self.plain_value(value.value)
        if isinstance(value, str):
            return str.__str__(value)
        if isinstance(value, int):
            return int(value)
        if isinstance(value, float):
            return float(value)
        text = _text_of(value)
        if text is not None:
            return text
        if isinstance(value, Decimal | Fraction):
            number = float(value)
            if isinstance(value, Fraction):
                is_same = Fraction(number) == value
            else:
                is_same = not value.is_finite() or Decimal(repr(number)) == value
            if not is_same:
                self._refuse_value(f"{value!r} is no number of JSON: make it a float or a text")
            return number
        return self._plain_object(value)

    def _plain_object(self, value: Any) -> Json:
        kind = type(value)
        is_data = dataclasses.is_dataclass(value) and not isinstance(value, type)
        if is_data or hasattr(kind, "__attrs_attrs__"):
            members = dataclasses.fields(value) if is_data else kind.__attrs_attrs__
            items = [(member.name, getattr(value, member.name)) for member in members]
            return self._plain_mapping(value, items)
        if isinstance(value, Struct):
            return self._plain_mapping(value, list(structs.asdict(value).items()))
        if hasattr(kind, "model_dump") and hasattr(kind, "model_fields"):  # pydantic's
            return self.plain_value(value.model_dump())
        return self._of_a_library(value)

    def _of_a_library(self, value: Any) -> Json:
        if hasattr(value, "dtype") and hasattr(value, "tolist"):
            return self._plain_array(value)
        if hasattr(value, "dtype") and hasattr(value, "to_list"):  # polars' columns
            return self.plain_value(value.to_list())
        if hasattr(value, "to_pylist"):  # pyarrow's
            return self.plain_value(value.to_pylist())
        if hasattr(value, "as_py"):
            return self.plain_value(value.as_py())
        if hasattr(value, "dtypes"):
            table = "it is a table: write it as .csv or .parquet, or return its to_dict()"
            self._refuse_value(table)
        hint = ": decode it, or write a file of its own" if isinstance(value, _BYTES) else ""
        name = f"{type(value).__module__}.{type(value).__name__}".removeprefix("builtins.")
        return self._refuse_value(f"a {name} has no place in JSON{hint}")

    def _plain_array(self, value: Any) -> Json:
        """A number, an array, a column or an index."""
        if hasattr(value, "items") and hasattr(value, "index"):
            return self._plain_mapping(value, _labelled_items(value))
        if getattr(value.dtype, "names", None):
            self._refuse_value("it is an array of records: write it as .npy, or make it a table")
        kind = getattr(value.dtype, "kind", "")
        if kind not in "fcmM" and _holds_gaps(value):
            gone = value.isna()  # of texts and categories pandas says NaN, and means nothing
            return self._plain_list(
                value, [None if no else part for part, no in zip(value, gone, strict=True)]
            )
        if kind in "mM" and type(value).__module__.partition(".")[0] == "numpy":
            return self._plain_times(value)
        python_value = value.tolist()
        if type(python_value) is not type(value):
            return self.plain_value(python_value)
        if kind == "f":  # NumPy has numbers that Python has none for
            return float(python_value)
        name = f"{type(value).__module__}.{type(value).__name__}"
        return self._refuse_value(f"a {name} has no place in JSON")

    def _plain_times(self, value: Any) -> Json:
        if getattr(value, "ndim", 0):
            return self._plain_list(value, value)
        import numpy

        scalar = value[()] if isinstance(value, numpy.ndarray) else value
        if numpy.isnat(scalar):
            return None
        return _numpy_moment(scalar) if scalar.dtype.kind == "M" else _numpy_duration(scalar)

    @contextmanager
    def _at_step(self, step: str) -> Iterator[None]:
        self.way.append(step)
        yield
        self.way.pop()

    @contextmanager
    def _within_container(self, value: Any) -> Iterator[None]:
        if id(value) in self.inside:
            self._refuse_value("it holds itself")
        self.inside.append(id(value))
        yield
        self.inside.pop()

    def _refuse_value(self, why: str) -> NoReturn:
        way = "".join(self.way).removeprefix(".").strip()
        raise TypeError(f"`{way}`: {why}" if way else why)


def _holds_gaps(value: Any) -> bool:
    """Whether it is a column of pandas, or an index of one level, which say what is missing."""
    return hasattr(value, "isna") and getattr(value, "nlevels", 1) == 1


def _labelled_items(column: Any) -> Any:
    """A column's values by label; what is missing is ``None``, but NaN among numbers a number."""
    if getattr(column.dtype, "kind", "") in "fcmM":
        return column.items()
    values = (None if no else v for v, no in zip(column, column.isna(), strict=True))
    return zip(column.index, values, strict=True)


def _collision_words(name: str, first: Any, second: Any) -> str:
    if type(first) is type(second) and first == second:
        return f"`{name}` stands twice in its index, and JSON keeps one: reset the index, or group"
    return f"the keys {first!r} and {second!r} are both `{name}` in JSON: rename one"


def _sort_values(values: list[Json]) -> list[Json]:
    """In one order, whatever Python's hashes say: by size or letter where all can be compared."""
    try:
        return sorted(values, key=lambda each: (each != each, each))
    except TypeError:
        return sorted(values, key=repr)


def _text_of(value: Any) -> str | None:
    """The one text of a time, a duration, a path or an identifier."""
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, datetime.timedelta):
        nanoseconds = getattr(value, "nanoseconds", 0)  # pandas counts further
        seconds = value.days * 86_400 + value.seconds
        return _iso_duration(seconds * _NANOSECONDS + value.microseconds * 1_000 + nanoseconds)
    if isinstance(value, PurePath):
        return value.as_posix()
    if isinstance(value, uuid.UUID):
        return str(value)
    pandas = sys.modules.get("pandas")
    if pandas is not None and isinstance(value, pandas.Period | pandas.Interval):
        return str(value)
    return None


def _iso_duration(nanoseconds: int) -> str:
    """ISO 8601: ``P1DT2H0.5S``."""
    sign = "-" if nanoseconds < 0 else ""
    seconds, fraction = divmod(abs(nanoseconds), _NANOSECONDS)
    days, seconds = divmod(seconds, 86_400)
    hours, seconds = divmod(seconds, 3_600)
    minutes, seconds = divmod(seconds, 60)
    parts = f"{hours}H" * bool(hours) + f"{minutes}M" * bool(minutes)
    if seconds or fraction:
        parts += f"{seconds}.{fraction:09d}".rstrip("0").rstrip(".") + "S"
    if not days and not parts:
        return "PT0S"
    return f"{sign}P" + f"{days}D" * bool(days) + (f"T{parts}" if parts else "")


def _numpy_moment(scalar: Any) -> str:
    """A ``numpy.datetime64`` as Python writes such a moment, to its last digit that is not zero."""
    import numpy

    unit = numpy.datetime_data(scalar.dtype)[0]
    if unit in ("Y", "M", "W", "D"):
        return str(scalar)
    moment = scalar.astype("datetime64[us]").item()
    if not isinstance(moment, datetime.datetime):  # a year that Python does not know
        return str(scalar)
    rest = (scalar - scalar.astype("datetime64[us]")).astype("timedelta64[ns]").astype(int)
    if not rest:
        return moment.isoformat()
    return f"{moment.isoformat(timespec='microseconds')}{rest:03d}"


def _numpy_duration(scalar: Any) -> str:
    import numpy

    unit, count = numpy.datetime_data(scalar.dtype)
    if unit in _UNITS:
        return _UNITS[unit].format(int(scalar.astype("int64")) * count)
    return _iso_duration(int(scalar.astype("timedelta64[ns]").astype("int64")))
