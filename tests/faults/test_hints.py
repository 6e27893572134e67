"""Every hint of an audit is followed to the letter, and what was red is green."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from audit_project import Project, begin
from own_home import MAIN, move_in
from towpath import promotion, reconcile
from towpath.audit.verify import Verified
from towpath.git import Stamp, refs, tag
from towpath.registry import record as records

POLICY = """\
name: abalone
stages:
  dev: {deploy: {to: files, path: deploy/dev}}
  prod:
"""
STAGE_FILE = "registry/stages/dev/abalone.yaml"
RECORD = "registry/models/abalone/v1.1.0.yaml"
EVIDENCE = "registry/evidence/abalone/v1.1.0-dev.md"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home; nothing of the machine's settings or tokens reaches a test."""
    return move_in(tmp_path / "own home", MAIN, monkeypatch)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project whose dev ran v1.0.0, and runs v1.1.0."""
    made = begin(tmp_path / "abalone", POLICY)
    made.promote(made.register(b"one"), "dev")
    made.promote(made.register(b"two", parameters={"learning_rate": 0.08}), "dev")
    return made


def _towpath(project: Project, *words: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "towpath", *words], cwd=project.root, capture_output=True, text=True
    )
    assert done.returncode != 70, done.stderr
    return done.returncode, done.stdout + done.stderr


def _run(project: Project, line: str) -> None:
    """One command, as a person copies it out of a hint."""
    words = shlex.split(line.replace("towpath ", f"{sys.executable} -m towpath ", 1))
    if words[1:3] == ["-m", "towpath"] and words[3] in ("promote", "rollback", "demote"):
        code, said = _towpath(project, *words[3:])
        assert code == 0, said
        branch = re.search(r"promote/\S+", said)
        assert branch, said
        _merge(project, branch[0])
        assert _towpath(project, "reconcile", "--apply")[0] == 0
        return
    done = subprocess.run(line if ">" in words else words, shell=">" in words, cwd=project.root,
                          capture_output=True, text=True)  # fmt: skip
    assert done.returncode == 0, f"{line}: {done.stdout}{done.stderr}"


def _merge(project: Project, branch: str) -> None:
    project.be("bo")
    if branch.startswith("promote/"):
        promotion.approve(project.workspace, branch)
    else:
        project.git("merge", "-q", "--no-ff", "-m", "approved", branch)
    project.be("ada")


def _explain(project: Project, path: str) -> None:
    """A note that Ada writes and Bo merges."""
    project.git("switch", "-qc", "note")
    project.write(path, "It was me, and it will not happen again.\n")
    project.commit("say what happened")
    project.git("switch", "-q", "main")
    _merge(project, "note")
    project.git("branch", "-qD", "note")


def follow(project: Project, hint: str) -> None:
    """Do what a hint says: run its commands in their order, commit where it says so, and write
    the note where that is all that it asks for."""
    for part in re.split(r"; then |, then |; ", hint):
        line = re.match(r"(?:\w[^:']*: )?((?:towpath|git) .*)", part)
        if line:
            command = line[1].partition(", and commit")[0]
            command = re.split(r" lets it in | puts it | writes what | makes its |, or ", command)[
                0
            ]
            _run(project, command)
            if ", and commit" in part:
                project.commit("as the hint says")
        elif note := re.search(r"registry/notes/[0-9a-f]{12}\.md", part):
            _explain(project, note[0])


def _follow_all(project: Project) -> Verified:
    """Follow the hints until nothing is found; each is followed once."""
    seen: set[str] = set()
    for _ in range(12):
        found = project.verify()
        hints = [str(one.fault.hint) for one in found.findings]
        new = [hint for hint in hints if hint not in seen]
        if not new:
            break
        seen.add(new[0])
        follow(project, new[0])
    return found


def _edit(path: str, old: str, new: str) -> Callable[[Project], None]:
    def act(project: Project) -> None:
        text = project.read(path)
        assert old in text
        project.write(path, text.replace(old, new))
        project.commit("by hand")

    return act


def _remove(path: str) -> Callable[[Project], None]:
    def act(project: Project) -> None:
        project.git("rm", "-q", path)
        project.commit("by hand")

    return act


def _git(*words: str) -> Callable[[Project], None]:
    def act(project: Project) -> None:
        project.git(*words)

    return act


def _stage_tag(name: str, version: str, when: int = 0) -> Callable[[Project], None]:
    def act(project: Project) -> None:
        repository = project.repository
        commit = project.git("rev-parse", f"{version}^{{commit}}")
        last = int(project.git("log", "-1", "--format=%ct", "main"))
        stamp = Stamp(repository.identity(), when or last + 50)
        assert refs.change(
            repository, {f"refs/tags/{name}": tag(repository, name, commit, "mine", stamp)}
        )

    return act


def _revert_promotion(project: Project) -> None:
    project.git("revert", "--no-edit", "-m", "1", "HEAD")


def _by_hand(project: Project) -> None:
    """A version that nobody promoted, written into the stage file."""
    three = project.register(b"three", parameters={"learning_rate": 0.07})
    version = three.partition("@")[2]
    found = project.git("show", f"{three}:{records.place('abalone', None)}", ok=False)
    assert found == ""
    text = project.git("show", f"{three}^{{commit}}:registry/models/abalone/{version}.yaml")
    digest = re.search(r"sha256: \"?(\w+)", text)
    assert digest
    project.write(
        STAGE_FILE, f"model: abalone\nversion: {version}\nsha256: {digest[1]}\nreplaces: v1.1.0\n"
    )
    project.commit("straight in")


def _with_code(project: Project) -> None:
    made = promotion.promote(project.workspace, project.register(b"three"), "dev")
    project.git("switch", "-q", made.branch)
    project.write("steps.py", "sneaky = 1\n")
    project.commit("and some code")
    project.git("switch", "-q", "main")
    project.be("bo")
    project.git("merge", "-q", "--no-ff", "-m", "approved", made.branch)
    project.be("ada")
    reconcile.apply(project.workspace, "dev")


def _drop_the_stage(project: Project) -> None:
    project.write("towpath.yaml", "name: abalone\nstages:\n  prod:\n")
    project.commit("no dev any more")


def _alter_bytes(project: Project) -> None:
    for path in (project.root / ".dvc" / "cache" / "files").rglob("*"):
        if path.is_file() and path.read_bytes() == b"two":
            path.chmod(0o644)
            path.write_bytes(b"bad")


TROUBLES: dict[str, Callable[[Project], None]] = {
    "the version's tag is lost": _git("tag", "-d", "abalone@v1.1.0"),
    "the version's tag is a lightweight one": _git(
        "tag", "-f", "abalone@v1.1.0", "abalone@v1.1.0^{commit}"
    ),
    "the version's tag was moved": _git("tag", "-f", "-a", "-m", "x", "abalone@v1.1.0", "HEAD"),
    "a stray version": _git("tag", "-a", "-m", "x", "abalone@v7.0.0", "HEAD"),
    "a stray lightweight version": _git("tag", "abalone@v7.0.0", "HEAD"),
    "a forged stage tag": _stage_tag("abalone#prod#90", "abalone@v1.1.0"),
    "a stage tag that goes back": _stage_tag("abalone#dev#90", "abalone@v1.0.0"),
    "a stage tag of 2099": _stage_tag("abalone#dev#90", "abalone@v1.1.0", 4_070_908_800),
    "a lightweight stage tag": _git("tag", "abalone#dev#90", "abalone@v1.1.0^{commit}"),
    "a stage tag on no version": _git("tag", "-a", "-m", "x", "abalone#dev#90", "HEAD"),
    "main's record was altered": _edit(RECORD, "mse: 4.5", "mse: 0.5"),
    "main's record was removed": _remove(RECORD),
    "the evidence was altered": _edit(EVIDENCE, "abalone", "abaloné"),
    "the evidence was removed": _remove(EVIDENCE),
    "a promotion was reverted": _revert_promotion,
    "a version was put in by hand": _by_hand,
    "a stage file is torn": _edit(STAGE_FILE, "version: v1.1.0", "version: x"),
    "a stage file was removed": _remove(STAGE_FILE),
    "a promotion brought code": _with_code,
    "a stage was dropped": _drop_the_stage,
}


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
    reachable = set(project.git("for-each-ref", "--format=%(objectname)", "refs/tags").split())
    left = _follow_all(project)
    assert [(one.check, one.fault.what, one.fault.hint) for one in left.findings] == []
    kept = set(project.git("for-each-ref", "--format=%(objectname)").split())
    assert reachable <= kept, "a hint lost what a tag kept"
    code, said = _towpath(project, "verify", "--json")
    assert code == 0, said
    applied = [reconcile.apply(project.workspace, stage) for stage in ("dev", "prod")]
    assert [one.exit_code for one in applied] == [0, 0]


def _assert_harmless(project: Project, hint: str) -> None:
    for word in ("git revert", "git tag -d", "git reset", "--force", "rm -"):
        assert word not in hint, hint
    assert hint and str(project.root) not in hint


def test_a_reverted_promotion_is_recognised_and_rollback_named(project: Project) -> None:
    _revert_promotion(project)
    [one] = [f for f in project.verify().findings if f.check == "promotion"]
    assert "took abalone@v1.1.0 -> dev back by hand" in one.fault.what
    assert "towpath rollback abalone --stage dev --to v1.0.0" in str(one.fault.hint)
    code, said = _towpath(project, "history", "abalone")
    assert code == 0 and "reverted by hand" in said
    assert [o.state for o in reconcile.apply(project.workspace, "dev").outcomes] == ["refused"]
    follow(project, str(one.fault.hint))
    assert reconcile.plan(project.workspace, "dev").pending == ()


def test_a_note_explains_one_finding_and_only_where_another_let_it_in(project: Project) -> None:
    _with_code(project)
    [one] = project.verify().findings
    note = f"registry/notes/{one.id}.md"
    project.write(note, "I say that it is well.\n")
    project.commit("nobody looked at this")
    assert [found.id for found in project.verify().findings] == [one.id]
    project.git("rm", "-q", note)
    project.commit("away")
    project.git("switch", "-qc", "note")
    project.write(note, "The code was reviewed in #7.\n")
    project.commit("say what happened")
    project.git("switch", "-q", "main")
    project.git("merge", "-q", "--no-ff", "-m", "I let myself in", "note")
    assert [found.id for found in project.verify().findings] == [one.id]
    project.git("reset", "-q", "--hard", "HEAD^1")
    _merge(project, "note")
    found = project.verify()
    assert found.findings == ()
    assert [(e.finding.id, e.note) for e in found.explained] == [(one.id, note)]
    assert "Bo Diddley" in found.explained[0].by
    code, said = _towpath(project, "verify", "--json")
    assert (
        code == 0
        and json.loads(said.partition("\n")[0])["verification"]["explained"][0]["note"] == note
    )


def test_no_note_explains_what_is_wrong_now(project: Project) -> None:
    project.git("tag", "-d", "abalone@v1.1.0")
    for one in project.verify().findings:
        _explain(project, f"registry/notes/{one.id}.md")
    assert project.verify().findings


def test_a_check_of_a_note_passes_as_code_does(project: Project) -> None:
    project.git("switch", "-qc", "note")
    project.write("registry/notes/0123456789ab.md", "why\n")
    project.commit("say what happened")
    assert promotion.check(project.workspace).faults == ()
