"""A number is given once: tags may be lost, moved or forged, and main's decisions still stand."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from audit_project import Project, begin
from command_line import call_towpath
from own_home import MAIN, CopyWorld, move_in
from towpath import registry
from towpath.backends.git import CommitStamp, make_tag_object, refs
from towpath.delivery import promotion, reconcile
from towpath.delivery.reconcile.reconcile_plan import BlockedChange, DeployVersion
from towpath.errors import Refused, TowpathError, UsageError
from towpath.registry import restore_tags, stage_tags


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home; nothing of the machine's settings or tokens reaches a test."""
    return move_in(tmp_path / "own home", MAIN, monkeypatch)


SAME = {"parameters": {"learning_rate": 0.08}}


def _build(folder: Path) -> None:
    made = begin(folder / "abalone", "name: abalone\nstages: [dev, prod]\n")
    made.register(b"one")
    made.promote(made.register(b"two", parameters={"learning_rate": 0.08}), "dev")


@pytest.fixture
def project(home: Path, tmp_path: Path, copy_world: CopyWorld) -> Project:  # noqa: ARG001
    """A project whose v1.1.0 runs in dev."""
    copy_world(_build, tmp_path)
    return Project(tmp_path / "abalone")


def _object(project: Project, name: str = "abalone@v1.1.0") -> str:
    return project.git("rev-parse", f"refs/tags/{name}")


def test_a_number_whose_tag_is_gone_is_not_given_again(project: Project) -> None:
    project.git("tag", "-d", "abalone@v1.1.0")
    assert project.register(b"three", parameters={"learning_rate": 0.05}) == "abalone@v1.2.0"


@pytest.mark.parametrize("left", ["main", "stage tags"])
def test_one_witness_of_a_number_is_enough(project: Project, left: str) -> None:
    project.git("tag", "-d", "abalone@v1.1.0")
    if left == "main":
        project.git("tag", "-d", "abalone#dev#1")
    else:
        project.git(
            "update-ref", "refs/heads/main", project.git("rev-list", "--max-parents=0", "HEAD")
        )
        project.git("reset", "-q", "--hard", "main")
    assert project.register(b"three", parameters={"learning_rate": 0.05}) == "abalone@v1.2.0"


def test_a_lost_tag_is_made_again_to_the_last_bit(project: Project) -> None:
    before = _object(project)
    project.git("tag", "-d", "abalone@v1.1.0")
    [finding] = [one for one in project.verify().findings if one.check == "version tag"]
    assert finding.fault.hint == "towpath restore abalone@v1.1.0"
    done = restore_tags.restore_tag(project.repository, "abalone@v1.1.0")
    assert done.new and done.aside is None
    assert _object(project) == before
    assert project.verify().findings == ()
    assert not restore_tags.restore_tag(project.repository, "abalone@v1.1.0").new


def test_a_tag_is_only_made_on_a_commit_that_holds_the_record(project: Project) -> None:
    commit = project.git("rev-parse", "abalone@v1.1.0^{commit}")
    project.git("tag", "-d", "abalone@v1.1.0", "abalone#dev#1")
    project.git("update-ref", "-d", "refs/towpath/versions/abalone@v1.1.0")
    project.git("reflog", "expire", "--expire=now", "--all")
    project.git("gc", "-q", "--prune=now")
    assert project.repository.commit(commit) is None
    with pytest.raises(Exception, match=r"no commit here holds the record of abalone@v1\.1\.0"):
        restore_tags.restore_tag(project.repository, "abalone@v1.1.0")
    with pytest.raises(UsageError, match="never promoted"):
        restore_tags.restore_tag(project.repository, "abalone@v9.0.0")
    with pytest.raises(UsageError, match="no tag of the registry"):
        restore_tags.restore_tag(project.repository, "../../x")


def _repointed(project: Project) -> None:
    """Mallory: v1.1.0's tag now stands for other bytes, with a record that says so."""
    project.git("tag", "-d", "abalone@v1.1.0")
    stage = project.git("rev-parse", "refs/tags/abalone#dev#1")
    main = project.git("rev-parse", "main")
    first = project.git("rev-list", "--max-parents=0", "HEAD")
    project.git("update-ref", "refs/tags/x", stage)
    project.git("tag", "-d", "abalone#dev#1")
    project.git("update-ref", "refs/heads/main", first)
    assert project.register(b"evil", parameters={"learning_rate": 9}) == "abalone@v1.1.0"
    project.git("update-ref", "refs/heads/main", main)
    project.git("update-ref", "refs/tags/abalone#dev#1", stage)
    project.git("tag", "-d", "x")
    project.git("reset", "-q", "--hard", "main")


