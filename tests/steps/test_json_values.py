"""JSON from what analysis code returns: nothing is lost, or the error names the key."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import json
import uuid
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy
import pandas
import pyarrow
import pydantic
import pytest
from msgspec import Struct

from towpath.steps.formats.jsons import plain_json


class Colour(str, enum.Enum):  # noqa: UP042 - its `str` is "Colour.RED"
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


class Model(pydantic.BaseModel):
    took: datetime.timedelta = datetime.timedelta(hours=2, milliseconds=500)
    by: dict[Colour, Any] = {Colour.RED: numpy.float32(0.5)}


@dataclasses.dataclass
class Point:
    x: Any
    where: Path = Path("a/b")


class Pair(Struct):
    x: Any
    where: Path = Path("a/b")


DAYS = pandas.date_range("2026-01-01", periods=2, tz="Europe/Berlin")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({Colour.RED: Colour.RED, Level.HIGH: Level.HIGH}, {"red": "red", "3": 3}),
        ({datetime.date(2026, 1, 2): 0, None: 1, 1.5: 2}, {"2026-01-02": 0, "null": 1, "1.5": 2}),
        ({numpy.int64(5): numpy.str_("x"), numpy.True_: 1}, {"5": "x", "true": 1}),
        (Model(), {"took": "PT2H0.5S", "by": {"red": 0.5}}),
        ([Point(numpy.arange(2))], [{"x": [0, 1], "where": "a/b"}]),
        (Pair(numpy.float64(0.5)), {"x": 0.5, "where": "a/b"}),
        (pandas.Series([1, 2], index=DAYS),
         {"2026-01-01T00:00:00+01:00": 1, "2026-01-02T00:00:00+01:00": 2}),
        (pandas.Series(DAYS[:1]), {"0": "2026-01-01T00:00:00+01:00"}),
        (DAYS[:1], ["2026-01-01T00:00:00+01:00"]),
        (numpy.array(["2026-01-02T03:04:05.123456789", "NaT"], "datetime64[ns]"),
         ["2026-01-02T03:04:05.123456789", None]),
        (numpy.datetime64("2026-01-02"), "2026-01-02"),
        (numpy.datetime64("2026-01-02T00:00:00.5"), "2026-01-02T00:00:00.500000"),
        (pandas.Timestamp("2026-01-02", tz="UTC"), "2026-01-02T00:00:00+00:00"),
        (datetime.timedelta(days=1, seconds=3723), "P1DT1H2M3S"),
        (-datetime.timedelta(hours=2), "-PT2H"),
        (datetime.timedelta(0), "PT0S"),
        (pandas.Timedelta(1, "ns"), "PT0.000000001S"),
        (numpy.timedelta64(90, "m"), "PT1H30M"),
        (pandas.Series(pandas.to_timedelta(["1h", None])), {"0": "PT1H", "1": None}),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        ([Decimal("0.10"), Fraction(1, 4), numpy.longdouble("0.5")], [0.1, 0.25, 0.5]),
        ({3, 10, 1}, [1, 3, 10]),
        (frozenset({"b", "a"}), ["a", "b"]),
        ({"b", 1}, ["b", 1]),
        (pandas.array([1, None], dtype="Int64"), [1, None]),
        (pandas.Categorical(["a", None]), ["a", None]),
        (pandas.Series(["a", None], dtype="category"), {"0": "a", "1": None}),
        (pandas.Series(["a", None]), {"0": "a", "1": None}),
        (pandas.Index(["a", None]), ["a", None]),
        (pandas.Series(pandas.cut([1, 9], [0, 2])), {"0": "(0.0, 2.0]", "1": None}),
        (pyarrow.array([1, None]), [1, None]),
        (2**70, 2**70),
    ],
)  # fmt: skip
def test_each_value_has_one_text(value, expected):
    found = plain_json(value)
    assert found == expected
    assert json.loads(json.dumps(found)) == expected


LOOP: dict[str, Any] = {}
LOOP["x"] = [LOOP]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (pandas.concat([pandas.Series([1, 2], index=["a", "b"])] * 2),
         "`a` stands twice in its index, and JSON keeps one"),
        ({"deep": {1: 2, "1": 3}}, "`deep`: the keys 1 and '1' are both `1` in JSON: rename one"),
        ({None: 1, "null": 2}, "the keys None and 'null' are both `null` in JSON"),
        ({"rows": [{("u", 1): 2}]}, "`rows[0]`: the key ('u', 1) is a tuple"),
        (pandas.Series([1], index=pandas.MultiIndex.from_tuples([("a", 1)])),
         "the key ('a', 1) is a tuple"),
        ({"a": {"b": b"x"}}, "`a.b`: a bytes has no place in JSON: decode it"),
        ({b"k": 1}, "`key b'k'`: a bytes has no place in JSON"),
        (LOOP, "`x[0]`: it holds itself"),
        ({"n": Decimal("0.12345678901234567890123")}, "`n`: Decimal("),
        ({"z": numpy.array([1j])}, "`z[0]`: a complex has no place in JSON"),
        ({"r": numpy.zeros(2, [("a", "i4")])}, "`r`: it is an array of records"),
        ({"t": pandas.DataFrame({"a": [1]})}, "`t`: it is a table"),
        ({"f": len}, "`f`: a builtin_function_or_method has no place in JSON"),
        (Point(object()), "`x`: a object has no place in JSON"),
    ],
)  # fmt: skip
def test_what_would_be_lost_is_named(value, said):
    with pytest.raises(TypeError) as refused:
        plain_json(value)
    assert str(refused.value).startswith(said)


def test_one_object_in_two_places_is_no_circle():
    shared = {"a": 1}
    assert plain_json([shared, shared]) == [{"a": 1}, {"a": 1}]
