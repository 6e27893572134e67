"""The promotion check: what a branch may change, and by whose rules it is judged."""

from __future__ import annotations

import pytest

from promotion_project import POLICY, Project
from towpath import registry
from towpath.delivery import promotion
from towpath.delivery.promotion import evidence
from towpath.errors import DeclarationError, UsageError

DEV = "promote/abalone-v1.0.0-dev"
STAGE_FILE = "registry/stages/dev/abalone.yaml"
RECORD = "registry/models/abalone/v1.0.0.yaml"
EVIDENCE = "registry/evidence/abalone/v1.0.0-dev.md"


@pytest.fixture
def branch(project: Project) -> str:
    """A promotion that is well."""
    project.register()
    return promotion.propose_promotion(project.workspace, "abalone@v1.0.0", "dev").branch


def said(project: Project, head: str = DEV) -> list[str]:
    """What the check finds wrong with a branch."""
    return [
        str(fault)
        for fault in promotion.check_promotion_branch(project.workspace, "main", head).faults
    ]


def test_a_clean_promotion(project: Project, branch: str) -> None:
    checked = promotion.check_promotion_branch(project.workspace, "main", branch)
    assert checked.faults == ()
    (one,) = checked.judged
    assert str(one.case) == "abalone@v1.0.0 -> dev"
    assert [(verdict.gate, verdict.passed) for verdict in one.verdicts] == [("good_enough", True)]
    current = evidence.write_evidence(one.case, one.verdicts)
    assert current == project.show(f"{branch}:{EVIDENCE}") + "\n"


def test_code_is_no_promotion(project: Project, branch: str) -> None:
    project.on_branch("work", {"steps.py": "other = 1\n"})
    checked = promotion.check_promotion_branch(project.workspace, "main", "work")
    assert not checked.is_promotion
    assert checked.faults == ()
    assert not promotion.check_promotion_branch(project.workspace, "main", "main").is_promotion
    project.commit({"towpath.yaml": "stages: {\n"})  # which a change of code may mend
    assert promotion.check_promotion_branch(project.workspace, "main", "work").faults == ()
    with pytest.raises(DeclarationError):
        promotion.check_promotion_branch(project.workspace, "main", branch)
    with pytest.raises(UsageError, match="there is no commit `nowhere` here"):
        promotion.check_promotion_branch(project.workspace, "main", "nowhere")
    with pytest.raises(UsageError, match="there is no commit `--all` here"):
        promotion.check_promotion_branch(project.workspace, "--all", branch)


@pytest.mark.parametrize(
    ("files", "what"),
    [
        (
            {"steps.py": "sneaky = 1\n"},
            "this promotion also changes steps.py (a pull request holds a promotion or code, not "
            "both: make two of them)",
        ),
        (
            {"towpath.yaml": POLICY.replace("6.0", "600"), ".github/CODEOWNERS": "* @mallory\n"},
            "this promotion changes .github/CODEOWNERS, towpath.yaml, by which it is judged "
            "(merge the change of the rules first, and promote then)",
        ),
        ({EVIDENCE: None}, f"{EVIDENCE}: the evidence is missing (towpath promote writes it)"),
        ({RECORD: None}, f"{RECORD}: the version's record is missing (towpath promote)"),
        (
            {"registry/models/trout/v1.0.0.yaml": "model: trout\n"},
            "this promotion also changes registry/models/trout/v1.0.0.yaml",
        ),
        (
            {"registry/stages/produ/abalone.yaml": "model: abalone\nversion: v1.0.0\n"},
            "registry/stages/produ/abalone.yaml: there is no stage `produ` (did you mean `prod`?)",
        ),
        ({STAGE_FILE: "model: abalone\n"}, f"{STAGE_FILE}: `version` is None"),
    ],
)
def test_what_a_promotion_may_not_hold(
    project: Project, branch: str, files: dict[str, str | None], what: str
) -> None:
    project.on_branch(branch, files)
    assert any(one.startswith(what) for one in said(project)), said(project)


def test_a_stage_file_edited_by_hand(project: Project, branch: str) -> None:
    text = project.show(f"{branch}:{STAGE_FILE}")
    sha = registry.get_version(project.repository, "abalone@v1.0.0").record.sha256
    project.on_branch(branch, {STAGE_FILE: text.replace(sha, "ab" * 32) + "\n"})
    assert said(project) == [
        f"{STAGE_FILE}: `sha256` is abababababab…, and abalone@v1.0.0 is {sha[:12]}… "
        "(towpath promote writes it)"
    ]
    project.on_branch(branch, {STAGE_FILE: text.replace("v1.0.0", "v7.0.0") + "\n"})
    assert f"{STAGE_FILE}: there is no abalone@v7.0.0" in said(project)[-1]


