"""Attacks by rules that stand on main and that nobody agreed to: nothing that they say is done.

Mallory may push to main. Until those who had to agree have, no server of theirs is asked, no store
of theirs opened, no gate of theirs run, and nobody signs what they have not seen.
"""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import approval_world
import pytest
from approval_world import POLICY, SIGNERS, Clone, clone
from msgspec.structs import replace

import promotion_project
from command_line import call_towpath
from towpath import registry
from towpath.audit.verification import verify_registry
from towpath.backends.dvc import Store, initialise_store
from towpath.backends.git import Repository
from towpath.backends.github.connect_forge import connect_forge
from towpath.delivery import promotion, reconcile
from towpath.delivery.promotion.main_line_approvals import ApprovalRule
from towpath.delivery.promotion.promotion_check import check_promotion_branch
from towpath.delivery.promotion.promotion_review import review_promotion
from towpath.delivery.promotion.ratify_rules import ratify_rules
from towpath.delivery.promotion.rules_in_force import connect_forge_in_force, connect_to_set_up
from towpath.doctor import environment_checks, stage_checks
from towpath.errors import Refused, UsageError, UserError
from towpath.registry import RecordedCode, Registration
from towpath.workspace import Workspace

if TYPE_CHECKING:
    from github_server import GitHubServer

NAME = "acme/abalone"
BRANCH = "promote/abalone-v1.0.0-prod"
AGREED = "towpath approve --rules shows it"


def lower(made: Clone, text: str) -> None:
    """Mallory changes the declaration, on main and on the remote."""
    made.be("mallory").write("towpath.yaml", text)
    made.commit("Tweak")
    made.git("push", "-q", "origin", "main")


def command(made: Clone, *words: str) -> tuple[int, str]:
    """A command's exit code, and all that it says."""
    done = call_towpath(made.root, *words)
    return done.returncode, done.stdout + done.stderr


# Gates


def test_promote_runs_no_gate_that_nobody_agreed_to(ada: Clone) -> None:
    gate = "prod: {approval: recorded, gates: {x: {kind: metric, metric: mse, at_most: 0.0}}}"
    lower(ada, POLICY.replace("prod: {approval: signed}", gate))
    with pytest.raises(Refused) as refusal:
        promotion.propose_promotion(ada.be("ada").workspace, "abalone@v1.0.0", "prod")
    [fault] = refusal.value.faults
    assert (str(fault.place), str(fault.hint)[: len(AGREED)]) == ("towpath.yaml", AGREED)
    assert ada.git("branch", "--list", "promote/*") == ""


def test_check_judges_no_gate_that_nobody_agreed_to(ada: Clone) -> None:
    ada.promote("abalone@v1.0.0")
    gate = "prod: {approval: signed, gates: {x: {kind: metric, metric: mse, at_most: 100.0}}}"
    lower(ada, POLICY.replace("prod: {approval: signed}", gate))
    checked = check_promotion_branch(ada.workspace, head=BRANCH)
    assert [str(fault.place) for fault in checked.unsound] == ["towpath.yaml"]
    assert [one.verdicts for one in checked.judged] == [()]
    with pytest.raises(Refused, match="changed in"):
        ada.approve(BRANCH)
    ratify_rules(ada.be("bo").workspace)
    ratify_rules(ada.be("ada").workspace)
    checked = check_promotion_branch(ada.workspace, head=BRANCH)
    assert [v.gate for one in checked.judged for v in one.verdicts] == ["x"]


