"""A run's graph folded and unfolded, on written records: no engine runs."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from html import unescape
from pathlib import Path

import httpx
import pytest
from chromium import needs_chromium, violations
from playwright.sync_api import Browser, expect

from towpath.drawing.picture import picture_graph
from towpath.drawing.picture_file import PICTURE_FILE, write_picture
from towpath.execution.run_record import Recorder, new_folder
from towpath.planning.pipeline_check import drawable_graph
from towpath.studio.static_site import build_site
from towpath.workspace import Workspace

OpenStudio = Callable[[Path], httpx.Client]

CLEAN = """\
inputs: {raw: data/raw.json}
steps:
  load: {run: f, inputs: [raw], outputs: [rows.json]}
  split: {run: f, inputs: [load.rows], outputs: [train.json, test.json]}
"""
REGION = """\
inputs: {raw: data/raw.json}
steps:
  clean: {kind: pipeline, pipeline: clean, inputs: [raw]}
  train: {kind: training, run: f, inputs: {rows: clean.split.train}, outputs: [model.json]}
  score: {run: f, inputs: {m: train.model, t: clean.split.test}, outputs: [score.json]}
"""
WHOLE = """\
inputs: {raw: data/raw.json}
params: {windows: [1, 2, 3]}
steps:
  north: {kind: pipeline, pipeline: region, inputs: [raw]}
  south: {kind: pipeline, pipeline: region, inputs: [raw]}
  grid:
    run: f
    each: {window: windows}
    inputs: {s: north.score.score}
    params: [window]
    outputs: [g.json]
  compare: {run: f, inputs: {g: grid.g, s: south.score.score}, outputs: [c.json]}
