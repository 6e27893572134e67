"""Faults about main: which branch it is, what it held, whose files say so, and by which clock."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest
from approval_world import POLICY, SIGNERS, Clone, begin, clone, make_keys
from msgspec.structs import replace

from promotion_project import draft
from towpath import registry
from towpath.audit.verification import verify_registry
from towpath.backends.dvc import Store, initialise_store
from towpath.backends.git import Repository, commit_history, main_branch
from towpath.delivery import promotion
from towpath.delivery.promotion import main_line_approvals
from towpath.delivery.promotion.main_line_approvals import ApprovalRule
from towpath.delivery.promotion.ratify_rules import ratify_rules
from towpath.delivery.promotion.rule_changes import ALONE
from towpath.errors import Refused
from towpath.registry import RecordedCode, Registration
from towpath.workspace import Workspace

RECORDED = """\
name: a
stages:
  dev: {}
  prod: {}
policy: {ladder: false, self_approval: true}
"""
SIGNED = """\
name: b
stages:
  dev: {}
  prod: {approval: signed}
policy: {ladder: false}
"""


def _register(made: Clone, folder: str, model: str) -> None:
    content = model.encode()
    path = f"{folder}/artifacts/training/train/model.bin"
    made.write(path, model)
    record = draft(
        key=content.hex(),
        artifact=Store(made.root / folder).put(made.root / path),
        sha256=hashlib.sha256(content).hexdigest(),
        path=path,
        kind="bin",
        code=RecordedCode(made.head("HEAD")),
        parameters={"content": model},
        model=model,
    )
    record = replace(record, key=hashlib.sha256(content).hexdigest())
    files = {"dvc.yaml": b"stages: {}\n", "dvc.lock": b"schema: '2.0'\n"}
    registry.register_version(
        Repository.open(made.root), Registration(record, made.head("HEAD"), files)
    )


def _begin_two(root: Path) -> Clone:
    """Two projects, one at level ``recorded`` and one at ``signed``, with none in the Git root."""
    keys = make_keys(root / "keys")
    origin = root / "mono.git"
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(origin)], check=True)
    subprocess.run(
        ["git", "clone", "-q", str(origin), str(root / "mono")], check=True, capture_output=True
    )
    made = Clone(root / "mono", keys).be("ada")
    made.git("symbolic-ref", "HEAD", "refs/heads/main")
    for folder, policy in (("a", RECORDED), ("b", SIGNED)):
        made.write(f"{folder}/towpath.yaml", policy)
        made.write(f"{folder}/.gitignore", "/.towpath/\n/artifacts/\n")
        initialise_store(made.root / folder)
    made.write(SIGNERS, made.line("ada") + made.line("bo"))
    made.commit("Two projects")
    made.git("push", "-q", "-u", "origin", "main")
    _register(made, "a", "apple")
    _register(made, "b", "bean")
    registry.publish_registry(Repository.open(made.root))
    return made


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two worlds: a signed project, and two projects side by side."""
    from own_home import MAIN, move_in

    folder = tmp_path_factory.mktemp("main-line")
    with pytest.MonkeyPatch.context() as patch:
        move_in(folder / "home", MAIN, patch)
        (folder / "one").mkdir()
        begin(folder / "one" / "abalone", make_keys(folder / "one" / "keys"))
        (folder / "two").mkdir()
        _begin_two(folder / "two")
    return folder


def _copy(worlds: Path, into: Path, world: str, name: str) -> Clone:
    shutil.copytree(worlds / world, into / world, symlinks=True)
    made = Clone(into / world / name, into / world / "keys").be("ada")
    made.git("remote", "set-url", "origin", str(into / world / f"{name}.git"))
    return made


@pytest.fixture
def ada(worlds: Path, tmp_path: Path) -> Clone:
    """A signed project in Ada's hands."""
    return _copy(worlds, tmp_path, "one", "abalone")


@pytest.fixture
def mono(worlds: Path, tmp_path: Path) -> Clone:
    """Two projects in Ada's hands."""
    return _copy(worlds, tmp_path, "two", "mono")


def _at(made: Clone, folder: str) -> Workspace:
    return Workspace(made.root / folder)


def _findings(made: Clone, folder: str = "") -> list[str]:
    found = verify_registry(_at(made, folder), offline=True).findings
    return [f"{one.fault.place}: {one.fault.what}" for one in found]


