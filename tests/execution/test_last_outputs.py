"""Inputs that are what the last good run made: incremental data."""

from __future__ import annotations

import json
import shutil
import signal
import time
from pathlib import Path

import pytest

from running import Project, make, ran, states
from towpath import registry
from towpath.audit.reproduction import reproduce_version
from towpath.errors import StoreError
from towpath.execution.input_sources import UpstreamReader
from towpath.planning import pipeline_check
from towpath.storage.cache_entries import KEPT_RUNS, load_last, relative_last_path
from towpath.versions import push_and_pull

PIPELINE = """\
params: {most: 100}
inputs:
  news: data/news.json
  before: {last: pickup.table, otherwise: data/none.json}
for:
  prod: {params: {most: 50}}
steps:
  pickup: {run: pickup, inputs: [news, before], params: [most], outputs: [table.json]}
  look: {run: look, inputs: [pickup.table], outputs: [rows.json]}
  register: {kind: register_model, as: rows, inputs: {model: look.rows}}
"""
STEPS = """\
import time


def pickup(news: list, before: list, most: int) -> list:
    return sorted({*before, *news})[:most]


def look(table: list) -> dict:
    if 13 in table:
        raise ValueError("no 13")
    while 99 in table:
        time.sleep(0.1)
    return {"rows": len(table)}
"""


@pytest.fixture
def growing(tmp_path: Path) -> Project:
    """A project whose table grows, committed, with a remote for its bytes and one for Git."""
    project = make(
        tmp_path / "growing",
        {
            "flows/training/pipeline.yaml": PIPELINE,
            "flows/training/steps.py": STEPS,
            "data/news.json": "[1]",
            "data/none.json": "[]",
            ".dvc/config": f"[core]\n    remote = r\n['remote \"r\"']\n    url = {tmp_path}/r\n",
        },
    )
    project.git("init", "-q", "-b", "main")
    project.commit()
    return project


def bring(project: Project, *news: int) -> None:
    project.write("data/news.json", json.dumps(news))
    project.commit("news")


def table(run: object) -> list[int]:
    return run.values["pickup.table"]  # type: ignore[attr-defined]


def test_each_run_takes_what_the_good_run_before_it_made(growing: Project) -> None:
    words = growing.towpath("plan").out
    assert "data/none.json: no good run has made pickup.table yet" in words
    first = growing.run()
    assert (first.state, table(first)) == ("done", [1]), first.error
    assert first.sources["before"]["path"] == "data/none.json"
    bring(growing, 2)
    assert f"pickup.table of run {first.id}" in growing.towpath("plan").out
    assert growing.towpath("plan", "--json").json["last"]["before"]["run"] == first.id
    assert growing.plan()["pickup"] == "run: input `news` changed"
    second = growing.run()
    assert table(second) == [1, 2]
    source = second.sources["before"]
    assert (source["output"], source["run"]) == ("pickup.table", first.id)
    assert second.inputs["before"] == first.steps["pickup"].made.outputs["table"].digest
    # With no news it comes to rest: the same table, then nothing to run at all.
    rest = growing.run()
    assert table(rest) == [1, 2]
    assert ran(growing.run()) == set()
    # DVC knows no earlier runs.
    assert "training-pickup" not in (growing.root / "dvc.yaml").read_text()

    # A trial takes it and moves nothing; nor does a part of a run, nor one that failed.
    bring(growing, 3)
    assert table(growing.run(params={"most": "2"})) == [1, 2]
    assert table(growing.run(inputs={"before": "data/none.json"})) == [3]
    growing.run(only=("pickup",))
    bring(growing, 13)
    failed = growing.run()
    assert states(failed)["look"] == "failed"
    taken = failed.inputs["before"]
    bring(growing, 4)
    good = growing.run()
    assert table(good) == [1, 2, 4], "neither the trials' 3 nor the failed run's 13 is in it"
    # It goes on with what it had taken, though there is something newer.
    growing.write("data/news.json", "[13]")
    growing.code("raise ValueError", "return {'rows': 0} or ValueError")
    again = growing.run(retry=failed.id)
    assert (again.inputs["before"], again.sources["before"]["run"]) == (taken, rest.id)
    assert (states(again)["pickup"], table(again)) == ("reused", [1, 2, 13])
    growing.git("checkout", "-q", ".")

    # To begin anew is to say so.
    fresh = growing.run(inputs={"before": "data/none.json"}, register=True)
    assert table(fresh) == [4]
    assert table(growing.run()) == [4]