"""
HOSTILE = "grid@\"'><script>alert(1)<img src=x onerror=alert(2)>"


def write_project(root: Path) -> Path:
    (root / "towpath.yaml").write_text("name: folds\n")
    for name, text in {"clean": CLEAN, "region": REGION, "whole": WHOLE}.items():
        folder = root / "flows" / name
        folder.mkdir(parents=True)
        (folder / "pipeline.yaml").write_text(text)
        (folder / "steps.py").write_text("def f(**_): ...\n")
    return root


def record_run(
    root: Path, states: Mapping[str, str], cells: Mapping[str, str], ended: bool = True
) -> str:
    """A run of `whole`: the states of the steps that are not done, and those of the cells."""
    steps = drawable_graph(Workspace(root), "whole").steps
    folder = new_folder(root / ".towpath" / "runs")
    record = Recorder(folder)
    record("started", run=folder.name, pipeline="whole", asked={}, params={}, inputs={},
           sources={}, tried=[], origin={},
           steps={name: node.step.kind for name, node in steps.items()})  # fmt: skip
    if cells:
        items = {name: {"window": 1} for name in cells}
        record("cells", step="grid", cells=items, number=len(cells))
    for name, state in {**dict.fromkeys(steps, "done"), **states, **cells}.items():
        if state != "waiting":
            record("step", step=name, state=state, seconds=1.0)
    if ended:
        record("finished", state="failed", seconds=1.0, exit_code=1)
    record.close()
    return folder.name


def keep_picture(root: Path, run: str) -> Path:
    """What a real run writes beside its record."""
    graph = drawable_graph(Workspace(root), "whole")
    write_picture(root / ".towpath" / "runs" / run, picture_graph(graph, nested=True))
    return root / ".towpath" / "runs" / run / PICTURE_FILE


def list_boxes(page: str) -> dict[str, str]:
    """What the tooltip says of each box, by its name."""
    titles = re.findall(r'class="(?:box|frame-link)[^>]*><title>([^<]*)</title>', page)
    return dict(unescape(title).removeprefix("Fold ").split(": ", 1) for title in titles)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return write_project(tmp_path)


def test_a_run_folds_pipelines_and_cells_and_says_what_is_in_them(
    project: Path, open_studio: OpenStudio
) -> None:
    cells = {f"grid@{number}": "done" for number in range(199)} | {HOSTILE: "failed"}
    run = record_run(
        project, {"south.clean.split": "failed", "south.train": "skipped", "grid": "failed"}, cells
    )
    client = open_studio(project)
    page = client.get(f"/runs/{run}/").text
    boxes = list_boxes(page)
    assert list(boxes) == ["raw", "north", "south", "grid", "compare"]  # in an order of the graph
    assert boxes["south"] == (
        "pipeline, failed, 2 done, 1 failed, 1 skipped, region, 4 steps, unfold"
    )
    assert boxes["grid"].startswith("processing x200, failed, 199 done, 1 failed")
    # The step that failed is the one that is shown: so its box is, which holds it.
    assert re.search(r'<a class="box [^"]*state-failed is-selected"[^>]*><title>south:', page)
    assert f'href="../../runs/{run}/?open=south"' in page

    page = client.get(f"/runs/{run}/?open=south&open=south.clean&open=gone&open=grid").text
    boxes = list_boxes(page)
    assert boxes["south.clean"] == "clean, 2 steps"  # a frame, which a click folds
    assert boxes["south.clean.split"] == "processing, failed, 1.0 s, makes train, test"
    assert "north.train" not in boxes
    assert page.count('<a class="tile state-done') == 199
    assert "<script>alert" not in page and "<img" not in page
    # What is unfolded stays so on a click, and what stands in a frame is folded with it.
    assert f'href="../../runs/{run}/south.train/?open=south&amp;open=south.clean' in page
    assert f'href="../../runs/{run}/?open=grid"><title>Fold south:' in page


def test_nothing_moves_while_a_run_goes_on(project: Path, open_studio: OpenStudio) -> None:
    waiting = dict.fromkeys(drawable_graph(Workspace(project), "whole").steps, "waiting")
    before = record_run(project, waiting, {"grid@1": "running", "grid@2": "waiting"}, ended=False)
    after = record_run(project, {}, {"grid@1": "done", "grid@2": "done"}, ended=False)
    client = open_studio(project)
    for query in ("", "?open=north&open=grid"):
        first, last = (client.get(f"/runs/{run}/{query}").text for run in (before, after))
        faces = [re.findall(r'class="face" ([^>]*)', page) for page in (first, last)]
        assert faces[0] == faces[1]
    assert ", running, 1 running, 1 waiting, " in first


def test_a_declaration_that_changes_is_drawn_anew(project: Path, open_studio: OpenStudio) -> None:
    client = open_studio(project)
    assert list(list_boxes(client.get("/pipelines/whole/?open=north").text)) == [
        "north", "raw", "north.clean", "north.train", "north.score", "south", "grid", "compare",
    ]  # fmt: skip
    path = project / "flows" / "region" / "pipeline.yaml"
    path.write_text(
        path.read_text().replace("train:", "learn:").replace("train.model", "learn.model")
    )
    assert "north.learn" in list_boxes(client.get("/pipelines/whole/?open=north").text)


def test_a_fan_and_a_row_that_are_written_out_are_one_box_each(
    project: Path, open_studio: OpenStudio
) -> None:
    fan = "".join(f"  f{n}: {{run: f, inputs: [first.o], outputs: [o.json]}}\n" for n in range(300))
    row = "".join(
        f"  r{n}: {{run: f, inputs: {{i: {f'r{n - 1}' if n else 'last'}.o}}, outputs: [o.json]}}\n"
        for n in range(20)
    )
    steps = f"steps:\n  first: {{run: f, outputs: [o.json]}}\n{fan}" + (
        f"  last: {{run: f, inputs: {{{', '.join(f'i{n}: f{n}.o' for n in range(300))}}}, "
        f"outputs: [o.json]}}\n{row}"
    )
    (project / "flows" / "whole" / "pipeline.yaml").write_text(steps)
    client = open_studio(project)
    page = client.get("/pipelines/whole/").text
    assert list(list_boxes(page)) == ["first", "f0 +299", "last +20"]
    assert "2 boxes stand for 321 steps in a row or side by side" in page
    run = record_run(project, {"f299": "failed", "last": "waiting"}, {})
    page = client.get(f"/runs/{run}/").text
    assert "processing x300, failed, 299 done, 1 failed" in list_boxes(page)["f0 +299"]
    opened = re.search(r'href="[^"]*\?(open=f0[^"]*)"', page)
    assert opened
    page = client.get(f"/runs/{run}/?{unescape(opened[1])}").text
    assert "<title>f299: failed</title>" in page  # though it is the last of so many
    assert "and 60 more, in the list below" in page


def test_a_site_of_files_shows_a_small_graph_whole(project: Path, tmp_path: Path) -> None:
    run = record_run(project, {}, {"grid@1": "done"})
    build_site(project, tmp_path / "site")
    page = (tmp_path / "site" / "runs" / run / "index.html").read_text()
    assert "north.clean.load" in list_boxes(page)
    assert "open=" not in page


TOKEN = "a-token-of-this-test"


@needs_chromium
def test_a_graph_is_unfolded_by_keys_and_stays_where_it_is(
    browser: Browser, project: Path, open_studio: OpenStudio
) -> None:
    """What a mouse does a keyboard does; a run that goes on puts nothing out of its place."""
    waiting = dict.fromkeys(drawable_graph(Workspace(project), "whole").steps, "waiting")
    cells = {f"grid@{n}": "waiting" for n in range(120)}
    run = record_run(project, {**waiting, "north.clean.load": "running"}, cells, ended=False)
    address = str(open_studio(project).base_url).rstrip("/")
    page = browser.new_page(viewport={"width": 1440, "height": 700})
    page.goto(f"{address}/runs/{run}/?token={TOKEN}")
    page.goto(f"{address}/runs/{run}/")
    page.locator("a.box", has=page.locator("title", has_text="north:")).focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/?open=north")
    page.get_by_role("link", name="Unfold grid").focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**open=grid")
    expect(page.locator("a.tile")).to_have_count(120)
    assert violations(page) == []

    drawing = page.locator(".drawing")
    drawing.evaluate("drawing => { drawing.scrollTop = 150; }")
    tile = page.locator("a.tile").nth(7)
    tile.evaluate("tile => tile.focus({ preventScroll: true })")
    place = tile.bounding_box()
    record = Recorder(project / ".towpath" / "runs" / run)
    record("step", step="grid@3", state="running")
    record("step", step="grid@3", state="done", seconds=1.0)
    record.close()
    expect(page.locator("a.tile.state-done")).to_have_count(1, timeout=10_000)
    assert drawing.evaluate("drawing => drawing.scrollTop") == 150
    assert tile.bounding_box() == place
    assert tile.evaluate("tile => tile === document.activeElement")
    page.close()


def test_a_run_keeps_the_graph_that_it_had(tmp_path: Path, open_studio: OpenStudio) -> None:
    root = write_project(tmp_path)
    run = record_run(root, {}, {})
    file = keep_picture(root, run)
    client = open_studio(root)
    drawn = client.get(f"/runs/{run}/").text
    (root / "flows" / "whole" / "pipeline.yaml").write_text("steps: {other: {run: f}}\n")
    assert list_boxes(client.get(f"/runs/{run}/").text) == list_boxes(drawn)
    assert {"raw", "north", "south", "compare"} <= list_boxes(drawn).keys()
    # What no run wrote is not drawn: a frame in itself, a line to nowhere, another run's steps.
    kept = json.loads(file.read_text())
    around = {"inside": {**kept["inside"], "north": "north.clean", "north.clean": "north"}}
    for change in (around, {"lines": [["raw", "nowhere", "", False]]}, {"boxes": []}, {"lines": 1}):
        file.write_text(json.dumps({**kept, **change}))
        assert "declared otherwise now" in client.get(f"/runs/{run}/").text, change