def _redirect(made: Clone, path: str, text: str) -> str:
    """Mallory has a file say that her own branch is main; the commit of the true one."""
    made.be("mallory").git("branch", "-q", "trunk")
    made.write(path, f"{text}main: trunk\n")
    commit = made.commit("Tidy up")
    made.git("push", "-q", "origin", "main", "trunk")
    return commit


@pytest.mark.parametrize(
    ("path", "text"), [("zzz/towpath.yaml", "name: z\n"), ("a/towpath.yaml", RECORDED)]
)
def test_no_other_project_says_which_branch_is_main(mono: Clone, path: str, text: str) -> None:
    """A new project, or one whose rules anybody may change, redirects nobody."""
    commit = _redirect(mono, path, text)
    mono.be("ada")
    with pytest.raises(Refused, match=rf"{path}: it says who may approve.*`trunk` as main") as no:
        promotion.approve_promotion(
            _at(mono, "b"),
            promotion.propose_promotion(_at(mono, "b"), "bean@v1.0.0", "prod").branch,
        )
    assert "take `main: trunk` out of it" in str(no.value.faults[0].hint)
    found = verify_registry(_at(mono, "b"), offline=True)
    assert found.main == commit, "what nobody agreed to is not what is audited"
    assert found.redirect and (found.redirect.main, found.redirect.by) == ("trunk", ())
    assert [str(one.fault.place) for one in found.findings] == [path]


def test_a_redirected_main_s_hint_is_followed(mono: Clone) -> None:
    """`approve --rules` agrees to what is on main: here signers do it by hand, as is said."""
    _redirect(mono, "a/towpath.yaml", RECORDED)
    for person in ("bo", "ada"):
        [fault] = [one.fault for one in verify_registry(_at(mono, "b"), offline=True).findings]
        words = str(fault.hint).partition("on that branch: ")[2]
        subprocess.run(words, shell=True, cwd=mono.be(person).root, check=True)
        mono.git("push", "-q", "origin", "main")
    assert verify_registry(_at(mono, "b"), offline=True).findings == ()


def test_a_main_that_was_agreed_to_is_said_with_who_agreed(mono: Clone) -> None:
    commit = _redirect(mono, "a/towpath.yaml", RECORDED)
    message = "Agree\n\nRules: a/towpath.yaml\nApproval: signed\n"
    for person in ("bo", "ada"):
        mono.be(person).commit(message, "-S", "--allow-empty")
    mono.git("push", "-q", "origin", "main")
    found = verify_registry(_at(mono, "b"), offline=True)
    assert found.findings == ()
    assert found.redirect is not None
    assert (found.redirect.main, found.redirect.paths) == ("trunk", ("a/towpath.yaml",))
    assert found.redirect.by == ("bo@example.org",)
    assert found.main == mono.head("trunk") != commit


def test_a_main_that_is_taken_back_is_no_less_a_rule(mono: Clone) -> None:
    """Of a file that said it, as of one that says it, every project hears."""
    _redirect(mono, "a/towpath.yaml", RECORDED)
    message = "Agree\n\nRules: a/towpath.yaml\nApproval: signed\n"
    for person in ("bo", "ada"):
        mono.be(person).commit(message, "-S", "--allow-empty")
    mono.be("mallory").write("a/towpath.yaml", RECORDED)
    mono.commit("Back")
    rule = ApprovalRule(Repository.open(mono.root), mono.head(), "b")
    assert [str(fault.place) for fault in rule.rules.faults("b")] == ["a/towpath.yaml"]


def test_a_first_claim_needs_what_its_own_project_asks(mono: Clone) -> None:
    """A project at `recorded` stops none at `signed` beside it."""
    here = _at(mono, "a")
    promotion.approve_promotion(
        here, promotion.propose_promotion(here, "apple@v1.0.0", "dev").branch
    )
    assert _findings(mono, "a") == _findings(mono, "b") == []
    there = _at(mono, "b")
    branch = promotion.propose_promotion(there, "bean@v1.0.0", "prod").branch
    mono.be("bo")
    assert promotion.approve_promotion(there, branch).level == "signed"
    assert _findings(mono, "a") == _findings(mono, "b") == []


