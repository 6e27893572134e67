"""Repositories that merge in their own way: by squash or rebase alone, in a queue, from forks."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from command_line import call_towpath
from forge_fixtures import REPOSITORY_NAME, ForgeWorld
from own_home import MAIN, CopyWorld, move_in
from promotion_project import POLICY, Project, begin, judge_promotion
from towpath import registry
from towpath.delivery import promotion
from towpath.errors import RegistryError
from towpath.forge import NotMergeable

if TYPE_CHECKING:
    from github_server import GitHubServer

BRANCH = "promote/abalone-v1.0.0-dev"
QUEUE = {
    "check_response_timeout_minutes": 60,
    "grouping_strategy": "ALLGREEN",
    "max_entries_to_build": 5,
    "max_entries_to_merge": 5,
    "merge_method": "MERGE",
    "min_entries_to_merge": 1,
    "min_entries_to_merge_wait_minutes": 5,
}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home; nothing of the machine's settings or tokens reaches a test."""
    return move_in(tmp_path / "home", MAIN, monkeypatch)


class World(ForgeWorld):
    """A project on the forge, and whoever acts."""

    def ruled(self, rule: dict[str, Any], name: str = "own") -> None:
        """A ruleset on main with one rule, set as an administrator does."""
        number = 1000 + len(self.hosted.rulesets)
        self.hosted.rulesets[number] = {
            "id": number,
            "name": name,
            "target": "branch",
            "source": REPOSITORY_NAME,
            "enforcement": "active",
            "bypass_actors": [],
            "conditions": {"ref_name": {"include": ["~DEFAULT_BRANCH"], "exclude": []}},
            "rules": [rule],
        }


def build(folder: Path) -> None:
    project = begin(
        folder / "abalone", f"{POLICY}forge: {{kind: github, repository: {REPOSITORY_NAME}}}\n"
    )
    checks = "on:\n  pull_request:\n"
    files: dict[str, str | None] = {
        ".github/CODEOWNERS": "* @bo\n",
        ".github/workflows/promotion.yml": checks,
        ".github/workflows/checks.yml": f"{checks}  merge_group:\n",
    }
    project.commit(files)
    project.register()


@pytest.fixture
def world(
    tmp_path: Path, github: GitHubServer, monkeypatch: pytest.MonkeyPatch, copy_world: CopyWorld
) -> World:
    """A project on the forge, with a version, a promotion of which is about to be opened."""
    copy_world(build, tmp_path)
    project = Project(tmp_path / "abalone")
    project.git("remote", "add", "origin", github.remote(REPOSITORY_NAME))
    project.git("push", "-q", "origin", "main", "--tags")
    return World(project, github, monkeypatch)


def towpath(world: World, *words: str) -> subprocess.CompletedProcess[str]:
    """The command line, as a person calls it."""
    return call_towpath(world.project.root, *words)


def promote(world: World) -> promotion.ProposedPromotion:
    return promotion.propose_promotion(world.project.workspace, "abalone@v1.0.0", "dev")


@pytest.mark.parametrize("only", ["merge", "squash", "rebase"])
def test_approve_merges_as_the_repository_allows(world: World, only: str) -> None:
    promote(world)
    world.hosted.methods.update({name: name == only for name in world.hosted.methods})
    world.be("bo")
    done = towpath(world, "approve", "1")
    assert done.returncode == 0, done.stderr
    assert ("by " + only in done.stdout) == (only != "merge")
    assert world.hosted.pull(1).merged_at
    registry.fetch_registry(world.project.repository)
    last = registry.read_promotions(world.project.repository)[-1]
    assert (last.head is None) == (only != "merge")
    found = judge_promotion(world.project.repository, last, world.client)
    assert (found.level, found.by) == ("forge", ("bo",))


def _linear(world: World) -> None:
    world.ruled({"type": "required_linear_history"})


