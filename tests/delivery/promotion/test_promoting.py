"""Proposing a promotion: what is written beside the work tree, and all for which nothing is."""

from __future__ import annotations

import pytest

from promotion_project import Project, judge_promotion
from towpath import registry
from towpath.delivery import promotion
from towpath.delivery.promotion import ReviewGatesRefused
from towpath.errors import UsageError
from towpath.workspace import Workspace

DEV = "promote/abalone-v1.0.0-dev"
STAGE_FILE = "registry/stages/dev/abalone.yaml"
RECORD = "registry/models/abalone/v1.0.0.yaml"
EVIDENCE = "registry/evidence/abalone/v1.0.0-dev.md"


def test_a_branch_with_three_files_beside_the_work_tree(project: Project) -> None:
    version = project.register()
    project.write("steps.py", "half = 'done'\n")
    project.git("add", "steps.py")
    project.write("untracked.txt", "mine\n")
    status, main = project.git("status", "--porcelain"), project.git("rev-parse", "main")

    made = promotion.propose_promotion(project.workspace, "abalone@latest", "dev", why="Try it")

    assert project.git("status", "--porcelain") == status
    assert project.git("rev-parse", "HEAD", "main").split() == [main, main]
    assert (made.branch, made.base, made.new, made.url) == (DEV, main, True, None)
    assert project.git("rev-parse", DEV, f"{DEV}^").split() == [made.head, main]
    changed = project.git("diff", "--name-only", "main", DEV).split("\n")
    assert changed == [EVIDENCE, RECORD, STAGE_FILE] == sorted(made.files)
    sha = registry.get_version(project.repository, "abalone@v1.0.0").record.sha256
    text = f"model: abalone\nversion: v1.0.0\nsha256: {sha}"
    assert project.show(f"{DEV}:{STAGE_FILE}").replace('"', "") == text
    tagged = project.git("rev-parse", f"{version.commit}:{RECORD}")
    assert project.git("rev-parse", f"{DEV}:{RECORD}") == tagged
    assert project.show(f"{DEV}:{EVIDENCE}") + "\n" == made.evidence
    message = project.git("log", "-1", "--format=%B", DEV)
    assert message.startswith("Promote abalone@v1.0.0 to dev\n\nTry it\n\n")
    assert message.endswith(
        f"Promotion: abalone@v1.0.0 -> dev\nDigest: abalone@v1.0.0 sha256:{sha}"
    )


def test_a_dry_run_writes_nothing(project: Project) -> None:
    project.register()
    made = promotion.propose_promotion(project.workspace, "abalone@v1.0.0", "dev", dry_run=True)
    assert made.head is None
    assert made.evidence.startswith("# abalone v1.0.0 → dev\n")
    assert not project.has(DEV)


def test_again_finds_what_is_there(project: Project) -> None:
    project.register()
    first = promotion.propose_promotion(project.workspace, "abalone@v1.0.0", "dev")
    project.commit({"steps.py": "second = 2\n"})  # main goes on
    again = promotion.propose_promotion(project.workspace, "abalone@v1.0.0", "dev")
    assert (again.head, again.new) == (first.head, False)
    assert again.evidence == first.evidence


def test_a_branch_of_that_name_with_something_else(project: Project) -> None:
    project.register()
    mine = project.on_branch(DEV, {"notes.txt": "mine\n"})
    with pytest.raises(UsageError, match=rf"{DEV} is there already .*towpath reject {DEV}"):
        promotion.propose_promotion(project.workspace, "abalone@v1.0.0", "dev")
    assert project.git("rev-parse", DEV) == mine


def test_a_branch_that_was_merged_or_squashed_makes_room(project: Project) -> None:
    project.register()
    project.register("second", metrics={"mse": 4.0})
    promotion.propose_promotion(project.workspace, "abalone@v1.0.0", "dev")
    project.git("merge", "--squash", "-q", DEV)
    project.git("commit", "-qm", "squashed by hand")
    project.promote("abalone@v1.0.1", "dev")
    assert project.has(DEV)
    made = promotion.propose_promotion(project.workspace, "abalone@v1.0.0", "dev")
    assert (made.branch, made.new) == (DEV, True)
    assert "replaces: v1.0.1" in project.show(f"{DEV}:{STAGE_FILE}").replace('"', "")


def test_versions_that_cannot_be_promoted(project: Project) -> None:
    project.register()
    project.register("second", parameters={})
    registry.reject_version(project.repository, "abalone@v1.1.0", "it lies")
    cases = {
        "abalone@v9.0.0": r"there is no abalone@v9\.0\.0",
        "trout@v1.0.0": "there is no model `trout`",
        "abalone@v1.1.0": r"abalone@v1\.1\.0 was rejected: it lies",
        "abalone#dev": "dev runs no abalone",
        "abalone": "names no version",
    }
    for reference, said in cases.items():
        with pytest.raises(UsageError, match=said):
            promotion.propose_promotion(project.workspace, reference, "dev")
    with pytest.raises(UsageError, match=r"no stage `produ` \(did you mean `prod`\?\)"):
        promotion.propose_promotion(project.workspace, "abalone@v1.0.0", "produ")
    project.git("remote", "add", "origin", "/nowhere.git")
    key = project.register("third", parameters={"a": 1}).key
    with pytest.raises(UsageError, match=r"has no number yet \(towpath push gives it one\)"):
        promotion.propose_promotion(project.workspace, f"abalone@{key[:8]}", "dev")
    assert project.git("branch", "--list", "promote/*") == ""


