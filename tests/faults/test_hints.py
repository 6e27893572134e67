"""Every hint of an audit, of `doctor` and of `reconcile` is followed to the letter, and what was
red is green.

Each place of the source that gives a hint stands in ``HINTED`` with the cases that follow it, so
that a new one cannot be forgotten.
"""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
from hint_cases import CASES
from hint_table import BY_HAND, HINTED, count_hints
from hint_troubles import TROUBLES
from hint_world import (
    POLICY,
    Case,
    Finding,
    build,
    copy,
    explain,
    look,
    merge,
    reachable,
    run,
    towpath,
)

import towpath as package
from audit_project import Project
from own_home import MAIN, move_in
from towpath.audit.verification import VerificationReport
from towpath.delivery import promotion, reconcile
from towpath.delivery.reconcile import lease
from towpath.registry import reject_version


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project whose dev ran v1.0.0, and runs v1.1.0; it is copied for each case."""
    folder = tmp_path_factory.mktemp("hints")
    with pytest.MonkeyPatch.context() as patch:
        move_in(folder / "home", MAIN, patch)
        (folder / "world").mkdir()
        return build(folder / "world")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home; nothing of the machine's settings or tokens reaches a test."""
    monkeypatch.setattr(lease, "PATIENCE", 0.1)
    return move_in(tmp_path / "own home", MAIN, monkeypatch)


@pytest.fixture
def project(world: Project, tmp_path: Path) -> Project:
    """A copy of the world."""
    return copy(world, tmp_path / "world")


def follow(project: Project, hint: str) -> None:
    """Do what a hint of `verify` says: run its commands in their order, commit where it says so,
    and write the note where that is all that it asks for."""
    for part in re.split(r"; then |, then |; ", hint):
        line = re.match(r"(?:\w[^':]*: )?((?:towpath|git) .*)", part)
        if line:
            command = line[1].partition(", and commit")[0]
            command = re.split(r" lets it in | puts it | writes what | makes its |, or ", command)[
                0
            ]
            run(project, command)
            if ", and commit" in part:
                project.commit("as the hint says")
        elif note := re.search(r"registry/notes/[0-9a-f]{12}\.md", part):
            explain(project, note[0])


def _follow_case(project: Project, case: Case, hint: str) -> None:
    """The steps of a case, each found in the hint as it stands there."""
    for placeholder, value in case.fills:
        assert placeholder in hint, hint
        hint = hint.replace(placeholder, value)
    for step in case.steps:
        if callable(step):
            step(project)
        elif step == "COMMIT":
            assert "commit" in hint, hint
            project.commit("as the hint says")
        elif step == "NOTE":
            note = re.search(r"registry/notes/[0-9a-f]{12}\.md", hint)
            assert note, hint
            explain(project, note[0])
        else:
            command = re.search(step, hint)
            assert command, f"{step} is not in the hint: {hint}"
            run(project, command[0])


def _named(found: list[Finding], words: str) -> list[Finding]:
    return [one for one in found if words in one.what]


@pytest.mark.parametrize("name", CASES)
def test_each_hint_is_followed(world: Project, tmp_path: Path, name: str) -> None:
    case = CASES[name]
    project = copy(world, tmp_path / "world", case.remote)
    case.trouble(project)
    found = _named(look(project, *case.ask), case.finds)
    assert found, [one.what for one in look(project, *case.ask)]
    kept = reachable(project) if (project.root / ".git").exists() else set()
    _follow_case(project, case, found[0].hint)
    assert not kept - reachable(project), "a hint lost what a ref kept"
    left = _named(look(project, *case.ask), case.finds)
    assert bool(left) is case.stays, [(one.what, one.hint) for one in left]


def _follow_all(project: Project, found: VerificationReport) -> VerificationReport:
    """Follow the hints until nothing is found; each is followed once."""
    seen: set[str] = set()
    for _ in range(12):
        hints = [str(one.fault.hint) for one in found.findings]
        new = [hint for hint in hints if hint not in seen]
        if not new:
            break
        seen.add(new[0])
        follow(project, new[0])
        found = project.verify()
    return found


@pytest.mark.parametrize("trouble", TROUBLES)
def test_each_hint_is_followed_to_green(project: Project, trouble: str) -> None:
    TROUBLES[trouble](project)
    found = project.verify()
    assert found.findings, "nothing was found"
    for one in found.findings:
        _assert_harmless(project, str(one.fault.hint))
    if trouble == "a stage was dropped":
        assert all(
            "declare `dev` in towpath.yaml again" in str(f.fault.hint) for f in found.findings
        )
        project.write("towpath.yaml", POLICY)
        project.commit("as the hint says")
        found = project.verify()
    kept = reachable(project)
    left = _follow_all(project, found)
    assert [(one.check, one.fault.what, one.fault.hint) for one in left.findings] == []
    assert not kept - reachable(project), "a hint lost what a ref kept"
    applied = [reconcile.reconcile_stage(project.workspace, stage) for stage in ("dev", "prod")]
    assert [one.exit_code for one in applied] == [0, 0]


def _assert_harmless(project: Project, hint: str) -> None:
    for word in ("git revert", "git tag -d", "git reset", "--force", "rm -"):
        assert word not in hint, hint
    assert hint and str(project.root) not in hint