def _old_linear(world: World) -> None:
    """Only an administrator may read it: it is found out by the refusal."""
    world.hosted.protection = {"required_linear_history": True}


def _allowed(world: World) -> None:
    reviews = {
        "allowed_merge_methods": ["squash"],
        "dismiss_stale_reviews_on_push": False,
        "require_code_owner_review": False,
        "require_last_push_approval": False,
        "required_approving_review_count": 0,
        "required_review_thread_resolution": False,
    }
    world.ruled({"type": "pull_request", "parameters": reviews})
    world.hosted.methods["merge"] = False


@pytest.mark.parametrize("rule", [_linear, _old_linear, _allowed])
def test_a_rule_of_main_chooses_the_method_too(world: World, rule: Callable[[World], None]) -> None:
    promote(world)
    rule(world)
    world.be("bo")
    done = promotion.approve_promotion(world.project.workspace, "1")
    assert (done.method, done.waits) == ("squash", None)


def test_what_waits_is_no_success(world: World) -> None:
    promote(world)
    world.hosted.protection = {"required_status_checks": {"checks": [{"context": "promotion"}]}}
    world.be("bo")
    done = towpath(world, "approve", "1")
    assert done.returncode == 4
    assert re.search(r"waits .*promotion.* is expected", done.stderr)
    assert towpath(world, "approve", "1", "--json").returncode == 4


def test_nothing_is_allowed(world: World) -> None:
    promote(world)
    world.hosted.methods.update(dict.fromkeys(world.hosted.methods, False))
    world.be("bo")
    done = promotion.approve_promotion(world.project.workspace, "1")
    assert done.commit is None
    assert "allows no method of merging" in str(done.waits)


def test_a_merge_queue_merges_itself(world: World) -> None:
    made = promote(world)
    world.ruled({"type": "merge_queue", "parameters": QUEUE})
    assert world.client.merge_ways().queue
    world.be("bo")
    done = towpath(world, "approve", "1")
    assert done.returncode == 4, done.stderr
    assert "main has a merge queue" in done.stderr
    assert f"press `Merge when ready` at {made.url}, or: gh pr merge 1" in done.stderr
    assert [review.state for review in world.hosted.pull(1).reviews] == ["APPROVED"]
    assert world.hosted.pull(1).open
    with pytest.raises(NotMergeable, match="through the merge queue"):
        world.client.merge(1, str(made.head))


def test_checks_that_never_report_in_the_queue_are_noticed(world: World) -> None:
    world.hosted.rights["ada"] = "admin"
    assert towpath(world, "forge", "setup", "--apply").returncode == 0
    world.ruled({"type": "merge_queue", "parameters": QUEUE})
    done = towpath(world, "forge", "setup", "--check")
    assert done.returncode == 4
    said = " ".join((done.stdout + done.stderr).split())
    assert "not in promotion.yml" in said
    assert "write `merge_group:` under `on:`" in said
    assert "merge_group" in towpath(world, "doctor").stdout
    world.hosted.protection = None
    for number, ruleset in list(world.hosted.rulesets.items()):
        if ruleset["target"] == "branch" and ruleset["name"].startswith("towpath"):
            kept = world.hosted.rulesets.pop(number)
    world.hosted.guard({})
    text = "on:\n  pull_request:\n  merge_group:\n"
    world.project.commit({".github/workflows/promotion.yml": text})
    world.project.git("push", "-q", "origin", "main")
    world.hosted.rulesets[kept["id"]] = kept
    done = towpath(world, "forge", "setup", "--check")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "all of it is enforced" in done.stderr


