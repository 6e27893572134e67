"""The template's workflows, run by act over a real origin, as GitHub would run them."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
from acted_platform import Platform, git
from github_server import GitHubServer

from own_home import name_api
from towpath.backends.prefect.server import PrefectApi

KEPT = ("TOWPATH_HOME", "DVC_NO_ANALYTICS", "DVC_SITE_CACHE_DIR", "GIT_CONFIG_GLOBAL")
#: What decides as Python and Prefect are imported: so jobs have their commands forked from the same
#: process as the story.
DECIDING = ("LANG", "LC_", "PREFECT_", "PYTHON")


@pytest.fixture
def platform(
    tmp_path: Path, rendered: Path, github: GitHubServer, warm_api: PrefectApi
) -> Platform:
    """The project on its forge, with stores of its own for each stage."""
    kept = {name: os.environ[name] for name in os.environ if name.startswith((*KEPT, *DECIDING))}
    environment = kept | name_api(warm_api)
    made = Platform(tmp_path, github, environment)
    made.begin(rendered)
    return made


def test_from_main_to_production_and_back(platform: Platform) -> None:
    """The first job, and those of the other tests, start what is installed; later ones fork it."""
    protect(platform)
    train(platform)
    platform.fork_commands()
    branch = propose(platform)
    check(platform, branch)
    refuse_what_else_it_holds(platform, branch)
    before = platform.main()
    merge(platform)
    reconcile(platform, before)
    climb(platform, "abalone@v1.0.0", "uat")
    enter_prod(platform, "abalone@v1.0.0")
    train_anew(platform)
    climb(platform, "abalone@v1.1.0", "dev", "uat", "prod")
    decide(platform, "prod", "rollback", "abalone", "--stage", "prod")
    audit(platform)
    publish_pages(platform)
    drift(platform)


def protect(platform: Platform) -> None:
    """From now on main changes by pull requests that were checked and reviewed, or not at all."""
    platform.towpath("forge", "setup", "--apply")
    push = ["git", "push", "origin", "main~1:main", "--force"]
    assert subprocess.run(push, cwd=platform.work, capture_output=True).returncode != 0
    assert {"training", "promote", "dev", "dev-read"} <= platform.hosted.environments.keys()


def train(platform: Platform) -> None:
    """A push to main trains, and publishes what passes its gate."""
    acted = platform.pushed("training", platform.main())
    assert acted.code == 0, acted.log
    assert platform.tags() == ["abalone@v1.0.0"]


def propose(platform: Platform) -> str:
    """Somebody presses a button: the app opens a pull request, whose check shows the evidence."""
    acted = platform.dispatched("promote", version="abalone@latest", stage="dev")
    assert acted.code == 0, acted.log
    (pull,) = platform.hosted.pulls.values()
    assert pull.author.login == "towpath[bot]"
    assert pull.branch == "promote/abalone-v1.0.0-dev"
    return pull.branch


def check(platform: Platform, branch: str) -> None:
    """The project's own tests pass, and the evidence stands in the summary."""
    acted = platform.proposed("checks", branch)
    assert acted.code == 0, acted.log
    assert "4 passed" in acted.log
    acted = platform.proposed("promotion", branch)
    assert acted.code == 0, acted.log
    (summary,) = acted.summaries
    assert "abalone" in summary and "mse" in summary, summary
    assert "This may be merged" in summary


def refuse_what_else_it_holds(platform: Platform, branch: str) -> None:
    """The same promotion with a change of code beside it is no promotion."""
    files = {"flows/training/steps.py": "import os\n"}
    platform.change("mixed", files, start=f"origin/{branch}")
    acted = platform.proposed("promotion", "mixed")
    assert acted.jobs == {"promotion": "failure"}
    assert "this promotion also changes flows/training/steps.py" in acted.log
    assert "Not to be merged" in acted.summaries[0]


def merge(platform: Platform) -> None:
    """Bo, whom CODEOWNERS names, approves and merges."""
    number = max(platform.hosted.pulls)
    platform.towpath("approve", str(number), **platform.github.environ("bo"))
    assert platform.hosted.pulls[number].merged_by == platform.github.person("bo")


def reconcile(platform: Platform, before: str) -> None:
    """The merge brings the version into dev, and asks nothing of the other stages."""
    assert platform.starts("reconcile", before)
    assert not platform.starts("training", before)
    acted = platform.pushed("reconcile", before)
    assert acted.code == 0, acted.log
    assert acted.jobs == {"changed": "success", "dev": "success"}
    (tag,) = [tag for tag in platform.tags() if "#dev" in tag]
    said = git(platform.bare, "cat-file", "tag", tag)
    assert "tagger github-actions[bot]" in said
    assert "forge" in said and "bo" in said, said
    assert list(platform.store("dev").rglob("deployed/abalone.json"))


