"""`towpath report` and `compare --plots`: one page, which nothing in it can take over."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pandas
import pytest

from running import FOLDER, Project
from towpath.errors import UsageError
from towpath.execution.run_record import Recorder, new_folder
from towpath.reports import charts
from towpath.reports.charts import Chart, ChartLine, draw_chart
from towpath.reports.page import render_report_page, write_page
from towpath.reports.run_report import Report, report_run
from towpath.reports.version_report import compare_runs_page

EVIL = "</title></style></script><script>alert(1)</script><img src=x onerror=alert(2)>"
PIPELINE = f"""\
description: "{EVIL}"
params: {{rate: 0.5, words: "{EVIL}"}}
inputs: {{raw: data/raw.json}}
steps:
  train:
    kind: training
    run: train
    inputs: [raw]
    params: [rate, words]
    outputs:
      - model.json
      - {{path: curve.csv, plot: {{x: step, y: [train, valid], title: "{EVIL}"}}}}
      - page.html
      - {{path: pic.svg, plot: true}}
  score:
    kind: evaluation
    run: score
    inputs: [train.model]
    outputs:
      - metrics.json
      - {{path: groups.json, plot: {{x: a, y: b, by: g, template: scatter}}}}
      - {{path: wrong.csv, plot: {{x: nope, y: b}}}}
  good:
    kind: condition
    if: score.metrics.mse < 100
    then: [register]
    else: [reject]
  register: {{kind: register_model, as: mean, inputs: [train.model, score.metrics]}}
  reject: {{kind: fail, message: too bad}}
"""
STEPS = f"""\
import towpath

EVIL = {EVIL!r}


def train(raw, rate, words):
    for number in range(12_000):
        print("line", number, EVIL)
    print("\\x1b[31mred\\x1b[0m \\u202e the end")
    for step in range(50):
        towpath.log_metric("train/loss" + EVIL, rate / (step + 1), step)
        towpath.log_metric("valid/loss" + EVIL, 2 * rate / (step + 1), step)
    svg = '<svg xmlns="http://www.w3.org/2000/svg"><script>alert(3)</script></svg>'
    curve = "step,train,valid\\n0,2,3\\n1,1,nan\\n"
    return {{"model": {{"m": rate}}, "curve": curve, "page": EVIL, "pic": svg}}


def score(model):
    rows = [{{"a": n, "b": n * n, "g": EVIL if n % 2 else "even"}} for n in range(9)]
    return {{"metrics": {{"mse": model["m"]}}, "groups": rows, "wrong": "a,b\\n1,2\\n"}}
"""


class Tags(HTMLParser):
    """The tags of a page, with their attributes, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def assert_harmless(page: str) -> Tags:
    """Nothing runs, nothing is asked for, and the policy says so too."""
    tags = Tags(page)
    assert not {"script", "iframe", "object", "embed", "link", "base", "form"} & {
        tag for tag, _ in tags.tags
    }
    for tag, attributes in tags.tags:
        assert not [name for name in attributes if name.startswith("on")], tag
        source = attributes.get("src") or attributes.get("href") or "#"
        assert source.startswith(("#", "data:image/")), source
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', page)
    assert "default-src 'none'" in policy and "script-src" not in policy
    assert "unsafe" not in policy
    return tags


