"""A step looked at closely: its cells and trials, its attempts, what it took."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from towpath.execution.run_record import Recorder, new_folder

TRIALS = 250


def write_search(root: Path) -> str:
    """The record of a search of 250 trials of which each hundredth failed."""
    (root / "towpath.yaml").write_text("name: searched\n")
    pipeline = root / "flows" / "training" / "pipeline.yaml"
    pipeline.parent.mkdir(parents=True)
    pipeline.write_text(
        "steps:\n  tune:\n    kind: tuning\n    run: fit\n"
        "    ranges: {depth: {at_least: 0, at_most: 999}}\n    minimize: score.mse\n"
        "    trials: 300\n    outputs: [score.json]\n"
    )
    record = Recorder(new_folder(root / ".towpath" / "runs"))
    record("started", run=record.folder.name, pipeline="training", params={}, inputs={}, origin={},
           steps={"tune": "tuning"})  # fmt: skip
    cells = {
        f"tune({number})": {"depth": number, "word": f"<b>{number}"} for number in range(TRIALS)
    }
    record("cells", step="tune", number=300, cells=cells)
    for number in range(TRIALS):
        step: dict[str, Any] = {"step": f"tune({number})"}
        record("step", **step, state="running", attempt=1)
        if number % 100 == 7:
            record("step", **step, state="running", attempt=2)
            record("step", **step, state="running", attempt=3, previous_error="KeyError: <u>2")
            record("step", **step, state="failed", seconds=1.0, error=["ValueError: <i>no</i>"])
        else:
            made: Mapping[str, Any] = {
                "outputs": {}, "values": {"score": {"mae": 2.5, "mse": abs(number - 200) + 0.5}},
                "facts": {"function_seconds": 0.04,
                          "usage": {"cpu_seconds": 0.9, "peak_memory": 218_193_920}},
            }  # fmt: skip
            record("step", **step, state="done", seconds=1.2, made=made)
    record.close()
    return record.folder.name


@pytest.fixture
def searched(
    tmp_path: Path, open_studio: Callable[[Path], httpx.Client]
) -> tuple[httpx.Client, str]:
    run = write_search(tmp_path)
    return open_studio(tmp_path), f"/runs/{run}"


def trials_of(page: str) -> list[str]:
    return re.findall(r"/tune%28(\d+)%29/", page)


def test_trials_are_a_table_that_is_filtered_sorted_and_paged(
    searched: tuple[httpx.Client, str],
) -> None:
    client, run = searched
    page = client.get(f"{run}/tune/").text
    assert "250 of at most 300 trials" in page
    assert "the least score.mse is the best" in page
    assert trials_of(page) == [str(n) for n in range(100)]
    assert "page 1 of 3" in page
    last = client.get(f"{run}/tune/?cells_page=99").text
    assert trials_of(last) == [str(n) for n in range(200, 250)]
    # Of those that are done so far, in its own row.
    assert re.search(r"(?s)tune(?:\(|%28)200(?:(?!</tr>).)*best</span>", last)
    best = client.get(f"{run}/tune/?by=score.mse").text
    assert trials_of(best)[:3] == ["200", "199", "201"]
    assert trials_of(client.get(f"{run}/tune/?by=-depth").text)[0] == "249"
    failed = client.get(f"{run}/tune/?cells=failed").text
    assert trials_of(failed) == ["7", "107", "207"]
    assert "ValueError: &lt;i&gt;no&lt;/i&gt;" in failed and "&lt;b&gt;107" in failed
    for odd in ("?cells=<b>&by=<b>", "?cells_page=-1", "?cells_page=0", "?by=nope"):
        assert len(trials_of(client.get(f"{run}/tune/{odd}").text)) == 100


def test_a_cell_says_what_it_took_and_how_often_it_was_tried(
    searched: tuple[httpx.Client, str],
) -> None:
    client, run = searched
    page = client.get(f"{run}/tune(3)/").text
    for words in ("1.2 s", "40 ms", "218.2 MB", "of <a", "depth 3"):
        assert words in page, words
    tried = client.get(f"{run}/tune(7)/").text
    assert "3 attempts" in tried
    assert "failed: what it said is in the log" in tried  # of the first no record says it
    assert re.search(r'<li value="2">.*?<span class="bad">KeyError: &lt;u&gt;2</span>', tried)