def test_a_tag_that_was_moved_is_refused_everywhere(project: Project) -> None:
    made = promotion.propose_promotion(project.workspace, "abalone@v1.1.0", "prod")
    _repointed(project)
    with pytest.raises(UsageError, match="holds another record than main decided upon"):
        promotion.propose_promotion(project.workspace, "abalone@v1.1.0", "prod")
    faults = promotion.check_promotion_branch(project.workspace, head=made.branch).faults
    assert any("than main decided upon" in fault.what for fault in faults)
    with pytest.raises(Refused, match="than main decided upon"):
        promotion.approve_promotion(project.workspace, made.branch)
    [change] = reconcile.plan_stage(project.workspace, "dev").changes
    assert isinstance(change, BlockedChange)
    assert [o.state for o in reconcile.reconcile_stage(project.workspace, "dev").outcomes] == [
        "refused"
    ]


def test_a_rejection_is_not_set_aside(project: Project) -> None:
    registry.reject_version(project.repository, project.register(b"three"), "too old")
    (tag,) = (tag for tag in project.git("tag").split() if "!" in tag)
    version = tag.partition("!")[0]
    # Nor where the version's own tag is lost: it would come back, and be no rejected one.
    for lost in ((), (version,)):
        for name in lost:
            project.git("tag", "-d", name)
        refused = call_towpath(project.root, "restore", tag)
        assert refused.returncode == 2
        assert f"`{tag}` is a rejection, and stays" in refused.stderr
        assert tag in project.git("tag").split()


@pytest.mark.parametrize(
    ("tag", "words", "at"),
    [
        ("abalone@v7.0.0!#1", ("-a", "-m", "of nothing"), None),
        ("abalone@v1.1.0!#1", ("-a", "-m", "of another commit"), None),
        ("abalone@v1.1.0!#2", (), None),
        ("abalone@v1.1.0!#3", ("-a", "-m", "dated ahead"), "2090-01-01T00:00:00Z"),
    ],
)
def test_what_rejects_nothing_is_set_aside(
    project: Project, tag: str, words: tuple[str, ...], at: str | None
) -> None:
    target = "abalone@v1.1.0^{}" if at else project.git("rev-list", "--max-parents=0", "HEAD")
    project.git("tag", *words, tag, target, **({"at": at} if at else {}))
    assert call_towpath(project.root, "restore", tag).returncode == 0
    assert tag not in project.git("tag").split()
    absent = call_towpath(project.root, "restore", tag)
    assert (absent.returncode, f"there is no tag {tag} here" in absent.stderr) == (2, True)


def test_a_moved_tag_is_put_back_and_what_it_was_is_kept(project: Project) -> None:
    before = _object(project)
    _repointed(project)
    evil = _object(project)
    assert evil != before
    done = restore_tags.restore_tag(project.repository, "abalone@v1.1.0")
    assert _object(project) == before
    assert done.aside and project.git("rev-parse", done.aside) == evil
    assert project.verify().findings == ()
    assert reconcile.plan_stage(project.workspace, "dev").pending == ()


def test_a_record_of_other_bytes_by_the_stage_files_alone_is_refused(project: Project) -> None:
    _repointed(project)
    project.git("rm", "-q", "registry/models/abalone/v1.1.0.yaml")
    project.commit("no trace")
    with pytest.raises(UsageError, match="was decided upon with sha256"):
        promotion.propose_promotion(project.workspace, "abalone@v1.1.0", "prod")


def _forge_tag(project: Project, name: str, when: int, at: str = "abalone@v1.1.0") -> None:
    repository = project.repository
    commit = project.git("rev-parse", f"{at}^{{commit}}")
    made = make_tag_object(
        repository, name, commit, "mine", CommitStamp(repository.read_identity(), when)
    )
    assert refs.change_refs(repository, {f"refs/tags/{name}": made})