def test_a_claim_of_what_another_promoted_is_no_first_one(mono: Clone) -> None:
    there = _at(mono, "b")
    branch = promotion.propose_promotion(there, "bean@v1.0.0", "prod").branch
    mono.be("bo")
    promotion.approve_promotion(there, branch)
    mono.be("mallory").git("rm", "-rq", "registry/models/bean", "registry/stages/prod/bean.yaml")
    mono.commit("Away")
    mono.write("registry/models/bean/project.yaml", "project: a\n")
    mono.commit("Mine")
    rule = ApprovalRule(Repository.open(mono.root), mono.head(), "b")
    assert tuple(rule.rules.due) == ("registry/models/bean/project.yaml",)


def test_a_claim_by_a_plain_commit_for_a_signed_project_waits(mono: Clone) -> None:
    mono.be("mallory").write("registry/models/bean/project.yaml", "project: b\n")
    mono.commit("Theirs")
    rule = ApprovalRule(Repository.open(mono.root), mono.head(), "b")
    assert tuple(rule.rules.due) == ("registry/models/bean/project.yaml",)


def test_a_project_moved_from_among_others_keeps_its_policy(mono: Clone) -> None:
    """What it promoted before is judged by what it said then, its `self_approval` too."""
    here = _at(mono, "a")
    promotion.approve_promotion(
        here, promotion.propose_promotion(here, "apple@v1.0.0", "prod").branch
    )
    mono.git("mv", "a", "sub")
    mono.write("registry/models/apple/project.yaml", "project: sub\n")
    mono.commit("Move it", "-S")
    ratify_rules(_at(mono.be("bo"), "sub"))
    assert _findings(mono, "sub") == []
    rule = ApprovalRule(Repository.open(mono.root), mono.head(), "sub")
    judged = rule.judge(rule.log[0])
    assert (judged.needed, judged.approval.level) == ("recorded", "recorded")


def test_a_project_that_moved_alone_keeps_its_policy(ada: Clone) -> None:
    """The honest one of it: one person, who approves their own, moves the project."""
    ada.write("towpath.yaml", RECORDED)
    ada.commit("Alone", "-S")
    ratify_rules(ada.be("bo").workspace)
    ada.be("ada")
    promotion.approve_promotion(
        ada.workspace, promotion.propose_promotion(ada.workspace, "abalone@v1.0.0", "prod").branch
    )
    (ada.root / "sub").mkdir()
    ada.git("mv", "towpath.yaml", "sub/towpath.yaml")
    ada.commit("Move it")
    assert _findings(ada, "sub") == []


def test_a_commit_dated_ahead_holds_up_no_approval(ada: Clone) -> None:
    ada.write("notes.md", "x")
    ada.commit("Notes", at="2099-03-01T00:00:00Z")
    ada.approve(ada.promote("abalone@v1.0.0"))
    assert ada.judged().is_enough and ada.judged().backdated is None
    ada.be("ada").write("towpath.yaml", f"{POLICY}description: x\n")
    ada.commit("Describe", "-S", at="2099-03-02T00:00:00Z")
    ratified = ratify_rules(ada.be("bo").workspace)
    assert str(ratified.waits).endswith(f"bo@example.org {ALONE}")
    when = int(ada.git("log", "-1", "--format=%ct", "main"))
    assert when <= ada.rule.line.now


def test_a_clone_that_is_behind_is_told_to_fetch(ada: Clone) -> None:
    """It is no rewritten main, and nothing here takes the stage back."""
    ada.approve(ada.promote("abalone@v1.0.0"), push=True)
    behind = clone(ada, "behind", "bo")
    ada.approve(ada.promote("abalone@v1.1.0"))
    assert ada.reconcile() == 0
    with pytest.raises(Refused, match="it was not fetched yet, or never pushed") as refused:
        behind.reconcile(offline=True)
    hint = str(refused.value.faults[0].hint)
    assert "towpath fetch" in hint and "git push" in hint and "--accept" not in hint
    [told] = [what for what in behind.findings() if "this repository has no" in what]
    assert "rewritten" not in told


