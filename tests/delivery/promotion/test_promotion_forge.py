"""Promotions as pull requests: opened, approved, refused, and read again from the forge."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from forge_fixtures import REPOSITORY_NAME, ForgeWorld
from promotion_project import POLICY, begin, judge_promotion
from towpath import registry
from towpath.delivery import promotion
from towpath.delivery.promotion import decide_promotion
from towpath.delivery.promotion.promotion_approval import PromotionApproval
from towpath.errors import ForgeError, Refused, UsageError

if TYPE_CHECKING:
    from github_server import GitHubServer

BRANCH = "promote/abalone-v1.0.0-dev"
STAGE_FILE = "registry/stages/dev/abalone.yaml"
OWNERS = "* @ada\n/registry/stages/ @bo @acme/owners\n"


class World(ForgeWorld):
    """Ada's clone, the forge, and whoever acts."""

    def promote(self) -> promotion.ProposedPromotion:
        return promotion.propose_promotion(self.project.workspace, "abalone@v1.0.0", "dev")

    def review(self, login: str, head: str | None = None) -> None:
        """An approving review, by the forge's own door."""
        self.be(login)
        self.client.approve(1, head or self.hosted.pull(1).head)

    def merge(self, login: str = "bo", method: str = "merge") -> None:
        """The button."""
        pull = self.hosted.pull(1)
        self.github.merge(self.hosted, pull, self.github.person(login), method)
        registry.fetch_registry(self.project.repository)

    def approval(self) -> PromotionApproval:
        """How the last promotion on main was approved, as anybody finds it."""
        last = registry.read_promotions(self.project.repository)[-1]
        return judge_promotion(self.project.repository, last, self.client)


@pytest.fixture
def world(tmp_path: Path, github: GitHubServer, monkeypatch: pytest.MonkeyPatch) -> World:
    """A project on the forge, with a version, a promotion of which is about to be opened."""
    project = begin(
        tmp_path / "abalone", f"{POLICY}forge: {{kind: github, repository: {REPOSITORY_NAME}}}\n"
    )
    project.commit({".github/CODEOWNERS": OWNERS})
    project.register()
    project.git("remote", "add", "origin", github.remote(REPOSITORY_NAME))
    project.git("push", "-q", "origin", "main", "--tags")
    github.team("acme/owners", ["cleo"])
    return World(project, github, monkeypatch)


def test_a_pull_request_with_its_evidence(world: World) -> None:
    made = world.promote()
    pull = world.hosted.pull(1)
    assert (made.url, made.number, made.pushed) == (world.client.pull(1).url, 1, True)
    assert (pull.head, pull.branch, pull.base) == (made.head, BRANCH, "main")
    assert pull.title == "Promote abalone@v1.0.0 to dev"
    assert pull.body == made.evidence
    again = world.promote()
    assert (again.number, again.new) == (1, False)
    assert len(world.hosted.pulls) == 1


def test_the_pull_request_that_is_missing(world: World) -> None:
    made = promotion.propose_promotion(world.project.workspace, "abalone@v1.0.0", "dev", push=False)
    assert (made.pushed, made.url, world.hosted.pulls) == (False, None, {})
    world.github.fail_next(500, path="/pulls", times=20)
    with pytest.raises(ForgeError):
        world.promote()
    world.github.failures.clear()
    again = world.promote()
    assert (again.head, again.new, again.number) == (made.head, False, 1)


def test_a_reviewer_approves_and_merges(world: World) -> None:
    made = world.promote()
    with pytest.raises(Refused, match=r"ada opened .*/1, and the policy wants another"):
        promotion.approve_promotion(world.project.workspace, "1")
    world.be("bo")
    done = promotion.approve_promotion(world.project.workspace, "1")
    assert (done.level, done.by, done.url) == ("forge", "bo", made.url)
    last = registry.read_promotions(world.project.repository)[-1]
    assert (last.commit, last.head) == (done.commit, made.head)
    found = world.approval()
    assert (found.level, found.by, found.where) == ("forge", ("bo",), made.url)
    assert found.evidence == "registry/evidence/abalone/v1.0.0-dev.md"
    with pytest.raises(UsageError, match="is merged"):
        promotion.approve_promotion(world.project.workspace, "1")


@pytest.mark.parametrize("method", ["merge", "squash", "rebase"])
def test_a_review_counts_however_it_is_merged(world: World, method: str) -> None:
    world.promote()
    world.review("cleo")  # of the team
    world.merge("ada", method)
    found = world.approval()
    assert (found.level, found.by) == ("forge", ("cleo",))
    assert (registry.read_promotions(world.project.repository)[-1].head is None) == (
        method != "merge"
    )