@pytest.mark.parametrize("name", ["abalone#prod#7", "abalone@v0.0.1", "whelk@v1.0.0"])
def test_a_tag_of_the_future_dates_no_other(project: Project, name: str) -> None:
    _forge_tag(project, name, 4_070_908_800)  # 2099
    now = time.time()
    version = project.register(b"three", parameters={"learning_rate": 0.05})
    found = registry.find_version(project.repository, version)
    assert abs(found.time - now) < 3600
    project.promote(version, "dev")
    last = stage_tags.read_current_tags(project.repository, "dev")["abalone"]
    assert abs(last.tag.time - now) < 3600
    assert "abalone" not in stage_tags.read_current_tags(project.repository, "prod")
    found_now = [one for one in project.verify().findings if "2099" in one.fault.what]
    assert found_now, project.found()
    for one in found_now:
        restore_tags.restore_tag(project.repository, str(one.fault.place))
    assert project.verify().findings == ()


def test_what_a_forged_date_poisoned_before_is_mended(project: Project) -> None:
    """Tags that were dated after the forged one are no good either."""
    _forge_tag(project, "abalone#dev#5", 4_070_908_801)
    version = project.register(b"three", parameters={"learning_rate": 0.05})
    project.move(promotion.propose_promotion(project.workspace, version, "dev"))
    [change] = reconcile.plan_stage(project.workspace, "dev").changes
    assert isinstance(change, DeployVersion)
    project.reconcile("dev")
    assert reconcile.plan_stage(project.workspace, "dev").pending == ()


def test_a_stray_tag_does_not_become_the_latest(project: Project) -> None:
    project.git("tag", "-a", "-m", "hello", "abalone@v7.0.0")
    message = project.git("for-each-ref", "--format=%(contents)", "refs/tags/abalone@v1.1.0")
    project.git("tag", "-a", "-m", message, "abalone@v8.0.0")
    assert str(registry.find_version(project.repository, "abalone@latest")) == "abalone@v1.1.0"
    assert project.register(b"three", data={"raw": "ff" * 16}, **SAME) == "abalone@v1.2.0"
    for name in ("abalone@v7.0.0", "abalone@v8.0.0"):
        assert (name, f"towpath restore {name}") in [
            (str(one.fault.place), one.fault.hint) for one in project.verify().findings
        ]
        assert restore_tags.restore_tag(project.repository, name).commit is None
    assert project.verify().findings == ()


def test_an_honest_stage_tag_is_not_set_aside(project: Project) -> None:
    """Neither beside a forged one that would make it look out of order, nor at a person's word."""
    forged = "abalone#dev#9"
    words = ("-a", "-m", "x", forged, "abalone@v1.1.0^{}")
    project.git("tag", *words, at="1970-01-02T00:00:00Z")
    places = {str(one.fault.place) for one in project.verify().findings}
    assert places == {forged}
    refused = call_towpath(project.root, "restore", "abalone#dev#1")
    assert refused.returncode == 2
    assert "nothing is wrong with `abalone#dev#1`" in refused.stderr
    assert call_towpath(project.root, "restore", forged).returncode == 0
    assert project.verify().findings == ()


def test_a_tag_on_another_commit_with_the_same_record_is_refused(project: Project) -> None:
    project.git("tag", "-f", "-a", "-m", "x", "abalone@v1.1.0", "main")
    with pytest.raises(UsageError, match="which did not register it"):
        promotion.propose_promotion(project.workspace, "abalone@v1.1.0", "prod")


def test_a_damaged_memory_of_main_is_a_finding(project: Project) -> None:
    file = project.root / ".towpath/stages/dev/towpath/main.json"
    for torn in ("[]", '{"schema": 1, "main": "../x"}', "{", "[" * 9000):
        file.write_text(torn)
        [damaged] = [one for one in project.verify().findings if one.check == "main"]
        assert "is damaged" in damaged.fault.what
        assert "--accept-history" in str(damaged.fault.hint)
        with pytest.raises(TowpathError, match="is damaged"):
            reconcile.reconcile_stage(project.workspace, "dev")
    accepted = reconcile.ReconcileOptions(accepts_history=True)
    assert reconcile.reconcile_stage(project.workspace, "dev", accepted).exit_code == 0
    assert project.verify().findings == ()
