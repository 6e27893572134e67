"""Delimited text is read as it stands: nothing shifted or made up, each fault with its line."""

from __future__ import annotations

import datetime
import gzip
import importlib.util
from pathlib import Path
from typing import Any

import pandas
import pytest

from towpath.config.table_options import TableOptions
from towpath.errors import StepFailed
from towpath.steps import formats
from towpath.steps.formats import ReadRequest

LIBRARIES = ["pandas.DataFrame", "pyarrow.Table"]
if importlib.util.find_spec("polars"):
    LIBRARIES += ["polars.DataFrame", "polars.LazyFrame"]
ADVICE = (
    "(put a value that holds `,` in quotes; of a file with decimal commas declare the separator: "
    '`{path: ..., separator: ";", decimal: ","}`)'
)


def columns_of(table: Any) -> dict[str, list[Any]]:
    """A table's columns, whichever library's it is; what is missing is None."""
    if isinstance(table, pandas.DataFrame):
        rows = table.astype(object).where(table.notna(), None)
        return {str(name): rows[name].tolist() for name in rows}
    if hasattr(table, "to_pydict"):
        return dict(table.to_pydict())
    frame = table.collect() if hasattr(table, "collect") else table
    return dict(frame.to_dict(as_series=False))


def read(folder: Path, data: bytes, wanted: str = "", **options: Any) -> Any:
    path = folder / "bytes"
    path.write_bytes(data)
    return formats.read_file(path, ReadRequest("raw.csv", wanted, options=TableOptions(**options)))


SOUND = {
    "separators behind each row": (b"a,b\n1,2,\n3,4,,\n", {"a": [1, 3], "b": [2, 4]}),
    "a separator behind one row": (b"a,b\n1,2\n3,4,\n", {"a": [1, 3], "b": [2, 4]}),
    "separators behind the header too": (b"a,b,\n1,2,\n3,4,\n", {"a": [1, 3], "b": [2, 4]}),
    "a short row": (b"a,b\n1,2\n3\n", {"a": [1, 3], "b": [2, None]}),
    "a mark at the beginning": (b"\xef\xbb\xbfa,b\n1,2\n", {"a": [1], "b": [2]}),
    "ends of all kinds": (b"a,b\r\n1,2\n3,4\r5,6\n", {"a": [1, 3, 5], "b": [2, 4, 6]}),
    "blank lines": (b"a,b\n\n1,2\n  \n3,4\n\n", {"a": [1, 3], "b": [2, 4]}),
    "a line end in quotes": (b'a,b\n"x\ny",2\n', {"a": ["x\ny"], "b": [2]}),
    "a header alone": (b"a,b\n", {"a": [], "b": []}),
    "an end of old in quotes": (b'a,b,\n"x\ry",2,\n', {"a": ["x\ry"], "b": [2]}),
    "packed": (gzip.compress(b"a,b\n1,2,\n"), {"a": [1], "b": [2]}),
}


@pytest.mark.parametrize("wanted", LIBRARIES)
@pytest.mark.parametrize("case", SOUND)
def test_a_sound_file_has_its_columns_and_no_others(tmp_path: Path, case: str, wanted: str) -> None:
    data, columns = SOUND[case]
    assert columns_of(read(tmp_path, data, wanted)) == columns


@pytest.mark.parametrize("wanted", ["pandas.DataFrame", "pyarrow.Table"])
def test_a_row_of_empty_quotes_is_a_row(tmp_path: Path, wanted: str) -> None:
    """It is how pandas writes a gap in a table of one column; polars takes it for a text."""
    assert columns_of(read(tmp_path, b'a,\n1,\n""\n3\n', wanted)) == {"a": [1, None, 3]}


def test_a_column_without_a_name_stays_a_column(tmp_path: Path) -> None:
    frame = read(tmp_path, b",a\n7,1\n8,2\n")
    assert columns_of(frame) == {"Unnamed: 0": [7, 8], "a": [1, 2]}
    assert frame.index.tolist() == [0, 1]
    assert columns_of(read(tmp_path, b"a,\n1,x\n")) == {"a": [1], "Unnamed: 1": ["x"]}


BROKEN = {
    "a field too many": (
        b"age,income,default\n34,52000,0,7\n1,2,3,4\n",
        f"raw.csv:2: the row has 4 fields, the header 3, and so have 1 more {ADVICE}",
    ),
    "in a later row": (b"a,b\n1,2\n3,4,5\n", "raw.csv:3: the row has 3 fields, the header 2"),
    "behind a record of two lines": (
        b'a,b\n"x\ny",2\n3,4,5\n',
        "raw.csv:4: the row has 3 fields, the header 2",
    ),
    "decimal commas": (b"a,b\n1,5,2,5\n", "raw.csv:2: the row has 4 fields, the header 2"),
    "another separator": (
        b"a;b\n1,5;2\n",
        "raw.csv:2: the row has 2 fields, the header 1 "
        '(its fields seem to stand apart by `;`: declare `separator: ";"`)',
    ),
    "an open quote": (b'a,b\n1,2\n"x,3\n4,5\n', "raw.csv:3: a quote is opened and never closed"),
    "an open quote in the last field": (
        b'a,b\n1,"x\n2,y\n',
        "raw.csv:2: a quote is opened and never closed",
    ),
    "an open quote behind a stray one": (
        b'a,b\n5" pipe,"open\n2,y\n',
        "raw.csv:2: a quote is opened and never closed",
    ),
    "an open quote in the last line": (
        b'a,b\n1,x\n2,"y',
        "raw.csv:3: a quote is opened and never closed",
    ),
    "no rows at all": (b"", "raw.csv cannot be read as csv: the file is empty"),
    "blank lines alone": (b"\n\n", "raw.csv cannot be read as csv: the file is empty"),
    "another encoding": ("a,b\nx,1\nä,2\n".encode("latin-1"), "raw.csv:3: the file is not utf-8"),
}


