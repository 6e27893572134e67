"""What a format of tables would lose is refused, and what it keeps comes back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy
import pandas
import pytest

from towpath.errors import StepFailed
from towpath.steps import formats
from towpath.steps.formats import ReadRequest

LEVELS = pandas.DataFrame(
    [[1, 2]], columns=pandas.MultiIndex.from_product([["v"], ["mean", "sum"]])
)
TWICE = pandas.DataFrame([[1, 2]], columns=["a", "a"])
LONG = pandas.DataFrame({"id": pandas.array([2**53 + 1, None], dtype="Int64"), "x": [1, 2]})


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("a.csv", LEVELS, "its columns have names in 2 levels, and a .csv has one"),
        ("a.tsv", LEVELS, "its columns have names in 2 levels"),
        ("a.xlsx", LEVELS, "its columns have names in 2 levels"),
        ("a.jsonl", LEVELS, "its columns have names in 2 levels"),
        ("a.jsonl", TWICE, "two columns are called `a`, and a JSON object keeps one"),
        ("a.feather", pandas.DataFrame({"c": pandas.cut([1, 2], 2)}), "column `c` holds intervals"),
        (
            "a.xlsx",
            pandas.DataFrame({"c": [2**53 + 1]}),
            "column `c` holds 9007199254740993: Excel",
        ),
        ("a.xlsx", LONG, "column `id` holds 9007199254740993: Excel"),
        ("a.xlsx", pandas.DataFrame({"c": [1, None]}), "nothing is in its last row"),
        ("a.npz", {1: numpy.eye(1), "1": numpy.eye(2)}, "two arrays are called 1"),
        ("a.npz", {"a": numpy.eye(1), "a.npy": numpy.eye(2)}, "leave .npy out"),
    ],
)
def test_what_would_be_lost_is_refused(tmp_path: Path, name: str, value: Any, said: str) -> None:
    with pytest.raises(StepFailed) as refused:
        formats.write_file(value, tmp_path / name)
    assert said in str(refused.value)
    assert not (tmp_path / name).exists()


@pytest.mark.parametrize("name", ["a.parquet", "a.feather"])
def test_levels_of_names_come_back_where_there_is_a_place(tmp_path: Path, name: str) -> None:
    formats.write_file(LEVELS, tmp_path / name)
    pandas.testing.assert_frame_equal(formats.read_file(tmp_path / name, ReadRequest(name)), LEVELS)


def test_long_integers_of_json_lines_keep_their_digits(tmp_path: Path) -> None:
    formats.write_file(LONG, tmp_path / "a.jsonl")
    again: Any = formats.read_file(tmp_path / "a.jsonl", ReadRequest("a.jsonl"))
    pandas.testing.assert_frame_equal(again, LONG)
