"""Each forgery is made for real, with Git and with files, and found."""

from __future__ import annotations

import json

import pytest

from audit_project import POLICY, Project
from towpath.audit.stage_history import read_stage_history
from towpath.audit.version_search import search_versions
from towpath.backends.dvc import Store
from towpath.backends.git import Repository
from towpath.errors import RegistryError, UsageError

LATER = "2030-01-01T00:00:00Z"
STAGE = "registry/stages/prod/abalone.yaml"
RECORD = "registry/models/abalone/v1.0.0.yaml"
EVIDENCE = "registry/evidence/abalone/v1.0.0-uat.md"


def test_what_nobody_touched_is_as_the_stage_files_say(told: Project) -> None:
    found = told.verify()
    assert found.findings == ()
    assert found.unchecked == ()
    assert dict(found.looked_at) == {"promotions": 9, "stage tags": 9, "versions": 3}


def test_a_stage_tag_for_what_was_never_promoted(project: Project) -> None:
    commit = project.git("rev-parse", "penguins@v1.0.0^{commit}")
    project.git(
        "tag", "-a", "penguins#prod#90", "-m", "let me in", commit, at="2030-01-01T00:00:00Z"
    )
    [(check, what)] = project.found(model="penguins")
    assert check == "stage tag"
    assert "no merged promotion put penguins@v1.0.0 into prod before 2030-01-01" in what
    assert "Ada Lovelace" in what


def test_a_stage_tag_that_goes_back_without_a_rollback(project: Project) -> None:
    commit = project.git("rev-parse", "abalone@v1.0.0^{commit}")
    project.git("tag", "-a", "abalone#uat#90", "-m", "old one", commit, at=LATER)
    [(check, what)] = project.found()
    assert (check, "that was not over by then" in what) == ("stage tag", True)


def test_a_stage_tag_on_another_commit(project: Project) -> None:
    name = project.git("tag", "-l", "abalone#uat#*").split()[-1]
    message = project.git("tag", "-l", "--format=%(contents)", name)
    date = project.git("tag", "-l", "--format=%(taggerdate:iso-strict)", name)
    project.git("tag", "-d", name)
    project.git("tag", "-a", name, "-m", message, "main", at=date)
    [(check, what)] = project.found()
    assert check == "stage tag"
    assert "which is the commit of no version of abalone" in what


def test_a_lightweight_stage_tag(project: Project) -> None:
    project.git("tag", "penguins#prod#90", "penguins@v1.0.0^{commit}")
    assert project.found(model="penguins") == [
        ("stage tag", "it is a lightweight tag, which says neither who nor when")
    ]


def test_a_stage_tag_of_another_date(project: Project) -> None:
    name = project.git("tag", "-l", "abalone#prod#*", "--sort=taggerdate").split()[-1]
    message = project.git("tag", "-l", "--format=%(contents)", name)
    project.git("tag", "-d", name)
    target = "abalone@v1.0.0^{commit}"
    project.git("tag", "-a", name, "-m", message, target, at="2026-01-01T00:00:00Z")
    # The honest tags beside it are in order, whatever it says: it alone is named.
    [what] = [what for check, what in project.found() if check == "stage tag"]
    assert "before 2026-01-01" in what


def test_a_stage_tag_that_claims_more_than_there_was(project: Project) -> None:
    name = project.git("tag", "-l", "penguins#dev#*").split()[0]
    message = project.git("tag", "-l", "--format=%(contents)", name)
    date = project.git("tag", "-l", "--format=%(taggerdate:iso-strict)", name)
    message = message.replace("Approval: recorded", "Approval: forge")
    target = "penguins@v1.0.0^{commit}"
    project.git("tag", "-f", "-a", name, "-m", message, target, at=date)
    [(check, what)] = project.found(model="penguins")
    assert check == "stage tag"
    assert "claims the approval `forge` by Bo Diddley <bo@example.org>, and that was" in what


def test_a_stage_tag_under_another_name(project: Project) -> None:
    name = project.git("tag", "-l", "penguins#dev#*").split()[0]
    project.git("update-ref", "refs/tags/penguins#dev#77", f"refs/tags/{name}")
    whats = [what for check, what in project.found(model="penguins") if check == "stage tag"]
    assert any(f"its object was made as {name}" in what for what in whats)


def test_a_stage_file_pushed_by_hand(project: Project) -> None:
    project.write(STAGE, project.read(STAGE).replace("v1.0.0", "v1.1.0"))
    commit = project.commit("hotfix")
    whats = [what for check, what in project.found() if check == "promotion"]
    assert any("abalone@v1.1.0 -> prod came by no approved promotion" in what for what in whats)
    assert any("its sha256 is" in what for what in whats)  # that of v1.0.0 is in the file
    assert project.verify().findings[0].fault.place.file == f"{STAGE} at {commit[:7]}"  # type: ignore[union-attr]