@pytest.mark.parametrize("wanted", LIBRARIES)
@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_file_is_refused_with_its_line(tmp_path: Path, case: str, wanted: str) -> None:
    data, said = BROKEN[case]
    with pytest.raises(StepFailed) as refused:
        read(tmp_path, data, wanted)
    assert str(refused.value).startswith(said)


def test_the_mark_of_utf_16_is_known(tmp_path: Path) -> None:
    data = "a,b\nx,1\n".encode("utf-16")
    with pytest.raises(StepFailed, match=r"1: the file is not utf-8 .*`encoding: utf-16`"):
        read(tmp_path, data)
    for wanted in LIBRARIES:
        assert columns_of(read(tmp_path, data, wanted, encoding="utf-16")) == {"a": ["x"], "b": [1]}


def test_a_part_at_a_time_is_as_strict(tmp_path: Path) -> None:
    path = tmp_path / "raw.csv"
    path.write_bytes(b"a,b\n1,2\n3,4\n5,6,\n7,8\n")
    parts = list(formats.read_file_parts(path, ReadRequest("raw.csv"), 1))
    assert [columns_of(part) for part in parts] == [
        {"a": [number], "b": [number + 1]} for number in (1, 3, 5, 7)
    ]
    path.write_bytes(b"a,b\n1,2\n3,4\n5,6,7\n")
    with pytest.raises(StepFailed, match=r"raw\.csv:4: the row has 3 fields, the header 2"):
        list(formats.read_file_parts(path, ReadRequest("raw.csv"), 1))


@pytest.mark.parametrize("wanted", LIBRARIES)
def test_the_options_hold_in_each_library(tmp_path: Path, wanted: str) -> None:
    table = read(
        tmp_path,
        "zip;price;land\n007;1,5;NA\n012;;Österreich\n".encode("latin-1"),
        wanted,
        separator=";",
        decimal=",",
        encoding="latin-1",
        types={"zip": "string"},
        missing=("",),
    )
    assert columns_of(table) == {
        "zip": ["007", "012"],
        "price": [1.5, None],
        "land": ["NA", "Österreich"],
    }


def test_columns_have_the_types_that_are_declared(tmp_path: Path) -> None:
    kinds = {"a": "integer", "b": "number", "c": "boolean", "d": "datetime", "e": "category"}
    data = b"a,b,c,d,e\n7,1,true,2026-01-31,NA\n,,,,\n"
    frame = read(tmp_path, data, types=kinds)
    assert [str(kind).partition("[")[0] for kind in frame.dtypes] == [
        "Int64", "float64", "boolean", "datetime64", "category",
    ]  # fmt: skip
    assert columns_of(frame.iloc[:1])["e"] == ["NA"]
    assert frame.iloc[1].isna().all()


@pytest.mark.parametrize(
    ("types", "said"),
    [
        ({"zpi": "string"}, "raw.csv: `types` names a column `zpi`, which is not there (did you"),
        ({"zip": "integer"}, "raw.csv: column `zip` is not of type integer: row 1 holds `x`"),
        ({"day": "datetime"}, "raw.csv: column `day` is not of type datetime: row 1 holds `1.2."),
        (
            {"zip": "boolean"},
            "raw.csv: column `zip` is not of type boolean: row 0 holds `007`",
        ),
    ],
)
def test_what_is_not_of_its_type_is_refused(
    tmp_path: Path, types: dict[str, str], said: str
) -> None:
    with pytest.raises(StepFailed) as refused:
        read(tmp_path, b"zip,day\n007,2026-01-31\nx,1.2.2026\n", types=types)
    assert str(refused.value).startswith(said)


def test_na_is_text_only_where_text_is_declared(tmp_path: Path) -> None:
    """What today's versions were trained on: pandas' own list of what is missing."""
    data = b"land,n\nNA,007\nAT,8\n"
    assert columns_of(read(tmp_path, data)) == {"land": [None, "AT"], "n": [7, 8]}
    found = read(tmp_path, data, types={"land": "string"})
    assert columns_of(found)["land"] == ["NA", "AT"]
    assert columns_of(read(tmp_path, data, missing=()))["land"] == ["NA", "AT"]


