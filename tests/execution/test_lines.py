"""A step's lines on their way to Prefect."""

from __future__ import annotations

import time

from towpath.backends.prefect.pipeline_flow import LogLines


def test_many_lines_are_few_records() -> None:
    records: list[str] = []
    with LogLines(records.append) as lines:
        for number in range(20_000):
            lines(f"line {number} {'x' * 50}")
    assert "\n".join(records).split("\n") == [f"line {n} {'x' * 50}" for n in range(20_000)]
    assert len(records) < 20


def test_a_line_does_not_wait_for_the_next() -> None:
    records: list[str] = []
    with LogLines(records.append) as lines:
        lines("alone")
        deadline = time.monotonic() + 180
        while not records and time.monotonic() < deadline:
            time.sleep(0.01)
        assert records == ["alone"]