def test_a_stage_file_that_says_nothing_sensible(project: Project) -> None:
    project.write(STAGE, "model: abalone\nversion: newest\n")
    project.commit("typo")
    assert [c for c, what in project.found() if "newest" in what] == ["promotion"]


def test_an_author_who_approved_alone(project: Project) -> None:
    project.git("switch", "-qc", "promote/x")
    project.git("rm", "-q", "registry/stages/uat/abalone.yaml")
    project.git("commit", "-qm", "out")
    project.git("switch", "-q", "main")
    words = "Out\n\nApproved-by: Ada Lovelace <ada@example.org>\nApproval: recorded\n"
    project.git("merge", "-q", "--no-ff", "-m", words, "promote/x")
    whats = [what for check, what in project.found() if check == "promotion"]
    assert any("(taken out) -> uat came by no approved promotion" in what for what in whats)


def test_less_than_the_policy_asks_for(project: Project) -> None:
    project.write("towpath.yaml", POLICY + "policy: {approval: signed}\n")
    project.commit("policy")
    project.git("switch", "-qc", "promote/x")
    project.git("rm", "-q", "registry/stages/uat/abalone.yaml")
    project.git("commit", "-qm", "out")
    project.git("switch", "-q", "main")
    project.be("bo")
    words = "Out\n\nPromotion: abalone out of uat\nApproved-by: Bo Diddley <bo@example.org>\n"
    project.git("merge", "-q", "--no-ff", "-m", words, "promote/x")
    short = [what for check, what in project.found() if check == "promotion"]
    # What stages want now is judged by the rules of now as well.
    assert len(short) == 4
    assert all("was approved as `recorded` and needed `signed`" in what for what in short)


def test_a_promotion_that_brought_more(project: Project) -> None:
    project.git("switch", "-qc", "promote/x")
    project.git("rm", "-q", "registry/stages/uat/abalone.yaml")
    project.write("towpath.yaml", POLICY + "policy: {self_approval: true}\n")
    project.commit("out, and the policy")
    project.git("switch", "-q", "main")
    project.be("bo")
    words = "Out\n\nApproved-by: Bo Diddley <bo@example.org>\n"
    project.git("merge", "-q", "--no-ff", "-m", words, "promote/x")
    assert any("also changed towpath.yaml" in what for _, what in project.found())


def test_an_altered_record_on_main(project: Project) -> None:
    project.write(RECORD, project.read(RECORD).replace("mse: 4.5", "mse: 1.5"))
    project.commit("better numbers")
    found = project.found()
    assert ("record", True) in [(c, "not the one on its tag" in what) for c, what in found]
    assert ("record", True) in [
        (c, "Ada Lovelace <ada@example.org> changed it" in w) for c, w in found
    ]


def test_a_version_tag_moved(project: Project) -> None:
    message = project.git("tag", "-l", "--format=%(contents)", "abalone@v1.0.0")
    project.git("tag", "-f", "-a", "abalone@v1.0.0", "-m", message, "abalone@v1.1.0^{commit}")
    found = project.found()
    assert ("version tag", True) in [(c, "holds no record of it" in what) for c, what in found]
    assert any(check == "stage tag" for check, _ in found)


def test_a_version_tag_on_a_record_made_anew(project: Project) -> None:
    """The record in the commit says better numbers, and so does the tag: main's copy does not."""
    old = project.git("rev-parse", "abalone@v1.0.0^{commit}")
    project.git("checkout", "-q", old)
    project.write(RECORD, project.read(RECORD).replace("mse: 4.5", "mse: 1.5"))
    project.git("add", "-f", RECORD)
    project.git("commit", "-q", "--amend", "--no-edit")
    message = project.git("tag", "-l", "--format=%(contents)", "abalone@v1.0.0")
    message = message.replace('"mse":4.5', '"mse":1.5')
    project.git("tag", "-f", "-a", "abalone@v1.0.0", "-m", message)
    project.git("checkout", "-q", "main")
    found = project.found()
    assert ("record", True) in [(c, "not the one on its tag" in what) for c, what in found]


def test_a_tag_that_says_otherwise_than_its_record(project: Project) -> None:
    message = project.git("tag", "-l", "--format=%(contents)", "penguins@v1.0.0")
    message = message.replace('"accuracy":0.98', '"accuracy":0.99')
    project.git("tag", "-f", "-a", "penguins@v1.0.0", "-m", message, "penguins@v1.0.0^{commit}")
    assert project.found(model="penguins") == [
        ("version tag", "its tag says otherwise than its record in metrics")
    ]


def test_a_version_tag_deleted(project: Project) -> None:
    project.git("tag", "-d", "penguins@v1.0.0")
    assert (
        "version tag",
        "penguins@v1.0.0 was promoted, and its tag is gone or holds no record",
    ) in (project.found(model="penguins"))


