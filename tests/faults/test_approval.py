"""Attacks on who may approve: what reaches prod is what two signers said, whoever may push.

Mallory may push to main and to tags, and has no key among the signers.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from approval_world import (
    LOWERED,
    POLICY,
    SIGNERS,
    STAGE_FILE,
    Clone,
    clone,
    copy,
    register,
)

from own_home import MAIN, move_in
from reconcile_project import read_deployment
from towpath import registry
from towpath.audit.verification import verify_registry
from towpath.backends.git import Repository
from towpath.delivery import promotion
from towpath.delivery.promotion.main_line_approvals import ApprovalRule
from towpath.delivery.promotion.ratify_rules import ratify_rules
from towpath.errors import ExitCode, Refused, RegistryError, TowpathError, UsageError
from towpath.storage.stage_store import StageStore

BRANCH = "promote/abalone-v1.0.0-prod"


def running(made: Clone) -> str | None:
    """What prod runs, by its own record."""
    store = StageStore.open(made.workspace.project, "prod", {}, made.root)
    found = read_deployment(store, "abalone")
    return str(found.version) if found else None


def in_prod(made: Clone, version: str) -> None:
    """A version is promoted, approved, pushed and deployed."""
    made.approve(made.promote(f"abalone@{version}"), push=True)
    assert made.reconcile() == 0
    assert running(made) == version


@pytest.fixture(scope="module")
def in_use(told: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The world in which prod runs v1.0.0."""
    folder = tmp_path_factory.mktemp("in use")
    with pytest.MonkeyPatch.context() as patch:
        move_in(folder / "home", MAIN, patch)
        in_prod(copy(told, folder / "world"), "v1.0.0")
    return folder / "world"


@pytest.fixture
def deployed(in_use: Path, tmp_path: Path) -> Clone:
    """A copy of that for one test."""
    return copy(in_use, tmp_path / "deployed")