def climb(platform: Platform, version: str, *stages: str) -> None:
    """The version enters stage after stage."""
    for stage in stages:
        decide(platform, stage, "promote", version, "--to", stage)


def decide(platform: Platform, stage: str, *words: str) -> None:
    """Ada proposes, Bo approves, and Ada does what the workflows would: two of them take ten
    seconds, and each job is seen for dev and for prod."""
    head = propose_by_hand(platform, *words)
    for check in ("promotion", "checks"):
        platform.hosted.check(head, check, "success")
    merge(platform)
    git(platform.work, "pull", "--quiet")
    platform.towpath("reconcile", stage, "--apply", **platform.github.environ("ada"))


def propose_by_hand(platform: Platform, *words: str) -> str:
    """Open a pull request by the command line; its commit."""
    platform.towpath("fetch")
    platform.towpath(*words, "--push", **platform.github.environ("ada"))
    return git(platform.bare, "rev-parse", platform.hosted.pulls[max(platform.hosted.pulls)].branch)


def enter_prod(platform: Platform, version: str) -> None:
    """A promotion by the command line, from its proposal to what the stage runs."""
    head = propose_by_hand(platform, "promote", version, "--to", "prod")
    acted = platform.proposed("promotion", platform.hosted.pulls[max(platform.hosted.pulls)].branch)
    assert acted.code == 0, acted.log
    # The project's own tests were run above, and no promotion changes what they look at.
    platform.hosted.check(head, "checks", "success")
    before = platform.main()
    merge(platform)
    acted = platform.pushed("reconcile", before)
    assert acted.jobs == {"changed": "success", "prod": "success"}, acted.log


def train_anew(platform: Platform) -> None:
    """Somebody asks for another parameter by the form."""
    acted = platform.dispatched("training", params="learning_rate=0.05")
    assert acted.code == 0, acted.log
    assert "abalone@v1.1.0" in platform.tags()


def audit(platform: Platform) -> None:
    """What prod ran, who let it in, and that nothing was forged."""
    platform.towpath("fetch")
    asked = platform.github.environ("ada")
    told = json.loads(platform.towpath("history", "abalone", "--stage", "prod", "--json", **asked))
    assert {entry["approval"]["level"] for entry in told["history"]} == {"forge"}
    ran = [entry["version"] for entry in told["history"]]
    assert ran in (["v1.0.0", "v1.1.0", "v1.0.0"], ["v1.0.0", "v1.1.0", "v1.0.0"][::-1])
    platform.towpath("verify", **asked)


def publish_pages(platform: Platform) -> None:
    """Where the variable asks for it, Studio's pages are made as files, and handed to Pages."""
    acted = platform.dispatched("site")
    assert acted.code == 0, acted.log
    assert acted.jobs == {"build": "success", "deploy": "success"}
    (pages,) = re.findall(r"^(\d+) pages$", acted.log, re.MULTILINE)
    assert int(pages) > 10


def drift(platform: Platform) -> None:
    """At night altered bytes turn the job of that stage red; in the others all is as it should be,
    and one red job does not keep them from being looked at."""
    bundle = max(platform.store("dev").rglob("files/md5/??/*"), key=lambda f: f.stat().st_size)
    bundle.chmod(0o644)
    bundle.write_bytes(b"another model")
    acted = platform.scheduled("drift")
    assert acted.code == 1
    assert acted.log.count("exit status 4") == 1, acted.log
    altered = ["its bytes in the stage's store are" in page for page in acted.summaries]
    assert sorted(altered) == [False, False, True], acted.summaries


def test_a_declaration_that_cannot_be_is_red_before_anything_runs(platform: Platform) -> None:
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
    branch = f"evil$(touch${{IFS}}{evil})"
    platform.change(branch, files)
    acted = platform.proposed("promotion", branch)
    assert acted.code == 0, acted.log
    assert "no promotion here" in acted.summaries[0]
    assert not evil.exists()
    assert platform.proposed("checks", branch).code == 1
    assert evil.exists(), "the checks execute what they check, and this would have been seen"


def test_what_a_person_types_into_a_form_is_never_run(platform: Platform, tmp_path: Path) -> None:
    evil = tmp_path / "evil"
    params = f"max_mse=5 x=$(touch${{IFS}}{evil});touch {evil} `touch {evil}` --force"
    acted = platform.dispatched("training", params=params)
    assert acted.jobs == {"training": "failure"}
    assert "--param --force is no assignment" in acted.log, acted.log
    assert not evil.exists()
    assert platform.tags() == []