@pytest.mark.parametrize("method", ["merge", "squash", "rebase"])
def test_a_merge_group_is_checked_as_the_promotion_that_it_adds(world: World, method: str) -> None:
    """GitHub makes the group's commit upon main, or upon the group before it."""
    import github_merging as merging

    made, project = promote(world), world.project
    project.on_branch("work", {"steps.py": "second = 2\n"})
    bare, author = world.hosted.path, ("GitHub", "noreply@github.com")
    before = project.git("rev-parse", "work")  # the group before it, which main has not yet
    project.git("push", "-q", "origin", f"{before}:refs/heads/gh-readonly-queue/main/pr-9")
    group = {
        "merge": lambda: merging.merge(bare, before, str(made.head), "queue", author),
        "squash": lambda: merging.squash(bare, before, str(made.head), "queue", author),
        "rebase": lambda: merging.rebase(bare, before, str(made.head)),
    }[method]()
    merging.git(bare, "update-ref", "refs/heads/gh-readonly-queue/main/pr-1", group)
    registry.fetch_registry(project.repository)
    checked = promotion.check_promotion_branch(project.workspace, before, group)
    assert (checked.faults, [str(one.case) for one in checked.judged]) == (
        (),
        ["abalone@v1.0.0 -> dev"],
    )


def test_setup_keeps_what_somebody_added_to_our_ruleset(world: World) -> None:
    world.hosted.rights["ada"] = "admin"
    towpath(world, "forge", "setup", "--apply")
    (ours,) = [r for r in world.hosted.rulesets.values() if r["name"] == "towpath: main"]
    ours["rules"] = [rule for rule in ours["rules"] if rule["type"] != "deletion"]
    ours["rules"].append({"type": "merge_queue", "parameters": QUEUE})
    for rule in ours["rules"]:
        if rule["type"] == "pull_request":
            rule["parameters"]["required_review_thread_resolution"] = True
            rule["parameters"]["allowed_merge_methods"] = ["squash"]
    towpath(world, "forge", "setup", "--apply")
    rules = {rule["type"]: rule.get("parameters") for rule in ours["rules"]}
    assert rules["merge_queue"] == QUEUE
    assert rules["pull_request"]["required_review_thread_resolution"] is True
    assert rules["pull_request"]["allowed_merge_methods"] == ["squash"]
    assert "deletion" in rules


def test_a_reader_is_told_the_way_of_a_fork(world: World) -> None:
    world.github.person("eve")
    world.hosted.rights["eve"] = "read"
    world.project.git("remote", "set-url", "origin", world.github.remote(REPOSITORY_NAME, "eve"))
    world.be("eve")
    with pytest.raises(RegistryError) as refused:
        promote(world)
    said = str(refused.value)
    assert "origin does not let you do this" in said
    assert "the promotion is here, on the branch promote/abalone-v1.0.0-dev" in said
    assert f"gh pr create --repo {REPOSITORY_NAME} --head YOU:{BRANCH}" in said
    assert "cannot be reached" not in said
    done = towpath(world, "promote", "abalone@v1.0.0", "--to", "dev")
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)
    assert towpath(world, "push").returncode in (0, 1)


def test_a_pull_request_from_a_fork(world: World) -> None:
    eve = world.github.person("eve")
    world.hosted.rights["eve"] = "read"
    fork = world.github.repository("eve/abalone")
    fork.rights |= {"ada": "read", "bo": "read"}
    world.project.git("push", "-q", world.github.remote("eve/abalone", "eve"), "main", "--tags")
    world.project.git("remote", "set-url", "origin", world.github.remote("eve/abalone", "eve"))
    world.be("eve")
    made = promote(world)
    pull = world.hosted.pull(1)
    assert (pull.author, pull.fork, pull.head) == (eve, fork, made.head)
    again = promote(world)
    assert (again.number, again.new) == (1, False)
    assert "and proposed to acme/abalone" in towpath(world, "doctor").stdout
    world.project.git("remote", "set-url", "origin", world.github.remote(REPOSITORY_NAME, "bo"))
    world.project.git("branch", "-D", BRANCH)
    world.be("bo")
    done = promotion.approve_promotion(world.project.workspace, "1")
    assert (done.level, done.commit) == ("forge", world.hosted.pull(1).merge_commit)
