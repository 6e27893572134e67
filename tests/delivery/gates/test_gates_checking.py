"""What `towpath check` says of gates, before a promotion meets them."""

from __future__ import annotations

from command_line import call_towpath
from towpath.config.project_declaration import read_project
from towpath.delivery.gates import gate_files

PROJECT = """
name: a
stages:
  dev:
    gates:
      soak: {kind: soak, at_least: 1h}
  prod:
    gates:
      golden: {kind: golden, samples: none.csv}
      data: {kind: expectations, expectations: bad.yaml, data: x.csv}
      typo: {kind: function, run: "checks.own:jude"}
      no-module: {kind: function, run: "checks.owl:judge"}
      two: {kind: function, run: "checks.own:two"}
      none: {kind: function, run: "checks.own:none"}
      quick: {kind: latency, at_most: 1s, samples: big.csv}
      good: {kind: function, run: "checks.own:judge"}
"""
OWN = """def judge(context, strict=True): ...
def two(a, b): ...
def none(): ...
"""
SAID = """\
towpath.yaml:6: there is no stage below the first, so no version can pass this
towpath.yaml:9: there is no none.csv
bad.yaml:2: there is no expectation `expect_nothing` (see https://greatexpectations.io/expectations/)
towpath.yaml:11: there is no function `jude` in `checks/own.py` (did you mean `judge`?)
towpath.yaml:12: there is no module `checks.owl` (did you mean `checks.own`?)
checks/own.py:2: two() takes a, b; a gate calls it with one argument
checks/own.py:3: none() takes none; a gate calls it with one argument
towpath.yaml:15: DVC tracks big.csv, and gates read from Git
"""


def test_what_a_gate_needs_is_looked_for(tmp_path):
    (tmp_path / "checks").mkdir()
    files = {
        "towpath.yaml": PROJECT,
        "checks/own.py": OWN,
        "bad.yaml": "expectations:\n  - {type: expect_nothing}\n",
        "big.csv": "",
        "big.csv.dvc": "",
    }
    for path, content in files.items():
        (tmp_path / path).write_text(content)
    found = gate_files.gate_faults(tmp_path, read_project(tmp_path))
    assert "".join(f"{fault}\n" for fault in found) == SAID
    done = call_towpath(tmp_path, "check")
    assert done.returncode == 2
    assert "towpath.yaml:9: there is no none.csv" in done.stderr