def test_a_record_that_was_made_better(project: Project, branch: str) -> None:
    better = project.show(f"{branch}:{RECORD}").replace("mse: 4.5", "mse: 0.1")
    project.on_branch(branch, {RECORD: better + "\n"})
    assert said(project) == [
        f"{RECORD}: this is not the record that abalone@v1.0.0 was registered with "
        "(towpath promote copies it from the version's tag)"
    ]


def test_evidence_that_was_made_better(project: Project, branch: str) -> None:
    page = project.show(f"{branch}:{EVIDENCE}") + "\n"
    forged = [
        page.replace("| `mse` | 4.5 |", "| `mse` | 0.1 |"),
        page.replace("dev runs none now.", "dev runs none now. All were asked."),
        page.replace("# abalone v1.0.0 → dev", "# abalone v1.0.0, approved → dev"),
        page + "\nAll were asked.\n",
        page.replace("> Predicts", "> Fine.\n>\n> **All were asked.** Predicts"),
    ]
    for text in forged:
        assert text != page
        project.on_branch(branch, {EVIDENCE: text})
        (fault,) = said(project)
        assert fault.startswith(f"{EVIDENCE}: this is not the evidence as it is now: it was edited")
    project.on_branch(branch, {EVIDENCE: page.replace("> Predicts", "> As you asked, it predicts")})
    assert said(project) == []


def test_a_link_in_place_of_a_file(project: Project, branch: str) -> None:
    project.git("checkout", "-q", branch)
    (project.root / EVIDENCE).unlink()
    (project.root / EVIDENCE).symlink_to("/etc/passwd")
    project.git("commit", "-qam", "a link")
    project.git("checkout", "-q", "main")
    assert said(project)[0] == f"{EVIDENCE}: this is no plain file"


@pytest.mark.usefixtures("branch")
def test_a_name_that_a_log_would_obey(project: Project) -> None:
    sly = "a\n::add-mask::x\x1b[31m.py"
    project.on_branch(DEV, {sly: "1\n"})
    (fault,) = said(project)
    assert fault.startswith("this promotion also changes a�::add-mask::x�[31m.py")
    text = f'model: "abalone\\n::add-mask::x"\nversion: v1.0.0\nsha256: {"ab" * 32}\n'
    project.on_branch("sly", {STAGE_FILE: text})
    assert "\n" not in "".join(said(project, "sly"))


@pytest.mark.usefixtures("branch")
def test_a_version_rejected_meanwhile(project: Project) -> None:
    registry.reject_version(project.repository, "abalone@v1.0.0", "it lies")
    assert said(project)[0].startswith(f"{STAGE_FILE}: abalone@v1.0.0 was rejected: it lies")


def test_a_rung_skipped_by_hand(project: Project, branch: str) -> None:
    text = project.show(f"{branch}:{STAGE_FILE}") + "\n"
    record = project.show(f"{branch}:{RECORD}") + "\n"
    page = "registry/evidence/abalone/v1.0.0-prod.md"
    project.on_branch(
        "sly", {"registry/stages/prod/abalone.yaml": text, RECORD: record, page: "# fine\n"}
    )
    rung, forged = said(project, "sly")
    assert "abalone@v1.0.0 has not been in dev or uat" in rung
    assert forged.startswith(f"{page}: this is not the evidence as it is now")


@pytest.mark.usefixtures("branch")
def test_gates_of_the_base_judge(project: Project) -> None:
    project.commit({"towpath.yaml": POLICY.replace("6.0", "0.5")})
    (fault,) = said(project)
    assert fault.startswith("the gate `good_enough` keeps abalone@v1.0.0 out of dev")
    assert f"towpath.yaml:5 at {project.git('rev-parse', 'main')[:7]}" in fault


def test_nobody_rewrites_what_was_decided(project: Project, branch: str) -> None:
    project.be("bo")
    promotion.approve_promotion(project.workspace, branch)
    project.on_branch("work", {EVIDENCE: "# all was fine\n", "steps.py": "a = 1\n"})
    (fault,) = said(project, "work")
    assert fault.startswith(f"only a promotion changes {EVIDENCE}")


def test_several_at_once(project: Project, branch: str) -> None:
    project.register("trout", model="trout")
    other = promotion.propose_promotion(project.workspace, "trout@v1.0.0", "dev").branch
    project.git("checkout", "-q", branch)
    project.git("merge", "-q", "--no-edit", other)
    project.git("checkout", "-q", "main")
    checked = promotion.check_promotion_branch(project.workspace, "main", branch)
    assert checked.faults == ()
    assert [one.case.model for one in checked.judged] == ["abalone", "trout"]
    project.be("bo")
    done = promotion.approve_promotion(project.workspace, branch)
    assert done.what == ("abalone@v1.0.0 -> dev", "trout@v1.0.0 -> dev")
    assert len(registry.read_stage_files(project.repository).wanted) == 2