@pytest.fixture(scope="module")
def waiting(told: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The world in which Ada's promotion of v1.0.0 to prod waits."""
    folder = tmp_path_factory.mktemp("waiting")
    with pytest.MonkeyPatch.context() as patch:
        move_in(folder / "home", MAIN, patch)
        assert copy(told, folder / "world").promote("abalone@v1.0.0") == BRANCH
    return folder / "world"


@pytest.fixture
def proposed(waiting: Path, tmp_path: Path) -> Clone:
    """A copy of that for one test."""
    return copy(waiting, tmp_path / "proposed").be("ada")


def refused(made: Clone, words: str) -> None:
    """Reconcile does not bring what main says now, and verify tells why."""
    before = running(made)
    try:
        assert made.reconcile() == 3
    except Refused as stopped:
        assert words in str(stopped)
    assert running(made) == before
    assert any(words in what for what in made.findings()), made.findings()


def test_two_signers_bring_it_to_prod(deployed: Clone) -> None:
    assert running(deployed) == "v1.0.0"
    approval = deployed.judged().approval
    assert (approval.level, approval.by) == ("signed", ("bo@example.org",))
    assert deployed.findings() == []


def test_a_pull_with_a_merge_approves_nothing(proposed: Clone) -> None:
    """A5: the promotion's own commit on main; a signer pulls it, signs his merge, and pushes."""
    bo = clone(proposed, "bo", "bo")
    bo.write("notes.md", "mine\n")
    bo.commit("Notes", "-S")
    proposed.be("mallory").git("push", "-q", "origin", f"{BRANCH}:main")
    refused(ada_as(proposed, BRANCH), "came by no")
    bo.git("pull", "-q", "--no-rebase", "-S", "origin", "main")
    bo.git("push", "-q", "origin", "main")
    refused(bo, "message does not say that it approves it")


def ada_as(made: Clone, branch: str) -> Clone:
    """The same clone with main where a branch is."""
    made.git("reset", "-q", "--hard", branch)
    return made


def test_a_promotion_of_who_approves_it_under_another_name(ada: Clone) -> None:
    """A8: Bo makes the promotion as Ada, and approves it as himself."""
    ada.be("ada", key="bo")
    branch = promotion.propose_promotion(ada.workspace, "abalone@v1.0.0", "prod").branch
    with pytest.raises(Refused, match=r"made abalone"):
        ada.approve(branch)
    ada.git("branch", "-D", branch)
    unsigned = unsigned_promotion(ada)
    with pytest.raises(Refused, match="unsigned, so it is nobody's"):
        ada.approve(unsigned)


def unsigned_promotion(made: Clone) -> str:
    """Ada's promotion, without her signature."""
    branch = made.promote("abalone@v1.0.0")
    made.git("switch", "-q", branch)
    made.git("commit", "-q", "--amend", "--no-edit", "--no-gpg-sign")
    made.git("switch", "-q", "main")
    return branch


def by_hand(made: Clone, branch: str, *words: str, at: str | None = None) -> str:
    """A merge with all that an approval says, made by stock Git; the commit."""
    message = (
        "Promote abalone@v1.0.0 to prod\n\nPromotion: abalone@v1.0.0 -> prod\n"
        "Approved-by: Bo <bo@example.org>\nApproval: signed\n"
    )
    made.git("merge", "-q", "--no-ff", "-m", message, *words, branch, at=at)
    return made.head("HEAD")


def test_a_merge_of_another_branch_for_its_look(proposed: Clone) -> None:
    """Bo merges what Ada signed once, and puts a version of his own choice into the merge."""
    other = proposed.promote("abalone@v1.1.0")
    proposed.be("bo").git("merge", "-q", "--no-ff", "--no-commit", BRANCH)
    proposed.git("rm", "-rqf", "registry/evidence", "registry/models", "registry/stages")
    proposed.git("checkout", "-q", other, "--", "registry/evidence", "registry/models")
    proposed.git("checkout", "-q", other, "--", "registry/stages")
    said = "Promotion: abalone@v1.1.0 -> prod\nApproval: signed\n"
    proposed.git("commit", "-q", "-S", "-m", f"Promote abalone@v1.1.0 to prod\n\n{said}")
    refused(proposed, "other files than the branch that it merged")


def test_rules_that_mallory_changes(proposed: Clone) -> None:
    """A7, A11: a plain commit lets Mallory's key in, or lowers the level; nothing is deployed
    upon it, and a signer who agrees makes it count."""
    start = proposed.head()
    for path, text in {
        SIGNERS: proposed.line("ada") + proposed.line("mallory"),
        "towpath.yaml": LOWERED,
    }.items():
        proposed.be("mallory")
        proposed.write(path, text)
        proposed.commit("Tidy up")
        with pytest.raises(Refused, match="without an approval"):
            promotion.approve_promotion(proposed.workspace, BRANCH)
        by_hand(proposed, BRANCH, "-S")
        refused(proposed, "was changed in")
        proposed.git("reset", "-q", "--hard", start)


def test_a_merge_that_lowers_the_level_itself(proposed: Clone) -> None:
    """A11: the level is that before the merge."""
    proposed.be("mallory").git("switch", "-q", BRANCH)
    proposed.write("towpath.yaml", LOWERED)
    proposed.commit("Tidy up")
    proposed.git("switch", "-q", "main")
    by_hand(proposed, BRANCH)
    refused(proposed, "towpath.yaml")


def test_an_unsigned_merge_and_the_rules_lowered_and_put_back(proposed: Clone) -> None:
    """Rules that nobody agreed to never count, not even for what was merged in between."""
    proposed.be("mallory")
    proposed.write("towpath.yaml", LOWERED)
    proposed.commit("Tidy up")
    by_hand(proposed, BRANCH)
    proposed.write("towpath.yaml", POLICY)
    proposed.commit("Put it back")
    refused(proposed, "needed `signed`")


def test_rules_that_two_signers_agree_to(ada: Clone) -> None:
    ada.be("ada")
    ada.write(SIGNERS, ada.line("ada") + ada.line("bo") + ada.line("cleo"))
    ada.commit("Cleo may sign", "-S")
    assert tuple(ada.rule.rules.due) == (SIGNERS,)
    with pytest.raises(Refused, match="no commit that is signed"):
        ada.be("mallory")
        ratify_rules(ada.workspace)
    done = ratify_rules(ada.be("bo").workspace)
    assert (done.level, done.waits, ada.head()) == ("signed", None, done.commit)
    assert tuple(ada.rule.rules.due) == ()
    assert [change.level for change in ada.rule.rules.changes] == ["recorded", "none", "signed"]
    assert ada.approve(ada.promote("abalone@v1.0.0"), "cleo").level == "signed"
    assert ada.findings() == []


def test_a_signature_under_an_earlier_content_is_none_of_a_later(ada: Clone) -> None:
    """Ada signed a harmless change of the file on a branch; Mallory's is upon it."""
    ada.git("switch", "-qc", "work")
    ada.write(SIGNERS, ada.line("ada") + ada.line("bo") + "# two\n")
    ada.commit("A comment", "-S")
    ada.be("mallory").write(SIGNERS, ada.line("ada") + ada.line("bo") + ada.line("mallory"))
    ada.commit("Another")
    ada.be("bo").git("switch", "-q", "main")
    words = f"Merge work\n\nRules: {SIGNERS}\nApproval: signed\n"
    ada.git("merge", "-q", "--no-ff", "-S", "-m", words, "work")
    assert tuple(ada.rule.rules.due) == (SIGNERS,)
    refused(ada, "bo@example.org alone signed for it")


def test_one_signer_alone_changes_no_rules(ada: Clone) -> None:
    ada.be("bo")
    ada.write("towpath.yaml", LOWERED)
    ada.commit("Lower it", "-S")
    done = ratify_rules(ada.workspace)
    assert done.waits is not None
    assert "alone signed for it" in done.waits
    refused(ada, "alone signed for it")
    assert ratify_rules(ada.be("ada").workspace).waits is None
    assert ada.findings() == []


def test_a_signer_who_was_removed(proposed: Clone) -> None:
    """A6: Bo's key is out; he merges on the commit before, and merges main into that: so that it
    takes the removal in, or leaves it out, which is a decision that main lost."""
    before = proposed.head()
    proposed.write(SIGNERS, proposed.line("ada") + proposed.line("cleo"))
    proposed.commit("Bo left", "-S")
    ratify_rules(proposed.be("bo").workspace)
    removed = proposed.head()
    proposed.git("switch", "-qc", "side", before)
    merged = by_hand(proposed, BRANCH, "-S")
    for how, words in (
        (("-S",), "it says who may approve, and was changed"),
        (("-s", "ours"), "put Approve the rules in registry/allowed_signers"),
    ):
        proposed.git("switch", "-q", "-C", "main", merged)
        proposed.git("merge", "-q", "--no-ff", *how, "-m", "Merge main", removed)
        assert not proposed.judged().is_enough or "-S" not in how
        refused(proposed, words)


def test_an_agreement_says_that_it_is_one(ada: Clone) -> None:
    ada.write(SIGNERS, ada.line("ada") + ada.line("bo") + ada.line("cleo"))
    ada.commit("Cleo may sign", "-S")
    ada.be("bo").commit(f"Agree\n\nRules: {SIGNERS}\n", "-S", "--allow-empty")
    assert tuple(ada.rule.rules.due) == (SIGNERS,)


def test_a_key_that_expired_signs_no_rules_at_an_earlier_date(ada: Clone) -> None:
    """Bo and Cleo left, by dates in the file; they sign as of a day before that."""
    left = 'valid-before="20261101" '
    gone = [ada.line(who).replace("ssh-", f"{left}ssh-", 1) for who in ("bo", "cleo")]
    ada.write(SIGNERS, ada.line("ada") + "".join(gone))
    ada.commit("They left", "-S")
    ratify_rules(ada.be("bo").workspace)
    assert tuple(ada.rule.rules.due) == ()
    ada.be("bo").write(SIGNERS, ada.line("bo") + ada.line("cleo"))
    ada.commit("Back", "-S", at="2026-10-01T09:00:00Z")
    words = f"Agree\n\nRules: {SIGNERS}\nApproval: signed\n"
    ada.be("cleo").commit(words, "-S", "--allow-empty", at="2026-10-02T09:00:00Z")
    assert tuple(ada.rule.rules.due) == (SIGNERS,)
    refused(ada, "its date cannot be")


def test_a_line_with_another_beginning(ada: Clone) -> None:
    """A first commit of Mallory's own, with signers of her own, is put before main."""
    main = ada.head()
    ada.be("mallory").git("switch", "-q", "--orphan", "other")
    ada.git("checkout", "-q", main, "--", ".")
    ada.write(SIGNERS, ada.line("mallory") + ada.line("cleo"))
    ada.commit("A project")
    words = ("-s", "ours", "--allow-unrelated-histories", "-m", "Merge main")
    ada.git("merge", "-q", *words, main)
    ada.git("branch", "-qf", "main", "other")
    ada.git("switch", "-q", "main")
    branch = promotion.propose_promotion(ada.workspace, "abalone@v1.0.0", "prod").branch
    ada.approve(branch, "cleo")
    refused(ada, "put what main was from its first commit on")


def test_another_main_that_nobody_agreed_to(ada: Clone) -> None:
    """A plain commit says `main: trunk`, and trunk has signers of Mallory's own."""
    main = ada.head()
    ada.be("mallory").git("switch", "-q", "--orphan", "other")
    ada.git("checkout", "-q", main, "--", ".")
    ada.write(SIGNERS, ada.line("mallory") + ada.line("cleo"))
    ada.write("towpath.yaml", POLICY + "main: trunk\n")
    ada.commit("A project")
    ada.git("branch", "-q", "trunk", "other")
    ada.git("switch", "-q", "main")
    ada.write("towpath.yaml", POLICY + "main: trunk\n")
    ada.commit("Tidy up")
    ada.git("push", "-q", "origin", "main", "trunk")
    other = clone(ada, "other", "ada")
    registry.fetch_registry(Repository.open(other.root))
    with pytest.raises(Refused, match=r"towpath\.yaml: it says who may approve, and was changed"):
        other.reconcile()


def test_a_proposal_of_old_over_what_runs(ada: Clone) -> None:
    """Ada took hers back; Bo merges its commit all the same, over what was decided since."""
    other = ada.promote("abalone@v1.1.0")
    old = ada.head(other)
    promotion.reject_promotion(ada.workspace, other, "not now")
    in_prod(ada, "v1.0.0")
    ada.be("bo").git("merge", "-q", "--no-ff", "--no-commit", old, ok=False)
    ada.git("checkout", "-q", old, "--", "registry")
    said = "Promotion: abalone@v1.1.0 -> prod\nApproval: signed\n"
    ada.git("commit", "-q", "-S", "-m", f"Promote abalone@v1.1.0 to prod\n\n{said}")
    refused(ada, "it says that it replaces nothing, and v1.0.0 was there")


def test_what_nobody_approved_was_never_in_a_stage(ada: Clone) -> None:
    """Mallory writes a stage file and takes it away again: no version climbs over that."""
    file = STAGE_FILE.replace("/prod/", "/dev/")
    ada.be("ada").write("towpath.yaml", POLICY.replace("ladder: false", "ladder: true"))
    ada.commit("A ladder", "-S")
    ratify_rules(ada.be("bo").workspace)
    branch = ada.promote("abalone@v1.0.0", "dev")
    ada.be("mallory").git("checkout", "-q", branch, "--", "registry")
    ada.commit("In")
    ada.git("rm", "-q", file)
    ada.commit("Out")
    with pytest.raises(UsageError, match=r"has not been in dev"):
        promotion.propose_promotion(ada.be("ada").workspace, "abalone@v1.0.0", "prod")


def test_a_submodule_where_a_file_is_read(ada: Clone) -> None:
    """What is no file is a fault in words, never a fault of Towpath's own."""
    for path in (STAGE_FILE, "sub/towpath.yaml", "registry/models/abalone/project.yaml"):
        start = ada.head()
        ada.git("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},{path}")
        ada.git("commit", "-qm", "A submodule")
        assert ada.findings() or path != STAGE_FILE
        with pytest.raises(TowpathError) as wrong:
            promotion.propose_promotion(ada.be("ada").workspace, "abalone@v1.0.0", "prod")
            ada.reconcile()
            raise Refused("nothing to say of it")
        assert wrong.value.exit_code != ExitCode.BUG
        ada.git("reset", "-q", "--hard", start)


def test_a_pull_with_a_merge_that_loses_no_decision(ada: Clone) -> None:
    """Bo approved and pushed; Ada had a commit of her own, and pulls as Git pulls by default."""
    branch = ada.promote("abalone@v1.0.0", "dev")
    bo = clone(ada, "bo", "bo")
    ada.git("push", "-q", "origin", branch)
    bo.git("fetch", "-q")
    bo.git("branch", "-q", branch, f"origin/{branch}")
    bo.approve(branch, push=True)
    ada.be("ada").write("notes.md", "mine\n")
    ada.commit("Notes")
    ada.git("pull", "-q", "--no-rebase", "origin", "main")
    assert ada.findings() == []
    assert ada.reconcile("dev") == 0


def test_dates_that_cannot_be(proposed: Clone) -> None:
    """A9: a merge dated before its own parent does not count, and says so; what waited a day in
    dev has not waited it."""
    proposed.be("bo")
    by_hand(proposed, BRANCH, "-S", at="2026-01-05T09:00:00Z")
    [made] = proposed.rule.log
    parent = int(proposed.git("log", "-1", "--format=%ct", "HEAD^"))
    assert made.time == max(
        parent, int(proposed.git("log", "-1", "--format=%ct", "abalone@v1.0.0"))
    )
    refused(proposed, "is dated 2026-01-05T09:00:00Z, before the commit under it")


def test_a_date_that_has_not_come_moves_nothing_after_it(ada: Clone) -> None:
    branch = ada.promote("abalone@v1.0.0", "dev")
    ada.be("bo")
    message = "Promotion: abalone@v1.0.0 -> dev\nApproved-by: Bo <bo@example.org>\n"
    ada.git("merge", "-q", "--no-ff", "-m", f"In\n\n{message}", branch, at="2099-01-05T09:00:00Z")
    [early] = ada.rule.log
    assert ada.judged("dev").backdated
    assert early.time <= ada.rule.line.now
    ada.approve(ada.promote("abalone@v1.1.0", "dev"))
    assert all(one.time <= ada.rule.line.now for one in ada.rule.log)


def test_a_main_that_was_rewritten_and_an_old_approval_played_again(deployed: Clone) -> None:
    """A12: main goes back to an approval of old, by force, and by a merge whose first-parent line
    ends there."""
    old = deployed.head()
    in_prod(deployed, "v1.1.0")
    new = deployed.head()
    deployed.be("mallory").git("reset", "-q", "--hard", old)
    deployed.git("push", "-q", "--force", "origin", "main")
    with pytest.raises(Refused, match="it was rewritten"):
        deployed.reconcile()
    assert running(deployed) == "v1.1.0"
    assert any("it was rewritten" in what for what in deployed.findings())
    deployed.git("merge", "-q", "-s", "ours", "-m", "Merge main", new)
    deployed.git("push", "-q", "origin", "main")
    refused(deployed, "main was re-parented")
    assert deployed.reconcile(accepts_history=True) == 0  # a person has looked, and wants it so
    assert running(deployed) == "v1.0.0"


def test_a_line_that_took_another_way_and_lost_nothing(deployed: Clone) -> None:
    """A developer's pull with a merge is no attack."""
    deployed.git("switch", "-qc", "work")
    deployed.write("steps.py", "a = 1\n")
    deployed.commit("Work")
    deployed.git("switch", "-q", "main")
    deployed.write("notes.md", "b\n")
    deployed.commit("Notes")
    assert deployed.reconcile() == 0
    deployed.git("switch", "-q", "work")
    deployed.git("merge", "-q", "--no-ff", "-m", "Merge main", "main")
    deployed.git("branch", "-qf", "main", "work")
    deployed.git("switch", "-q", "main")
    assert deployed.reconcile() == 0


def test_a_promotion_is_approved_again_where_the_rules_ask_for_more(ada: Clone) -> None:
    ada.approve(ada.promote("abalone@v1.0.0", "dev"))
    assert ada.reconcile("dev") == 0
    ada.be("ada")
    ada.write(
        "towpath.yaml", POLICY.replace("dev: {approval: recorded}", "dev: {approval: signed}")
    )
    ada.commit("Signatures for dev too", "-S")
    ratify_rules(ada.be("bo").workspace)
    [short] = ada.findings()
    assert "approved as `recorded` and needed `signed`" in short
    ada.approve(ada.promote("abalone@v1.0.0", "dev"))
    assert ada.findings() == []
    assert ada.reconcile("dev") == 0


def test_a_note_explains_nothing_until_signers_agree(proposed: Clone) -> None:
    proposed.be("mallory")
    by_hand(proposed, BRANCH)
    [amiss] = verify_registry(proposed.workspace).findings
    proposed.write(f"registry/notes/{amiss.id}.md", "It is well.\n")
    proposed.commit("A word")
    assert [one.id for one in verify_registry(proposed.workspace).findings] == [amiss.id]
    ratify_rules(proposed.be("bo").workspace)
    assert [one.id for one in verify_registry(proposed.workspace).findings] == [amiss.id]
    ratify_rules(proposed.be("ada").workspace)
    assert verify_registry(proposed.workspace).findings == ()
    refused_by_reconcile = proposed.reconcile()
    assert refused_by_reconcile == 3  # an explained promotion is none that was approved


def test_a_push_that_another_was_quicker_with(proposed: Clone) -> None:
    """Nothing here says what is not so there: neither main nor the branch has moved."""
    before = proposed.head()
    other = clone(proposed, "other", "cleo")
    other.write("notes.md", "mine\n")
    other.commit("Notes")
    hook = proposed.root / ".git" / "hooks" / "pre-push"
    hook.write_text(f"#!/bin/sh\nunset GIT_DIR\ngit -C '{other.root}' push -q origin main\n")
    hook.chmod(0o755)
    with pytest.raises(RegistryError, match="nothing was approved"):
        proposed.approve(BRANCH, push=True)
    assert proposed.head() == before
    assert proposed.git("branch", "--list", BRANCH)
    hook.unlink()
    assert proposed.approve(BRANCH, push=True).pushed
    assert (other.git("fetch", "-q"), other.head("origin/main")) == ("", proposed.head())
    assert proposed.git("show", f"main:{STAGE_FILE}")


def agree(made: Clone, path: str, text: str) -> None:
    """Ada changes a rule, and Bo agrees to it."""
    made.be("ada").write(path, text)
    made.commit("Another rule", "-S")
    assert ratify_rules(made.be("bo").workspace).waits is None


def test_one_person_s_two_keys_are_one_signer_s(ada: Clone) -> None:
    """Ada has a second key, under another name beside her own."""
    second = ada.line("cleo").replace("cleo@", "ada@home.example.org,ada@", 1)
    agree(ada, SIGNERS, ada.line("ada") + ada.line("bo") + second)
    branch = ada.promote("abalone@v1.0.0")
    with pytest.raises(Refused, match=r"made abalone@v1\.0\.0"):
        ada.approve(branch, "cleo")
    assert ada.approve(branch, "bo").level == "signed"
    assert ada.judged().approval.by == ("bo@example.org",)
    assert ada.findings() == []


def test_a_name_that_fits_everybody_approves_nobody_s_promotion(ada: Clone) -> None:
    """A line of `*@example.org` may be Ada's own second key: it is taken for hers."""
    anybody = ada.line("cleo").replace("cleo@", "*@", 1)
    agree(ada, SIGNERS, ada.line("ada") + ada.line("bo") + anybody)
    branch = ada.promote("abalone@v1.0.0")
    with pytest.raises(Refused, match=r"made abalone@v1\.0\.0"):
        ada.approve(branch, "cleo")
    assert ada.findings() == [
        "`*@example.org` does not say who holds the key: "
        "it is taken for each whom it fits, and approves nothing of theirs"
    ]
    ada.be("cleo").write(SIGNERS, ada.line("ada") + ada.line("bo") + ada.line("mallory"))
    ada.commit("Mallory may sign", "-S")
    assert ratify_rules(ada.be("cleo").workspace).waits
    assert tuple(ada.rule.rules.due) == (SIGNERS,)


def test_a_certificate_approves_nothing(ada: Clone) -> None:
    """Who holds the authority's key makes a certificate of Bo's name for a key of her own."""
    authority = ada.line("cleo").replace("cleo@example.org", "*@example.org cert-authority", 1)
    agree(ada, SIGNERS, ada.line("ada") + ada.line("bo") + authority)
    keys = [str(ada.keys / name) for name in ("cleo", "mallory.pub")]
    words = ["ssh-keygen", "-q", "-s", keys[0], "-I", "bo", "-n", "bo@example.org", keys[1]]
    subprocess.run(words, check=True)
    branch = ada.promote("abalone@v1.0.0")
    ada.be("bo", key="mallory-cert")
    with pytest.raises(Refused, match="so a certificate approves nothing"):
        promotion.approve_promotion(ada.workspace, branch)
    assert "registry/allowed_signers:3" in str(
        verify_registry(ada.workspace).findings[0].fault.place
    )


def numbered(made: Clone, content: bytes) -> str:
    """A version, registered and published, its tag signed by whose clone it is; its number."""
    made.git("config", "tag.gpgSign", "true")
    register(made, content)
    registry.publish_registry(Repository.open(made.root))
    return str(registry.find_version(Repository.open(made.root), "abalone@latest").version)


def test_each_version_is_signed_where_the_policy_wants_it(ada: Clone) -> None:
    unsigned = ada.promote("abalone@v1.0.0")
    agree(ada, "towpath.yaml", POLICY.replace("ladder: false", "ladder: false, versions: signed"))
    words = "the policy wants each version's tag signed by an allowed signer: nobody signed it"
    with pytest.raises(UsageError, match=words) as refusal:
        promotion.propose_promotion(ada.be("ada").workspace, "abalone@v1.1.0", "prod")
    assert "git config tag.gpgSign true" in str(refusal.value.faults[0].hint)
    with pytest.raises(Refused, match=words):
        ada.approve(unsigned)
    by_hand(ada, unsigned, "-S")
    refused(ada, words)
    assert numbered(ada.be("mallory"), b"three") == "v1.2.0"
    with pytest.raises(UsageError, match=r"which registry/allowed_signers of main does not name"):
        promotion.propose_promotion(ada.be("ada").workspace, "abalone@v1.2.0", "prod")
    assert numbered(ada.be("ada"), b"four") == "v1.3.0"
    for number in ("v1.0.0", "v1.1.0", "v1.2.0"):
        registry.reject_version(Repository.open(ada.root), f"abalone@{number}", "unsigned")
    ada.approve(ada.promote("abalone@v1.3.0"))
    assert ada.reconcile() == 0
    assert running(ada) == "v1.3.0"
    assert ada.findings() == []


def test_a_version_whose_signer_left_runs_on_and_is_named(ada: Clone) -> None:
    """The rules of now count too: a stolen key's versions are to go."""
    agree(ada, "towpath.yaml", POLICY.replace("ladder: false", "ladder: false, versions: signed"))
    number = numbered(ada.be("bo"), b"three")
    for old in ("v1.0.0", "v1.1.0"):
        registry.reject_version(Repository.open(ada.root), f"abalone@{old}", "unsigned")
    in_prod(ada, number)
    agree(ada, SIGNERS, ada.line("ada") + ada.line("cleo"))
    assert any("wants each version's tag signed" in what for what in ada.findings())
    assert ada.reconcile() == 3
    assert running(ada) == number


def test_a_merge_of_three(proposed: Clone) -> None:
    """Bo signs an octopus merge of Ada's promotion, and of a branch that nobody looked at. Where
    that changes nothing: still, nobody knows which of them was looked at."""
    main = proposed.head()
    for text, words in (
        ("mine\n", "its commit also changed notes.md"),
        (None, "signed a merge with other files than the branch that it merged"),
    ):
        proposed.be("mallory").git("switch", "-qC", "third", main)
        if text:
            proposed.write("notes.md", text)
        proposed.commit("Notes", "--allow-empty")
        proposed.be("bo").git("switch", "-qC", "main", main)
        by_hand(proposed, BRANCH, "-S", "third")
        assert len(proposed.git("log", "-1", "--format=%P").split()) == 3
        assert not proposed.judged().is_enough
        refused(proposed, words)


@pytest.mark.parametrize("path", [SIGNERS, "towpath.yaml", "CODEOWNERS", "registry"])
def test_a_link_where_a_rule_is_read(deployed: Clone, path: str) -> None:
    """A rule file, or the folder of all, becomes a link to what Mallory wrote elsewhere."""
    deployed.be("mallory").write("elsewhere/towpath.yaml", LOWERED.replace("abalone", "other"))
    deployed.write("elsewhere/allowed_signers", deployed.line("mallory"))
    deployed.write("elsewhere/CODEOWNERS", "* mallory@example.org\n")
    deployed.git("rm", "-rq", "--ignore-unmatch", path)
    (deployed.root / path).parent.mkdir(exist_ok=True)
    (deployed.root / path).symlink_to(f"{'../' * path.count('/')}elsewhere/{Path(path).name}")
    deployed.commit("A link")
    assert deployed.rule.rules.due
    with pytest.raises(TowpathError) as wrong:
        promotion.propose_promotion(deployed.workspace, "abalone@v1.1.0", "prod")
        branch = "promote/abalone-v1.1.0-prod"
        promotion.approve_promotion(deployed.be("cleo").workspace, branch)
    assert wrong.value.exit_code != ExitCode.BUG
    try:
        assert deployed.reconcile() != 0
    except TowpathError as stopped:
        assert stopped.exit_code != ExitCode.BUG
    assert running(deployed) == "v1.0.0"


def test_a_submodule_where_a_rule_is_read(ada: Clone) -> None:
    """Its commit lies in this very repository, and its message reads as a line of a signer."""
    ada.be("mallory")
    tree = ada.git("rev-parse", "HEAD^{tree}")
    commit = ada.git("commit-tree", tree, "-m", f"Signers\n\n{ada.line('mallory')}")
    ada.git("rm", "-q", SIGNERS)
    ada.git("update-index", "--add", "--cacheinfo", f"160000,{commit},{SIGNERS}")
    ada.git("commit", "-qm", "A submodule")
    rules = ada.rule.rules
    assert tuple(rules.due) == (SIGNERS,)
    assert "mallory" not in str(rules.rules_written().signers)


def test_a_project_that_moved_keeps_its_level(ada: Clone) -> None:
    """What nobody approved before the move was never in prod after it."""
    branch = ada.promote("abalone@v1.1.0")
    ada.be("mallory").git("switch", "-q", "main")
    words = "Promotion: abalone@v1.1.0 -> prod\nApproved-by: Bo <bo@example.org>\n"
    ada.git("merge", "-q", "--no-ff", "-m", f"Promote it\n\n{words}", branch)
    before = ada.rule.log[0]
    assert not ada.rule.judge(before).is_enough
    ada.git("revert", "--no-edit", "-m", "1", "HEAD")
    ada.be("ada").git("switch", "-q", "main")
    for path in ("towpath.yaml", ".gitignore"):
        (ada.root / "models").mkdir(exist_ok=True)
        ada.git("mv", path, f"models/{path}")
    ada.commit("Move it", "-S")
    assert tuple(ada.rule.rules.due) == ("models/towpath.yaml", "towpath.yaml")
    for person in ("bo", "ada"):
        ada.be(person).commit(
            "Agree\n\nRules: towpath.yaml\nRules: models/towpath.yaml\nApproval: signed\n",
            "-S", "--allow-empty",
        )  # fmt: skip
    rule = ApprovalRule(Repository.open(ada.root), ada.head(), "models")
    assert tuple(rule.rules.due) == ()
    judged = rule.judge(before)
    assert (judged.needed, judged.is_enough) == ("signed", False)
    assert before not in rule.find_counted()
