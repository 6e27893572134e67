"""Killed at any point: the next command is right, nothing is lost, and nothing is there twice.

Registering and publishing are killed in tests/registry/test_clones.py, runs in
tests/execution/test_interrupted.py, reconcile in tests/delivery/reconcile/test_reconcile_killed.py,
a put into the store in tests/storage/test_objects.py: here is what they leave.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from killing import KILLED, Commands, forking

from promotion_project import Project, begin, draft
from towpath import registry
from towpath.backends.dvc import Store, initialise_store
from towpath.delivery import promotion
from towpath.registry import RecordedCode, Registration

BRANCH = "promote/abalone-v1.1.0-dev"
POLICY = "name: abalone\nstages:\n  dev:\n  prod:\n"


@pytest.fixture(scope="module")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Commands]:
    """The process that forks commands."""
    with forking(tmp_path_factory.mktemp("commands")) as forked:
        yield forked


@dataclass(frozen=True)
class Shared:
    """A folder with a bare origin and Ada's clone of it; the addresses are relative, so that the
    folder can be copied."""

    folder: Path

    @property
    def ada(self) -> Project:
        """Ada's clone."""
        return Project(self.folder / "abalone")

    def origin(self, *words: str) -> str:
        """Stock Git in the origin."""
        done = subprocess.run(
            ["git", *words], cwd=self.folder / "origin.git", capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def copy(self, name: str) -> Shared:
        """The same once more."""
        folder = self.folder.with_name(name)
        shutil.copytree(self.folder, folder, symlinks=True)
        return Shared(folder)

    def clone(self, name: str, who: str) -> Project:
        """Another's clone."""
        subprocess.run(["git", "clone", "-q", "origin.git", name], cwd=self.folder, check=True)
        project = Project(self.folder / name).be(who)
        project.git("remote", "set-url", "origin", "../origin.git")
        return project

    def refs(self) -> dict[str, str]:
        """What the origin holds: the refs, with the trees that their commits have."""
        listed = self.origin("for-each-ref", "--format=%(refname) %(tree)%(*tree)")
        return dict(line.split(" ", 1) for line in listed.splitlines())


def register(project: Project, content: bytes, **facts: object) -> None:
    """A version whose bytes are in the store."""
    file = project.root / "artifacts" / "training" / "train" / "model.bin"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    head = project.git("rev-parse", "HEAD")
    record = draft(
        content.decode(), artifact=Store(project.root).put(file), kind="bin",
        code=RecordedCode(head),
        sha256=hashlib.sha256(content).hexdigest(), path="artifacts/training/train/model.bin",
        parameters={"learning_rate": len(content)}, **facts,
    )  # fmt: skip
    registry.register_version(project.repository, Registration(record, head, {}))


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Shared:
    """Three versions, published; the first one in dev."""
    shared = Shared(tmp_path_factory.mktemp("kills") / "whole")
    shared.folder.mkdir()
    project = begin(shared.ada.root, POLICY)
    initialise_store(project.root)
    project.commit({".gitignore": "/.towpath/\n/artifacts/\n", ".dvc/config": ""})
    for content in (b"one", b"second", b"the third"):
        register(project, content)
    project.promote("abalone@v1.0.0", "dev")
    subprocess.run(["git", "clone", "-q", "--bare", "abalone", "origin.git"], cwd=shared.folder,
                   check=True)  # fmt: skip
    project.git("remote", "add", "origin", "../origin.git")
    project.git("fetch", "-q", "origin")
    project.git("branch", "-q", "--set-upstream-to=origin/main", "main")
    return shared


@pytest.fixture
def shared(told: Shared, tmp_path: Path) -> Shared:
    """A copy for a test."""
    folder = tmp_path / "whole"
    shutil.copytree(told.folder, folder, symlinks=True)
    return Shared(folder)


def kills(
    commands: Commands, shared: Shared, *words: str, who: str = "ada"
) -> Iterator[tuple[Shared, str]]:
    """The command killed after each of its calls of Git that move a ref: the folder each time, and
    at which point."""
    for due in range(1, 40):
        killed = shared.copy(f"killed-{due}")
        killed.ada.be(who)
        ended = commands.killed_by_git(due, killed.ada.root, *words)
        if ended.code != KILLED:
            assert due > 1 and ended.code == 0, ended
            return
        yield killed, f"after call {due}"
    raise AssertionError("it never ended")


def assert_whole(shared: Shared) -> None:
    """No repository holds half an object, or a lock."""
    shared.ada.git("fsck", "--strict", "--no-dangling")
    shared.origin("fsck", "--strict", "--no-dangling")


def test_promote_killed(commands: Commands, shared: Shared) -> None:
    words = ("promote", "abalone@v1.1.0", "--to", "dev", "--push")
    whole = shared.copy("expected")
    assert commands.run(whole.ada.root, *words).code == 0
    for killed, point in kills(commands, shared, *words):
        again = commands.run(killed.ada.root, *words)
        assert again.code == 0, (point, again)
        assert killed.refs() == whole.refs(), point
        assert killed.ada.git("rev-list", "--count", f"main..{BRANCH}") == "1", point
        assert killed.ada.git("rev-parse", BRANCH) == killed.origin("rev-parse", BRANCH), point
        assert_whole(killed)


def test_approve_killed(commands: Commands, shared: Shared) -> None:
    """The merge is on main once, here and there, whatever was reached before."""
    assert commands.run(
        shared.ada.root, "promote", "abalone@v1.1.0", "--to", "dev", "--push"
    ).code == 0  # fmt: skip
    words = ("approve", BRANCH, "--push")
    whole = shared.copy("expected")
    whole.ada.be("bo")
    assert commands.run(whole.ada.root, *words).code == 0
    merged = whole.origin("rev-parse", "main^{tree}")
    for killed, point in kills(commands, shared, *words, who="bo"):
        again = commands.run(killed.ada.root, *words)
        if again.code:  # it was merged there, or here: it says so, and what is left to do
            assert again.code == 2, (point, again)
            assert "was merged already" in again.text or "no promotion" in again.text, (
                point,
                again,
            )
            killed.ada.git("pull", "-q", "--ff-only")
            killed.ada.git("push", "-q", "origin", "main")
        named = ("--merges", "--grep", "^Promotion: abalone@v1.1.0", "main")
        assert len(killed.origin("rev-list", *named).splitlines()) == 1, (point, again)
        assert killed.origin("rev-parse", "main^{tree}") == merged, (point, again)
        assert killed.origin("rev-parse", "main") == killed.ada.git("rev-parse", "main"), point
        wanted = registry.read_stage_files(killed.ada.repository).find_stage_file("dev", "abalone")
        assert wanted is not None and str(wanted.version) == "v1.1.0", point
        assert_whole(killed)


def test_reject_of_a_version_killed(commands: Commands, shared: Shared) -> None:
    words = ("reject", "abalone@v1.1.0", "--reason", "leaked labels")
    for killed, point in kills(commands, shared, *words):
        again = commands.run(killed.ada.root, *words)
        assert again.code == 0 or "rejected already: leaked labels" in again.text, (point, again)
        events = killed.ada.git("tag", "--list", "abalone@v1.1.0!*").splitlines()
        assert len(events) == 1, point
        found = registry.get_version(killed.ada.repository, "abalone@latest")
        assert str(found.record.version) == "v1.2.0", point
        assert commands.run(killed.ada.root, "push").code == 0, point
        assert events[0] in killed.origin("tag", "--list").splitlines(), point


def test_putting_a_promotion_away_killed(commands: Commands, shared: Shared) -> None:
    assert commands.run(
        shared.ada.root, "promote", "abalone@v1.1.0", "--to", "dev", "--push"
    ).code == 0  # fmt: skip
    words = ("reject", BRANCH, "--reason", "not yet")
    main = shared.origin("rev-parse", "main")
    for killed, point in kills(commands, shared, *words):
        again = commands.run(killed.ada.root, *words)
        assert again.code in (0, 2), (point, again)
        assert not killed.ada.has(BRANCH), (point, again)
        assert killed.origin("rev-parse", "main") == main, point
        assert_whole(killed)


def test_fetch_killed(commands: Commands, shared: Shared) -> None:
    bo = shared.clone("bo", "bo")
    register(bo, b"one more")
    registry.publish_registry(bo.repository)
    bo.commit({"steps.py": "second = 2\n"})
    bo.git("push", "-q", "origin", "main")
    for killed, point in kills(commands, shared, "fetch"):
        again = commands.run(killed.ada.root, "fetch")
        assert again.code == 0, (point, again)
        here = set(killed.ada.git("tag", "--list").splitlines())
        assert here == set(killed.origin("tag", "--list").splitlines()), point
        assert killed.ada.git("rev-parse", "origin/main") == killed.origin("rev-parse", "main")
        assert_whole(killed)


def test_publishing_by_push_killed(commands: Commands, shared: Shared) -> None:
    """Between the remote's push and what is settled here: the number is given once."""
    register(shared.ada, b"a fourth one")
    for killed, point in kills(commands, shared, "push"):
        again = commands.run(killed.ada.root, "push")
        assert again.code == 0, (point, again)
        there = killed.origin("tag", "--list", "abalone@*").splitlines()
        assert there == ["abalone@v1.0.0", "abalone@v1.1.0", "abalone@v1.2.0", "abalone@v1.3.0"]
        assert killed.ada.git("tag", "--list", "abalone@*").splitlines() == there, point
        assert killed.ada.git("for-each-ref", "refs/towpath/candidates") == "", point


def objects(folder: Path) -> dict[str, bool]:
    """Every object of a store by its digest, and whether its bytes have it."""
    files = [path for path in (folder / "files" / "md5").rglob("*") if path.is_file()]
    whole = {path.parent.name + path.name: path for path in files if len(path.name) == 30}
    return {
        digest: hashlib.md5(path.read_bytes()).hexdigest() == digest
        for digest, path in whole.items()
    }


@pytest.fixture
def stored(shared: Shared) -> Shared:
    """The same with two tracked files, and a folder as the store's remote."""
    config = "[core]\nremote = there\n['remote \"there\"']\nurl = ../../there\n"
    files: dict[str, str | None] = {".dvc/config": config}
    for name in ("raw.csv", "more.csv"):
        file = shared.ada.root / name
        file.write_text(f"a,b\n{name},1\n")
        put = Store(shared.ada.root).put(file)
        files[f"{name}.dvc"] = (
            f"outs:\n- md5: {put.digest}\n  size: {put.size}\n  hash: md5\n  path: {name}\n"
        )
    shared.ada.commit({**files, ".gitignore": "/.towpath/\n/artifacts/\n/*.csv\n"})
    shared.ada.git("push", "-q", "origin", "main")
    return shared


def test_push_of_bytes_killed(commands: Commands, stored: Shared) -> None:
    """Killed at each step of one object's way into a folder that is the store's remote: no object
    stands there by its name before it is whole."""
    for due in range(13, 21):
        killed = stored.copy(f"step-{due}")
        there = killed.folder / "there"
        ended = commands.killed_at_step(due, there, killed.ada.root, "push")
        assert ended.code == KILLED, (due, ended)
        assert all(objects(there).values()), (due, "an object is torn")
    again = commands.run(killed.ada.root, "push")
    assert again.code == 0, again
    assert objects(there) == dict.fromkeys(objects(cache(killed.ada.root)), True)


def cache(root: Path) -> Path:
    """A project's own store."""
    return root / ".dvc" / "cache"


def test_pull_of_bytes_killed(commands: Commands, stored: Shared) -> None:
    assert commands.run(stored.ada.root, "push").code == 0
    stored.clone("bo", "bo")
    for due in (8, 20, 32, 46):
        killed = stored.copy(f"step-{due}")
        bo = killed.folder / "bo"
        ended = commands.killed_at_step(due, bo, bo, "pull")
        assert ended.code == KILLED, (due, ended)
        assert all(objects(cache(bo)).values()), (due, "an object is torn")
    again = commands.run(bo, "pull")
    assert again.code == 0, again
    assert len(objects(cache(bo))) == 2
    for name in ("raw.csv", "more.csv"):
        assert (bo / name).read_text() == f"a,b\n{name},1\n"


def test_two_approve_rivals(commands: Commands, shared: Shared) -> None:
    """Two promotions of one model into one stage, approved in the same moment: each is judged
    upon the main that it is merged into."""
    for version in ("v1.1.0", "v1.2.0"):
        promotion.propose_promotion(shared.ada.workspace, f"abalone@{version}", "dev")
    shared.ada.be("bo")
    branches = [BRANCH, BRANCH.replace("v1.1.0", "v1.2.0")]
    pids = [commands.start(shared.ada.root, "approve", branch) for branch in branches]
    codes = sorted(commands.wait(pid) for pid in pids)
    assert codes[0] == 0 and codes[1] in (1, 2, 3), codes
    merges = shared.ada.git("rev-list", "--merges", "--first-parent", "origin/main..main")
    assert len(merges.splitlines()) == 1
    promotions = registry.read_promotions(shared.ada.repository, "main", model="abalone")
    assert [str(one.replaces) for one in promotions] == ["None", "v1.0.0"]
    left = [branch for branch in branches if shared.ada.has(branch)]
    assert len(left) == 1, "the other still waits, and is not lost"
    again = commands.run(shared.ada.root, "approve", left[0])
    assert again.code == 3, again


def test_two_clones_approve_rivals_and_push(commands: Commands, shared: Shared) -> None:
    for version in ("v1.1.0", "v1.2.0"):
        assert commands.run(
            shared.ada.root, "promote", f"abalone@{version}", "--to", "dev", "--push"
        ).code == 0  # fmt: skip
    clones = [shared.clone(name, "bo") for name in ("bo", "cleo")]
    words = [("approve", BRANCH, "--push"), ("approve", BRANCH.replace("1.1", "1.2"), "--push")]
    pids = [commands.start(c.root, *w) for c, w in zip(clones, words, strict=True)]
    codes = sorted(commands.wait(pid) for pid in pids)
    assert codes[0] == 0 and codes[1] in (0, 1, 3), codes
    line = shared.origin("log", "--first-parent", "--format=%s", "main").splitlines()
    assert len([subject for subject in line if subject.startswith("Promote ")]) == 2, line
    shared.ada.git("pull", "-q")
    found = registry.read_promotions(shared.ada.repository, "main", model="abalone")
    assert [str(one.replaces) for one in found] == ["None", "v1.0.0"]


def test_two_clones_push_versions_at_once(commands: Commands, shared: Shared) -> None:
    clones = [shared.clone(name, "bo") for name in ("bo", "cleo")]
    for clone, content in zip(clones, (b"of bo, a", b"of cleo, it is"), strict=True):
        register(clone, content)
    pids = [commands.start(clone.root, "push") for clone in clones]
    assert [commands.wait(pid) for pid in pids] == [0, 0]
    there = shared.origin("tag", "--list", "abalone@*").splitlines()
    assert len(there) == 5 and there[3:] == ["abalone@v1.3.0", "abalone@v1.4.0"]
    for clone in clones:
        assert commands.run(clone.root, "fetch").code == 0
        keys = [one.key for one in registry.known_model(clone.repository, "abalone").versions]
        assert len(keys) == len(set(keys)) == 5
