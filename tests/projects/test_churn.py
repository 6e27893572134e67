"""The template of customers that leave: made alike both ways, checked, explained and registered."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import pytest
from made_project import REPOSITORY, contents, cookiecutter, git, run_its_tests

from command_line import call_dvc, call_towpath
from own_home import use_api
from towpath import projects
from towpath.backends.prefect.server import PrefectApi

TEMPLATE = REPOSITORY / "templates" / "churn" / "{{cookiecutter.name}}"


def test_the_program_beside_the_table_makes_it_byte_for_byte(tmp_path: Path) -> None:
    program = runpy.run_path(str(TEMPLATE / "data" / "make_customers.py"))
    program["write_customers"](tmp_path / "customers.csv")
    made = (tmp_path / "customers.csv").read_bytes()
    assert made == (TEMPLATE / "data" / "customers.csv").read_bytes()
    assert len(made) < 500_000


def test_both_ways_give_the_same_project(tmp_path: Path) -> None:
    (tmp_path / "stranger").mkdir()
    strangers = cookiecutter(tmp_path / "stranger", {}, template="churn")
    ours = projects.make_from_template("churn", tmp_path / "ours", {}, ask=False)
    assert ours.name == "churn"
    assert contents(ours) == contents(strangers)
    assert git(ours, "status", "--porcelain") == ""
    assert git(ours, "log", "--format=%s").strip() == "Start churn from the churn template"


def test_customers_are_checked_and_the_model_explained_and_registered(
    tmp_path: Path, warm_api: PrefectApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_api(warm_api, monkeypatch)
    project = projects.make_from_template("churn", tmp_path, {"name": "leavers"}, ask=False)
    assert call_towpath(project, "check").returncode == 0
    done = call_towpath(project, "run")
    assert done.returncode == 0, done.stderr
    assert "9 run, 1 skipped" in done.stderr
    assert git(project, "tag").split() == ["leavers@v1.0.0"]
    assert "roc_auc" in call_towpath(project, "show", "leavers@latest").stdout
    assert call_dvc(project, "status").stdout.strip().endswith("up to date.")

    made = project / "artifacts" / "training"
    baseline = json.loads((made / "alike" / "baseline.json").read_text())
    assert baseline["columns"]["age_group"]["distinct"] == 3
    assert json.loads((made / "fair" / "result.json").read_text())["counts"]["warned"] == 0
    importance = json.loads((made / "why" / "importance.json").read_text())
    assert next(iter(importance["features"])) == "service_calls", "as the program has it"

    assert call_towpath(project, "report", "-o", "run.html").returncode == 0
    page = (project / "run.html").read_text()
    assert all(word in page for word in ("service_calls", "Who left"))
    assert page.count("<td>fair</td>") > 10, "what it was held against stands among the checks"
    tests = run_its_tests(project, "tests/test_steps.py")
    assert "4 passed" in tests.stdout, tests.stdout + tests.stderr
    refuse_what_is_unfair(project)


def refuse_what_is_unfair(project: Path) -> None:
    """A model that is out of the bounds of bias is not registered."""
    declared = project / "flows" / "training" / "pipeline.yaml"
    declared.write_text(declared.read_text().replace("_difference: 0.1,", "_difference: 0.001,"))
    refused = call_towpath(project, "run")
    assert refused.returncode == 3, refused.stderr
    assert "accuracy difference" in refused.stdout + refused.stderr
    assert git(project, "tag").split() == ["leavers@v1.0.0"]
