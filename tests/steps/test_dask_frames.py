"""Tables that a Dask cluster reads, as the other libraries read them."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from towpath.config.table_options import TableOptions
from towpath.errors import StepFailed
from towpath.steps.dask_cluster import read_dask_frame
from towpath.steps.sql_tables import TableFiles

ROWS = (
    b'{"when": "2026-01-31T12:00:00", "n": 1, "date": "007"}\n'
    b'{"when": "2026-02-01T00:00:00", "n": 2, "date": "008"}\n'
)


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.jsonl.gz"])
def test_json_lines_are_read_packed_too_and_with_times(tmp_path: Path, name: str) -> None:
    pytest.importorskip("dask.dataframe")
    stored = tmp_path / "d41d8cd98f00b204"  # as the store has it: no ending tells what it is
    stored.write_bytes(gzip.compress(ROWS) if name.endswith(".gz") else ROWS)
    table = TableFiles(name, "jsonl", (stored,))
    frame = read_dask_frame(table, TableOptions(types={"when": "datetime"})).compute()
    assert str(frame["when"].dtype).startswith("datetime64")
    assert frame["n"].tolist() == [1, 2]
    assert read_dask_frame(table, TableOptions()).compute()["date"].tolist() == ["007", "008"]
    with pytest.raises(StepFailed, match="a column `whn`, which is not there"):
        read_dask_frame(table, TableOptions(types={"whn": "datetime"}))
