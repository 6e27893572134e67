"""Each example is sound, without what it should not need, and does what the pages say of it."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
from adopted_example import EXAMPLES, Adopt

from running import Project, states
from thread_executor import run_in_threads
from towpath.execution import pipeline_run as running
from towpath.execution.run_record import RecordedRun
from towpath.planning.pipeline_check import find_environment_faults, find_pipeline_faults
from towpath.planning.run_request import RunRequest

NAMES = sorted(path.name for path in EXAMPLES.iterdir() if path.is_dir())
ROOT = EXAMPLES.parent
PAGE = (ROOT / "docs" / "adopt.md").read_text(encoding="utf-8")
WORKAROUNDS = re.compile(r"\bsubprocess\b|\bos\.system\b|import yaml|\bimportlib\b")


def run(project: Project, pipeline: str, **asked: object) -> RecordedRun:
    """A run in this process."""
    request = RunRequest(pipeline, **asked)  # type: ignore[arg-type]
    return running.run_pipeline(project.workspace, request, run_in_threads)


@pytest.mark.parametrize("name", NAMES)
def test_an_example_is_sound_and_needs_no_workaround(adopt: Adopt, name: str) -> None:
    project = adopt(name)
    workspace = project.workspace
    assert workspace.pipelines
    for pipeline in workspace.pipelines:
        assert find_pipeline_faults(workspace, pipeline) == ()
        for environment in workspace.pipeline(pipeline).pipeline.environments:
            assert find_environment_faults(workspace, pipeline, environment) == ()
    sources = {path.name: path.read_text() for path in project.root.rglob("*.py")}
    assert [path for path, text in sources.items() if WORKAROUNDS.search(text)] == []
    assert f"[{name}]({name}/)" in (EXAMPLES / "README.md").read_text()


def test_a_parameter_of_dvc_s_file_runs_what_depends_on_it(adopt: Adopt) -> None:
    project = adopt("get-started")
    done = project.towpath("run")
    assert done.code == 0 and "5 run" in done.err, done.err
    assert project.tags() == ["text-classification@v1.0.0"]
    assert project.output("evaluate/metrics.json")["roc_auc"]["test"] > 0.6
    assert (project.artifacts / "evaluate" / "roc.csv").read_text().startswith("part,fpr,tpr\n")
    project.edit("params.yaml", "n_est: 50", "n_est: 40")
    verdicts = {step: said.partition(":")[0] for step, said in project.plan().items()}
    assert (verdicts["featurize"], verdicts["train"]) == ("reuse", "run")


def test_one_pipeline_takes_what_another_made(adopt: Adopt) -> None:
    project = adopt("spaceflights")
    done = project.towpath("run", "--all")
    assert done.code == 0, done.err
    made = project.root / "artifacts"
    assert json.loads((made / "data_science/evaluate/metrics.json").read_text())["r2_score"] > 0.9
    assert (made / "reporting/prices/prices.png").is_file()
    planned = project.towpath("plan", "--all")
    assert " run " not in planned.out, planned.out


def test_an_environment_chooses_the_trips_and_the_model(adopt: Adopt) -> None:
    project = adopt("taxi")
    assert states(run(project, "training"))["register"] == "done"
    assert states(run(project, "batch_inference")) == {"predict": "done"}
    assert project.plan(environment="prod")["split"] == "run: input `trips` changed"
    refused = project.towpath("run", "batch_inference", "--for", "prod")
    assert refused.code == 2 and "taxi" in refused.err and "prod" in refused.err
    declared = project.towpath("check")
    assert declared.code == 0, declared.err


def test_pictures_are_searched_over_and_looked_at(adopt: Adopt) -> None:
    project = adopt("leafnet")
    project.edit("flows/training/pipeline.yaml", "trials: 12", "trials: 2")
    assert set(states(run(project, "training")).values()) == {"done"}
    assert project.output("evaluate/metrics.json")["accuracy"] > 0.6
    assert (project.artifacts / "look" / "worst.png").is_file()
    words = ["make", "-n", "-C", str(project.root)]
    said = subprocess.run(words, capture_output=True, text=True, check=True)
    assert said.stdout.count("make_targets train") == 18, "the Makefile is still one"


def declared_lines(*paths: Path) -> int:
    """Lines that are neither blank nor a comment, nor a module's docstring of one line."""
    lines = [line.strip() for path in paths for line in path.read_text().splitlines()]
    return sum(bool(line) and not line.startswith(("#", '"""')) for line in lines)


@pytest.mark.parametrize(
    ("project", "patterns"),
    [
        ("get-started", ["examples/get-started/params.yaml"]),
        ("spaceflights", []),
        ("taxi", ["examples/taxi/*.yaml", "examples/taxi/flows/*/flow.py"]),
        ("abalone", ["templates/tabular/templates/regression/pipeline.yaml"]),
        ("churn", ["templates/churn/*/flows/training/pipeline.yaml"]),
        ("leafnet", []),
        ("traffic", ["templates/forecast/*/flows/training/pipeline.yaml"]),
    ],
)
def test_the_page_counts_what_stands_here(project: str, patterns: list[str]) -> None:
    every = [f"examples/{project}/flows/*/pipeline.yaml", *patterns]
    count = declared_lines(*(path for pattern in every for path in ROOT.glob(pattern)))
    row = re.search(rf"^\| `?\[?{project}\b.* \| (\d+)[^|]* \| (\d+) \|", PAGE, re.MULTILINE)
    assert row, f"no row for {project}"
    assert int(row[2]) == count < int(row[1])
