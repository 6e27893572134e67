"""A project of several steps and modules: each edit changes exactly the steps that it reaches."""

from __future__ import annotations

from pathlib import Path

import pytest
from code_project import FOLDER, STEPS, Project

from towpath.dependencies import CodeReader

HERE = Path(__file__).parent / "abalone"
RUNS = ("prepare", "train", "evaluate", "report", "shared.publish:to_folder")

PREPARE, TRAIN, EVALUATE, REPORT, PUBLISH = RUNS
MODELS = {TRAIN, EVALUATE}
OF_STEPS = {PREPARE, TRAIN, EVALUATE, REPORT}  # what runs when shared code is imported

EDITS = [
    (STEPS, "whole = clean(raw)", "whole = clean(raw.copy())", {PREPARE}),
    (STEPS, "# seeds differ", "# seeds do differ", set()),
    (STEPS, '"""Fit the model."""', '"""Fit it."""', set()),
    (STEPS, "SEED = 0", "SEED = 1", {PREPARE, TRAIN}),
    (STEPS, 'TARGET = "rings"', 'TARGET = "age"', {TRAIN, EVALUATE}),
    (STEPS, "depth: int = 6", "depth: int = 7", {TRAIN}),
    (STEPS, "return result", "return {**result}", {PREPARE, TRAIN}),
    (STEPS, "UNUSED = 1", "UNUSED = 2", set()),
    (STEPS, "import numpy as np", "import numpy as np  # numbers", set()),
    ("shared/cleaning.py", "height > 0", "height >= 0", {PREPARE}),
    ("shared/cleaning.py", "def unrelated(frame):", "def renamed(frame):", set()),
    ("shared/cleaning.py", 'RULES["drop"] = ["sex"]', 'RULES["drop"] = []', OF_STEPS),
    ("shared/cleaning.py", 'RULES = {"least": 0}', 'RULES = {"least": 1}', OF_STEPS),
    ("shared/metrics.py", "** 2", "** 3", {EVALUATE}),
    ("shared/metrics.py", "abs(truth - guess)", "abs(guess - truth)", OF_STEPS),
    ("shared/metrics.py", "METRICS = {}", "METRICS = dict()", OF_STEPS),
    ("shared/models.py", "return self.inner.predict(x)", "return 1", MODELS),
    ("shared/models.py", "class Base:", "class Base(object):", MODELS),
    ("shared/publish.py", "mode = 0o644", "mode = 0o600", {PUBLISH}),
    ("shared/paths.py", 'NAME = "report"', 'NAME = "page"', {REPORT, PUBLISH}),
    ("shared/__init__.py", '"""Shared code."""', '"""What is shared."""', set()),
]


@pytest.fixture
def made(tmp_path: Path) -> Project:
    made = Project(tmp_path / "a project")
    files = {
        each.relative_to(HERE).as_posix(): each.read_text("utf-8") for each in HERE.rglob("*.py")
    }
    made.write(files)
    return made


@pytest.mark.parametrize(("file", "old", "new", "reached"), EDITS, ids=[e[2] for e in EDITS])
def test_an_edit_reaches_exactly_its_steps(
    made: Project, file: str, old: str, new: str, reached: set[str]
) -> None:
    before = {run: made.digests(run) for run in RUNS}
    made.edit(file, old, new)
    assert {run for run in RUNS if made.changed(before[run], run)} == reached


def test_the_same_reading_serves_all_steps(made: Project) -> None:
    reader = CodeReader(made.root)
    assert [reader.digests(FOLDER, run) for run in reversed(RUNS)] == [
        made.digests(run) for run in reversed(RUNS)
    ]


def test_the_labels_of_a_step(made: Project) -> None:
    assert made.digests(REPORT).keys() == {
        "steps.report",
        "shared.cleaning (at import)",  # it fills RULES
        "shared.cleaning.RULES",
        "shared.metrics.METRICS",
        "shared.metrics.absolute",
        "shared.metrics.metric",
        "shared.metrics (at import)",
        "shared.paths.NAME",
        "shared.paths.target",
        "steps (at import)",
    }


def test_the_files_of_a_step(made: Project) -> None:
    sources = CodeReader(made.root).source_files(FOLDER, "shared.publish:to_folder")
    assert sources == ("shared/__init__.py", "shared/paths.py", "shared/publish.py")