def test_a_page_names_first_what_approving_would_be_refused_for(ada: Clone) -> None:
    ada.promote("abalone@v1.0.0")
    repository = Repository.open(ada.root)
    assert review_promotion(repository, "", ada.head(), ada.head(BRANCH)).faults == ()
    ada.git("checkout", "-q", BRANCH)
    ada.git("commit", "-q", "--amend", "--no-gpg-sign", "--no-edit")
    ada.git("checkout", "-q", "main")
    [unsigned] = review_promotion(repository, "", ada.head(), ada.head(BRANCH)).faults
    assert unsigned.what.startswith("prod asks for a signature")
    lower(ada, f"{POLICY}description: shells\n")
    [fault] = review_promotion(repository, "", ada.head(), ada.head(BRANCH)).faults
    assert (str(fault.place), str(fault.hint)[: len(AGREED)]) == ("towpath.yaml", AGREED)
    with pytest.raises(Refused) as refusal:
        ada.approve(BRANCH)
    assert fault in refusal.value.faults


# Stores


def test_no_store_is_opened_that_nobody_agreed_to(ada: Clone, tmp_path: Path) -> None:
    ada.approve(ada.promote("abalone@v1.0.0"), push=True)
    assert ada.reconcile() == 0
    evil = tmp_path / "evil"
    evil.mkdir()
    (evil / "towpath").write_text("a store that is opened says that this is no folder")
    lower(ada, POLICY.replace("{approval: signed}", f"{{approval: signed, store: {evil}}}"))
    before = sorted(evil.rglob("*"))
    for act in (reconcile.reconcile_stage, reconcile.plan_stage):
        for offline in (False, True):
            with pytest.raises(Refused, match="without an approval"):
                act(ada.workspace, "prod", reconcile.ReconcileOptions(offline=offline))
    doctor = [
        str(one)
        for one in stage_checks.examine_stage_stores(ada.workspace, ada.workspace.policy, {})
    ]
    assert len(doctor) == 1
    assert "without an approval" in doctor[0]
    verified = verify_registry(ada.workspace)
    assert not any(str(evil) in str(one) for one in (*verified.findings, *verified.unchecked))
    assert sorted(evil.rglob("*")) == before


def test_a_clone_that_saw_the_rules_before_they_were_agreed_to(ada: Clone) -> None:
    """What is looked at before the lease is held is not what main says by now."""
    ada.approve(ada.promote("abalone@v1.0.0"), push=True)
    assert ada.reconcile() == 0
    bo = clone(ada, "bo", "bo")
    ada.write("towpath.yaml", f"{POLICY}description: shells\n")
    ada.be("ada").commit("Describe it", "-S")
    ada.git("push", "-q", "origin", "main")
    bo.git("pull", "-q")
    ratify_rules(ada.be("bo").workspace, push=True)
    assert bo.reconcile() == 0


# Agreeing


def test_nobody_signs_what_came_a_moment_ago(ada: Clone) -> None:
    """Ada describes the project; Bo reads that, and Mallory pushes herself among the signers."""
    bo = clone(ada, "bo", "bo")
    ada.write("towpath.yaml", f"{POLICY}description: shells\n")
    ada.commit("Describe it", "-S")
    ada.git("push", "-q", "origin", "main")
    bo.git("pull", "-q")
    ada.be("mallory").write(SIGNERS, ada.line("ada") + ada.line("bo") + ada.line("mallory"))
    ada.commit("Me too")
    ada.git("push", "-q", "origin", "main")
    for paths in ((), (SIGNERS,)):
        with pytest.raises(Refused, match="main went on"):
            ratify_rules(bo.workspace, paths, push=True)
    assert bo.head() != ada.head()
    assert ratify_rules(bo.workspace, ["towpath.yaml"], push=True).waits is None
    rule = ApprovalRule(Repository.open(bo.root), bo.head("origin/main"))
    assert tuple(rule.rules.due) == (SIGNERS,)


