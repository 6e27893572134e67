"""Whose a model is: nothing is taken out, deployed or forgotten by where files once lay."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from audit_project import PATH, Project, begin
from command_line import call_towpath
from own_home import MAIN, move_in
from towpath.audit.stage_history import read_stage_history
from towpath.delivery import promotion, reconcile
from towpath.delivery.reconcile.reconcile_plan import BlockedChange, NothingToDo, RemoveModel
from towpath.doctor import examine_project
from towpath.errors import Refused, RegistryError, UsageError
from towpath.registry.ownership import claim_path, read_owners

SECOND = "name: second\nstages: {dev: {store: %s}, lab: }\n"


@pytest.fixture(scope="module")
def module_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("ownership")


@pytest.fixture
def tmp_path(module_folder: Path) -> Path:
    """The same folder for each test, emptied: the projects name theirs by whole paths."""
    folder = module_folder / "one"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    move_in(tmp_path / "own home", MAIN, monkeypatch)
    yield


def _policy(tmp_path: Path, name: str = "abalone") -> str:
    return (
        f"name: {name}\nstages: {{dev: {{store: {tmp_path / 'dev'}, "
        f"deploy: {{to: files, path: {tmp_path / 'served'}}}}}, prod: }}\n"
    )


@pytest.fixture
def project(tmp_path: Path, module_folder: Path) -> Project:
    """A project whose v1.1.0 runs in dev."""
    made, whole = tmp_path / "abalone", module_folder / "whole"
    if whole.exists():
        shutil.copytree(whole, tmp_path, symlinks=True, dirs_exist_ok=True)
        return Project(made)
    first = begin(made, _policy(tmp_path))
    first.promote(first.register(b"one"), "dev")
    first.promote(first.register(b"two"), "dev")
    shutil.copytree(tmp_path, whole, symlinks=True)
    return first


def _moved(project: Project, folder: str) -> Project:
    """The project after `git mv` of all but registry/ into a folder."""
    (project.root / folder).mkdir(parents=True)
    for name in ("towpath.yaml", ".gitignore", ".dvc", ".dvcignore"):
        if (project.root / name).exists():
            project.git("mv", name, f"{folder}/{name}")
    cache = project.root / ".dvc" / "cache"
    if cache.exists():
        cache.rename(project.root / folder / ".dvc" / "cache")
    project.commit("models have a folder each")
    return Project(project.root / folder)


def _second(first: Project, folder: str, policy: str) -> Project:
    """Another project of the same repository, with a version of its own."""
    made = Project(first.root / folder)
    made.write("towpath.yaml", policy)
    made.write(".gitignore", "/.towpath/\n/artifacts/\n/deploy/\n")
    first.commit("a second project")
    return made


def _said(project: Project, stage: str = "dev") -> dict[str, str]:
    return {c.model: str(c) for c in reconcile.plan_stage(project.workspace, stage).changes}


def _cli(project: Project, *words: str) -> tuple[int, str]:
    """What the command line answers: the exit code, both streams."""
    done = call_towpath(project.root, *words)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("among_others", [False, True])
def test_a_move_drops_no_gate_that_counted_when_the_promotion_was_merged(
    project: Project, tmp_path: Path, among_others: bool
) -> None:
    if among_others:
        _second(project, "second", SECOND % (tmp_path / "second's dev"))
        assert _cli(project, "claim", "abalone")[0] == 0
        project.commit("abalone is of the root")
    gate = "{own: {kind: function, run: 'checks.own:judge'}}"
    gated = _policy(tmp_path).replace("dev: {", f"dev: {{gates: {gate}, ")
    project.write("checks/own.py", "def judge(context):\n    return False\n")
    project.write("towpath.yaml", gated)
    project.commit("a gate")
    project.move(promotion.propose_promotion(project.workspace, project.register(b"three"), "dev"))
    project.git("rm", "-q", "-r", "checks")
    project.write("towpath.yaml", _policy(tmp_path))
    moved = _moved(project, "models/abalone")
    if among_others:
        project.write(claim_path("abalone"), "project: models/abalone\n")
        project.commit("its models move along")
    [outcome] = reconcile.reconcile_stage(moved.workspace, "dev").outcomes
    assert outcome.state == "refused", "the gate of before the merge is asked, where it lay then"
    assert outcome.faults[0].what.startswith("gate own (function) says no")
    assert "cannot be evaluated" not in outcome.faults[0].what


def test_a_move_lowers_no_level_that_was_asked_for(project: Project, tmp_path: Path) -> None:
    signed = _policy(tmp_path).replace("prod: }", "prod: {approval: signed}}")
    promoted = promotion.propose_promotion(project.workspace, "abalone@v1.1.0", "prod")
    project.write("towpath.yaml", signed)
    project.commit("prod is entered by signatures")
    project.git("merge", "-q", "--no-ff", "-m", "straight in", promoted.branch)
    project.write("towpath.yaml", _policy(tmp_path))
    moved = _moved(project, "models/abalone")
    [outcome] = reconcile.reconcile_stage(moved.workspace, "prod").outcomes
    assert outcome.state == "refused"
    assert "prod asks for at least `signed`" in outcome.faults[0].what


def test_a_project_that_was_moved_keeps_its_models(project: Project, tmp_path: Path) -> None:
    promoted = project.verify().looked_at["promotions"]
    tags = project.git("tag", "--list")
    moved = _moved(project, "models/abalone")
    assert _said(moved) == {"abalone": "nothing to do: v1.1.0"}
    applied = reconcile.reconcile_stage(moved.workspace, "dev")
    assert [type(one.change) for one in applied.outcomes] == []
    assert moved.git("tag", "--list") == tags
    assert (tmp_path / "served" / "abalone" / "current").resolve().name == "v1.1.0"
    found = moved.verify()
    assert found.looked_at["promotions"] == promoted == 2
    assert found.findings == ()
    assert [one.version for one in read_stage_history(moved.workspace, "abalone")] == [
        "v1.0.0",
        "v1.1.0",
    ]
    assert [c for c in examine_project(moved.workspace) if c.verdict == "lacks"] == []
    moved.promote(moved.register(b"three", path=f"models/abalone/{PATH}"), "dev")
    assert _said(moved) == {"abalone": "nothing to do: v1.2.0"}


def test_what_was_promoted_before_the_move_can_be_deployed_after_it(project: Project) -> None:
    project.move(promotion.propose_rollback(project.workspace, "abalone", "dev"))
    moved = _moved(project, "models/abalone")
    assert _said(moved) == {"abalone": "deploy v1.0.0 over v1.1.0"}
    assert reconcile.reconcile_stage(moved.workspace, "dev").exit_code == 0
    assert moved.verify().findings == ()


def test_a_work_tree_that_is_ahead_of_main_says_so(project: Project) -> None:
    project.git("switch", "-qc", "move")
    moved = _moved(project, "models/abalone")
    for ask in (moved.verify, lambda: read_stage_history(moved.workspace, "abalone")):
        with pytest.raises(RegistryError, match="main holds no project in `models/abalone`"):
            ask()
    with pytest.raises(RegistryError, match=r"holds no models/abalone/towpath\.yaml"):
        reconcile.plan_stage(moved.workspace, "dev")


def test_two_projects_with_one_store_leave_each_other_alone(
    project: Project, tmp_path: Path
) -> None:
    second = _second(project, "second", _policy(tmp_path, "second"))
    assert _cli(project, "claim", "abalone")[0] == 0
    project.commit("abalone is of the root")
    second.promote(second.register(b"ink", "squid", f"second/{PATH}"), "dev")
    for one, mine, other in ((project, "abalone", "squid"), (second, "squid", "abalone")):
        plan = reconcile.plan_stage(one.workspace, "dev")
        assert [(c.model, type(c)) for c in plan.changes] == [(mine, NothingToDo)]
        assert any(f"not of this project: {other}" in note for note in plan.notes)
        assert reconcile.reconcile_stage(one.workspace, "dev").outcomes == ()
        assert one.verify().findings == ()
        assert {entry.model for entry in read_stage_history(one.workspace, mine)} == {mine}
        told = [c.said for c in examine_project(one.workspace) if c.about == "stage dev"]
        assert any(f"also holds models of another project: {other}" in said for said in told)
    assert {path.name for path in (tmp_path / "served").iterdir()} == {"abalone", "squid"}


def test_two_repositories_with_one_store_leave_each_other_alone(
    project: Project, tmp_path: Path
) -> None:
    other = begin(tmp_path / "other", _policy(tmp_path, "other"))
    with pytest.raises(Refused):  # the store remembers another main than this repository's
        other.promote(other.register(b"ink", "squid"), "dev")
    record = tmp_path / "dev" / "towpath" / "deployed"
    (record / "squid.json").write_bytes((record / "abalone.json").read_bytes())
    assert _said(project) == {"abalone": "nothing to do: v1.1.0"}
    assert any("squid" in note for note in reconcile.plan_stage(project.workspace, "dev").notes)
    assert reconcile.reconcile_stage(project.workspace, "dev").outcomes == ()
    assert (record / "squid.json").exists()


def test_the_root_does_not_deploy_what_is_of_a_project_below_it(
    project: Project, tmp_path: Path
) -> None:
    second = _second(project, "models/squid", SECOND % (tmp_path / "squids"))
    assert _said(project)["abalone"].startswith("blocked: ")
    assert _cli(project, "claim", "abalone")[0] == 0
    project.commit("abalone is of the root")
    version = second.register(b"ink", "squid", f"models/squid/{PATH}")
    with pytest.raises(UsageError, match="squid"):
        made = promotion.propose_promotion(second.workspace, version, "dev")
        second.move(made)
        promotion.propose_promotion(project.workspace, version, "dev")
    assert _said(project) == {"abalone": "nothing to do: v1.1.0"}
    assert _said(second) == {"squid": "deploy v1.0.0"}
    assert project.git("show", f"main:{claim_path('squid')}") == "project: models/squid"


def test_a_promotion_is_judged_by_the_project_that_the_model_is_of(
    project: Project, tmp_path: Path
) -> None:
    second = _second(project, "second", SECOND % (tmp_path / "squids"))
    version = second.register(b"ink", "squid", f"second/{PATH}")
    made = promotion.propose_promotion(second.workspace, version, "dev")
    assert claim_path("squid") in made.files
    assert promotion.check_promotion_branch(project.workspace, head=made.branch).faults == ()
    second.git("switch", "-q", made.branch)
    second.git("rm", "-q", f":/{claim_path('squid')}")
    second.commit("whose is it?")
    second.git("switch", "-q", "main")
    faults = [
        fault.what
        for fault in promotion.check_promotion_branch(second.workspace, head=made.branch).faults
    ]
    assert any("says whose it is, and this does not" in fault for fault in faults), faults


def test_a_promotion_may_not_move_a_model_to_another_project(
    project: Project, tmp_path: Path
) -> None:
    _second(project, "second", SECOND % (tmp_path / "squids"))
    _cli(project, "claim", "abalone")
    project.commit("abalone is of the root")
    version = project.register(b"three")
    made = promotion.propose_promotion(project.workspace, version, "dev")
    project.git("switch", "-q", made.branch)
    project.write(claim_path("abalone"), "project: second\n")
    project.commit("mine now")
    project.git("switch", "-q", "main")
    with pytest.raises(Refused, match="by which it is judged"):
        promotion.approve_promotion(project.workspace, made.branch)


def test_a_model_of_several_projects_is_nobodys_until_it_is_claimed(
    project: Project, tmp_path: Path
) -> None:
    second = _second(project, "second", _policy(tmp_path, "second"))
    for one in (project, second):
        assert "nothing on main says whose `abalone` is" in _said(one)["abalone"]
        assert all(
            isinstance(c, BlockedChange) for c in reconcile.plan_stage(one.workspace, "dev").changes
        )
        told = [(f.check, f.fault.what) for f in one.verify().findings]
        assert [check for check, _ in told] == ["promotion"]
        assert one.verify().looked_at["promotions"] == 2
    with pytest.raises(UsageError, match="nothing on main says whose"):
        promotion.propose_promotion(second.workspace, project.register(b"three"), "dev")
    hint = project.verify().findings[0].fault.hint
    assert "towpath claim abalone" in hint and claim_path("abalone") in hint
    assert _cli(project, "claim", "abalone")[0] == 0
    project.commit("it is of the root")
    assert _said(project) == {"abalone": "nothing to do: v1.1.0"}
    assert project.verify().findings == ()
    assert _said(second) == {}


def test_a_renamed_project_is_followed_by_a_change_of_one_file(
    project: Project, tmp_path: Path
) -> None:
    second = _second(project, "second", SECOND % (tmp_path / "squids"))
    _cli(project, "claim", "abalone")
    project.commit("abalone is of the root")
    second.promote(second.register(b"ink", "squid", f"second/{PATH}"), "dev")
    project.git("mv", "second", "third")
    project.commit("a better name")
    third = Project(project.root / "third")
    for one in (project, third):
        assert "said to be of the project in `second`" in _said(one)["squid"]
    with pytest.raises(Exception, match="second"):
        promotion.propose_demotion(third.workspace, "squid", "dev")
    assert _cli(third, "claim", "squid")[0] == 0
    third.commit("squid went along")
    assert _said(third) == {"squid": "nothing to do: v1.0.0"}


def test_a_project_that_was_deleted_leaves_its_models_to_nobody(
    project: Project, tmp_path: Path
) -> None:
    second = _second(project, "second", _policy(tmp_path, "second"))
    _cli(project, "claim", "abalone")
    project.commit("abalone is of the root")
    second.promote(second.register(b"ink", "squid", f"second/{PATH}"), "dev")
    project.git("rm", "-rq", "second")
    project.commit("no squids any more")
    said = _said(project)
    assert said["abalone"] == "nothing to do: v1.1.0"
    assert said["squid"].startswith("blocked: ")
    reconcile.reconcile_stage(project.workspace, "dev")
    assert (tmp_path / "served" / "squid" / "current").exists()
    assert any(
        "squid" in c.said for c in examine_project(project.workspace) if c.verdict == "lacks"
    )


@pytest.mark.parametrize(
    "text", ["project: nowhere\n", "project: ../..\n", "- 1\n", "", "project: [", "project: 3\n"]
)
def test_a_claim_that_names_nothing_gives_nothing_away(
    project: Project, tmp_path: Path, text: str
) -> None:
    _second(project, "second", SECOND % (tmp_path / "squids"))
    project.write(claim_path("abalone"), text)
    project.commit("claimed")
    assert _said(project)["abalone"].startswith("blocked: ")
    assert reconcile.reconcile_stage(project.workspace, "dev").exit_code == 3
    assert _cli(project, "verify")[0] == 3
    assert _cli(project, "claim", "abalone")[0] == 0
    project.commit("it is of the root")
    assert _said(project) == {"abalone": "nothing to do: v1.1.0"}


def test_a_model_leaves_by_a_merged_deletion_and_by_nothing_else(
    project: Project, tmp_path: Path
) -> None:
    project.register(b"never promoted", "whelk")
    record = tmp_path / "dev" / "towpath" / "deployed"
    (record / "whelk.json").write_text(_of_whelk(record / "abalone.json"))
    change = next(
        c for c in reconcile.plan_stage(project.workspace, "dev").changes if c.model == "whelk"
    )
    assert isinstance(change, BlockedChange)
    assert "no change of main ever asked for it there" in str(change)
    (record / "whelk.json").unlink()
    reconcile.reconcile_stage(project.workspace, "dev")
    project.move(promotion.propose_demotion(project.workspace, "abalone", "dev"))
    plan = reconcile.plan_stage(project.workspace, "dev")
    assert [type(c) for c in plan.changes] == [RemoveModel]
    assert plan.changes[0].deletion == project.git("rev-parse", "main")
    assert reconcile.reconcile_stage(project.workspace, "dev").exit_code == 0
    assert _said(project) == {}


def _of_whelk(record: Path) -> str:
    """A deployment record as another registry that uses the store would have written it."""
    return record.read_text().replace('"abalone"', '"whelk"')


def test_a_stage_file_deleted_by_hand_takes_nothing_out(project: Project) -> None:
    project.git("rm", "-q", "registry/stages/dev/abalone.yaml")
    project.commit("away with it")
    applied = reconcile.reconcile_stage(project.workspace, "dev")
    assert [one.state for one in applied.outcomes] == ["refused"]
    assert project.workspace.repository is not None
    assert "v1.1.0" in str(applied.outcomes[0].change)


def test_a_template_and_a_project_of_another_registry_are_no_owners(project: Project) -> None:
    project.write("templates/{{cookiecutter.name}}/towpath.yaml", "name: x\n")
    project.write("elsewhere/towpath.yaml", "name: y\nregistry: https://git.example.org/r.git\n")
    project.commit("a template, and a guest")
    owners = read_owners(project.repository, project.git("rev-parse", "HEAD"))
    assert owners.projects == ("",)
    assert _said(project) == {"abalone": "nothing to do: v1.1.0"}