def test_a_review_of_an_earlier_head(world: World) -> None:
    world.promote()
    world.review("bo")
    world.project.on_branch(BRANCH, {"registry/evidence/abalone/v1.0.0-dev.md": "# All fine\n"})
    world.project.git("push", "-q", "origin", BRANCH)
    world.merge("cleo")
    found = world.approval()
    assert (found.level, found.by) == ("recorded", ("cleo",))
    assert "was merged without an approving review of its head" in found.why


def test_a_last_word_that_is_no(world: World) -> None:
    made = world.promote()
    world.review("bo")
    world.hosted.pull(1).reviews[0].state = "CHANGES_REQUESTED"
    world.merge("ada")
    found = world.approval()
    assert found.level == "none"
    assert "who made it merged it" in found.why
    assert made.url
    assert made.url in found.why


def test_a_reviewer_whom_nobody_named(world: World) -> None:
    world.promote()
    world.github.person("eve")
    world.review("eve")
    world.merge("eve")
    found = world.approval()
    assert (found.level, found.by) == ("recorded", ("eve",))
    assert "approved by eve, whom neither CODEOWNERS nor the policy names" in found.why


def test_a_merge_by_hand_that_holds_something_else(world: World) -> None:
    """GitHub calls a pull request merged once main holds its head, whatever else main holds."""
    world.promote()
    world.review("bo")
    project, pull = world.project, world.hosted.pull(1)
    project.git("merge", "-q", "--no-ff", "--no-commit", BRANCH)
    text = (project.root / STAGE_FILE).read_text()
    project.commit({STAGE_FILE: text.replace("v1.0.0", "v6.6.6")})
    project.git("push", "-q", "origin", "main")
    made = project.git("rev-parse", "main")
    pull.open, pull.merged_at, pull.brought = False, pull.time, (made,)
    pull.merge_commit, pull.merged_by = made, world.github.person("cleo")
    found = world.approval()
    assert found.level == "none"
    assert "also changed registry/evidence/abalone/v1.0.0-dev.md" in found.why


def test_owners_that_a_rebase_brings_along(world: World) -> None:
    """Of several commits none may name the approver of the others."""
    made = world.promote()
    world.github.person("eve")
    project = world.project
    project.git("checkout", "-qB", BRANCH, "main")
    project.commit({".github/CODEOWNERS": "* @eve\n"})
    project.git("cherry-pick", str(made.head))
    project.git("push", "-qf", "origin", BRANCH)
    project.git("checkout", "-q", "main")
    world.review("eve")
    world.merge("eve", "rebase")
    assert world.approval().level == "recorded"


def test_what_the_forge_does_not_merge_yet(world: World) -> None:
    world.promote()
    world.hosted.protection = {"required_status_checks": {"checks": [{"context": "promotion"}]}}
    world.be("bo")
    done = promotion.approve_promotion(world.project.workspace, BRANCH)
    assert done.commit is None
    assert "promotion" in str(done.waits)
    assert [review.state for review in world.hosted.pull(1).reviews] == ["APPROVED"]
    (told,) = decide_promotion.find_promotion_reviews(world.project.workspace, BRANCH)
    assert (told.user, told.state) == ("bo", "approved")


def test_what_may_not_be_merged_is_not_approved(world: World) -> None:
    world.promote()
    world.project.on_branch(BRANCH, {"steps.py": "sneaky = 1\n"})
    world.project.git("push", "-q", "origin", BRANCH)
    world.be("bo")
    with pytest.raises(Refused, match=r"also changes steps\.py"):
        promotion.approve_promotion(world.project.workspace, "1")
    assert world.hosted.pull(1).reviews == []
    assert world.hosted.pull(1).open


def test_refused(world: World) -> None:
    made = world.promote()
    assert [one.url for one in promotion.find_waiting_promotions(world.project.workspace)] == [
        made.url
    ]
    done = promotion.reject_promotion(world.project.workspace, "1", "the data is old")
    assert (done.branch, done.url) == (BRANCH, made.url)
    pull = world.hosted.pull(1)
    assert not pull.open
    assert [text for _, text in pull.comments] == ["the data is old"]
    assert not world.project.has(BRANCH)
    assert promotion.find_waiting_promotions(world.project.workspace) == ()
    with pytest.raises(UsageError, match="no open pull request"):
        promotion.reject_promotion(world.project.workspace, BRANCH, "again")
    assert world.promote().number == 2
    world.project.on_branch("work", {"steps.py": "other = 1\n"})
    world.project.git("push", "-q", "origin", "work")
    world.client.open("work", "main", "Code", "no promotion")
    with pytest.raises(UsageError, match="/3 is no promotion"):
        promotion.reject_promotion(world.project.workspace, "3", "no")


def test_upon_the_forges_main_and_not_ours(world: World) -> None:
    world.project.commit({"steps.py": "unpushed = 1\n"})
    made = world.promote()
    assert made.base == world.project.git("rev-parse", "origin/main")
    assert "steps.py" not in world.project.git("diff", "--name-only", "origin/main", BRANCH)
