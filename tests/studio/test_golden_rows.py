"""Golden samples on the page of a version: the first rows of what main has, and what evidence says
of them."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pandas
import pytest
from benchmarks.registry import make
from msgspec import structs

from towpath.delivery.reconcile.deployment_record import DeployedGate
from towpath.studio.page_index import PAGES
from towpath.studio.page_templates import PagePlace, render_studio_page
from towpath.studio.pages.golden_rows import list_golden_files
from towpath.studio.pages.page_kind import PageRequest
from towpath.studio.project_facts import ProjectFacts

EVIL = "<script>alert(1)</script>"
POLICY = """\
name: many
stages:
  dev:
    gates:
      known: {kind: golden, samples: golden.csv, expected: rings, absolute: 0.5, relative: 5%}
      json: {kind: golden, samples: golden.json}
  prod:
    gates:
      known: {kind: golden, samples: golden.csv, expected: rings}
      table: {kind: golden, samples: golden.parquet}
      far: {kind: golden, samples: big.csv}
      huge: {kind: golden, samples: huge.csv}
      odd: {kind: golden, samples: odd.json}
      lost: {kind: golden, samples: golden.csv, expected: ringz}
"""
EVIDENCE = """\
# model-0 v1.9.0 → dev

## Gates

|  | gate | value | bound | from |
| --- | --- | --- | --- | --- |
| ✗ no | `known` golden | 10 of 12; sample 2 gives 7.5, not 9; sample 11 gives 3, not 4 | x | y |
| … waits | `json` golden |  |  | judged in dev |
"""


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> ProjectFacts:
    root = make(tmp_path_factory.mktemp("golden") / "project", 1, 10)
    lengths = [f"{number}.10000000000000001" for number in range(12)]
    lengths[6:8] = ["123456789012.25", f"0.{'1' * 300}"]
    rows = "".join(f"{length},M,{number + 7}\n" for number, length in enumerate(lengths))
    samples = [{"inputs": {"a": f"{EVIL}\ud800", "expected": 1}, "expected": [1, 2]}] * 2
    files = {
        "towpath.yaml": POLICY, "golden.csv": f"length,sex,rings\n{rows}", "big.csv.dvc": "",
        "golden.json": json.dumps(samples), "odd.json": '[{"inputs": 3}]',
        "huge.csv": "a,expected\n" + "1,2\n" * 300_000, "evidence.md": EVIDENCE,
    }  # fmt: skip
    for name, text in files.items():
        Path(root, name).write_text(text)
    pandas.DataFrame({"a": [0.5], "expected": ["old"]}).to_parquet(root / "golden.parquet")
    for words in (["add", "."], ["commit", "-qm", "Samples"]):
        subprocess.run(["git", *words], cwd=root, check=True)
    (root / "golden.csv").write_text("not what main has")
    return ProjectFacts(root)


def test_first_rows_of_what_main_has(facts: ProjectFacts) -> None:
    (entry,) = (e for e in facts.model_history("model-0") if e.stage == "dev")
    head = subprocess.check_output(["git", "rev-parse", "HEAD"], cwd=facts.root, text=True).strip()
    entry = structs.replace(entry, commit=head, evidence="evidence.md")
    deployed = DeployedGate("json", "golden", "2 of 2")
    entry = structs.replace(entry, gates=(deployed,))
    files = {(f.path, f.gates[0].gate): f for f in list_golden_files(facts, [entry])}
    known = files["golden.csv", "known"]
    assert [(g.stage, g.tolerance) for g in known.gates] == [
        ("dev", "within 0.5 + 5 %"), ("prod", "exactly"),
    ]  # fmt: skip
    assert known.gates[0].outcome and known.gates[0].outcome.words == "10 of 12"
    assert known.gates[1].outcome is None
    assert [column.name for column in known.columns] == ["length", "sex"]
    assert known.rows[0].inputs == ("0.1", "M")
    assert known.rows[6].inputs[0] == "123456789012.25"
    assert (known.rows[0].expected, known.row_count) == ("7", 12)
    # Eight rows, and those beyond of which the evidence says that they came out otherwise.
    assert [(row.number, row.answer, row.difference) for row in known.rows if row.answer] == [
        (2, "7.5", "-0.5"), (11, "3", "-14"),
    ]  # fmt: skip
    assert len(known.rows) == 9
    listed = files["golden.json", "json"]
    assert listed.gates[0].outcome and listed.gates[0].outcome.words == "2 of 2"
    assert listed.rows[0].expected == "[1, 2]"
    assert [column.name for column in listed.columns] == ["a", "expected "]
    assert files["golden.parquet", "table"].rows[0].inputs == ("0.5",)
    notes = {gate: file.note for (_, gate), file in files.items() if file.note}
    assert "DVC tracks it" in notes["far"]
    assert "too large to be shown here (1.2 MB)" in notes["huge"]
    assert "It is no list of" in notes["odd"]
    assert notes["lost"] == "golden.csv has no column `ringz`."


def test_what_samples_hold_is_text_on_the_page(facts: ProjectFacts) -> None:
    (kind,) = (kind for kind in PAGES if kind.path == "models/{model}/{version}/")
    view = kind.gather(facts, PageRequest({"model": "model-0", "version": "v1.9.0"}))
    page = render_studio_page(kind, facts, view, PagePlace("models/model-0/v1.9.0/"))
    assert EVIL not in page
    assert "&lt;script&gt;alert(1)" in page
    assert r"\ud800" in page  # half a character, which JSON can spell
    assert page.encode()
    assert "8 of 12 samples" in page
