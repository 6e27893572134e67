"""Approvals that only a forge can tell: asked of one, of one that is silent, and of none."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from promotion_project import Project, begin
from towpath import registry
from towpath.audit.stage_history import read_stage_history
from towpath.audit.verification import VerificationReport, verify_registry
from towpath.delivery import promotion

if TYPE_CHECKING:
    from github_server import GitHubServer

NAME = "acme/abalone"
POLICY = f"""\
name: abalone
stages: [dev, uat]
policy: {{approval: forge}}
forge: {{kind: github, repository: {NAME}}}
"""


@pytest.fixture
def project(tmp_path: Path, github: GitHubServer) -> Project:
    """A project at a forge; its promotion to dev is open as pull request 1."""
    made = begin(tmp_path / "abalone", POLICY)
    made.commit({".github/CODEOWNERS": "* @ada\n/registry/stages/ @bo\n"})
    made.register()
    made.git("remote", "add", "origin", github.remote(NAME))
    made.git("push", "-q", "origin", "main", "--tags")
    promotion.propose_promotion(made.workspace, "abalone@v1.0.0", "dev")
    return made


def merge(project: Project, github: GitHubServer, login: str, method: str = "merge") -> None:
    hosted = github.repository(NAME)
    github.merge(hosted, hosted.pull(1), github.person(login), method)
    registry.fetch_registry(project.repository)


def told(found: VerificationReport) -> tuple[list[str], list[str]]:
    """What was found of promotions, and what could not be looked at."""
    findings = [one.fault.what for one in found.findings if one.check == "promotion"]
    return findings, [one.why for one in found.unchecked if one.check == "promotion"]


@pytest.mark.parametrize("method", ["merge", "squash"])
def test_a_review_at_the_forge(
    project: Project, github: GitHubServer, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", github.person("bo").token)
    hosted = github.repository(NAME)
    from towpath.backends.github.connect_forge import connect_forge

    client = connect_forge(project.workspace.project)
    assert client
    client.approve(1, hosted.pull(1).head)
    merge(project, github, "ada", method)
    assert told(verify_registry(project.workspace)) == ([], [])
    [entry] = read_stage_history(project.workspace, "abalone")
    assert (entry.approval.level, entry.approval.by) == ("forge", ("bo",))
    assert entry.pull_request == client.pull(1).url
    assert told(verify_registry(project.workspace, offline=True)) == (
        [],
        ["the forge was not asked"],
    )
    [entry] = read_stage_history(project.workspace, "abalone", forge=False)
    assert entry.approval.level == "unknown"
    monkeypatch.delenv("GITHUB_TOKEN")
    findings, unchecked = told(verify_registry(project.workspace))
    assert findings == []
    assert "token" in unchecked[0]


def test_a_merge_without_a_review(project: Project, github: GitHubServer) -> None:
    merge(project, github, "cleo")
    [what], _ = told(verify_registry(project.workspace))
    assert "was approved as `recorded` and needed `forge`" in what
    assert "without an approving review" in what


def test_a_push_past_the_forge(project: Project) -> None:
    project.git("merge", "-q", "--squash", "promote/abalone-v1.0.0-dev")
    project.git("commit", "-qm", "quickly")
    project.git("push", "-q", "origin", "main")
    [what], _ = told(verify_registry(project.workspace))
    assert "abalone@v1.0.0 -> dev came by no approved promotion" in what


def test_a_forge_that_is_down(project: Project, github: GitHubServer) -> None:
    merge(project, github, "bo")
    github.fail_next(500, path="/", times=100)
    findings, unchecked = told(verify_registry(project.workspace))
    assert (findings, len(unchecked)) == ([], 1)
