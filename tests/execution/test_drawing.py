"""A graph drawn three ways."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from towpath import drawing
from towpath.config.pipeline_file import parse_pipeline
from towpath.pipeline.compile_graph import outline_graph
from towpath.pipeline.step_graph import Graph

VALID = Path(__file__).parents[1] / "config" / "valid"
SVG = "{http://www.w3.org/2000/svg}"


def graph_of(text: str) -> Graph:
    return outline_graph(parse_pipeline(text, "flows/training/pipeline.yaml"))


@pytest.fixture
def abalone() -> Graph:
    return graph_of((VALID / "abalone.yaml").read_text())


def test_text(abalone: Graph) -> None:
    assert drawing.text(abalone) == (
        """\
training  Predict the age of abalone from physical measurements.

○ raw              input            data/abalone.csv
│
✓ check_raw        quality check    expectations/raw.yaml
│
● prepare          processing       makes train, test
│
● train            training         makes model
│
● evaluate         evaluation       makes metrics, residuals  from train, prepare
│
◆ good_enough      condition        if evaluate.metrics.mse <= max_mse
├─ yes ★ register  register model   as abalone  from train, evaluate
├─ yes ● score     batch transform  makes scored  from train, prepare
└─ no  ✗ reject    fail             mse {evaluate.metrics.mse:.2f} is above {max_mse}"""
    )


FORKS = """
inputs: {raw: data/a.csv, other: data/}
steps:
  a: {run: f, inputs: [raw], outputs: [a.csv]}
  b: {run: f, inputs: [raw], outputs: [b.csv]}
  c: {run: f, inputs: [a.a, b.b], outputs: [c.json]}
  q: {kind: quality_check, inputs: {data: other}, expectations: e.yaml}
  k: {kind: condition, if: c.c.x > 1, then: [d, k2], else: no_}
  d: {run: f, inputs: [c.c], outputs: [d.csv]}
  d2: {run: f, inputs: [d.d], outputs: [d.csv], after: q}
  k2: {kind: condition, if: c.c.y > 1, then: e}
  e: {run: f, inputs: [c.c], outputs: [d.csv]}
  no_: {run: f, inputs: [c.c], outputs: [d.csv]}
  j: {run: f, inputs: [d2.d or no_.d]}
"""


def test_text_of_forks_and_joins() -> None:
    assert drawing.text(graph_of(FORKS)) == (
        """\
training

○ raw                 input          data/a.csv
├─ ● a                processing     makes a
└─ ● b                processing     makes b
   │
   ● c                processing     makes c  from a, b
   │
   ◆ k                condition      if c.c.x > 1
   ├─ yes ● d         processing     makes d  from c
   │      │
   │      ● d2        processing     makes d  from d, q
   ├─ yes ◆ k2        condition      if c.c.y > 1  from c
   │      └─ yes ● e  processing     makes d  from c
   └─ no  ● no_       processing     makes d  from c
          │
          ● j         processing       from d2, no_

○ other               input          data/
│
✓ q                   quality check  e.yaml"""
    )


def test_mermaid(abalone: Graph) -> None:
    lines = drawing.mermaid(abalone).splitlines()
    assert lines[0] == "flowchart TD"
    assert '  n_raw[("raw<br/><small>data/abalone.csv</small>")]' in lines
    assert "  n_prepare --> n_train" in lines
    assert "  n_good_enough -->|no| n_reject" in lines


HOSTILE = """
inputs:
  end: 'data/"x" <script>alert(1)</script> & #35; `y`.csv'
steps:
  graph_: {run: f, inputs: [end], outputs: [o.json], after: style}
  style: {run: f}
  click:
    kind: condition
    if: graph_.o["a]b|c}"] == '"; end' and 1 < 2
    then: x
  x: {kind: fail, message: "]]> --> <b> &amp; {graph_.o.x}"}
"""


def test_mermaid_holds_any_text() -> None:
    node = re.compile(r'  n_\w+(\[\(|\(\[|\[\[|\(|\{)"([^"]*)"(\)\]|\]\)|\]\]|\)|\})')
    edge = re.compile(r"  n_\w+ (-->(\|yes\||\|no\|)?|-\.->) n_\w+")
    text = drawing.mermaid(graph_of(HOSTILE))
    assert "  n_style -.-> n_graph_" in text
    for line in text.splitlines()[1:]:
        found = node.fullmatch(line)
        assert found or edge.fullmatch(line), line
        if found:
            label = re.sub(r"<br/>|</?small>|#\d+;", "", found[2])
            assert not set(label) & set("<>\"'#&`[]{}()|"), label


@pytest.mark.parametrize("text", [(VALID / "abalone.yaml").read_text(), FORKS, HOSTILE])
def test_svg(text: str) -> None:
    graph = graph_of(text)
    root = ET.fromstring(drawing.svg(graph))
    shown = {element.text for element in root.iter(f"{SVG}text")}
    assert {*graph.nodes, *graph.inputs} <= shown
    assert len(list(root.iter(f"{SVG}polygon"))) == sum(
        node.step.kind == "condition" for node in graph.nodes.values()
    )
    assert not list(root.iter(f"{SVG}script"))
    assert not list(root.iter(f"{SVG}image")), "nothing from elsewhere"
    assert "http" not in drawing.svg(graph).replace("http://www.w3.org/2000/svg", "")


def test_svg_holds_all_that_it_draws() -> None:
    for text in ((VALID / "everything.yaml").read_text(), FORKS):
        root = ET.fromstring(drawing.svg(graph_of(text)))
        width, height = (float(root.attrib[key]) for key in ("width", "height"))
        drawn = root.find(f"{SVG}g")
        assert drawn is not None
        right, down = map(float, re.findall(r"[\d.]+", drawn.attrib["transform"]))
        for box in drawn.iter(f"{SVG}rect"):
            x, y, w, h = (float(box.attrib[key]) for key in ("x", "y", "width", "height"))
            assert x + right >= 0 and x + w + right <= width
            assert y + down >= 0 and y + h + down <= height
        for line in drawn.iter(f"{SVG}path"):
            ends = [float(x) for x in re.findall(r"([\d.-]+) [\d.-]+", line.attrib["d"])]
            assert all(0 <= x + right <= width for x in ends)


def test_a_single_step_and_a_thousand() -> None:
    assert "only" in drawing.text(graph_of("steps: {only: {run: f}}"))
    assert "only" in drawing.svg(graph_of("steps: {only: {run: f}}"))
    chain = "".join(
        f"  s{i}: {{run: f, outputs: [o.csv], inputs: [{f's{i - 1}.o' if i else ''}]}}\n"
        for i in range(1000)
    )
    graph = graph_of(f"steps:\n{chain}")
    assert len(drawing.text(graph).splitlines()) == 1002
    assert drawing.mermaid(graph).count("-->") == 999
    assert drawing.svg(graph).count("<rect") == 1000