def test_a_lightweight_version_tag(project: Project) -> None:
    project.git("tag", "penguins@v1.2.0", "penguins@v1.0.0^{commit}")
    assert project.found(model="penguins") == [
        ("version tag", "it is a lightweight tag, which is no version")
    ]


def test_evidence_altered_after_the_merge(project: Project) -> None:
    project.write(EVIDENCE, project.read(EVIDENCE) + "\nEverybody agreed.\n")
    project.commit("reword")
    [(check, what)] = project.found()
    assert (check, "changed it in" in what) == ("evidence", True)


def test_evidence_deleted(project: Project) -> None:
    project.git("rm", "-q", EVIDENCE)
    project.commit("tidy")
    found = project.found()
    assert ("evidence", "the evidence of abalone@v1.0.0 -> uat is gone from main") in found


def test_altered_bytes_in_a_stage(project: Project) -> None:
    digest = _md5(project, "abalone@v1.0.0")
    file = project.root / f".towpath/stages/prod/files/md5/{digest[:2]}/{digest[2:]}"
    file.chmod(0o644)
    file.write_bytes(b"eno")
    [(check, what)] = project.found()
    assert check == "artifact"
    assert "the bytes of abalone@v1.0.0 in the store of prod" in what
    assert "were altered" in what


def test_missing_bytes_in_a_stage(project: Project) -> None:
    digest = _md5(project, "abalone@v1.0.0")
    (project.root / f".towpath/stages/prod/files/md5/{digest[:2]}/{digest[2:]}").unlink()
    [(check, what)] = project.found()
    assert (check, "which entered prod, are not in" in what) == ("artifact", True)
    assert project.found(stage="uat") == []
    assert project.found(offline=True) == []


def test_altered_and_missing_bytes_in_the_project(project: Project) -> None:
    store = Store(project.root)
    altered = store.path(_md5(project, "abalone@v1.0.0"))
    altered.chmod(0o644)
    altered.write_bytes(b"eno")
    store.path(_md5(project, "abalone@v1.1.0")).unlink()
    whats = [what for check, what in project.found() if check == "artifact"]
    assert "the bytes of abalone@v1.0.0 in the project's store were altered" in whats
    assert any("abalone@v1.1.0, which a stage wants, are not in" in what for what in whats)


def test_a_deployment_record_of_another_version(project: Project) -> None:
    path = project.root / ".towpath/stages/prod/towpath/deployed/abalone.json"
    said = json.loads(path.read_text())
    path.write_text(json.dumps({**said, "version": "v9.9.9", "sha256": "0" * 64}))
    [(check, what)] = project.found()
    assert (check, "which is no such promotion" in what) == ("deployment", True)


def test_a_deployment_record_of_other_bytes(project: Project) -> None:
    path = project.root / ".towpath/stages/prod/towpath/deployed/abalone.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "sha256": "0" * 64}))
    [(check, what)] = project.found()
    assert (check, "with sha256 000000000000" in what) == ("deployment", True)


def test_a_store_that_cannot_be_opened_is_no_clean_bill(project: Project) -> None:
    said = POLICY.replace(
        "  dev:", "  dev: {store: {url: s3://b/x, credentials: {access_key: K, secret_key: S}}}"
    )
    project.write("towpath.yaml", said)
    project.commit("dev moves to S3")
    found = project.verify()
    assert found.findings == ()
    [left] = found.unchecked
    assert left.check == "artifact"
    assert "dev" in left.what


def test_one_model_or_one_stage(project: Project) -> None:
    project.git("tag", "penguins#prod#90", "penguins@v1.0.0^{commit}")
    assert project.found(model="abalone") == []
    assert len(project.found(model="penguins")) == 1
    assert project.found(stage="uat") == []
    with pytest.raises(UsageError, match="no stage `prd`"):
        project.verify(stage="prd")
    with pytest.raises(UsageError, match="there is no model `penguin`"):
        project.verify("penguin")


def test_clones_that_cannot_tell(
    project: Project, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("clones")
    url = f"file://{project.root}"
    project.git("clone", "-q", "--depth=1", url, str(folder / "shallow"))
    project.git("clone", "-q", "--no-tags", url, str(folder / "tagless"))
    with pytest.raises(RegistryError, match="shallow clone"):
        Project(folder / "shallow").verify()
    with pytest.raises(RegistryError, match="without tags"):
        Project(folder / "tagless").verify()
    with pytest.raises(RegistryError, match="without tags"):
        search_versions(Project(folder / "tagless").repository, "mse < 5")
    with pytest.raises(RegistryError, match="shallow clone"):
        read_stage_history(Project(folder / "shallow").workspace, "abalone")


def _md5(project: Project, version: str) -> str:
    from towpath import registry

    return registry.get_version(Repository.open(project.root), version).record.artifact.digest
