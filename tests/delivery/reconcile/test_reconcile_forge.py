"""With a forge: whose approval counts, whose main, and the revert that is proposed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from reconcile_project import Project, read_deployment
from towpath.delivery import promotion

if TYPE_CHECKING:
    from github_server import GitHubServer

NAME = "acme/shells"
STAGES = """
  dev:
    approval: forge
    approvers: ["@bo"]
    deploy: {to: files, path: deploy/dev}
    gates: {good: {kind: metric, metric: mse, below: 5, when: deploy}}
forge: {kind: github, repository: acme/shells}
"""


@pytest.fixture
def hosted(
    make_project: Callable[..., Project], github: GitHubServer, monkeypatch: pytest.MonkeyPatch
) -> Project:
    """A project of ada's at the forge."""
    for name, value in github.environ().items():
        monkeypatch.setenv(name, value)
    project = make_project(STAGES)
    name, mail = github.person("ada").author
    project.git("config", "user.name", name)
    project.git("config", "user.email", mail)
    project.git("remote", "add", "origin", github.remote(NAME))
    project.git("push", "-q", "origin", "main")
    return project


def test_a_gate_that_says_no_opens_the_revert(
    hosted: Project, github: GitHubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = hosted.register(b"one", metrics={"mse": 4.0})
    bad = hosted.register(b"two", metrics={"mse": 6.0})
    repository = github.repository(NAME)
    for number, version in ((1, good), (2, bad)):
        promotion.propose_promotion(hosted.workspace, f"abalone@{version}", "dev")
        if number == 1:
            assert hosted.plan("dev").changes == ()
        monkeypatch.setenv("GITHUB_TOKEN", github.person("bo").token)
        promotion.approve_promotion(hosted.workspace, str(number))
        monkeypatch.setenv("GITHUB_TOKEN", github.person("ada").token)
        applied = hosted.apply("dev")
        assert applied.exit_code == (0 if version == good else 3), applied.outcomes
    known = read_deployment(hosted.store("dev"), "abalone")
    assert known
    assert (str(known.version), known.approval.level, known.approval.by) == (good, "forge", ("bo",))
    assert known.approval.where
    assert known.approval.where.endswith("/1")
    tag = hosted.git("tag", "-l", "--format=%(contents)", "abalone#dev*")
    assert f"Where: {known.approval.where}" in tag
    assert "Approved-by: bo" in tag
    revert = applied.outcomes[0].revert
    assert revert
    assert revert.endswith("/3")
    pull = repository.pull(3)
    assert (pull.base, pull.title) == ("main", f"Roll back abalone to {good} in dev")
    assert hosted.apply("dev").outcomes[0].revert == revert  # the same one, not another
    assert len(repository.pulls) == 3


def test_only_the_forges_main_counts(hosted: Project) -> None:
    version = hosted.register(b"one", metrics={"mse": 4.0})
    hosted.promote(version, "dev")  # here, past the forge
    plan = hosted.plan("dev")
    assert plan.changes == ()
    assert plan.notes == ("the main branch here is 2 commits ahead of origin: push it",)
    hosted.git("push", "-q", "origin", "main")
    applied = hosted.apply("dev")
    assert applied.exit_code == 3
    assert "dev asks for at least `forge`" in applied.outcomes[0].words