def test_rules_are_shown_before_they_are_agreed_to(ada: Clone) -> None:
    lower(ada, POLICY.replace("prod: {approval: signed}", "prod: {approval: recorded}"))
    before = ada.be("bo").head()
    code, said = command(ada, "approve", "--rules")
    assert (code, ada.head()) == (4, before)
    assert f"towpath.yaml, changed in {before[:7]} by Mallory <mallory@example.org>" in said
    assert "-  prod: {approval: signed}\n+  prod: {approval: recorded}\n" in said
    assert "next    towpath approve --rules towpath.yaml\n" in said
    code, said = command(ada, "approve", "--rules", "towpath.yml")
    assert (code, ada.head()) == (2, before)
    assert "`towpath.yml` is no rule that waits for an agreement" in said
    assert "towpath.yaml" in said
    code, said = command(ada, "approve", "--rules", "towpath.yaml")
    assert code == 4, said  # nobody signed the change: another has to agree as well
    assert ada.head() != before
    assert command(ada.be("ada"), "approve", "--rules", "towpath.yaml")[0] == 0
    assert command(ada, "approve", "--rules")[0] == 0
    assert tuple(ada.rule.rules.due) == ()


# The forge


@pytest.fixture
def evil(
    github: GitHubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[GitHubServer]:
    """A server of Mallory's own; which one is asked is left to the declaration."""
    from github_server import GitHubServer

    server = GitHubServer(tmp_path / "evil")
    monkeypatch.delenv("GITHUB_API_URL")
    github.person("mallory")
    server.person("ada")
    with server.running():
        yield server


def declaration(api: str, name: str = NAME, approvers: str = "") -> str:
    levels = f"stages:\n  dev: {{approval: forge{approvers}}}\n  prod: {{approval: forge}}\n"
    named = f'forge: {{kind: github, repository: {name}, api: "{api}"}}\n'
    return f"name: abalone\n{levels}{named}"


OWNERS = "/registry/stages/*/abalone.yaml @bo\n"


def begin_at(github: GitHubServer, root: Path, text: str) -> promotion_project.Project:
    """A project at a forge, whose v1.0.0 Bo approved for dev."""
    project = promotion_project.begin(root, text)
    project.commit({"CODEOWNERS": OWNERS})
    name, mail = github.person("ada").author
    project.git("config", "user.name", name)
    project.git("config", "user.email", mail)
    project.register()
    project.register("second")
    project.git("remote", "add", "origin", github.remote(NAME))
    project.git("push", "-q", "-u", "origin", "main", "--tags")
    promotion.propose_promotion(project.workspace, "abalone@v1.0.0", "dev")
    merge(github, project, 1)
    return project


def merge(github: GitHubServer, project: promotion_project.Project, number: int) -> None:
    """Bo approves a pull request, and Ada presses the button."""
    hosted = github.repository(NAME)
    pull = hosted.pull(number)
    text = f"name: a\nforge: {{kind: github, repository: {NAME}}}\n"
    from towpath.config.project_declaration import parse_project

    bo = connect_forge(parse_project(text), environ=github.environ("bo"))
    assert bo
    bo.approve(number, pull.head)
    github.merge(hosted, pull, github.person("ada"), "merge")
    project.git("checkout", "-q", "main")
    project.git("pull", "-q", "origin", "main")


def propose(
    project: promotion_project.Project, files: dict[str, str | None], branch: str = "rules"
) -> int:
    """A pull request of Ada's; its number."""
    project.git("checkout", "-q", "-B", branch, "main")
    project.commit(files, "Change the rules")
    project.git("push", "-qf", "origin", branch)
    found = connect_forge_in_force(project.workspace)
    assert found
    return found.open(branch, "main", "Change the rules", "").number


def test_the_forge_that_mallory_names_is_not_asked(
    github: GitHubServer, evil: GitHubServer, tmp_path: Path
) -> None:
    project = begin_at(github, tmp_path / "abalone", declaration(github.url))
    project.commit({"towpath.yaml": declaration(evil.url)}, "Move the API")
    project.git("push", "-q", "origin", "main")
    with pytest.raises(Refused, match="GitHub knows no merged pull request of it"):
        promotion.propose_promotion(project.workspace, "abalone@v1.0.1", "dev")
    with pytest.raises(Refused, match="GitHub knows no merged pull request of it"):
        reconcile.plan_stage(project.workspace, "dev")
    assert [
        one.fault.place
        for one in verify_registry(project.workspace).findings
        if one.check == "rules"
    ]
    assert promotion.find_waiting_promotions(project.workspace) == ()
    assert list(
        environment_checks.examine_forge(
            project.workspace, github.environ("ada") | {"GITHUB_API_URL": ""}
        )
    )
    assert evil.requests == []


def test_no_token_is_sent_to_an_address_that_is_in_no_rule(
    evil: GitHubServer, tmp_path: Path
) -> None:
    """A branch that somebody checked out says where the forge is, or an edit that is on none."""
    project = promotion_project.begin(tmp_path / "abalone", "name: abalone\nstages: {dev: {}}\n")
    project.write("towpath.yaml", declaration(evil.url))
    with pytest.raises(UserError, match="nobody agreed to the address"):
        connect_to_set_up(project.workspace)
    assert connect_forge_in_force(project.workspace) is None
    assert evil.requests == []


def test_a_forge_that_was_moved_by_a_review_at_the_one_before(
    github: GitHubServer, evil: GitHubServer, tmp_path: Path
) -> None:
    """Which forge is named is agreed to as every rule is, at the forge that was named until then:
    the owners are named by the model, as in many a CODEOWNERS."""
    project = begin_at(github, tmp_path / "abalone", declaration(github.url))
    moved = declaration(evil.url, "acme/shells")
    merge(github, project, propose(project, {"towpath.yaml": moved}))
    found = connect_forge_in_force(project.workspace)
    assert found
    assert (found.repository, evil.requests) == ("acme/shells", [])
    assert found.user() == "ada"
    assert len(evil.requests) == 1
    rule = ApprovalRule(project.repository, project.git("rev-parse", "main"), "", found)
    assert rule.unsound_faults() == ()
    assert [(c.level, c.by) for c in rule.rules.changes][-1] == ("forge", ("bo",))


def test_owners_by_model_agree_to_a_rule(github: GitHubServer, tmp_path: Path) -> None:
    project = begin_at(github, tmp_path / "abalone", declaration(github.url))
    text = f"{declaration(github.url)}description: shells\n"
    merge(github, project, propose(project, {"towpath.yaml": text}))
    rule = ApprovalRule(
        project.repository,
        project.git("rev-parse", "main"),
        "",
        connect_forge_in_force(project.workspace),
    )
    assert rule.unsound_faults() == ()
    assert rule.rules.changes[-1].by == ("bo",)
    unasked = replace(rule, forge=None).unasked_faults()
    assert [str(fault.place) for fault in unasked] == ["towpath.yaml"]
    with pytest.raises(Refused, match="the forge was not asked"):
        reconcile.plan_stage(project.workspace, "dev", reconcile.ReconcileOptions(offline=True))


def test_what_only_a_forge_proves_is_asked_again(
    github: GitHubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its hint brings a token of GitHub's own program, here one that prints Ada's."""
    project = begin_at(github, tmp_path / "abalone", declaration(github.url))
    text = f"{declaration(github.url)}description: shells\n"
    merge(github, project, propose(project, {"towpath.yaml": text}))
    monkeypatch.delenv("GITHUB_TOKEN")
    with pytest.raises(Refused, match="the forge was not asked") as refused:
        reconcile.plan_stage(project.workspace, "dev", reconcile.ReconcileOptions(offline=True))
    command, _, rest = str(refused.value.faults[0].hint).partition("; then ")
    assert "without --offline" in rest
    program = tmp_path / "gh"
    program.write_text(
        f"#!/bin/sh\n[ \"$*\" = 'auth token' ] && echo {github.person('ada').token}\n"
    )
    program.chmod(0o755)
    line = f"PATH={tmp_path}:$PATH; {command}; printenv GITHUB_TOKEN"
    token = subprocess.run(line, shell=True, capture_output=True, text=True, check=True).stdout
    monkeypatch.setenv("GITHUB_TOKEN", token.strip())
    assert reconcile.plan_stage(project.workspace, "dev").stage == "dev"


# The ladder


def test_nothing_climbs_over_what_only_a_forge_could_prove(
    ada: Clone, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A forge is declared, and not asked: Git alone proves no approval of what Mallory merged."""
    for name in ("GITHUB_TOKEN", "GH_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    named = "forge: {kind: github, repository: acme/abalone}\n"
    levels = "stages:\n  dev: {approval: signed}\n  prod: {approval: signed}\n"
    ada.write("towpath.yaml", f"name: abalone\n{levels}{named}")
    ada.commit("A ladder", "-S")
    ratify_rules(ada.be("bo").workspace, push=False)
    branch = promotion.propose_promotion(
        ada.be("mallory").workspace, "abalone@v1.0.0", "dev", push=False
    )
    words = "Promote\n\nPromotion: abalone@v1.0.0 -> dev\nApproval: signed"
    ada.git("merge", "-q", "--no-ff", "-m", words, branch.branch)
    ada.git("push", "-q", "origin", "main")
    with pytest.raises(
        UsageError, match=r"as far as Git alone proves it; .* the forge was not asked"
    ):
        promotion.propose_promotion(ada.be("ada").workspace, "abalone@v1.0.0", "prod", push=False)
    with pytest.raises(UsageError, match="could not be asked"):
        promotion.propose_rollback(ada.workspace, "abalone", "dev", push=False)


# Several projects


def test_a_promotion_is_judged_by_the_rules_of_its_own_project(ada: Clone) -> None:
    """Of two projects one asks for a signature, and Mallory works in the other's folder."""
    for folder, level in (("a", "recorded"), ("b", "signed")):
        (ada.root / folder).mkdir()
        initialise_store(ada.root / folder)
        ada.write(
            f"{folder}/towpath.yaml",
            f"name: {folder}\nstages: {{prod: {{approval: {level}}}}}\n"
            f"policy: {{ladder: false, self_approval: {str(folder == 'a').lower()}}}\n",
        )
    ada.git("rm", "-q", "towpath.yaml")
    ada.commit("Two projects", "-S")
    for folder in ("a", "b"):
        ratify_rules(Workspace(ada.be("bo").root / folder))
    register_in(ada.be("ada"), "b", "bean")
    branch = promotion.propose_promotion(Workspace(ada.root / "b"), "bean@v1.0.0", "prod")
    ada.git("switch", "-q", branch.branch)
    ada.git("commit", "-q", "--amend", "--no-edit", "--no-gpg-sign")
    ada.git("switch", "-q", "main")
    ada.be("mallory")
    for folder in ("a", "b"):
        workspace = Workspace(ada.root / folder)
        faults = check_promotion_branch(workspace, head=branch.branch).faults
        assert any("prod asks for a signature" in fault.what for fault in faults), folder
        with pytest.raises(Refused, match="prod asks for a signature"):
            promotion.approve_promotion(workspace, branch.branch)


def register_in(made: Clone, folder: str, model: str) -> None:
    """A version of a model of a project in a folder."""
    path = f"{folder}/artifacts/training/train/model.bin"
    made.write(path, model)
    record = approval_world.draft(
        key=hashlib.sha256(model.encode()).hexdigest(),
        artifact=Store(made.root / folder).put(made.root / path),
        sha256=hashlib.sha256(model.encode()).hexdigest(),
        path=path,
        kind="bin",
        code=RecordedCode(made.head("HEAD")),
        model=model,
    )
    files = {"dvc.yaml": b"stages: {}\n", "dvc.lock": b"schema: '2.0'\n"}
    registry.register_version(
        Repository.open(made.root), Registration(record, made.head("HEAD"), files)
    )
    registry.publish_registry(Repository.open(made.root))
    subprocess.run(["git", "-C", str(made.root), "checkout", "-q", "--", "."], check=True)