def test_a_stage_of_which_main_holds_no_promotion_is_asked_what_it_remembers(ada: Clone) -> None:
    before = ada.head()
    ada.approve(ada.promote("abalone@v1.0.0"))
    assert ada.reconcile() == 0
    ada.be("mallory").git("reset", "-q", "--hard", before)
    ada.write("notes.md", "x")
    ada.commit("Notes")
    ada.git("push", "-q", "--force", "origin", "main")
    assert any("it was rewritten" in what for what in ada.findings())


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("grep.patternType", "fixed"),
        ("grep.patternType", "perl"),
        ("grep.extendedRegexp", "true"),
        ("gpg.minTrustLevel", "ultimate"),
        ("gpg.format", "openpgp"),
        ("gpg.ssh.program", "false"),
        ("gpg.ssh.allowedSignersFile", "/nowhere"),
        ("submodule.recurse", "true"),
    ],
)
def test_no_setting_of_a_reader_says_who_agreed(agreed: Clone, key: str, value: str) -> None:
    plain = _answer(agreed)
    assert "signed" in plain[0]
    agreed.git("config", key, value)
    try:
        assert _answer(agreed) == plain
    finally:
        agreed.git("config", "--unset", key)
        agreed.be("bo")


def _answer(made: Clone) -> tuple[object, ...]:
    changes = verify_registry(made.workspace, offline=True, signed=True)
    levels = " ".join(change.level for change in changes.rule_changes)
    return levels, changes.findings, changes.signatures, changes.rule_changes


@pytest.fixture(scope="module")
def agreed(worlds: Path, tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """A project in which rules were agreed to, and a promotion was approved."""
    from own_home import MAIN, move_in

    with pytest.MonkeyPatch.context() as patch:
        move_in(tmp_path_factory.mktemp("agreed") / "home", MAIN, patch)
        made = _copy(worlds, tmp_path_factory.mktemp("world"), "one", "abalone")
        made.write("towpath.yaml", f"{POLICY}description: x\n")
        made.commit("Describe", "-S")
        ratify_rules(made.be("bo").workspace)
        made.approve(made.promote("abalone@v1.0.0"))
        made.be("bo")
    return made


def test_signed_promotions_are_judged_together_as_alone(
    agreed: Clone, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = [agreed.rule.judge(promotion) for promotion in agreed.rule.log]
    assert alone[-1].approval.level == "signed"
    together = agreed.rule
    monkeypatch.setattr(main_line_approvals, "_MANY", 1)
    together.read_ahead(together.log)
    assert together.repository.signatures  # of all of them, before one was judged
    assert [together.judge(promotion) for promotion in together.log] == alone


def test_a_key_that_a_reader_revoked_counts_by_main_alone(agreed: Clone, tmp_path: Path) -> None:
    plain = _answer(agreed)
    revoked = tmp_path / "revoked"
    revoked.write_text("".join((agreed.keys / f"{who}.pub").read_text() for who in ("ada", "bo")))
    agreed.git("config", "gpg.ssh.revocationFile", str(revoked))
    assert _answer(agreed) == plain
    agreed.git("config", "--unset", "gpg.ssh.revocationFile")


def test_who_wrote_beside_is_read_alike_by_all(ada: Clone) -> None:
    """Prose around it, and a reader's own trailers, make no other writers of a commit."""
    before = ada.head()
    ada.write("notes.md", "x")
    ada.commit("Notes\n\nTogether.\nCo-authored-by: Cleo\n <cleo@example.org>\nAnd more prose.\n")
    [plain] = commit_history.file_writers(
        Repository.open(ada.root), before, ada.head(), ["notes.md"]
    )
    assert plain.writer_mails == {"ada@example.org", "cleo@example.org"}
    ada.git("config", "trailer.separators", "#")
    ada.git("config", "trailer.co.key", "Co-authored-by")
    assert commit_history.file_writers(
        Repository.open(ada.root), before, ada.head(), ["notes.md"]
    ) == (plain,)


def test_a_tag_of_the_branch_s_name_renames_no_branch(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", "-b", "main", str(tmp_path / "x")], check=True)
    made = Clone(tmp_path / "x", tmp_path).be("ada")
    made.write("notes.md", "x")
    made.commit("Notes")
    made.git("tag", "trunk")
    made.git("symbolic-ref", "HEAD", "refs/heads/trunk")
    made.git("branch", "-D", "main")
    assert main_branch.main_branch_name(Repository.open(made.root)) == "trunk"