def test_pages_of_runs_and_versions(project: Project) -> None:
    project.declare(PIPELINE, STEPS)
    project.commit()
    first = project.run()
    second = project.run(params={"rate": 0.9})
    assert (first.exit_code, second.exit_code) == (0, 0)
    done = project.towpath("report", first.id, "-o", "page.html")
    assert (done.code, done.err) == (0, f"training {first.id} is in page.html\n"), done.err
    page = (project.root / "page.html").read_text()
    tags = assert_harmless(page)
    for words in ("training, done", "mean@v1.0.0", "0.5", "score.metrics.mse", EVIL, "the end",
                  "The end of the log:", "line 11999", f"towpath get {first.id} train.page",
                  "is not drawn: no column `nope`; there are a, b", "\\u202e"):  # fmt: skip
        assert words in tags.text, words
    assert "is no table" not in tags.text, "a picture is shown as it is"
    assert "line 0 " not in tags.text and "alert(3)" not in page and "\x1b" not in page
    drawn = sum(tag == "svg" for tag, _ in tags.tags)
    assert drawn == (4 if charts.can_draw() else 1), "graph, curve and two plots"
    # A version tells of its lineage, and of the run that made it.
    told = project.towpath("report", "mean@v1.0.0", "--json").json["report"]
    assert told["title"] == "mean@v1.0.0"
    tags = assert_harmless(Path(told["path"]).read_text())
    assert "Lineage" in tags.text and "The end of the log:" in tags.text
    # A run that was reused has its curve from the run that logged it.
    again = project.run()
    assert f"as logged in run {first.id}" in render_report_page(
        report_run(project.workspace, again)
    )
    compared = compare_runs_page(project.workspace, ["mean@v1.0.0", second.id])
    tags = assert_harmless(render_report_page(compared))
    assert "rate" in tags.text and "score.metrics.mse" in tags.text
    three = compare_runs_page(project.workspace, [first.id, second.id, first.id])
    (table,) = three.sections[0].tables
    assert all(row[2] == row[4] != row[3] for row in table.rows), "what is as in the first is told"
    assert project.towpath("compare", first.id, second.id, "--plots").code == 0
    # What stands there and is no page of ours stays.
    kept = project.write("kept.html", "mine")
    refused = project.towpath("report", "-o", "kept.html")
    assert (refused.code, kept.read_text()) == (2, "mine")
    assert "is no page of Towpath's" in refused.err
    assert project.towpath("report", "nothing").code == 2
    assert project.towpath("report", "mean@v9.0.0").code == 2
    # The declaration goes on: the graph stays that which was run. Of a run that has not kept it
    # the page says so.
    project.edit(f"{FOLDER}/pipeline.yaml", "  reject: {", "  refuse: {")
    project.edit(f"{FOLDER}/pipeline.yaml", "else: [reject]", "else: [refuse]")
    assert "declared otherwise" not in render_report_page(report_run(project.workspace, first))
    (project.workspace.runs / first.id / ".graph.json").unlink()
    assert "declared otherwise now" in render_report_page(report_run(project.workspace, first))


def test_odd_runs(loose: Project) -> None:
    workspace = loose.workspace
    started = {"pipeline": "gone", "params": {EVIL: EVIL}, "inputs": {}, "origin": {"user": EVIL}}
    for steps in ({}, {"a": "training"}):
        recorder = Recorder(new_folder(workspace.runs))
        recorder("started", run=recorder.folder.name, steps=steps, **started)
        if steps:  # it goes on, and has written 100 MB
            recorder("step", step="a", state="running", reason=EVIL)
            (recorder.folder / "a").mkdir()
            with (recorder.folder / "a" / "log.txt").open("wb") as log:
                log.seek(100 << 20)
                log.write(b"\nthe last line \xff\n")
        recorder.close()
        from towpath.execution.run_folders import find_run

        page = render_report_page(report_run(workspace, find_run(workspace.runs, "last")))
        tags = assert_harmless(page)
        assert "not yet" in tags.text or "interrupted" in tags.text
        assert len(page) < 200_000
    assert "the last line" in tags.text and "bytes stand before it" in tags.text
    folder = loose.root / "here"
    folder.mkdir()
    with pytest.raises(UsageError, match="is a folder"):
        write_page(report_run(workspace, find_run(workspace.runs, "last")), folder)


def test_a_page_replaces_one_of_ours(tmp_path: Path) -> None:
    for state in ("running", "done"):
        write_page(Report("again", state, ()), tmp_path / "page.html")
    assert "done" in (tmp_path / "page.html").read_text()


@pytest.mark.skipif(not charts.can_draw(), reason="the extra `report` is not installed")
def test_charts_of_anything() -> None:
    hostile = [("a", float("nan")), (None, 1), (EVIL, 2.0), (3, float("inf")), (True, "text")]
    hostile += [(4, pandas.NA), (pandas.NA, 5)]
    for kind in ("line", "point", "bar", "confusion"):
        drawn = draw_chart(Chart(EVIL, [ChartLine(EVIL, hostile)], EVIL, EVIL, kind))
        assert "<script" not in drawn.svg and drawn.notes
        assert drawn.svg.startswith("<svg") or not drawn.svg
    acting = "a\0\x1b[31m\ufffe\ud800b"  # each would end this process
    points = [(acting, 1.0), ("c", 2.0)]
    for kind in ("line", "bar", "confusion"):
        lines = [ChartLine(acting, points), ChartLine("other", points)]
        drawn = draw_chart(Chart(acting, lines, acting, r"\u0000 \" + datum.x", kind))
        assert "a\u2400\u241b[31m\\ufffe\\ud800b" in drawn.svg
    many = [ChartLine(f"line {n}", [(x, x * n) for x in range(5000)]) for n in range(30)]
    drawn = draw_chart(Chart("many", many))
    assert drawn.notes == ("10 more lines are not drawn",) and len(drawn.svg) < 700_000
    assert draw_chart(Chart("none", ())).svg == ""
    answers = ChartLine("", [(1, n % 2) for n in range(5000)])
    matrix = draw_chart(Chart("all are counted", [answers], kind="confusion")).svg
    assert matrix.count(">2500</text>") == 2 and ">1.0</text>" not in matrix
    assert json.dumps(drawn.ends)
