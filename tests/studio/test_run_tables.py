"""The table of runs and their comparison: what an address asks for, at the promised sizes."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from towpath.execution import run_record
from towpath.execution.run_record import RecordedRun, read_run
from towpath.studio.page_index import PAGES
from towpath.studio.page_templates import PagePlace, render_studio_page
from towpath.studio.pages import run_facts
from towpath.studio.pages.page_kind import NoSuchPage, PageRequest
from towpath.studio.pages.run_columns import write_runs_csv
from towpath.studio.pages.run_comparison import gather_run_comparison, select_runs
from towpath.studio.pages.run_facts import RunLineCache, read_ahead
from towpath.studio.pages.run_filter import RunFilter, find_named_runs, list_found_runs
from towpath.studio.pages.run_table import gather_run_table
from towpath.studio.project_facts import ProjectFacts

STAGES = "name: many\nstages:\n  dev: {gates: {near: {kind: metric, metric: mse, at_most: 9}}}\n"
STEPS = {"prepare": "processing", "train": "training", "evaluate": "evaluation"}
CODE = {f"package p{number}": "1.0" for number in range(100)}


def write_run(root: Path, number: int, **started: Any) -> str:
    """A record as a run writes it, with a parameter and a metric that tell it apart."""
    name = f"202611{1 + number // 1000:02}-1{number // 100 % 10:01}{number % 100:02}00-{number:04x}"
    moment = f"2026-11-{1 + number // 1000:02}T10:00:00Z"
    folder = root / ".towpath" / "runs" / name
    folder.mkdir(parents=True)
    events: list[dict[str, Any]] = [
        {"event": "started", "run": name, "pipeline": "training", "steps": STEPS,
         "params": {"depth": number % 7, "rate": 0.1 * (number % 3), "seed": 7},
         "inputs": {"raw": "a" * 32}, "origin": {"user": "Ada"}} | started,
        {"event": "step", "step": "train", "state": "done", "ingredients": CODE},
        {"event": "step", "step": "evaluate", "state": "done",
         "made": {"outputs": {}, "facts": {},
                  "values": {"metrics": {"mse": 1 + (number * 37 % 1000) / 100, "rows": 835}}}},
        {"event": "finished", "state": "failed" if number % 10 == 3 else "done", "seconds": 8.0,
         "exit_code": 0},
    ]  # fmt: skip
    lines = (json.dumps({"time": moment, **event}) for event in events)
    (folder / "events.jsonl").write_text("\n".join(lines) + "\n")
    return name


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("many")
    (root / "towpath.yaml").write_text(STAGES)
    for number in range(5000):
        write_run(root, number)
    return root


def ask(**query: str | tuple[str, ...]) -> PageRequest:
    values = {name: (v,) if isinstance(v, str) else v for name, v in query.items()}
    return PageRequest({}, {name.rstrip("_"): value for name, value in values.items()})


def write_page(root: Path, path: str, request: PageRequest) -> tuple[str, float]:
    """A page, and the seconds of the processor that it took."""
    (kind,) = (kind for kind in PAGES if kind.path == path)
    begin = time.process_time()
    facts = ProjectFacts(root)
    page = render_studio_page(kind, facts, kind.gather(facts, request), PagePlace(path))
    return page, time.process_time() - begin


def test_five_thousand_runs_are_listed_sorted_and_filtered_in_time(
    many: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The first page of all reads the records of a page, and no more.
    page, _ = write_page(many, "runs/", ask())
    assert page.count('name="run" value=') == 100
    assert "page 1 of 50" in page
    assert sum(run_facts.RUN_LINES.has_line(f) for f in (many / ".towpath/runs").iterdir()) == 100
    monkeypatch.setattr(run_facts, "_PAUSE", 0)
    # In a thread of its own, as the server has it: it lowers its priority.
    reading = threading.Thread(target=read_ahead, args=(many / ".towpath" / "runs",))
    reading.start()
    reading.join()
    for query in (ask(where="metrics.mse < 3"), ask(sort="-metrics.mse", page="7"), ask(q="ada")):
        page, seconds = write_page(many, "runs/", query)
        assert seconds < 1.5  # 0.1 s where nothing else runs
        assert len(page) < 200_000


def test_five_hundred_runs_are_compared_in_two_hundred_kilobytes(many: Path) -> None:
    names = sorted(folder.name for folder in (many / ".towpath" / "runs").iterdir())[:500]
    page, seconds = write_page(many, "compare/runs/", ask(run=tuple(names)))
    assert len(page.encode()) < 200_000
    assert seconds < 3  # 0.25 s where nothing else runs
    assert "500 runs side by side" in page
    assert page.count('class="thread') == 500
    assert page.count("<circle class=") == 500
    assert page.count(names[499]) < 5  # the names stand in the address once, not in each link


def test_runs_are_asked_for_in_the_language_of_a_search(many: Path) -> None:
    facts = ProjectFacts(many)

    def find(text: str) -> list[int]:
        runs = list_found_runs(facts, RunFilter(where=text), 60).runs
        return [int(run.id[-4:], 16) for run in runs]

    assert all(number * 37 % 1000 < 100 for number in find("metrics.mse < 2"))
    assert len(find("mse < 2 and params.depth == 3 and state == 'done'")) > 5
    assert len(find("depth in [1, 2] and not trial")) == len(find("depth == 1 or depth == 2"))
    assert {number // 1000 for number in find("started > 2026-11-04")} == {4}
    wrong = list_found_runs(facts, RunFilter(where="metrics.mze < 2"), 60)
    assert (wrong.fault, wrong.hint) == ("no run has `metrics.mze`", "did you mean `mse`?")
    days = list_found_runs(facts, RunFilter(since="2026-11-02", until="2026-11-03"), 60)
    assert len(days.runs) == 2000


def test_columns_are_chosen_and_what_was_marked_stays_over_pages(many: Path) -> None:
    facts = ProjectFacts(many)
    usual = gather_run_table(facts, ask())
    assert [column.key for column in usual.columns.shown] == [
        "pipeline", "metrics.mse", "metrics.rows", "params.depth", "params.rate", "versions",
        "seconds", "started",
    ]  # fmt: skip
    old = min(folder.name for folder in (many / ".towpath" / "runs").iterdir())
    request = ask(col=("params.seed", "metrics.mse", "nope"), run=old, sort=("", "-mse"), page="2")
    chosen = gather_run_table(facts, request)
    assert [column.key for column in chosen.columns.shown] == ["params.seed", "metrics.mse"]
    assert chosen.chosen == (old,)  # a hidden field of the form
    values = [float(row.cells[1]) for row in chosen.rows]
    assert values == sorted(values, reverse=True)
    assert usual.trend is not None
    assert usual.trend.words.startswith("mse of 100 runs")


def test_what_there_was_no_time_to_read_is_said(tmp_path: Path) -> None:
    (tmp_path / "towpath.yaml").write_text(STAGES)
    for number in range(5):
        write_run(tmp_path, number)
    names = [folder.name for folder in (tmp_path / ".towpath" / "runs").iterdir()]
    assert find_named_runs(ProjectFacts(tmp_path), names, patience=-1).unread == 5
    found = list_found_runs(ProjectFacts(tmp_path), RunFilter(words="ada"), patience=-1)
    assert (len(found.runs), found.unread) == (0, 5)
    assert list_found_runs(ProjectFacts(tmp_path), RunFilter(words="ada"), 60).unread == 0
    assert list_found_runs(ProjectFacts(tmp_path), RunFilter(words="ada"), -1).unread == 0  # kept


def test_a_run_without_an_end_is_read_again_once_its_process_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache, read = RunLineCache(), []
    monkeypatch.setattr(
        run_facts.run_record, "read_run", lambda path: read.append(path) or read_run(path)
    )
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    origins = {"gone": {"pid": process.pid, "host": os.uname().nodename}, "elsewhere": {}}
    folders = {}
    for number, (name, origin) in enumerate(origins.items()):
        folders[name] = tmp_path / ".towpath" / "runs" / write_run(tmp_path, number, origin=origin)
        log = folders[name] / "events.jsonl"
        events = [json.loads(line) for line in log.read_text().splitlines()[:-1]]
        events[0]["time"] = datetime.now(UTC).isoformat()  # no process is older than its run
        log.write_text("".join(json.dumps(event) + "\n" for event in events))
    for _ in range(3):
        assert {cache.read_line(folder).state for folder in folders.values()} == {"running"}
    assert len(read) == 2
    process.communicate(b"\n")
    for _ in range(3):
        states = {name: cache.read_line(folder).state for name, folder in folders.items()}
        assert states == {"gone": "interrupted", "elsewhere": "running"}
    assert len(read) == 3


def test_a_kept_line_is_read_anew_where_its_record_grew_and_old_ones_go(tmp_path: Path) -> None:
    names = [write_run(tmp_path, number) for number in range(3)]
    folders = [tmp_path / ".towpath" / "runs" / name for name in names]
    cache = RunLineCache(most=100)  # of some 43 that a run has
    for folder in folders:
        cache.read_line(folder)
    assert [cache.has_line(folder) for folder in folders] == [False, True, True]
    assert cache.read_line(folders[0]) is not None  # read, but not kept in the place of a newer
    assert [cache.has_line(folder) for folder in folders] == [False, True, True]
    event = {"event": "registered", "time": "2026-11-02T10:00:00Z", "versions": ["mean@v1.0.0"]}
    with (folders[2] / "events.jsonl").open("a") as log:
        log.write(json.dumps(event) + "\n")
    line = cache.read_line(folders[2])
    assert line is not None
    assert line.versions == ("mean@v1.0.0",)


def test_axes_and_colour_are_chosen_by_the_address(many: Path) -> None:
    names = sorted(folder.name for folder in (many / ".towpath" / "runs").iterdir())[:8]
    asked = ask(run=",".join(names), axis=("metrics.mse", "params.depth"), x="params.rate",
                y="params.depth", colour="params.depth")  # fmt: skip
    view = gather_run_comparison(ProjectFacts(many), asked)
    assert view.axes.parallel is not None
    assert view.axes.points is not None
    assert view.axes.scale is not None
    assert view.axes.parallel.axes == ("mse", "depth")
    assert (view.axes.points.x_label, view.axes.points.y_label) == ("rate", "depth")
    assert view.axes.scale.title == "depth"
    titles = [section.title for section in view.sections if section.rows]
    assert titles == ["Metrics", "Parameters"]
    (metrics,) = (section for section in view.sections if section.title == "Metrics")
    assert [cell.is_best for cell in metrics.rows[0].cells] == [True] + [False] * 7
    assert metrics.rows[0].cells[1].verdict == "worse"
    with pytest.raises(NoSuchPage, match="no run `nope`"):
        gather_run_comparison(ProjectFacts(many), ask(run="nope"))


def test_an_export_has_every_digit_and_no_formula(tmp_path: Path) -> None:
    (tmp_path / "towpath.yaml").write_text(STAGES)
    write_run(tmp_path, 1, params={"=cmd|' /C calc'!A0": "+1", "rate": 0.1234567890123})
    found = select_runs(ProjectFacts(tmp_path), ask(all="1"), 60)
    (row,) = csv.DictReader(io.StringIO(write_runs_csv(found.runs)))
    assert row["params.rate"] == "0.1234567890123"
    assert row["metrics.mse"] == "1.37"
    assert not any(re.match(r"[=+@-]", word) for word in (*row, *row.values()))


@pytest.mark.parametrize("path", ["pipelines/", "search/"])
def test_many_pipelines_read_no_record_many_times(
    tmp_path: Path, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The record of a run that goes on is kept by nobody, and a pipeline may never have run."""
    (tmp_path / "towpath.yaml").write_text("name: many\n")
    for number in range(12):
        folder = tmp_path / "flows" / f"p{number}"
        folder.mkdir(parents=True)
        (folder / "pipeline.yaml").write_text("steps: {a: {run: a}}\n")
    for number in range(6):
        record = tmp_path / ".towpath/runs" / write_run(tmp_path, number) / "events.jsonl"
        record.write_text(record.read_text().partition("\n")[0] + "\n")
    reads: list[Path] = []
    read_run = run_record.read_run

    def count_read(folder: Path) -> RecordedRun | None:
        reads.append(folder)
        return read_run(folder)

    monkeypatch.setattr(run_record, "read_run", count_read)
    page, _ = write_page(tmp_path, path, ask(q="p1"))
    assert "p11" in page
    assert len(reads) <= 6 + 6  # those of the strip too
