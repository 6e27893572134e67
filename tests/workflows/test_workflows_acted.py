"""The template's workflows, run by act over a real origin, as GitHub would run them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from acted_platform import Platform, git

from towpath.engine.server import Api


@pytest.fixture
def platform(tmp_path: Path, rendered: Path, warm_api: Api) -> Platform:
    """The project on its forge, with stores of its own for each stage."""
    origin = tmp_path / "origin.git"
    git(tmp_path, "init", "--quiet", "--bare", "--initial-branch=main", str(origin))
    kept = ("TOWPATH_HOME", "DVC_NO_ANALYTICS", "DVC_SITE_CACHE_DIR", "GIT_CONFIG_GLOBAL")
    environment = {name: os.environ[name] for name in kept} | dict(warm_api.environment())
    made = Platform(tmp_path, str(origin), environment)
    made.begin(rendered)
    return made


def test_training_on_main_publishes_a_version(platform: Platform) -> None:
    acted = platform.pushed("training", platform.main())
    assert acted.code == 0, acted.log
    assert platform.tags() == ["abalone@v1.0.0"]


def test_a_pull_request_is_checked_and_its_tests_run(platform: Platform) -> None:
    platform.change("readme", {"README.md": "# Abalone\n"})
    acted = platform.proposed("checks", "readme")
    assert acted.code == 0, acted.log
    assert "6 passed" in acted.log
    platform.change("typo", {"flows/training/pipeline.yaml": "inputs: {raw: data/abalone.cvs}\n"})
    acted = platform.proposed("checks", "typo")
    assert acted.jobs == {"checks": "failure"}
    assert acted.steps["towpath check"] == "failure"
    assert "pytest" not in acted.steps


def test_what_a_person_types_into_a_form_is_never_run(platform: Platform, tmp_path: Path) -> None:
    evil = tmp_path / "evil"
    params = f"max_mse=5 x=$(touch${{IFS}}{evil});touch {evil} `touch {evil}` --force"
    acted = platform.called("training", "workflow_dispatch", inputs={"params": params})
    assert acted.jobs == {"training": "failure"}
    assert "--param --force is no assignment" in acted.log, acted.log
    assert not evil.exists()
    assert platform.tags() == []