def test_a_reverted_promotion_is_recognised_and_rollback_named(project: Project) -> None:
    TROUBLES["a promotion was reverted"](project)
    [one] = [f for f in project.verify().findings if f.check == "promotion"]
    assert "took abalone@v1.1.0 -> dev back by hand" in one.fault.what
    assert "towpath rollback abalone --stage dev --to v1.0.0" in str(one.fault.hint)
    code, said, _ = towpath(project, "history", "abalone")
    assert code == 0 and "reverted by hand" in said
    assert [o.state for o in reconcile.reconcile_stage(project.workspace, "dev").outcomes] == [
        "refused"
    ]
    follow(project, str(one.fault.hint))
    assert reconcile.plan_stage(project.workspace, "dev").pending == ()


def test_a_note_explains_one_finding(project: Project) -> None:
    TROUBLES["a promotion brought code"](project)
    [one] = project.verify().findings
    note = f"registry/notes/{one.id}.md"
    project.write(note, "\n")
    project.commit("nothing is said")
    assert [found.id for found in project.verify().findings] == [one.id]
    project.git("rm", "-q", note)
    project.commit("away")
    project.git("switch", "-qc", "note")
    project.write(note, "The code was reviewed in #7.\n")
    project.commit("say what happened")
    project.git("switch", "-q", "main")
    assert [found.id for found in project.verify().findings] == [one.id]
    merge(project, "note")
    found = project.verify()
    assert found.findings == ()
    assert [(e.finding.id, e.note) for e in found.explained] == [(one.id, note)]
    assert "Bo Diddley" in found.explained[0].by
    code, said, _ = towpath(project, "verify", "--json")
    assert (
        code == 0
        and json.loads(said.partition("\n")[0])["verification"]["explained"][0]["note"] == note
    )


def _reject_running(project: Project) -> None:
    reject_version(project.repository, "abalone@v1.1.0", "it was trained on the test set")


def _drop_evidence(project: Project) -> None:
    page = project.git("ls-files", "registry/evidence").split()[-1]
    project.git("rm", "-q", page)
    project.commit("tidy up")


WRONG_NOW = {
    "a tag is gone": lambda project: project.git("tag", "-d", "abalone@v1.1.0"),
    "what runs was rejected": _reject_running,
    "a commit is hidden": lambda project: project.git("replace", "main", "main~1"),
    "evidence is gone": _drop_evidence,
}


@pytest.mark.parametrize("trouble", WRONG_NOW)
def test_no_note_explains_what_is_wrong_now(project: Project, trouble: str) -> None:
    WRONG_NOW[trouble](project)
    found = {one.id for one in project.verify().findings}
    assert found
    for each in found:
        explain(project, f"registry/notes/{each}.md")
    assert {one.id for one in project.verify().findings} == found


def test_a_check_of_a_note_passes_as_code_does(project: Project) -> None:
    project.git("switch", "-qc", "note")
    project.write("registry/notes/0123456789ab.md", "why\n")
    project.commit("say what happened")
    assert promotion.check_promotion_branch(project.workspace).faults == ()


def test_every_hint_of_the_source_is_followed() -> None:
    """A hint that is new, or gone, must stand in the table with the cases that follow it."""
    counted = count_hints(Path(str(package.__file__)).parent)
    assert counted == {place: count for place, (count, _) in HINTED.items()}
    known = {*CASES, *TROUBLES}
    tests = Path(__file__).parents[2]
    for place, (_, names) in HINTED.items():
        assert names, place
        for name in names:
            file, _, test = name.partition("::")
            if test:
                assert f"def {test}" in (tests / file).read_text(encoding="utf-8"), name
            else:
                assert name in known or name.startswith(BY_HAND), (place, name)
    named = {name for _, names in HINTED.values() for name in names}
    assert {*CASES} <= named, "a case that follows the hint of no place"


def test_a_clone_remembers_main_where_a_stage_does_not(world: Project, tmp_path: Path) -> None:
    project = copy(world, tmp_path / "world", remote=True)
    assert towpath(project, "reconcile", "dev", "--apply")[0] == 0
    project.git("branch", "kept", "main")
    project.git("reset", "-q", "--hard", "main^1")
    project.write("notes.txt", "another way\n")
    project.commit("another way")
    project.git("push", "-q", "-f", "origin", "main")
    [found] = _named(look(project, "reconcile", "prod", "--json"), "it was rewritten")
    assert _named(look(project, "verify", "--json"), "it was rewritten")
    other = copy(world, tmp_path / "another", remote=True)
    other.git("fetch", "-q", str(project.root.parent / "origin.git"), "+main:refs/heads/theirs")
    assert not _named(look(other, "reconcile", "prod", "--json"), "it was rewritten")
    project.git("fetch", "-q", "--prune", "--prune-tags", "origin")
    assert _named(look(project, "reconcile", "prod", "--json"), "it was rewritten")
    accept = re.search(r"towpath reconcile STAGE --apply --accept-history", found.hint)
    assert accept
    towpath(project, *shlex.split(accept[0].replace("STAGE", "prod"))[1:])
    assert not _named(look(project, "reconcile", "prod", "--json"), "it was rewritten")
