"""What is written can be read again as it was, and the same value gives the same bytes."""

from __future__ import annotations

import datetime
import enum
import importlib.util
import io
import json
import sys
import zipfile
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import numpy
import pandas
import pytest

from towpath.config.table_options import TableOptions
from towpath.errors import StepFailed
from towpath.steps import formats
from towpath.steps.formats import ReadRequest


def frame():
    return pandas.DataFrame(
        {
            "whole": [1, 2, 3],
            "number": [0.1, numpy.nan, 2.5],
            "text": ["ä", "b", None],
            "flag": [True, False, True],
            "day": pandas.to_datetime(["2026-01-01", "2026-01-02", "2026-01-03"]),
            "kind": pandas.Categorical(["x", "y", "x"]),
        },
        index=[7, 3, 5],
    )


def written(value, path, declared=None):
    formats.write_file(value, path, declared)
    return path.read_bytes()


@pytest.mark.parametrize(
    "name", ["a.parquet", "a.csv", "a.tsv", "a.json", "a.npy", "a.html", "a.md"]
)
def test_the_same_value_gives_the_same_bytes(tmp_path, name):
    def value():
        match Path(name).suffix:
            case ".parquet" | ".csv" | ".tsv":
                return frame()
            case ".npy":
                return numpy.arange(5.0)
            case ".json":
                return {"b": numpy.float64(1.5), "a": {"x", "y"}}
        return "<p>text</p>"

    assert written(value(), tmp_path / name) == written(value(), tmp_path / f"b{name[1:]}")


def test_parquet_keeps_all_of_a_frame(tmp_path):
    formats.write_file(frame(), tmp_path / "a.parquet")
    again = formats.read_file(tmp_path / "a.parquet", ReadRequest("a.parquet"))
    pandas.testing.assert_frame_equal(again, frame())