def test_zeros_that_numbers_lose_are_noted(tmp_path: Path) -> None:
    path = tmp_path / "raw.csv"
    path.write_bytes(b"zip,n,n,code\n007,1,2,A01\n12,10,0,07\n")
    assert list(formats.reading_notes(path, ReadRequest("raw.csv"))) == [
        "raw.csv: two columns are called `n`; pandas calls the second `n.1`",
        "raw.csv: `zip` holds 007, and is read as numbers, without the zero; "
        "`types: {zip: string}` where the input is declared keeps it",
    ]
    options = TableOptions(types={"zip": "string"})
    assert len(list(formats.reading_notes(path, ReadRequest("raw.csv", options=options)))) == 1


@pytest.mark.parametrize("library", ["pandas", "pyarrow", "polars"])
def test_what_is_written_with_options_is_read_with_them(tmp_path: Path, library: str) -> None:
    frame = pandas.DataFrame({"zip": ["007", "NA", None], "x": [1.5, None, 2.0]})
    value: Any = frame
    if library == "pyarrow":
        value = pytest.importorskip("pyarrow").Table.from_pandas(frame, preserve_index=False)
    elif library == "polars":
        value = pytest.importorskip("polars").from_pandas(frame)
    options = TableOptions(";", ",", "utf-16", {"zip": "string"}, ("-",))
    formats.write_file(value, tmp_path / "a.csv", None, options)
    text = (tmp_path / "a.csv").read_text("utf-16")
    assert text == "zip;x\n007;1,5\nNA;-\n-;2,0\n"
    again = formats.read_file(tmp_path / "a.csv", ReadRequest("a.csv", options=options))
    pandas.testing.assert_frame_equal(again, frame)


TYPED = {
    "text": ("string", b"a,b\n007,\n,\nNA,\n", ["007", None, "NA"]),
    "categories": ("category", b"a,b\nx,\n,\nNA,\n", ["x", None, "NA"]),
    "integers to the last digit": ("integer", b"a,b\n9007199254740993,\nNA,\n", [2**53 + 1, None]),
    "integers with a sign": ("integer", b"a,b\n+6,\n7.0,\n", [6, 7]),
    "numbers": ("number", b"a,b\n1,\nNA,\n2.5,\n", [1.0, None, 2.5]),
    "truths": ("boolean", b"a,b\nTrue,\n0,\n", [True, False]),
    "moments": ("datetime", b"a,b\n2026-01-31,\n,\n", [datetime.datetime(2026, 1, 31), None]),
    "moments of summer and winter": (
        "datetime",
        b"a,b\n2026-01-01 12:00:00+01:00,\n2026-07-01 12:00:00+02:00,\n",
        [
            datetime.datetime(2026, 1, 1, 11, tzinfo=datetime.UTC),
            datetime.datetime(2026, 7, 1, 10, tzinfo=datetime.UTC),
        ],
    ),
}


@pytest.mark.parametrize("wanted", LIBRARIES)
@pytest.mark.parametrize("case", TYPED)
def test_a_declared_type_means_the_same_in_each_library(
    tmp_path: Path, case: str, wanted: str
) -> None:
    kind, data, expected = TYPED[case]
    table = read(tmp_path, data, wanted, types={"a": kind})
    assert columns_of(table)["a"] == expected


@pytest.mark.parametrize("wanted", LIBRARIES)
@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("datetime", "31.12.2026"),
        ("boolean", "yes"),
        ("integer", "1.5"),
        ("integer", "99999999999999999999"),
        ("number", "1.234,5"),
    ],
)
def test_what_is_not_of_its_type_is_refused_in_each_library(
    tmp_path: Path, kind: str, value: str, wanted: str
) -> None:
    with pytest.raises(StepFailed) as refused:
        columns_of(
            read(tmp_path, f"a;b\n{value};1\n".encode(), wanted, separator=";", types={"a": kind})
        )
    assert f"column `a` is not of type {kind}: row 0 holds `{value}`" in str(refused.value)


def test_times_of_which_only_some_tell_their_offset_are_refused(tmp_path: Path) -> None:
    data = b"t\n2026-01-01T12:00:00Z\n2026-01-01T12:00:00\n"
    with pytest.raises(StepFailed, match="differ in whether they tell their offset"):
        read(tmp_path, data, types={"t": "datetime"})


@pytest.mark.parametrize("wanted", LIBRARIES)
def test_a_header_of_another_encoding_is_refused(tmp_path: Path, wanted: str) -> None:
    with pytest.raises(StepFailed, match=r"raw\.csv:1: the file is not utf-8"):
        read(tmp_path, b"\xe9,b\n1,2\n", wanted)


@pytest.mark.parametrize("wanted", LIBRARIES)
@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz"])
def test_text_with_line_ends_of_any_kind_comes_back(tmp_path: Path, name: str, wanted: str) -> None:
    texts = ["a\rb", "\r", "x\r\ny", "p\nq", "end\r\n"]
    formats.write_file(pandas.DataFrame({"t\rt": texts, "n": range(5)}), tmp_path / name)
    table = formats.read_file(tmp_path / name, ReadRequest(name, wanted))
    assert columns_of(table) == {"t\rt": texts, "n": [0, 1, 2, 3, 4]}
