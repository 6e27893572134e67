"""What a workflow promises and a run at home cannot show: pins, permissions, keys, path filters."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from workflow_files import Job, fits, jobs, read, uses

from towpath import projects

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent

#: The one table of actions: nothing else is used, and only at these commits.
ACTIONS = {
    "actions/checkout": ("3d3c42e5aac5ba805825da76410c181273ba90b1", "v7.0.1"),
    "actions/setup-python": ("5fda3b95a4ea91299a34e894583c3862153e4b97", "v7.0.0"),
    "actions/create-github-app-token": ("bcd2ba49218906704ab6c1aa796996da409d3eb1", "v3.2.0"),
    "actions/upload-artifact": ("bbbca2ddaa5d8feaa63e36b76fdaad77386f024f", "v7.0.0"),
    "actions/download-artifact": ("3e5f45b2cfb9172054b4087a40e8e0b5a5461e7c", "v8.0.1"),
    "actions/attest-build-provenance": ("a2bbfa25375fe432b6a289bc6b6cd05ecd0c4c32", "v4.1.0"),
    "actions/upload-pages-artifact": ("fc324d3547104276b827a68afc52ff2a11cc49c9", "v5.0.0"),
    "actions/deploy-pages": ("cd2ce8fcbc39b97be8ca5fce6e763baed58fa128", "v5.0.0"),
    "pypa/gh-action-pypi-publish": ("dc37677b2e1c63e2034f94d8a5b11f265b73ba33", "v1.14.2"),
}
STORE = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}
APP = {"TOWPATH_APP_KEY"}
READ = {"contents": "read"}
STAGE = {"contents": "write", "pull-requests": "read"}


@dataclass(frozen=True)
class Granted:
    """What a job may do: its token's permissions, its environment, and the secrets it names.

    ``git`` is whether Git keeps the token: where Towpath fetches or pushes, also from a repository
    that is not public.
    """

    permissions: Mapping[str, str]
    environment: str | None = None
    secrets: set[str] = field(default_factory=set)
    git: bool = False


JOBS = {
    "checks/checks": Granted(READ, None, STORE, git=True),
    "promotion/promotion": Granted({"contents": "read", "pull-requests": "read"}, None, STORE),
    "training/training": Granted({"contents": "write"}, "training", STORE, git=True),
    "reconcile/changed": Granted(READ),
    "reconcile/dev": Granted(STAGE, "dev", {*STORE, *APP}, git=True),
    "reconcile/uat": Granted(STAGE, "uat", {*STORE, *APP}, git=True),
    "reconcile/prod": Granted(STAGE, "prod", {*STORE, *APP}, git=True),
    "drift/drift": Granted(
        {"contents": "read", "pull-requests": "read"}, "${{ matrix.stage }}-read", STORE, git=True
    ),
    "promote/promote": Granted(READ, "promote", {*STORE, *APP}, git=True),
    "site/build": Granted({"contents": "read", "pull-requests": "read"}),
}


@pytest.fixture
def folder(rendered: Path) -> Path:
    """The workflows that a project on GitHub gets."""
    return rendered / ".github" / "workflows"


@pytest.fixture
def made(folder: Path) -> dict[str, Job]:
    """Their jobs."""
    found = jobs(folder)
    assert_only_hands_over(found.pop("site/deploy"))
    return found


def assert_only_hands_over(deploy: Job) -> None:
    """The one job that may publish runs nothing: it has no code, and no keys."""
    assert deploy.permissions == {"pages": "write", "id-token": "write"}
    assert (deploy.runs, deploy.secrets) == ([], set())
    assert [step["uses"].partition("@")[0] for step in deploy.steps] == ["actions/deploy-pages"]
    assert deploy.said["environment"] == "github-pages"
    build = deploy.workflow["jobs"]["build"]["if"]
    assert build == "vars.TOWPATH_SITE == 'true' && github.ref == 'refs/heads/main'"


def call(tool: str, *words: str | Path) -> None:
    """A tool of the environment; it must agree."""
    said = subprocess.run([BIN / tool, *words], capture_output=True, text=True)
    assert said.returncode == 0, said.stdout + said.stderr


def test_the_tools_of_others_find_nothing(rendered: Path, folder: Path) -> None:
    files = sorted(folder.glob("*.yml"))
    call("actionlint", "-shellcheck=", "-pyflakes=", *files)
    call("check-jsonschema", "--builtin-schema", "vendor.github-workflows", *files)
    call("zizmor", "--offline", "--no-progress", "--min-severity", "low", rendered / ".github")


def test_actions_are_those_of_one_table(folder: Path) -> None:
    for place in (folder, ROOT / ".github" / "workflows"):
        for name, pin, release in uses(place):
            assert (pin, release) == ACTIONS[name], f"{name} in {place}"


def test_each_job_may_do_what_it_must_and_no_more(made: dict[str, Job]) -> None:
    assert made.keys() == JOBS.keys()
    for name, job in made.items():
        assert_granted(name, job, JOBS[name])


def test_the_workflows_of_this_repository_may_do_as_much() -> None:
    made = jobs(ROOT / ".github" / "workflows")
    ours = {name: granted for name, granted in JOBS.items() if not name.startswith("training/")}
    ours["checks/checks"] = Granted(READ)  # nothing is run, and nothing pulled
    for own in ("ci/ci", "ci/coverage", "release/build"):
        job = made.pop(own)
        assert job.permissions == READ and not job.secrets and "environment" not in job.said, own
        assert job.checkout()["persist-credentials"] is False, own
    made.pop("release/publish")
    assert_only_hands_over(made.pop("site/deploy"))
    assert made.keys() == ours.keys()
    for name, job in made.items():
        assert_granted(name, job, ours[name])


def test_only_the_job_that_publishes_speaks_for_this_repository() -> None:
    made = jobs(ROOT / ".github" / "workflows")
    publish = made["release/publish"]
    assert publish.permissions == {"id-token": "write", "attestations": "write"}
    assert publish.said["environment"] == "pypi" and not publish.secrets
    assert publish.runs == [], "it runs nothing of the repository, nor of what it publishes"
    assert [step["uses"].partition("@")[0] for step in publish.steps] == [
        "actions/download-artifact",
        "actions/attest-build-provenance",
        "pypa/gh-action-pypi-publish",
    ]
    rest = (j for name, j in made.items() if name not in ("release/publish", "site/deploy"))
    assert not any("id-token" in job.permissions for job in rest)


def test_a_release_is_of_main_and_is_tried_before_it_is_published() -> None:
    release = read(ROOT / ".github" / "workflows" / "release.yml")
    tags = {"push": {"tags": ["v[0-9]+.[0-9]+.[0-9]+"]}}
    assert release["on"] == tags, "no tag of a version or a stage, such as abalone@v1.0.0"
    scripts = jobs(ROOT / ".github" / "workflows")["release/build"].runs
    assert scripts[0] == 'git merge-base --is-ancestor "$GITHUB_SHA" origin/main'
    assert scripts[1] == "make dist"
    assert release["jobs"]["publish"]["needs"] == ["build"]


def assert_granted(name: str, job: Job, granted: Granted) -> None:
    """A job has what the table says."""
    assert job.permissions == granted.permissions, name
    assert job.said.get("environment") == granted.environment, name
    assert job.secrets == granted.secrets, name
    assert job.checkout()["persist-credentials"] is granted.git, name
    assert job.checkout()["fetch-depth"] == 0, f"{name}: versions are tags"
    assert job.said["timeout-minutes"] <= 120, name
    assert job.workflow["permissions"] == READ, name
    assert job.workflow["defaults"]["run"]["shell"] == "bash", f"{name}: a pipe may hide a no"


def test_keys_of_pull_requests_reach_one_step(made: dict[str, Job]) -> None:
    for name in ("checks/checks", "promotion/promotion"):
        holding = [step["run"] for step in made[name].steps if "secrets." in str(step)]
        assert len(holding) == 1, name
        assert holding[0].startswith(("towpath pull", "towpath check --promotion")), name
        assert "secrets." not in str(made[name].said.get("env")), name


def test_nothing_that_a_stranger_writes_is_part_of_a_script(made: dict[str, Job]) -> None:
    for name, job in made.items():
        assert [script for script in job.runs if "${{" in script] == [], name
        assert "pull_request_target" not in job.workflow["on"], name
        assert "workflow_run" not in job.workflow["on"], name


def test_each_job_is_commands_of_towpath(made: dict[str, Job]) -> None:
    for name, job in made.items():
        if name == "reconcile/changed":
            continue
        work = [line for script in job.runs for line in script.splitlines()]
        ours = [line for line in work if line.startswith("towpath ")]
        rest = {line.split()[0] for line in work if line not in ours}
        assert ours, name
        assert rest <= {"python", "pytest", "git", "read"}, name


def test_pages_with_words_of_others_go_to_the_summary_and_not_to_the_log(
    made: dict[str, Job],
) -> None:
    pages = [script for job in made.values() for script in job.runs if "--format md" in script]
    assert len(pages) == 5
    assert all(script.endswith('>> "$GITHUB_STEP_SUMMARY"') for script in pages)


def test_stages_are_reconciled_in_their_order_one_at_a_time(made: dict[str, Job]) -> None:
    before = "changed"
    for stage in ("dev", "uat", "prod"):
        job = made[f"reconcile/{stage}"]
        assert before in job.said["needs"]
        assert job.said["concurrency"] == {
            "group": f"reconcile-{stage}",
            "cancel-in-progress": False,
        }
        assert job.runs[-1].startswith(f"towpath reconcile {stage} --apply ")
        assert job.checkout()["ref"] == "main"
        assert f"'registry/stages/{stage}/'" in job.said["if"]
        before = stage


def test_what_writes_is_not_cancelled_and_what_reads_is(made: dict[str, Job]) -> None:
    for name, job in made.items():
        if name == "reconcile/changed":
            continue
        assert job.group, name
        here = job.said.get("concurrency") or job.workflow["concurrency"]
        assert here["cancel-in-progress"] is (name in ("checks/checks", "promotion/promotion"))


def test_the_required_check_reports_on_every_pull_request(folder: Path) -> None:
    for name in ("promotion", "checks"):
        workflow = read(folder / f"{name}.yml")
        assert workflow["on"]["pull_request"] is None, "a filter would leave the check pending"
        assert workflow["on"]["merge_group"] is None, "it would never report in a merge queue"
        (job,) = workflow["jobs"].items()
        assert job[0] == name
        assert "if" not in job[1] and "name" not in job[1]


def test_a_merge_group_is_judged_by_what_it_adds(made: dict[str, Job]) -> None:
    (check,) = [step for step in made["promotion/promotion"].steps if "env" in step]
    assert '--base "$BASE" --head "$HEAD"' in check["run"]
    assert check["env"]["BASE"] == "${{ github.event.merge_group.base_sha || 'origin/main' }}"
    head = "github.event.merge_group.head_sha || github.event.pull_request.head.sha"
    assert check["env"]["HEAD"] == f"${{{{ {head} }}}}"


def test_the_head_of_a_pull_request_is_not_executed(made: dict[str, Job]) -> None:
    steps = made["promotion/promotion"].steps
    scripts = [step.get("run") for step in steps]
    main = "git remote set-head origin main\ngit checkout --quiet --detach origin/main"
    base = [str(script).strip() for script in scripts].index(main)
    assert all(step.get("uses", "").startswith("actions/checkout@") for step in steps[:base])


def test_a_promotion_and_nothing_else_starts_reconcile(folder: Path) -> None:
    push = read(folder / "reconcile.yml")["on"]["push"]
    assert push["branches"] == ["main"]
    assert fits("registry/stages/prod/abalone.yaml", push["paths"])
    for other in (
        "registry/stages/prod/.gitkeep",
        "registry/evidence/abalone/v1.0.0-prod.md",
        "registry/models/abalone/v1.0.0.yaml",
        "other/registry/stages/prod/abalone.yaml",
        "towpath.yaml",
    ):
        assert not fits(other, push["paths"]), other


def test_what_training_reads_starts_it(rendered: Path, folder: Path) -> None:
    push = read(folder / "training.yml")["on"]["push"]
    said = subprocess.run(
        ["git", "ls-files"], cwd=rendered, capture_output=True, text=True, check=True
    )
    starting = {path for path in said.stdout.splitlines() if fits(path, push["paths"])}
    assert starting == {
        "data/abalone.csv.dvc",
        "flows/training/expectations/raw.yaml",
        "flows/training/flow.py",
        "flows/training/pipeline.yaml",
        "flows/training/steps.py",
        "pyproject.toml",
    }
    assert not fits("registry/stages/dev/abalone.yaml", push["paths"])


def test_filters_of_paths_are_read_as_github_reads_them() -> None:
    assert fits("data/raw/deep/a.dvc", ["data/**.dvc"])
    assert fits("data/a.dvc", ["data/**.dvc"])
    assert not fits("data/a.csv", ["data/**.dvc"])
    assert not fits("a/b/c", ["a/*"])
    assert fits("a/b/c", ["a/**"])


def test_owners_are_named_for_each_stage_and_for_the_policy(rendered: Path) -> None:
    text = (rendered / ".github" / "CODEOWNERS").read_text()
    owned = dict(re.findall(r"^(/\S+) +(@\S+)$", text, re.MULTILINE))
    assert owned == dict.fromkeys(
        [
            "/registry/stages/dev/",
            "/registry/stages/uat/",
            "/registry/stages/prod/",
            "/towpath.yaml",
            "/registry/allowed_signers",
            "/.github/",
        ],
        "@acme",
    )


def test_without_a_forge_there_is_nothing_that_only_a_forge_does(tmp_path: Path) -> None:
    project = projects.make_from_template("tabular", tmp_path, {}, ask=False)
    here = {file.name for file in (project / ".github" / "workflows").iterdir()}
    assert here == {"checks.yml", "training.yml"}
    assert "@acme" not in (project / ".github" / "CODEOWNERS").read_text()
