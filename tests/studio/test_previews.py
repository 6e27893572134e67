"""The first rows of files that a stranger made: bounded, typed, and never a reason to fall over."""

from __future__ import annotations

import gzip
import json
import time
from pathlib import Path

import pytest

from towpath.config.table_options import TableOptions
from towpath.studio.previews.file_preview import FilePreview, preview_file

MB = 1 << 20


def preview(folder: Path, name: str, content: bytes | str) -> FilePreview:
    path = folder / "object"  # as a store has it: its name says nothing
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return preview_file(path, name)


def test_a_delimited_table_shows_types_rows_and_their_number(tmp_path: Path) -> None:
    text = "n,x,word,at\n" + "".join(f"{i},{i / 2},w{i},2026-01-0{i % 9 + 1}\n" for i in range(90))
    shown = preview(tmp_path, "rows.csv", text).table
    assert shown is not None
    assert [(c.name, c.type) for c in shown.columns] == [
        ("n", "integer"), ("x", "number"), ("word", "text"), ("at", "datetime")
    ]  # fmt: skip
    assert (len(shown.rows), shown.row_count) == (50, 90)
    assert shown.rows[1] == ("1", "0.5", "w1", "2026-01-02")
    quoted = preview(tmp_path, "rows.csv", 'a,b\n"two\nlines",1\n').table
    assert quoted is not None
    assert quoted.rows == (("two\nlines", "1"),)
    assert quoted.row_count is None  # a line may be a part of a row
    (tmp_path / "object").write_text("a;b\n1,5;x\n")
    declared = preview_file(
        tmp_path / "object", "r.csv", None, TableOptions(";", ",", types={"b": "category"})
    ).table
    assert declared is not None
    assert [c.type for c in declared.columns] == ["text", "category"]


def test_parquet_and_feather_are_read_beside_us(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({f"c{i}": range(60) for i in range(60)} | {"t": ["ä" * 9999] * 60})
    frame = frame[["t", *[f"c{i}" for i in range(60)]]]
    for name, write in (("a.parquet", frame.to_parquet), ("a.feather", frame.to_feather)):
        write(tmp_path / "object")
        shown = preview_file(tmp_path / "object", name).table
        assert shown is not None, name
        assert (len(shown.columns), shown.columns_left) == (40, 21)
        assert shown.columns[1].type == "int64"
        assert (len(shown.rows), shown.row_count) == (50, 60)
        assert len(shown.rows[0][0]) == 121
    whole = (tmp_path / "object").read_bytes()
    for content in (b"PAR1" + b"\0" * 99, whole[: len(whole) // 2], b"PAR1\xff\xff\xff\x7fPAR1"):
        broken = preview(tmp_path, "b.parquet", content)
        assert broken.table is None
        assert "cannot be read" in broken.notes[0] or "damaged" in broken.notes[0]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("one-line.csv", b"x" * (3 * MB), "first line is longer"),
        ("one-line.jsonl", b"[" * (3 * MB), "first line is longer"),
        ("field.csv", b'a,b\n"' + b"x" * 200_000 + b'",1\n', "cannot be read as a table"),
        ("deep.json", b"[" * 100_000, "nests too deep"),
        ("torn.json", b'{"a": 1', "not JSON"),
        ("lines.jsonl", b'{"a": 1}\n{"a": \n', "Line 2 cannot be read"),
        ("bomb.csv.gz", gzip.compress(b"a" * (64 * MB), mtime=0), "first line is longer"),
        ("torn.csv.gz", gzip.compress(b"a,b\n1,2\n" * 99, mtime=0)[:-9], "damaged"),
        ("zeros.txt", b"\0" * 999, "no text"),
        ("empty.csv", b"", "empty"),
        ("model.skops", b"PK\3\4\0\0", "no text"),
    ],
)
def test_what_is_hostile_is_answered_with_a_word_at_once(
    tmp_path: Path, name: str, content: bytes, words: str
) -> None:
    begin = time.process_time()
    shown = preview(tmp_path, name, content)
    assert time.process_time() - begin < 1
    assert shown.table is None
    assert words in " ".join(shown.notes)


def test_a_gigabyte_and_ten_thousand_columns_are_read_in_part(tmp_path: Path) -> None:
    path = tmp_path / "object"
    with path.open("wb") as file:
        file.write(b"a,b\n" + b"1,2\n" * 1000)
        file.truncate(1 << 30)
    begin = time.process_time()
    large = preview_file(path, "large.csv").table
    assert time.process_time() - begin < 0.2
    assert large is not None
    assert large.row_count is None
    names = ",".join(f"c{i}" for i in range(10_000))
    wide = preview(tmp_path, "wide.csv", f"{names}\n{names}\n").table
    assert wide is not None
    assert (len(wide.columns), wide.columns_left) == (40, 9960)


def test_documents_are_rows_where_they_are_and_text_else(tmp_path: Path) -> None:
    rows = preview(tmp_path, "r.json", json.dumps([{"a": 1, "b": [1]}, {"a": float("nan")}])).table
    assert rows is not None
    assert rows.rows == (("1", "[1]"), ("nan", ""))
    text = preview(tmp_path, "r.json", '{"a":{"b":NaN}}').text
    assert text == '{\n  "a": {\n    "b": NaN\n  }\n}'
    secret = preview(tmp_path, "r.txt", "https://me:hunter22@example.org/x").text
    assert "hunter22" not in secret
    long = preview(tmp_path, "r.log", "line\n" * 200_000)
    assert len(long.text) <= 64 << 10
    assert "first lines" in long.notes[0]