def test_an_environment_has_its_own_and_another_pipeline_finds_it_fresh(growing: Project) -> None:
    growing.run()
    bring(growing, 2)
    prod = growing.run(environment="prod")
    assert table(prod) == [2], "what is for prod grows by itself"
    assert table(growing.run(environment="prod")) == [2]
    assert table(growing.run()) == [1, 2]
    growing.write(
        "flows/other/pipeline.yaml",
        "inputs: {table: training:pickup.table}\n"
        "steps: {count: {run: count, inputs: [table], outputs: [n.json]}}\n",
    )
    growing.write("flows/other/steps.py", "def count(table: list) -> dict: return {'n': 1}\n")
    reader = UpstreamReader(growing.workspace)
    graph = pipeline_check.compile_checked_pipeline(growing.workspace, "other")
    (link,) = reader.find_links(graph)
    assert link.stale == "", "it is what the run made of what that run took"
    bring(growing, 3)
    (link,) = UpstreamReader(growing.workspace).find_links(graph)
    assert "input `news` changed" in link.stale


def test_a_kill_before_the_end_moves_nothing(growing: Project) -> None:
    first = growing.run()
    bring(growing, 99)  # with which the second step does not end
    process = growing.begin("run")
    deadline = time.monotonic() + 60
    run_folder = growing.workspace.runs
    while time.monotonic() < deadline:
        later = [p for p in run_folder.iterdir() if p.name != first.id]
        if later and '"look", "state": "running"' in (later[0] / "events.jsonl").read_text():
            break
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    bring(growing, 5)
    after = growing.run()
    assert after.sources["before"]["run"] == first.id
    assert table(after) == [1, 5]


def test_it_travels_with_push_and_pull_and_is_never_begun_anew_in_silence(
    growing: Project, tmp_path: Path
) -> None:
    growing.run()
    bring(growing, 2)
    second = growing.run()
    growing.git("init", "-q", "--bare", "-b", "main", str(tmp_path / "origin.git"))
    growing.git("remote", "add", "origin", str(tmp_path / "origin.git"))
    growing.git("push", "-q", "-u", "origin", "main")
    push_and_pull.push_project(growing.workspace).complete()

    clone = Project(tmp_path / "clone")
    growing.git("clone", "-q", str(tmp_path / "origin.git"), str(clone.root))
    assert "no good run has made" in clone.towpath("plan").out, "a clone alone knows of no run"
    push_and_pull.pull_project(clone.workspace).complete()
    bring(clone, 3)
    third = clone.run()
    assert (third.sources["before"]["run"], table(third)) == (second.id, [1, 2, 3])
    push_and_pull.push_project(clone.workspace).complete()
    push_and_pull.pull_project(growing.workspace).complete()
    bring(growing, 4)
    fourth = growing.run()
    assert (fourth.sources["before"]["run"], table(fourth)) == (third.id, [1, 2, 3, 4])

    version = registry.get_version(growing.workspace.registry, "rows@latest").record
    assert version.sources["before"].run == second.id
    assert reproduce_version(growing.workspace, "rows@latest").verdict == "bytes"

    # Without its bytes it does not begin anew behind anybody's back.
    digest = fourth.steps["pickup"].made.outputs["table"].digest
    growing.store.path(digest).unlink()
    with pytest.raises(StoreError, match=f"what run {fourth.id} made as `pickup.table`") as lost:
        growing.run()
    assert "towpath pull" in str(lost.value)
    # What CI takes was written by CI.
    (entry, *_) = list(growing.store.last_made.all())
    content = growing.store.last_made.path(entry).read_bytes()
    assert load_last(relative_last_path(entry), content) == entry
    for path in ("../../x.json", relative_last_path(entry).replace("local", "ci"), "a/b/c.json"):
        assert load_last(path, content) is None
    for garbage in (b"", b"{}", b"[]", content[:-9], content.replace(b"outputs", b"inputs")):
        assert load_last(relative_last_path(entry), garbage) is None
    growing.store.last_made.path(entry).write_bytes(b"garbage")
    with pytest.raises(StoreError, match="made is not told by "):
        growing.run()
    kept = growing.store.layout.last
    assert len(list(kept.rglob("*.json"))) <= KEPT_RUNS
    shutil.rmtree(kept)
    assert "no good run has made" in growing.towpath("plan").out
