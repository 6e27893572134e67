"""docs/adopt.md: each of its examples is a repository that becomes a project and runs."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from thread_executor import run_in_threads
from towpath import projects
from towpath.backends import dvc
from towpath.execution import pipeline_run as running
from towpath.execution.run_record import ExecutionState
from towpath.planning import pipeline_check
from towpath.planning.run_request import RunRequest
from towpath.workspace import Workspace

PAGE = (Path(__file__).parents[2] / "docs" / "adopt.md").read_text(encoding="utf-8")
SECTIONS = {
    part.partition("\n")[0]: part
    for part in re.split(r"^## From (?:a )?", PAGE, flags=re.MULTILINE)
}
_BLOCK = re.compile(r"```\w+\n# (\S+/?\S+)\n(.*?)```", re.DOTALL)


def git(root: Path, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=True)
    return done.stdout


def adopted(root: Path, section: str) -> Workspace:
    """The repository that a section shows, after `towpath init`, with the pipeline it shows."""
    files = dict(_BLOCK.findall(SECTIONS[section]))
    documents = re.findall(r"```json\n(.*?)```.*?`(data/\S+\.json)`", SECTIONS[section], re.DOTALL)
    files |= {path: text for text, path in documents}
    root.mkdir()
    git(root, "init", "-q", "-b", "main")
    for path, text in files.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    projects.apply_additions(root, projects.plan_additions(root, dvc.missing_store_files(root)))
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "adopt")
    return Workspace(root)


@pytest.mark.parametrize(
    ("section", "pipeline", "output", "content"),
    [
        ("Makefile", "training", "measure/metrics.json", {"spread": 2.0}),
        ("kedro", "data_processing", "split/test.json", [{"price": 4.4}]),
        ("MLflow", "training", "main/model.json", {"weight": 1.5, "rmse": 0.5}),
        ("SageMaker", "training", "fit/model/model.json", {"rows": 2, "depth": 4}),
    ],
)
def test_the_example_runs_and_is_reused(
    tmp_path: Path, section: str, pipeline: str, output: str, content: object
) -> None:
    workspace = adopted(tmp_path / "leaf", section)
    assert pipeline_check.find_pipeline_faults(workspace, pipeline) == ()
    done = running.run_pipeline(workspace, RunRequest(pipeline), run_in_threads)
    assert {step.state for step in done.steps.values()} <= {
        ExecutionState.DONE,
        ExecutionState.SKIPPED,
    }
    made = tmp_path / "leaf" / "artifacts" / pipeline / output
    assert json.loads(made.read_text(encoding="utf-8")) == content
    again = running.run_pipeline(Workspace(workspace.root), RunRequest(pipeline), run_in_threads)
    ran = {name for name, step in again.steps.items() if step.state is ExecutionState.DONE}
    assert ran <= {"good_enough"}
    if section == "SageMaker":
        assert git(workspace.root, "tag").split() == ["leaf@v1.0.0"]


def test_the_draft_is_the_one_that_is_shown(tmp_path: Path) -> None:
    from towpath.projects.pipeline_draft import draft_pipeline

    root = adopted(tmp_path / "leaf", "DVC").root
    (root / "params.yaml").write_text("prepare: {cut: 2}\nfit: {scale: 0.5}\n")
    for name in ("prepare", "fit", "evaluate", "report"):
        (root / "src").mkdir(exist_ok=True)
        (root / "src" / f"{name}.py").write_text("")
    draft = draft_pipeline(root, root / "dvc.yaml").text
    shown = re.search(r"```yaml\nsteps:\n(  fit:\n.*?)```", SECTIONS["DVC"], re.DOTALL)
    assert shown and shown[1] in draft
    assert "  report_mean:\n" in draft and "  report_worst:\n" in draft
