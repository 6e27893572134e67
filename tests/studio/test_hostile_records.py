"""Records that no run of ours wrote: a page stays, with a word."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from towpath.execution.run_record import new_folder

OpenStudio = Callable[[Path], httpx.Client]


def write_record(root: Path, figure: str) -> str:
    """A run of one step whose figures are all ``figure``, a word of JSON."""
    (root / "towpath.yaml").write_text("name: odd\n")
    folder = new_folder(root / ".towpath" / "runs")
    started = {"event": "started", "time": "2026-11-26T10:00:00Z", "run": folder.name,
               "pipeline": "p", "params": {}, "inputs": {}, "origin": {},
               "steps": {"a": "processing"}}  # fmt: skip
    step = (
        '{"event": "step", "time": "2026-11-26T10:00:01Z", "step": "a", "state": "done",'
        ' "seconds": 1, "made": {"outputs": {}, "values": {}, "facts": {"function_seconds": FIGURE,'
        ' "usage": {"cpu_seconds": FIGURE, "peak_memory": FIGURE}}}}'
    )
    lines = (json.dumps(started), step.replace("FIGURE", figure))
    (folder / "events.jsonl").write_text("\n".join(lines) + "\n")
    return folder.name


@pytest.mark.parametrize("figure", ["Infinity", "NaN", "-1", "true", "1" + "0" * 400, '"<b>"'])
def test_a_figure_beyond_any_machine_is_left_out(
    tmp_path: Path, open_studio: OpenStudio, figure: str
) -> None:
    run = write_record(tmp_path, figure)
    answer = open_studio(tmp_path).get(f"/runs/{run}/a/")
    assert answer.status_code == 200, answer.text[-600:]
    assert "most memory" not in answer.text


def test_the_log_of_a_damaged_record_says_so(tmp_path: Path, open_studio: OpenStudio) -> None:
    run = write_record(tmp_path, "1")
    record = tmp_path / ".towpath" / "runs" / run / "events.jsonl"
    record.write_text(record.read_text().replace('"done"', '"so so"'))
    answer = open_studio(tmp_path).get(f"/runs/{run}/a/log.txt")
    assert answer.status_code == 503
    assert f"the record of run {run} cannot be read" in answer.text
