"""What comes out of the template runs: its check, its pipeline, its own tests, and the demo."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from made_project import REPOSITORY, git, run, run_its_tests

from command_line import call_dvc, call_towpath
from own_home import use_api
from towpath import projects
from towpath.backends.prefect.server import PrefectApi, api_home
from towpath.backends.prefect.server.project_api import read_service_status

Towpath = Callable[..., "CompletedProcess[str]"]
BIN = Path(sys.executable).parent


@pytest.fixture(autouse=True)
def api(warm_api: PrefectApi, monkeypatch: pytest.MonkeyPatch) -> None:
    """The session's own Prefect API, named as a user names theirs."""
    use_api(warm_api, monkeypatch)


def towpath(project: Path, *words: str) -> CompletedProcess[str]:
    """The command line in a project; it must agree."""
    said = call_towpath(project, *words)
    assert said.returncode == 0, said.stdout + said.stderr
    return said


def test_a_new_project_runs_registers_and_passes_its_own_tests(tmp_path: Path) -> None:
    """Of classification; the demo below is one of regression."""
    answers = {"task": "classification"}
    project = projects.make_from_template("tabular", tmp_path / "a place", answers, ask=False)
    base = tmp_path / "a place" / "base"
    pass_its_own_tests(project, base)
    run_by_its_tests = base / "copy0" / project.name
    assert registered_metrics(run_by_its_tests, "penguins")["accuracy"] > 0.9


def test_a_forecast_backtests_tunes_the_winner_and_registers(tmp_path: Path) -> None:
    project = projects.make_from_template("forecast", tmp_path, {"name": "road"}, ask=False)
    run_words = towpath(project, "run").stderr
    assert "24 run, 1 skipped" in run_words
    metrics = registered_metrics(project, "road")
    assert metrics["mae"] < metrics["naive_mae"]
    artifacts = project / "artifacts/training"
    trials = (artifacts / "tune/trials.csv").read_text().splitlines()
    assert len(trials) == 13
    assert call_dvc(project, "status").stdout.strip().endswith("up to date.")
    tests = run_its_tests(project, "tests/test_steps.py")
    assert "5 passed" in tests.stdout, tests.stdout + tests.stderr


def registered_metrics(project: Path, model: str) -> dict[str, float]:
    """What the one version that was registered was measured to be."""
    towpath(project, "check")
    assert git(project, "tag").split() == [f"{model}@v1.0.0"]
    assert model in towpath(project, "models").stdout
    metrics: dict[str, float] = json.loads(
        (project / "artifacts/training/evaluate/metrics.json").read_text()
    )
    return metrics


def pass_its_own_tests(project: Path, base: Path) -> None:
    """As a person runs them."""
    tests = run_its_tests(project, "--basetemp", base)
    assert tests.returncode == 0, tests.stdout + tests.stderr
    assert "6 passed" in tests.stdout


def refuse_what_misses_its_gate(project: Path) -> None:
    """A model that is not good enough is not registered."""
    tags = git(project, "tag")
    said = call_towpath(project, "run", "-p", "max_mse=0.5")
    assert said.returncode == 1
    assert "is above 0.5" in said.stderr + said.stdout
    assert git(project, "tag") == tags


def test_data_worse_than_the_known_defects_stop_the_run(tmp_path: Path) -> None:
    project = projects.make_from_template("tabular", tmp_path, {}, ask=False)
    table = project / "data" / "abalone.csv"
    header, *rows = table.read_text().splitlines()
    flat = [",".join([*(c := row.split(","))[:3], "0.0", *c[4:]]) for row in rows[:20]]
    table.write_text("\n".join([header, *flat, *rows[20:]]) + "\n")
    said = call_towpath(project, "run")
    assert said.returncode == 3
    assert "height" in said.stderr + said.stdout
    assert git(project, "tag") == ""


def test_the_demo_ends_with_a_registered_model_and_a_second_time_reuses_it(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And as any project: it refuses what misses its gate, and passes its own tests."""
    (home / ".gitconfig").unlink()  # a fresh machine
    checkout = tmp_path / "a checkout"
    checkout.mkdir()
    (checkout / ".venv").symlink_to(BIN.parent)
    project = checkout / "build" / "demo" / "abalone"
    first = _demo(checkout)
    assert "$ towpath new" in first and "abalone@v1.0.0" in first
    second = _demo(checkout)
    assert "$ towpath new" not in second and "abalone@v1.0.0" in second
    assert registered_metrics(project, "abalone")["mse"] < 6.0
    assert git(project, "config", "user.email").strip() == "demo@localhost"
    refuse_what_misses_its_gate(project)

    for variable in ("PREFECT_API_URL", "PREFECT_API_AUTH_STRING"):
        monkeypatch.delenv(variable)  # its tests start an API of their own, and end it
    pass_its_own_tests(project, tmp_path / "base")
    copy = tmp_path / "base" / "copy0" / "abalone"
    assert api_home.home_of_project(copy).log.is_file(), "there was one"
    assert read_service_status(copy).local is None


def _demo(checkout: Path) -> str:
    """What `make demo` calls, in a checkout whose path has a blank in it."""
    said = run(REPOSITORY / ".ci" / "demo", "build/demo", cwd=checkout, BIN=".venv/bin")
    assert said.returncode == 0, said.stdout + said.stderr
    return said.stdout + said.stderr
