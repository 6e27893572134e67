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


def test_a_version_goes_from_main_into_dev(platform: Platform) -> None:
    train(platform)
    branch = propose(platform)
    refuse_what_else_it_holds(platform, branch)
    before = platform.main()
    merge(platform, branch)
    reconcile(platform, before)
    drift(platform)


def train(platform: Platform) -> None:
    """A push to main trains, and publishes what passes its gate."""
    acted = platform.pushed("training", platform.main())
    assert acted.code == 0, acted.log
    assert platform.tags() == ["abalone@v1.0.0"]


def propose(platform: Platform) -> str:
    """A person promotes; the check is green, and shows what a reviewer needs."""
    platform.towpath("pull")
    platform.towpath("promote", "abalone@v1.0.0", "--to", "dev", "--push")
    branch = "promote/abalone-v1.0.0-dev"
    acted = platform.proposed("promotion", branch)
    assert acted.code == 0, acted.log
    (summary,) = acted.summaries
    assert "abalone" in summary and "mse" in summary, summary
    assert "This may be merged" in summary
    return branch


def refuse_what_else_it_holds(platform: Platform, branch: str) -> None:
    """The same promotion with a change of code beside it is no promotion."""
    platform.change("mixed", {"flows/training/steps.py": "import os\n"}, start=f"origin/{branch}")
    acted = platform.proposed("promotion", "mixed")
    assert acted.jobs == {"promotion": "failure"}
    assert "this promotion also changes flows/training/steps.py" in acted.log
    assert "Not to be merged" in acted.summaries[0]


def merge(platform: Platform, branch: str) -> None:
    """Somebody else approves."""
    git(platform.work, "config", "user.name", "Bo Diddley")
    git(platform.work, "config", "user.email", "bo@example.org")
    platform.towpath("approve", branch, "--push")


def reconcile(platform: Platform, before: str) -> None:
    """The merge brings the version into dev, and asks nothing of the other stages."""
    acted = platform.pushed("reconcile", before)
    assert acted.code == 0, acted.log
    assert acted.jobs["dev"] == "success"
    assert not {"uat", "prod"} & acted.jobs.keys(), acted.jobs
    assert [tag for tag in platform.tags() if "#dev" in tag]
    assert list(platform.store("dev").rglob("deployed/abalone.json"))


def drift(platform: Platform) -> None:
    """At night all is as it should be; altered bytes turn the job of that stage red."""
    acted = platform.called("drift", "schedule")
    assert acted.code == 0, acted.log
    bundle = max(platform.store("dev").rglob("files/md5/??/*"), key=lambda f: f.stat().st_size)
    bundle.chmod(0o644)
    bundle.write_bytes(b"another model")
    acted = platform.called("drift", "schedule")
    assert acted.code == 1
    assert "bytes" in acted.log and "exit status 4" in acted.log, acted.log


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


def test_a_pull_request_that_promotes_nothing_is_green_and_none_of_it_is_executed(
    platform: Platform, tmp_path: Path
) -> None:
    evil = tmp_path / "evil"
    touch = f"open({str(evil)!r}, 'w')\n"
    backend = 'requires = []\nbuild-backend = "evil"\nbackend-path = ["."]\n'
    files = {"pyproject.toml": f"[build-system]\n{backend}"}
    files |= dict.fromkeys(("evil.py", "towpath.py", "sitecustomize.py"), touch)
    platform.change("evil", files)
    acted = platform.proposed("promotion", "evil")
    assert acted.code == 0, acted.log
    assert "no promotion here" in acted.summaries[0]
    assert not evil.exists()
    assert platform.proposed("checks", "evil").code == 1
    assert evil.exists(), "the checks execute what they check, and this would have been seen"


def test_what_a_person_types_into_a_form_is_never_run(platform: Platform, tmp_path: Path) -> None:
    evil = tmp_path / "evil"
    params = f"max_mse=5 x=$(touch${{IFS}}{evil});touch {evil} `touch {evil}` --force"
    acted = platform.called("training", "workflow_dispatch", inputs={"params": params})
    assert acted.jobs == {"training": "failure"}
    assert "--param --force is no assignment" in acted.log, acted.log
    assert not evil.exists()
    assert platform.tags() == []
