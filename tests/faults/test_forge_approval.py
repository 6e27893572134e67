"""Attacks on approvals at a forge: whatever main holds, an owner reviewed that very head of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from forge_fixtures import REPOSITORY_NAME, ForgeWorld
from own_home import CopyWorld
from promotion_project import POLICY, Project, begin, judge_promotion
from towpath import registry
from towpath.delivery import promotion
from towpath.delivery.promotion.promotion_approval import PromotionApproval
from towpath.errors import Refused, UsageError

if TYPE_CHECKING:
    from github_server import GitHubServer
    from github_state import Pull

BRANCH = "promote/abalone-v1.0.0-dev"
STAGE_FILE = "registry/stages/dev/abalone.yaml"
OWNERS = "* @ada\n/registry/stages/ @bo @cleo\n"


class World(ForgeWorld):
    """A clone of a project on a forge, in the hands of whoever acts."""

    @property
    def pull(self) -> Pull:
        return self.hosted.pull(1)

    def promote(self, version: str = "v1.0.0") -> promotion.ProposedPromotion:
        return promotion.propose_promotion(self.project.workspace, f"abalone@{version}", "dev")

    def review(self, login: str) -> None:
        """An approving review of the head as it is."""
        self.be(login).approve(1, self.pull.head)

    def merge(self, login: str, method: str = "merge") -> None:
        """The button."""
        self.github.merge(self.hosted, self.pull, self.github.person(login), method)
        registry.fetch_registry(self.project.repository)

    def approvals(self) -> list[PromotionApproval]:
        """How each promotion on main was approved, as anybody finds it."""
        repository = self.project.repository
        found = registry.read_promotions(repository)
        return [judge_promotion(repository, one, self.be("ada")) for one in found]

    def push(self, branch: str) -> None:
        """What is checked out becomes a branch there."""
        self.project.git("push", "-qf", "origin", f"HEAD:refs/heads/{branch}")


def build(folder: Path) -> None:
    on_forge = f"forge: {{kind: github, repository: {REPOSITORY_NAME}}}\n"
    policy = f"{POLICY}policy: {{approval: forge}}\n{on_forge}"
    project = begin(folder / "abalone", policy)
    project.commit({".github/CODEOWNERS": OWNERS})
    project.register()
    project.register("second")


@pytest.fixture
def world(
    tmp_path: Path, github: GitHubServer, monkeypatch: pytest.MonkeyPatch, copy_world: CopyWorld
) -> World:
    """A project on the forge, with two versions; Bo and Cleo own its stages."""
    copy_world(build, tmp_path)
    project = Project(tmp_path / "abalone")
    project.git("remote", "add", "origin", github.remote(REPOSITORY_NAME))
    project.git("push", "-q", "origin", "main", "--tags")
    return World(project, github, monkeypatch)


def test_a_review_for_another_branch_is_none_for_main(world: World) -> None:
    """Bo approves a trial on a playground; Mallory pushes what was merged there to main."""
    world.project.git("push", "-q", "origin", "main:refs/heads/playground")
    world.promote()
    world.pull.base = "playground"
    world.review("bo")
    with pytest.raises(UsageError, match="is to be merged into `playground`, and main is `main`"):
        promotion.approve_promotion(world.project.workspace, "1")
    world.merge("mallory")
    world.project.git("fetch", "-q", "origin", "playground")
    world.project.git("push", "-q", "origin", "FETCH_HEAD:main")
    registry.fetch_registry(world.project.repository)
    [approval] = world.approvals()
    assert approval.level != "forge"
    assert "knows no merged pull request of it" in approval.why


def test_a_review_before_the_main_branch_was_renamed(world: World) -> None:
    """What was merged into `master` was merged into main, where there is no `master` any more."""
    world.promote()
    world.review("bo")
    world.merge("cleo")
    world.pull.base = "master"
    [approval] = world.approvals()
    assert (approval.level, approval.by) == ("forge", ("bo",))


@pytest.mark.parametrize("gone", [True, False])
def test_an_earlier_commit_of_a_branch_is_not_its_head(world: World, gone: bool) -> None:
    """Mallory pushes the first commit of her branch to main; Bo approved the last."""
    wanted = world.promote()
    project = world.project
    project.git("checkout", "-q", "-B", "evil", "main")
    text = project.show(f"{wanted.head}:{STAGE_FILE}")
    evil = project.commit({STAGE_FILE: text.replace("v1.0.0", "v1.0.1")}, "Not what Bo saw")
    project.git("checkout", "-q", str(wanted.head), "--", ".")
    project.git("commit", "-q", "-m", "What Bo sees")
    world.push(BRANCH)
    project.git("checkout", "-q", "main")
    project.git("push", "-q", "origin", f"{evil}:main")
    world.review("bo")
    world.merge("cleo", "squash")
    world.pull.brought = (*world.pull.brought, evil)
    if gone:  # as in a clone of another
        head = world.pull.head
        project.git("branch", "-qD", "evil", BRANCH)
        project.git("update-ref", "-d", f"refs/remotes/origin/{BRANCH}")
        project.git("push", "-q", "origin", f":{BRANCH}")
        project.git("reflog", "expire", "--expire=now", "--all")
        project.git("gc", "-q", "--prune=now")
        assert project.repository.commit(head) is None
    world.pull.open = False
    first, last = world.approvals()
    assert first.level != "forge"
    assert "main holds another stage file than" in first.why
    assert "it says that it replaces nothing, and v1.0.1 was there" in last.why


def test_who_wrote_a_part_approves_nothing(world: World) -> None:
    """Bo is named in the commit: he would approve his own work."""
    wanted = world.promote()
    project = world.project
    project.git("checkout", "-q", str(wanted.head))
    mail = f"{world.github.person('bo').id}+bo@users.noreply.github.com"
    message = project.git("log", "-1", "--format=%B")
    project.git("commit", "-q", "--amend", "-m", f"{message}\nCo-authored-by: Bo <{mail}>")
    world.push(BRANCH)
    project.git("checkout", "-q", "main")
    world.be("bo")
    with pytest.raises(Refused, match="was approved by who made it alone"):
        promotion.approve_promotion(project.workspace, "1")
    world.review("bo")
    world.merge("ada")
    [approval] = world.approvals()
    assert approval.level != "forge"
    assert "was approved by who made it alone" in approval.why


def test_a_review_that_was_dismissed(world: World) -> None:
    world.promote()
    world.review("bo")
    world.pull.reviews[0].state = "DISMISSED"
    world.merge("ada")
    [approval] = world.approvals()
    assert approval.level != "forge"


def test_a_robot_whom_nobody_named(world: World) -> None:
    world.promote()
    world.github.person("owners[bot]")
    world.review("owners[bot]")
    world.merge("ada")
    [approval] = world.approvals()
    assert approval.level != "forge"
    assert "whom neither CODEOWNERS nor the policy names" in approval.why


def test_a_fork_s_proposal_is_reviewed_as_any(world: World, github: GitHubServer) -> None:
    """Mallory owns a fork, and names herself in it: main's owners count."""
    made = world.promote()
    fork = github.repository("mallory/abalone")
    project = world.project
    project.git("push", "-q", github.remote("mallory/abalone", "mallory"), "main", "--tags")
    project.git(
        "push",
        "-q",
        github.remote("mallory/abalone", "mallory"),
        f"{made.head}:refs/heads/{BRANCH}",
    )
    fork.rights["mallory"] = "admin"
    world.be("mallory").open(f"mallory:{BRANCH}", "main", "Mine", "")
    for login in ("mallory", "eve"):
        with pytest.raises(Refused):
            world.be(login)
            promotion.approve_promotion(project.workspace, "2")
    world.be("bo")
    done = promotion.approve_promotion(project.workspace, "2")
    assert (done.level, done.by) == ("forge", "bo")