def test_csv_keeps_a_named_index_and_drops_a_nameless_one(tmp_path):
    formats.write_file(frame()[["whole"]], tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_bytes() == b"whole\n1\n2\n3\n"
    formats.write_file(frame()[["whole"]].rename_axis("id"), tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_bytes() == b"id,whole\n7,1\n3,2\n5,3\n"


def test_one_file_as_each_type_asked_for(tmp_path):
    formats.write_file(frame()[["whole", "number"]], tmp_path / "a.parquet")
    formats.write_file(frame()[["whole", "number"]], tmp_path / "a.csv")
    for name in ("a.parquet", "a.csv"):
        found = {
            wanted: formats.read_file(tmp_path / name, ReadRequest(name, wanted))
            for wanted in ("", "pandas.DataFrame", "pyarrow.Table", "numpy.ndarray", "mine.Thing")
        }
        kinds = [type(value).__name__ for value in found.values()]
        assert kinds == ["DataFrame", "DataFrame", "Table", "ndarray", "DataFrame"]
        assert found["numpy.ndarray"].shape[0] == 3


def test_a_lazy_frame_is_read_and_written_as_far_as_it_is_needed(tmp_path):
    polars = pytest.importorskip("polars")
    source = tmp_path / "a [1].parquet"
    polars.DataFrame({"a": [1, 2, 3], "b": [4, 5, 6]}).write_parquet(source)
    frame = formats.read_file(source, ReadRequest(source.name, "polars.LazyFrame"))
    assert "Parquet SCAN" in frame.explain()
    for name in ("b.parquet", "b.csv"):
        formats.write_file(frame.filter(polars.col("a") > 1).select("b"), tmp_path / name)
        asked = ReadRequest(name, "polars.DataFrame")
        assert formats.read_file(tmp_path / name, asked)["b"].to_list() == [5, 6]
    with pytest.raises(StepFailed, match=r"cannot be written as parquet: .*\"?c\"?"):
        formats.write_file(frame.select("c"), tmp_path / "c.parquet")


def test_polars_where_it_is_installed_and_its_name_where_it_is_not(tmp_path):
    formats.write_file(frame(), tmp_path / "a.csv")
    asked = ReadRequest("a.csv", "polars.DataFrame")
    if importlib.util.find_spec("polars"):
        assert type(formats.read_file(tmp_path / "a.csv", asked)).__module__.startswith("polars")
    else:
        with pytest.raises(StepFailed, match="needs polars, which is not installed"):
            formats.read_file(tmp_path / "a.csv", asked)


class Colour(enum.Enum):
    RED = "red"


@dataclass
class Point:
    x: numpy.int64
    y: float


def test_json_takes_what_analysis_code_returns(tmp_path):
    value = {
        "int": numpy.int64(3),
        "float": numpy.float32(0.5),
        "bool": numpy.bool_(True),
        "array": numpy.arange(4).reshape(2, 2),
        "series": pandas.Series({"a": 1, "b": 2}),
        "time": datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC),
        "stamp": pandas.Timestamp("2026-01-02"),
        "missing": [None, pandas.NA, pandas.NaT],
        "path": Path("a/b"),
        "set": {3, 1, 2},
        "tuple": (1, 2),
        "enum": Colour.RED,
        "decimal": Decimal("1.5"),
        "point": Point(numpy.int64(1), 2.0),
        numpy.int64(7): "key",
        True: "flag",
        "text": "ä\u2028",
    }
    assert json.loads(written(value, tmp_path / "a.json")) == {
        "int": 3,
        "float": 0.5,
        "bool": True,
        "array": [[0, 1], [2, 3]],
        "series": {"a": 1, "b": 2},
        "time": "2026-01-02T00:00:00+00:00",
        "stamp": "2026-01-02T00:00:00",
        "missing": [None, None, None],
        "path": "a/b",
        "set": [1, 2, 3],
        "tuple": [1, 2],
        "enum": "red",
        "decimal": 1.5,
        "point": {"x": 1, "y": 2.0},
        "7": "key",
        "true": "flag",
        "text": "ä\u2028",
    }


@pytest.mark.parametrize("value", [object(), frame(), {"a": len}, 1 + 2j])
def test_json_refuses_what_has_no_place_in_it(tmp_path, value):
    with pytest.raises(
        StepFailed, match=r"cannot be written as json: .*(has no place in JSON|is a table)"
    ):
        formats.write_file(value, tmp_path / "a.json")


def test_pickles_only_where_they_are_asked_for(tmp_path):
    for name in ("a.pkl", "a.joblib", "a.pickle"):
        with pytest.raises(StepFailed, match="runs code when read"):
            formats.write_file({"a": 1}, tmp_path / name)
        assert ReadRequest(name).as_path  # and such a file that comes in is handed on as a path
    for declared in ("pickle", "joblib"):
        formats.write_file({"a": {1, 2}}, tmp_path / "a.pkl", declared)
        assert formats.read_file(tmp_path / "a.pkl", ReadRequest("a.pkl", declared=declared)) == {
            "a": {1, 2}
        }


def test_a_declared_format_overrides_the_extension(tmp_path):
    formats.write_file(frame()[["whole"]], tmp_path / "table.dat", "csv")
    assert (tmp_path / "table.dat").read_text() == "whole\n1\n2\n3\n"
    found = formats.read_file(tmp_path / "table.dat", ReadRequest("table.dat", declared="csv"))
    assert list(found.columns) == ["whole"]


class Figure:
    def savefig(self, path):
        path.write_bytes(b"figure")


class Axes:
    figure = Figure()


class Drawing:
    def write_image(self, path):
        path.write_bytes(b"drawing")


def test_figures_save_themselves(tmp_path):
    assert written(Figure(), tmp_path / "a.png") == b"figure"
    assert written(Axes(), tmp_path / "b.svg") == b"figure"
    assert written(b"\x89PNG", tmp_path / "c.png") == b"\x89PNG"
    assert written(Drawing(), tmp_path / "d.pdf") == b"drawing"
    with pytest.raises(StepFailed, match="is no picture"):
        formats.write_file(5, tmp_path / "d.png")
    with pytest.raises(StepFailed, match="a Figure is no text, and no page: it has no write_html"):
        formats.write_file(Figure(), tmp_path / "d.html")


def test_a_picture_of_pillow_is_saved(tmp_path):
    image = pytest.importorskip("PIL.Image").new("RGB", (2, 1), "red")
    assert written(image, tmp_path / "a.png").startswith(b"\x89PNG")
    page = written(image, tmp_path / "a.pdf")
    assert page.startswith(b"%PDF")
    assert b"Date" not in page, "the clock would be in its digest"
    with pytest.raises(StepFailed, match=r"cannot be written as image: .*svg"):
        formats.write_file(image, tmp_path / "a.svg")


def test_a_chart_of_altair_is_a_page_and_a_picture_of_the_same_bytes(tmp_path):
    altair = pytest.importorskip("altair")
    bars = altair.Chart(frame()).mark_bar().encode(x="whole:Q")
    assert b"vega" in (page := written(bars, tmp_path / "a.html"))
    assert page == written(bars, tmp_path / "b.html")
    pytest.importorskip("vl_convert")
    assert written(bars, tmp_path / "a.svg").startswith(b"<svg")
    assert written(bars, tmp_path / "a.png") == written(bars, tmp_path / "b.png")


def test_npy_never_holds_pickles(tmp_path):
    with pytest.raises(StepFailed, match="cannot be written as npy"):
        formats.write_file(numpy.array([object()]), tmp_path / "a.npy")


def test_bytes_are_written_as_they_are(tmp_path):
    assert written(b"a,b\n", tmp_path / "a.csv") == b"a,b\n"
    assert written("a,b\r\n", tmp_path / "b.csv") == b"a,b\r\n"


FURTHER = ["a.xlsx", "a.feather", "a.jsonl", "a.jsonl.gz", "a.csv.gz", "a.tsv.gz"]


def plain_frame():
    return pandas.DataFrame({"name": ["007", "NA"], "n": [1, 2], "x": [1.5, numpy.nan]}, [4, 2])


@pytest.mark.parametrize("name", FURTHER)
def test_further_tables_are_read_as_each_type_and_written_alike(tmp_path, name, monkeypatch):
    monkeypatch.setattr("time.time", lambda: 1e9)  # what gzip asks
    once = written(plain_frame(), tmp_path / name)
    monkeypatch.setattr("time.time", lambda: 2e9)
    assert once == written(plain_frame(), tmp_path / f"b{name[1:]}")
    assert b"20" not in zip_dates(once)
    again = formats.read_file(tmp_path / name, ReadRequest(name, "pandas.DataFrame"))
    assert again["n"].tolist() == [1, 2]
    assert again.index.tolist() == [0, 1]
    assert formats.read_file(tmp_path / name, ReadRequest(name, "pyarrow.Table")).num_rows == 2
    assert formats.read_file(tmp_path / name, ReadRequest(name, "numpy.ndarray")).shape == (2, 3)
    parts = list(formats.read_file_parts(tmp_path / name, ReadRequest(name), 1))
    assert [part["n"].tolist() for part in parts] == [[1], [2]]
    named = plain_frame().rename_axis("id")
    formats.write_file(named, tmp_path / name)
    assert list(formats.read_file(tmp_path / name, ReadRequest(name)).columns) == [
        "id",
        "name",
        "n",
        "x",
    ]


def zip_dates(data):
    """The years in which the members of an archive were made; nothing where it is none."""
    if not zipfile.is_zipfile(io.BytesIO(data)):
        return b""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return b" ".join(str(each.date_time[0]).encode() for each in archive.infolist())


@pytest.mark.parametrize("name", ["a.xlsx", "a.feather", "a.jsonl"])
def test_text_in_a_file_that_knows_types_stays_text(tmp_path, name):
    formats.write_file(plain_frame(), tmp_path / name)
    assert formats.read_file(tmp_path / name, ReadRequest(name))["name"].tolist() == ["007", "NA"]


def test_an_empty_cell_is_missing_whatever_else_is(tmp_path):
    rows = pandas.DataFrame({"number": [1.5, None, None], "text": ["a", None, "-"]})
    rows["number"] = rows["number"].astype(object).where([True, False, True], "-")
    formats.write_file(rows, tmp_path / "a.xlsx")
    asked = ReadRequest("a.xlsx", options=TableOptions(missing=("-",)))
    found = formats.read_file(tmp_path / "a.xlsx", asked)
    assert found["number"].dtype == float
    assert found.isna().to_numpy().tolist() == [[False, False], [True, True], [True, True]]


@pytest.mark.parametrize("name", ["pickle", "joblib"])
def test_bytes_are_pickled_where_a_pickle_is_asked_for(tmp_path, name):
    formats.write_file(b"abc", tmp_path / "a.pkl", name)
    found = formats.read_file(tmp_path / "a.pkl", ReadRequest("a.pkl", declared=name))
    assert found == b"abc"


def test_a_workbook_holds_no_time(tmp_path):
    book = written(plain_frame(), tmp_path / "a.xlsx")
    with zipfile.ZipFile(io.BytesIO(book)) as archive:
        properties = archive.read("docProps/core.xml").decode()
    assert properties.count("1980-01-01T00:00:00Z") == 2
    assert str(datetime.datetime.now().year) not in properties
    (tmp_path / "b.xlsx").write_text("no")
    with pytest.raises(StepFailed, match=r"b\.xlsx cannot be read as xlsx: it is no workbook"):
        formats.read_file(tmp_path / "b.xlsx", ReadRequest("b.xlsx"))


def test_a_workbook_says_what_to_install(tmp_path, monkeypatch):
    formats.write_file(plain_frame(), tmp_path / "a.xlsx")
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    for act in (
        lambda: formats.read_file(tmp_path / "a.xlsx", ReadRequest("a.xlsx")),
        lambda: formats.write_file(plain_frame(), tmp_path / "c.xlsx"),
    ):
        with pytest.raises(StepFailed) as refused:
            act()
        assert str(refused.value).endswith(
            ".xlsx needs openpyxl, which is not installed (pip install 'towpath[excel]')"
        )


def test_json_lines_are_documents_too(tmp_path):
    documents = [{"a": 1, "b": [1, 2]}, {"a": None}]
    assert written(documents, tmp_path / "a.jsonl") == b'{"a": 1, "b": [1, 2]}\n{"a": null}\n'
    assert formats.read_file(tmp_path / "a.jsonl", ReadRequest("a.jsonl", "list")) == documents
    assert formats.read_file(tmp_path / "a.jsonl", ReadRequest("a.jsonl", "str")).startswith(
        '{"a": 1'
    )
    for text, said in (
        ('{"a": 1}\n{"a":\n', "a.jsonl:2: the line is no JSON document"),
        ('{"a": 1}\n5\n', "a.jsonl: document 2 is no object"),
    ):
        (tmp_path / "a.jsonl").write_text(text)
        with pytest.raises(StepFailed) as refused:
            formats.read_file(tmp_path / "a.jsonl", ReadRequest("a.jsonl"))
        assert str(refused.value).startswith(said)


def test_an_archive_of_arrays_has_no_dates_and_no_pickles(tmp_path):
    once = written({"a": numpy.arange(3), "b": numpy.eye(2)}, tmp_path / "a.npz")
    assert once == written({"a": numpy.arange(3), "b": numpy.eye(2)}, tmp_path / "b.npz")
    assert set(zip_dates(once).split()) == {b"1980"}
    found = formats.read_file(tmp_path / "a.npz", ReadRequest("a.npz"))
    assert list(found) == ["a", "b"] and found["b"].tolist() == [[1, 0], [0, 1]]
    assert list(numpy.load(tmp_path / "a.npz")) == ["a", "b"]
    formats.write_file([numpy.arange(2)], tmp_path / "c.npz")
    assert list(formats.read_file(tmp_path / "c.npz", ReadRequest("c.npz"))) == ["arr_0"]
    with pytest.raises(StepFailed, match="cannot be written as npz"):
        formats.write_file({"a": numpy.array([object()])}, tmp_path / "d.npz")