def test_the_ladder(project: Project) -> None:
    project.register()
    with pytest.raises(UsageError, match=r"has not been in dev or uat: .*--to dev\)"):
        promotion.propose_promotion(project.workspace, "abalone@v1.0.0", "prod")
    project.promote("abalone@v1.0.0", "dev")
    with pytest.raises(UsageError, match=r"has not been in uat: prod is entered from uat"):
        promotion.propose_promotion(project.workspace, "abalone@v1.0.0", "prod")
    with pytest.raises(UsageError, match=r"dev runs abalone@v1\.0\.0 already"):
        promotion.propose_promotion(project.workspace, "abalone@v1.0.0", "dev")
    project.register("second", parameters={})
    project.promote("abalone@v1.1.0", "dev")
    project.promote("abalone@v1.0.0", "uat")  # dev runs another by now, but ran it
    project.promote("abalone#uat", "prod")
    free = project.show("main:towpath.yaml") + "\npolicy: {ladder: false}\n"
    project.commit({"towpath.yaml": free})
    project.promote("abalone@v1.1.0", "prod")
    assert str(registry.find_version(project.repository, "abalone#prod")) == "abalone@v1.1.0"


def test_the_policy_is_mains_and_not_the_work_trees(project: Project) -> None:
    project.register()
    project.write("towpath.yaml", "name: abalone\npolicy: {ladder: false}\n")
    with pytest.raises(UsageError, match="has not been in dev or uat"):
        promotion.propose_promotion(project.workspace, "abalone@v1.0.0", "prod")


def test_a_gate_that_says_no(project: Project) -> None:
    project.register(metrics={"mse": 7.5})
    with pytest.raises(
        ReviewGatesRefused, match=r"`good_enough` keeps abalone@v1.0.0 out of dev"
    ) as no:
        promotion.propose_promotion(project.workspace, "abalone@v1.0.0", "dev")
    assert no.value.exit_code == 3
    assert "7.5" in str(no.value)
    assert "towpath.yaml:5 at" in str(no.value)
    assert "✗ **failed**" in no.value.proposed.evidence
    assert not project.has(DEV)


def test_going_back(project: Project) -> None:
    for number, key in enumerate(("first", "second", "third")):
        project.register(key, parameters={"n": number})
        project.promote("abalone@latest", "dev")
    project.commit({"towpath.yaml": project.show("main:towpath.yaml").replace("6.0", "0.1")})
    back = promotion.propose_rollback(project.workspace, "abalone", "dev", why="it lies")
    assert (str(back.case.candidate_version), str(back.case.incumbent_version)) == (
        "v1.1.0",
        "v1.2.0",
    )
    assert (
        "ran this one before: **a rollback**" in back.evidence
    )  # which no gate holds up, though it says no
    assert "✗ **failed**" in back.evidence
    project.be("bo")
    promotion.approve_promotion(project.workspace, back.branch)
    project.be("ada")
    assert (
        str(promotion.propose_rollback(project.workspace, "abalone", "dev").case.candidate_version)
        == "v1.0.0"
    )
    again = promotion.propose_rollback(
        project.workspace, "abalone", "dev", to="v1.2.0", dry_run=True
    )
    assert str(again.case.candidate_version) == "v1.2.0"
    with pytest.raises(UsageError, match="uat runs no abalone"):
        promotion.propose_rollback(project.workspace, "abalone", "uat")
    with pytest.raises(UsageError, match=r"never ran abalone@v3\.0\.0, .*it ran v1\.0\.0"):
        promotion.propose_rollback(project.workspace, "abalone", "dev", to="v3.0.0")
    registry.reject_version(project.repository, "abalone@v1.0.0", "older still")
    with pytest.raises(UsageError, match="ran no other version of abalone that still stands"):
        promotion.propose_rollback(project.workspace, "abalone", "dev")


def test_a_model_leaves_a_stage(project: Project) -> None:
    project.register()
    project.promote("abalone@v1.0.0", "dev")
    made = promotion.propose_demotion(
        project.workspace, "abalone", "dev", why="no longer asked for"
    )
    project.be("bo")
    promotion.approve_promotion(project.workspace, made.branch)
    assert registry.read_stage_files(project.repository).wanted == ()
    assert not (project.root / STAGE_FILE).exists()
    last = registry.read_promotions(project.repository)[-1]
    assert (last.version, last.fault) == (None, None)
    approved = judge_promotion(project.repository, last)
    assert (approved.level, approved.evidence) == ("recorded", EVIDENCE)
    with pytest.raises(UsageError, match="dev runs no abalone"):
        promotion.propose_demotion(project.workspace, "abalone", "dev")


def test_a_clone_without_what_a_stage_runs(project: Project) -> None:
    project.register()
    project.promote("abalone@v1.0.0", "dev")
    project.register("second", parameters={})
    project.git("tag", "-d", "abalone@v1.0.0")
    made = promotion.propose_promotion(project.workspace, "abalone@v1.1.0", "dev")
    assert str(made.case.incumbent_version) == "v1.0.0"  # by main's own copy of its record
    assert made.case.incumbent
    assert made.case.incumbent.parameters != {}


def test_a_project_in_a_folder_of_its_repository(project: Project) -> None:
    """The registry is the repository's, the policy the project's own."""
    project.register()
    project.commit({"towpath.yaml": None, "shells/towpath.yaml": "name: shells\nstages: [prod]\n"})
    made = promotion.propose_promotion(Workspace(project.root / "shells"), "abalone@v1.0.0", "prod")
    assert "registry/stages/prod/abalone.yaml" in made.files
    assert (
        promotion.check_promotion_branch(
            Workspace(project.root / "shells"), "main", made.branch
        ).faults
        == ()
    )
    project.on_branch(made.branch, {"shells/towpath.yaml": "name: shells\nstages: [dev, prod]\n"})
    (fault,) = promotion.check_promotion_branch(
        Workspace(project.root / "shells"), "main", made.branch
    ).faults
    assert "changes shells/towpath.yaml, by which it is judged" in fault.what
