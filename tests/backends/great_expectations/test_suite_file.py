"""A suite's file: read without anything heavy, and every fault in it at its line."""

from __future__ import annotations

import subprocess
import sys

import pytest

from towpath.backends.great_expectations import read_suite, suite_faults
from towpath.errors import DeclarationError

SOUND = """\
name: raw
description: What the sea gives.
expectations:
  - type: expect_column_values_to_be_between
    column: height
    min_value: 0
    strict_min: true
    mostly: 0.999
  - type: expect_column_values_to_not_be_null
    kwargs: {column: height}
    meaning: Measured by hand.
    severity: warning
  - {type: expect_column_values_to_be_between, column: day, min_value: "2026-01-01"}
  - {type: expect_column_values_to_not_be_null, column: size, row_condition: sex == "F"}
  - {type: expect_table_columns_to_match_set, column_set: [height, size], exact_match: false}
"""


@pytest.fixture
def suite(tmp_path):
    def write(text):
        path = tmp_path / "raw.yaml"
        path.write_text(text)
        return path

    return write


def test_a_sound_suite(suite):
    found = read_suite(suite(SOUND), "flows/training/expectations/raw.yaml")
    assert (found.name, found.description) == ("raw", "What the sea gives.")
    between, null, day, some, table = found.expectations
    assert between.arguments == {
        "column": "height", "min_value": 0, "strict_min": True, "mostly": 0.999,
    }  # fmt: skip
    assert (null.arguments, null.meaning, null.severity) == (
        {"column": "height"}, "Measured by hand.", "warning",
    )  # fmt: skip
    assert str(null.place) == "flows/training/expectations/raw.yaml:9"
    assert day.columns == ("day",)
    assert some.arguments["condition_parser"] == "pandas"
    assert table.columns == ()
    assert suite_faults(suite(SOUND), "raw.yaml") == ()


BETWEEN = "expectations:\n  - {type: expect_column_values_to_be_between, "
FAULTS = [
    ("[]", "raw.yaml:1: a suite is a mapping with `expectations`"),
    ("name: raw", "raw.yaml:1: the suite has no `expectations`"),
    ("expectation: []", "raw.yaml:1: a suite has no `expectation` (did you mean `expectations`?)"),
    ("expectations: []", "raw.yaml:1: `expectations` is a list with at least one in it"),
    ("expectations:\n  - height", "raw.yaml:2: an expectation is a mapping with a `type`"),
    ("expectations:\n  - {column: a}", "raw.yaml:2: an expectation needs a `type`"),
    (
        "expectations:\n  - {typ: expect_column_to_exist, column: a}",
        "raw.yaml:2: an expectation needs a `type` (did you mean `type` by `typ`?)",
    ),
    (
        "expectations:\n  - {type: expect_column_value_to_be_between, column: a}",
        "raw.yaml:2: there is no expectation `expect_column_value_to_be_between` "
        "(did you mean `expect_column_values_to_be_between`?)",
    ),
    (
        "expectations:\n  - {type: unexpected_rows_expectation, unexpected_rows_query: x}",
        "raw.yaml:2: `unexpected_rows_expectation` works on databases, not on files",
    ),
    (BETWEEN + "min_value: 0}", "raw.yaml:2: `expect_column_values_to_be_between` needs `column`"),
    (
        BETWEEN + "colum: a, min_value: 0}",
        "`expect_column_values_to_be_between` takes no `colum` (did you mean `column`?)",
    ),
    (
        BETWEEN + "column: a, minimum: 0, max_value: 1}",
        "takes no `minimum`",
    ),
    (
        BETWEEN + "column: a}",
        "raw.yaml:2: `expect_column_values_to_be_between` needs `min_value` or `max_value`",
    ),
    (
        BETWEEN + "column: a, min_value: 3, max_value: 1}",
        "raw.yaml:2: `min_value` 3 is above `max_value` 1",
    ),
    (BETWEEN + "column: 3, min_value: 0}", "raw.yaml:2: `column` must be text, not 3"),
    (
        BETWEEN + "column: a, min_value: [1]}",
        "raw.yaml:2: `min_value` must be a number or text, not a list",
    ),
    (
        BETWEEN + "column: a, min_value: 0, strict_min: 1}",
        "raw.yaml:2: `strict_min` must be true or false, not 1",
    ),
    (
        BETWEEN + "column: a, min_value: 0, mostly: 99}",
        "raw.yaml:2: `mostly` is a share from 0 to 1, not 99",
    ),
    (
        BETWEEN + "column: a, min_value: 0, kwargs: {column: a}}",
        "raw.yaml:2: `column` is given twice",
    ),
    (BETWEEN + "kwargs: [a]}", "raw.yaml:2: `kwargs` is a mapping of arguments"),
    (
        BETWEEN + "column: a, min_value: 0, severity: warn}",
        "raw.yaml:2: there is no severity `warn` (did you mean `warning`?)",
    ),
    (
        "expectations:\n  - {type: expect_column_values_to_match_regex, column: a, regex: '['}",
        "raw.yaml:2: `[` is no regular expression: unterminated character set at position 0",
    ),
    (
        "expectations:\n  - {type: expect_column_pair_values_to_be_equal, column_A: a, column_B: b,"
        " ignore_row_if: both}",
        "`ignore_row_if` is one of both_values_are_missing, either_value_is_missing, neither",
    ),
    ("expectations: [\n", "raw.yaml:"),
]


@pytest.mark.parametrize(("text", "said"), FAULTS, ids=[text[-40:] for text, _ in FAULTS])
def test_what_is_wrong_is_said_with_its_line(suite, text, said):
    found = [str(fault) for fault in suite_faults(suite(text + "\n"), "raw.yaml")]
    assert any(said in each for each in found), found
    with pytest.raises(DeclarationError):
        read_suite(suite(text + "\n"), "raw.yaml")


def test_all_faults_at_once_and_each_once(suite):
    text = """\
nam: raw
expectations:
  - {type: expect_column_values_to_be_betwen, column: a}
  - {type: expect_column_values_to_be_between, colunm: a, min_value: x}
  - {type: expect_column_values_to_be_unique, column: [a]}
"""
    found = [(fault.place.line, fault.what) for fault in suite_faults(suite(text), "raw.yaml")]
    assert found == [
        (1, "a suite has no `nam`"),
        (3, "there is no expectation `expect_column_values_to_be_betwen`"),
        (4, "`expect_column_values_to_be_between` takes no `colunm`"),
        (5, "`column` must be text, not a list"),
    ]


def test_a_file_that_is_not_there(tmp_path):
    [fault] = suite_faults(tmp_path / "no.yaml", "expectations/no.yaml")
    assert str(fault.place) == "expectations/no.yaml"


def test_reading_imports_nothing_heavy(suite):
    text = (
        "import sys; from pathlib import Path\n"
        "from towpath.backends.great_expectations import suite_faults\n"
        f"assert suite_faults(Path({str(suite(SOUND))!r}), 'raw.yaml') == ()\n"
        "heavy = {'great_expectations', 'pandas', 'numpy', 'pydantic'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
