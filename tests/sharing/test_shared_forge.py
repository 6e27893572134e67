"""A shared registry on a forge: a project's promotion is a pull request of the registry's."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from promotion_project import POLICY, begin, draft
from running import Project
from towpath import registry
from towpath.backends.git import main_branch
from towpath.delivery import promotion
from towpath.errors import UserError
from towpath.registry import RecordedCode, Registration

if TYPE_CHECKING:
    from github_server import GitHubServer

NAME = "acme/models"
FORGE = f"forge: {{kind: github, repository: {NAME}}}\n"
OWNERS = "* @ada\n/registry/stages/ @bo\n"


@pytest.fixture
def project(tmp_path: Path, github: GitHubServer) -> Project:
    """A project with ``abalone@v1.0.0`` in a registry on the forge, and no forge of its own."""
    return _share_registry(tmp_path, github, FORGE)


def _share_registry(tmp_path: Path, github: GitHubServer, forge: str) -> Project:
    keepers = begin(tmp_path / "keepers", POLICY + forge)
    keepers.commit({".github/CODEOWNERS": OWNERS})
    keepers.git("remote", "add", "origin", github.remote(NAME))
    keepers.git("push", "-q", "origin", "main")
    made = Project(tmp_path / "abalone")
    made.write("towpath.yaml", f"name: abalone\nregistry: {github.remote(NAME)}\n")
    made.write(".gitignore", ".towpath/\n")
    made.git("init", "-q", "-b", "main")
    made.git("config", "user.name", "Ada Lovelace")
    made.git("config", "user.email", "ada@example.org")
    made.commit()
    clone = made.workspace.registry
    record = draft(
        code=RecordedCode(made.git("rev-parse", "HEAD"), "https://forge.example/abalone")
    )
    base = main_branch.main_commit(clone)
    assert base
    registry.register_version(clone, Registration(record, base, {"dvc.yaml": b"a: 1\n"}))
    (done,) = registry.publish_registry(clone)
    assert str(done) == "abalone@v1.0.0"
    return made


def test_a_pull_request_of_the_registry(
    project: Project, github: GitHubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = promotion.propose_promotion(project.workspace, "abalone@v1.0.0", "dev")
    pull = github.repository(NAME).pull(1)
    assert (made.number, pull.branch, pull.base) == (1, "promote/abalone-v1.0.0-dev", "main")
    assert pull.body == made.evidence
    monkeypatch.setenv("GITHUB_TOKEN", github.person("bo").token)
    done = promotion.approve_promotion(project.workspace, "1")
    assert (done.level, done.by) == ("forge", "bo")
    assert registry.find_version(project.workspace.registry, "abalone#dev").version is not None
    assert project.git("status", "--porcelain") == ""
    assert project.git("branch", "--list").split() == ["*", "main"], "the project has no part in it"


def test_no_word_or_file_beside_git_has_the_token(project: Project, github: GitHubServer) -> None:
    token = github.person("ada").token
    said = project.towpath("fetch")
    assert said.code == 0
    assert token not in said.out + said.err
    github.repository(NAME).path.rename(github.folder / "away.git")
    clone = project.workspace.registry_at_hand
    (clone.common / "towpath" / "fetched").unlink()
    refused = project.towpath("models")
    assert refused.code == 1
    assert "it was never fetched here" in refused.err
    assert token not in refused.err


def test_the_repository_that_actions_works_in_is_not_the_registrys(
    tmp_path: Path, github: GitHubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_REPOSITORY", "acme/abalone")
    project = _share_registry(tmp_path, github, "forge: {kind: github}\n")
    with pytest.raises(UserError, match="does not say which repository at GitHub it is") as refused:
        promotion.propose_promotion(project.workspace, "abalone@v1.0.0", "dev")
    assert "in its towpath.yaml, on its main" in str(refused.value.faults[0].hint)
    assert not project.workspace.registry.call("branch", "--list", "promote/*")
