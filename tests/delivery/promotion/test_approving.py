"""Approving without a forge: a merge by another, signed or recorded, and all that stops it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from promotion_project import POLICY, Project
from towpath import registry
from towpath.delivery import promotion
from towpath.delivery.promotion.main_line_approvals import ApprovalRule
from towpath.delivery.promotion.promotion_approval import PromotionApproval, reaches_level
from towpath.delivery.promotion.rulebook import least_level
from towpath.errors import Refused, RegistryError, UsageError

DEV = "promote/abalone-v1.0.0-dev"
STAGE_FILE = "registry/stages/dev/abalone.yaml"


def proposed(project: Project, key: str = "first", **facts: object) -> str:
    """The branch of a promotion to dev."""
    project.register(key, **facts)
    return promotion.propose_promotion(project.workspace, "abalone@latest", "dev").branch


def found(project: Project) -> PromotionApproval:
    """How the last promotion on main was approved."""
    last = registry.read_promotions(project.repository)[-1]
    return ApprovalRule(project.repository, last.commit).judge(last).approval


def key_of(project: Project, folder: Path, who: str) -> str:
    """An SSH key of somebody, with which Git signs here; its line for allowed_signers."""
    file = folder / who
    words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", who, "-f", str(file)]
    subprocess.run(words, check=True)
    project.git("config", "gpg.format", "ssh")
    project.git("config", "user.signingkey", f"{file}.pub")
    kind, key, _ = (folder / f"{who}.pub").read_text().split(" ", 2)
    return f"{who}@example.org {kind} {key}\n"


def test_a_merge_that_says_who_made_it(project: Project) -> None:
    branch = proposed(project)
    head = project.git("rev-parse", branch)
    project.be("bo")
    done = promotion.approve_promotion(project.workspace, branch)
    assert (done.level, done.by) == ("recorded", "Bo Diddley <bo@example.org>")
    assert project.git("rev-parse", "HEAD", "HEAD^2").split() == [done.commit, head]
    assert (project.root / STAGE_FILE).exists()
    assert project.git("status", "--porcelain") == ""
    assert not project.has(branch)
    trailers = project.git("log", "-1", "--format=%(trailers:only)").splitlines()
    sha256 = registry.get_version(project.repository, "abalone@v1.0.0").record.sha256
    assert trailers == [
        "Promotion: abalone@v1.0.0 -> dev",
        f"Digest: abalone@v1.0.0 sha256:{sha256}",
        "Approved-by: Bo Diddley <bo@example.org>",
        "Approval: recorded",
    ]
    by = found(project)
    assert (by.level, by.by) == ("recorded", ("Bo Diddley <bo@example.org>",))
    assert by.evidence == "registry/evidence/abalone/v1.0.0-dev.md"
    assert registry.read_promotions(project.repository)[-1].head == head


def test_nobody_approves_what_they_made(project: Project) -> None:
    branch = proposed(project)
    main = project.git("rev-parse", "main")
    with pytest.raises(Refused, match=r"ada@example\.org made abalone@v1\.0\.0 -> dev, and the"):
        promotion.approve_promotion(project.workspace, branch)
    assert project.git("rev-parse", "main") == main
    project.git("merge", "-q", "--no-ff", branch)  # as Git alone would let her
    by = found(project)
    assert (by.level, by.why) == ("none", "who made it merged it")


def test_a_project_of_one_may_allow_it(project: Project) -> None:
    project.commit({"towpath.yaml": POLICY + "policy: {self_approval: true}\n"})
    done = promotion.approve_promotion(project.workspace, proposed(project))
    assert done.level == found(project).level == "recorded"


def test_from_another_branch_with_changes_in_the_way_of_nothing(project: Project) -> None:
    branch = proposed(project)
    project.git("checkout", "-qb", "work")
    project.write("steps.py", "half = 'done'\n")
    project.be("bo")
    done = promotion.approve_promotion(project.workspace, branch)
    assert project.git("rev-parse", "main") == done.commit
    assert project.git("status", "--porcelain") == "M steps.py"
    assert project.git("branch", "--show-current") == "work"


def test_on_main_with_changes_beside_and_in_the_way(project: Project) -> None:
    branch = proposed(project)
    project.be("bo")
    project.write("steps.py", "half = 'done'\n")
    project.write(STAGE_FILE, "mine\n")
    main = project.git("rev-parse", "main")
    with pytest.raises(RegistryError, match=r"dev/abalone\.yaml would be overwritten"):
        promotion.approve_promotion(project.workspace, branch)
    assert project.git("rev-parse", "main") == main
    assert (project.root / STAGE_FILE).read_text() == "mine\n"
    project.write(STAGE_FILE, None)
    promotion.approve_promotion(project.workspace, branch)
    assert project.git("status", "--porcelain") == "M steps.py"


def test_two_rivals(project: Project) -> None:
    one = proposed(project)
    other = proposed(project, "second", parameters={})
    project.be("bo")
    promotion.approve_promotion(project.workspace, one)
    main = project.git("rev-parse", "main")
    said = r"dev runs abalone@v1\.0\.0 by now, and this replaces none \(another promotion was quick"
    with pytest.raises(Refused, match=said):
        promotion.approve_promotion(project.workspace, other)
    assert project.git("rev-parse", "main") == main
    assert project.git("status", "--porcelain") == ""
    with pytest.raises(UsageError, match="makes another change"):
        promotion.propose_promotion(project.workspace, "abalone@v1.1.0", "dev")
    promotion.reject_promotion(project.workspace, other, "late")
    assert promotion.propose_promotion(project.workspace, "abalone@v1.1.0", "dev").branch == other


def test_two_models_at_once_are_no_rivals(project: Project) -> None:
    one = proposed(project)
    project.register("trout", model="trout")
    other = promotion.propose_promotion(project.workspace, "trout@v1.0.0", "dev").branch
    project.be("bo")
    promotion.approve_promotion(project.workspace, one)
    promotion.approve_promotion(project.workspace, other)
    assert len(registry.read_stage_files(project.repository).wanted) == 2


def test_two_who_approve_at_once(project: Project) -> None:
    """Neither merge is lost, whoever is quicker."""
    project.commit({"towpath.yaml": POLICY + "policy: {self_approval: true}\n"})
    names = []
    for model in ("abalone", "trout", "perch"):
        project.register(model, model=model)
        names.append(
            promotion.propose_promotion(project.workspace, f"{model}@v1.0.0", "dev").branch
        )
    call = [sys.executable, "-m", "towpath", "-C", str(project.root), "approve"]
    doing = [subprocess.Popen([*call, name], stderr=subprocess.PIPE) for name in names]
    assert [one.wait() for one in doing] == [0, 0, 0], [one.communicate() for one in doing]
    assert len(registry.read_stage_files(project.repository).wanted) == 3
    assert len(registry.read_promotions(project.repository)) == 3
    assert project.git("status", "--porcelain") == ""


def test_what_waits_and_what_is_put_away(project: Project) -> None:
    branch = proposed(project)
    assert [one.branch for one in promotion.find_waiting_promotions(project.workspace)] == [branch]
    promotion.reject_promotion(project.workspace, branch, "not now")
    assert promotion.find_waiting_promotions(project.workspace) == ()
    with pytest.raises(UsageError, match="there is no promotion"):
        promotion.reject_promotion(project.workspace, branch, "not now")
    with pytest.raises(UsageError, match=r"`main` is no promotion's branch"):
        promotion.reject_promotion(project.workspace, "main", "not now")
    with pytest.raises(UsageError, match="no pull request has a number"):
        promotion.approve_promotion(project.workspace, "12")
    other = proposed(project, "second", parameters={})
    with pytest.raises(UsageError, match=rf"did you mean `{other}`"):
        promotion.approve_promotion(project.workspace, "promote/abalone-v1.0.0-prod")


def test_a_stage_that_asks_for_the_forge(project: Project) -> None:
    branch = proposed(project)
    project.commit({"towpath.yaml": POLICY + "policy: {approval: forge}\n"})
    project.be("bo")
    with pytest.raises(Refused, match=r"abalone@v1\.0\.0 -> dev needs an approval at the forge"):
        promotion.approve_promotion(project.workspace, branch)


def test_signed(project: Project, tmp_path: Path) -> None:
    ada = key_of(project, tmp_path, "ada")
    project.git("config", "--unset", "user.signingkey")
    project.commit({"towpath.yaml": POLICY + "policy: {approval: signed}\n"})
    with pytest.raises(UsageError, match=r"an unsigned promotion is nobody's .*user\.signingkey"):
        proposed(project)
    project.git("config", "user.signingkey", f"{tmp_path / 'ada.pub'}")
    branch = promotion.propose_promotion(project.workspace, "abalone@latest", "dev").branch
    project.be("bo")
    project.git("config", "--unset", "user.signingkey")
    with pytest.raises(UsageError, match=r"does not know with which SSH key .*user\.signingkey"):
        promotion.approve_promotion(project.workspace, branch)
    line = key_of(project, tmp_path, "bo")
    main = project.git("rev-parse", "main")
    with pytest.raises(Refused, match=r"none of registry/allowed_signers's .*on main"):
        promotion.approve_promotion(project.workspace, branch)
    assert project.git("rev-parse", "main") == main
    project.commit({"registry/allowed_signers": ada + line})

    done = promotion.approve_promotion(project.workspace, branch)

    assert (done.level, project.git("rev-parse", "main")) == ("signed", done.commit)
    by = found(project)
    assert (by.level, by.by) == ("signed", ("bo@example.org",))
    assert reaches_level(by, least_level(project.workspace.project, "dev"))
    assert not reaches_level(by, "forge")


def test_an_author_cannot_sign(project: Project, tmp_path: Path) -> None:
    line = key_of(project, tmp_path, "ada")
    project.commit({"registry/allowed_signers": line})
    branch = proposed(project)
    with pytest.raises(Refused, match=r"ada@example\.org made abalone@v1\.0\.0 -> dev"):
        promotion.approve_promotion(project.workspace, branch, sign=True)


def test_a_signature_of_a_stranger_is_none(project: Project, tmp_path: Path) -> None:
    project.commit({"registry/allowed_signers": key_of(project, tmp_path, "bo")})
    branch = proposed(project)
    project.be("bo")
    key_of(project, tmp_path, "mallory")
    project.git("merge", "-q", "-S", "--no-ff", branch)
    by = found(project)
    assert by.level == "recorded"
    assert by.why == "its signature is none of registry/allowed_signers's"


def test_signers_whom_the_policy_does_not_name(project: Project, tmp_path: Path) -> None:
    policy = "name: abalone\nstages:\n  dev: {approvers: [eve@example.org], approval: signed}\n"
    line = key_of(project, tmp_path, "bo")
    project.commit({"towpath.yaml": policy, "registry/allowed_signers": line})
    branch = proposed(project)
    project.be("bo")
    with pytest.raises(Refused, match=r"bo@example\.org signed it, whom the policy does not name"):
        promotion.approve_promotion(project.workspace, branch)


def test_signers_that_a_promotion_brings_along(project: Project, tmp_path: Path) -> None:
    """The signers are those before the merge: nobody is let in by the merge that adds them."""
    branch = proposed(project)
    line = key_of(project, tmp_path, "bo")
    project.git("checkout", "-q", branch)
    project.commit({"registry/allowed_signers": line})
    project.git("checkout", "-q", "main")
    project.be("bo")
    with pytest.raises(Refused, match=r"changes registry/allowed_signers, by which it is judged"):
        promotion.approve_promotion(project.workspace, branch)
    project.git("merge", "-q", "-S", "--no-ff", branch)
    assert found(project).level == "none"
    assert "also changed registry/allowed_signers" in found(project).why


def test_a_commit_by_hand_is_approved_by_nobody(project: Project) -> None:
    branch = proposed(project)
    project.git("merge", "-q", "--squash", branch)
    project.git("commit", "-qm", "by hand\n\nApproved-by: Bo Diddley <bo@example.org>")
    assert found(project).level == "none"


def test_a_remote_without_a_forge(project: Project, tmp_path: Path) -> None:
    origin = tmp_path / "origin.git"
    project.register()
    project.git("clone", "-q", "--bare", ".", str(origin))
    project.git("remote", "add", "origin", str(origin))
    project.git("fetch", "-q", "origin")
    made = promotion.propose_promotion(project.workspace, "abalone@v1.0.0", "dev", push=True)
    assert made.pushed
    assert project.git("ls-remote", "origin", made.branch).startswith(str(made.head))

    subprocess.run(["git", "clone", "-q", str(origin), str(tmp_path / "bo")], check=True)
    bo = Project(tmp_path / "bo").be("bo")
    done = promotion.approve_promotion(bo.workspace, made.branch, push=True)
    assert done.pushed
    assert bo.git("ls-remote", "origin", "main").startswith(str(done.commit))
    project.commit({"steps.py": "mine = 1\n"})
    project.git("fetch", "-q")
    with pytest.raises(RegistryError, match="main here and origin's have parted"):
        promotion.approve_promotion(project.workspace, made.branch)
