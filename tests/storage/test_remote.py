"""Push, pull, copy: what arrives is whole, and what is wrong is named, with what to do."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace
from store_project import Project, entry_of, pull

from towpath.backends.dvc import byte_transfer, dvc_yaml
from towpath.backends.dvc.dvc_yaml import StageEntry
from towpath.config.artifact import Artifact
from towpath.errors import StoreError, UsageError
from tracking import track

KEY = "5f" + "1c" * 31


@pytest.fixture
def pushed(project: Project) -> tuple[Project, Path, Artifact]:
    """A project whose folder, tracked data, pipeline and entry were pushed."""
    there = project.remote("store")
    for name in ("a.csv", "b/größe.csv", "b/c.csv"):
        project.write(f"artifacts/p/out/{name}", name * 100)
    track(project.root, project.write("data/raw.csv", "1,2\n"))
    made = project.store.put(Path("artifacts/p/out"))
    project.store.remember(entry_of(KEY, made))
    dvc_yaml.write_dvc_files(
        project.root, "p", [StageEntry("p-x", "c", outs=("artifacts/p/out",))], {}
    )
    said: list[tuple[int, int]] = []
    moved = byte_transfer.push_objects(
        project.root, progress=lambda done, of: said.append((done, of))
    )
    assert (moved.objects, moved.entries) == (5, 1)
    assert said[-1] == (5, 5)
    assert byte_transfer.push_objects(project.root) == byte_transfer.push_objects(project.root, [])
    return project, there, made


def _forget(project: Project) -> None:
    shutil.rmtree(project.store.layout.cache)
    shutil.rmtree(project.root / ".towpath", ignore_errors=True)


def test_a_clone_that_pulls_has_it_all(pushed: tuple[Project, Path, Artifact]) -> None:
    project, there, made = pushed
    project.git("add", ".")
    project.git("commit", "-qm", "all")
    clone = Project(project.root.parent / "clone")
    project.git("clone", "-q", ".", str(clone.root))
    moved = pull(clone.root)
    assert (moved.objects, moved.entries) == (5, 1)
    assert clone.store.entry(KEY) == project.store.entry(KEY)
    assert (clone.root / "data/raw.csv").read_text() == "1,2\n"
    clone.store.copy_to(made.digest, Path("out"))
    assert clone.store.digest(Path("out")).digest == made.digest
    assert pull(clone.root) == byte_transfer.fetch_objects(clone.root, [])
    assert clone.dvc("status", "-c").strip() == "Cache and remote 'store' are in sync."
    assert not any(there.rglob("*tmp*"))


def test_stock_dvc_pulls_what_we_pushed(pushed: tuple[Project, Path, Artifact]) -> None:
    project, *_ = pushed
    _forget(project)
    shutil.rmtree(project.root / "artifacts")
    project.dvc("pull")
    assert project.dvc("status").strip() == "Data and pipelines are up to date."


def test_we_pull_what_stock_dvc_pushed(project: Project) -> None:
    project.remote("store")
    for name in "abc":
        project.write(f"data/{name}", name)
    project.dvc("add", "data")
    project.dvc("push")
    _forget(project)
    shutil.rmtree(project.root / "data")
    assert pull(project.root).objects == 4
    assert (project.root / "data/c").read_text() == "c"


def _damage(path: Path) -> None:
    path.chmod(0o644)
    path.write_bytes(b"x" * path.stat().st_size)
    path.chmod(0o444)


def _object(there: Path, digest: str) -> Path:
    return there / "files" / "md5" / digest[:2] / digest[2:]


@pytest.mark.parametrize("which", ["file", "manifest"])
def test_wrong_bytes_there_are_named_and_never_come_in(
    pushed: tuple[Project, Path, Artifact], which: str
) -> None:
    project, there, made = pushed
    digest = made.digest if which == "manifest" else project.store.members(made.digest)["a.csv"]
    _damage(_object(there, digest))
    _forget(project)
    with pytest.raises(StoreError) as caught:
        pull(project.root)
    (fault,) = caught.value.faults
    assert fault.what == f"{digest} in remote `store` holds other bytes than its name says"
    assert fault.hint is not None
    assert fault.hint.startswith(f"delete {_object(there, digest)}, then push it again")
    assert not project.store.path(digest).exists()
    assert not any(project.store.layout.scratch.glob("*"))
    assert project.store.entry(KEY) is None

    _object(there, digest).unlink()
    project.store.put(Path("artifacts/p/out"))
    assert byte_transfer.push_objects(project.root, [made.digest]).objects == 1
    _forget(project)
    pull(project.root)
    assert project.store.entry(KEY) is not None


def test_what_came_whole_stays_when_something_is_missing(
    pushed: tuple[Project, Path, Artifact],
) -> None:
    project, there, made = pushed
    members = project.store.members(made.digest)
    for name in ("a.csv", "b/c.csv"):
        _object(there, members[name]).unlink()
    _forget(project)
    (project.root / "data/raw.csv").unlink()
    with pytest.raises(StoreError) as caught:
        pull(project.root)
    assert [str(fault).split(" ")[0] for fault in caught.value.faults] == sorted(
        (members["a.csv"], members["b/c.csv"]), key=list(members.values()).index
    )
    assert (project.root / "data/raw.csv").exists()
    assert project.store.has(members["b/größe.csv"])


def test_one_wrong_object_keeps_no_other_result_from_coming(
    project: Project, caplog: pytest.LogCaptureFixture
) -> None:
    """That of an old run is a warning; that of tracked data is a fault, after the rest came."""
    there = project.remote("store")
    raw = track(project.root, project.write("data/raw.csv", "1,2\n")).artifact
    project.write("out/b.csv", "b")
    new, old = project.store.put(Path("out")), project.store.put(project.write("a.csv", "a"))
    (project.root / "a.csv").unlink()
    for number, made in enumerate((new, old)):
        project.store.remember(entry_of(f"{number}{KEY[1:]}", made))
    byte_transfer.push_objects(project.root)
    _damage(_object(there, old.digest))
    _forget(project)
    moved = pull(project.root)
    assert (moved.objects, moved.entries) == (3, 1)
    assert project.store.entry(f"0{KEY[1:]}") is not None
    assert list(project.store.entries(f"1{KEY[1:]}")) == []
    assert f"{old.digest} in remote `store` holds other bytes" in caplog.text

    _damage(_object(there, raw.digest))
    _forget(project)
    with pytest.raises(StoreError) as caught:
        pull(project.root)
    (fault,) = caught.value.faults
    assert fault.what.startswith(f"{raw.digest} in remote")
    assert project.store.entry(f"0{KEY[1:]}") is not None


def test_what_a_result_was_made_from_is_pushed_where_it_is_here(project: Project) -> None:
    project.remote("store")
    made, raw = (project.store.put(project.write(name, name)) for name in ("a.csv", "raw.csv"))
    said = {"input raw": raw.digest, "input gone": "0" * 32, "parameter x": made.digest}
    project.store.remember(replace(entry_of(KEY, made), ingredients=said))
    beside = project.store.put(project.write("b.csv", "b"))
    assert byte_transfer.push_objects(project.root, beside=[beside.digest, "1" * 32]).objects == 3
    assert byte_transfer.missing_on_remote(project.root, [raw.digest, beside.digest]) == []


def test_an_entry_whose_bytes_were_collected_there_is_left_there(project: Project) -> None:
    there = project.remote("store")
    made = project.store.put(project.write("a.csv", "1"))
    project.store.remember(entry_of(KEY, made))
    byte_transfer.push_objects(project.root)
    _object(there, made.digest).unlink()
    _forget(project)
    assert pull(project.root) == byte_transfer.fetch_objects(project.root, [])
    assert list(project.store.entries(KEY)) == []


def test_a_push_of_a_folder_sends_what_an_earlier_push_left_out(
    pushed: tuple[Project, Path, Artifact],
) -> None:
    """DVC takes a folder whose manifest is there for one that is whole."""
    project, there, made = pushed
    lost = _object(there, project.store.members(made.digest)["b/c.csv"])
    lost.unlink()
    assert byte_transfer.push_objects(project.root, [made.digest]).objects == 1
    assert lost.exists()
    lost.chmod(0o644)
    lost.write_bytes(b"torn")
    assert byte_transfer.push_objects(project.root, [made.digest]).objects == 1


def test_wrong_bytes_here_are_not_pushed(project: Project) -> None:
    there = project.remote("store")
    digest = project.store.put(project.write("a.csv", "11")).digest
    _damage(project.store.path(digest))
    with pytest.raises(StoreError, match=f"the bytes of {digest} are neither here nor there"):
        byte_transfer.push_objects(project.root, [digest])
    assert not _object(there, digest).exists()
    assert byte_transfer.missing_on_remote(project.root, [digest]) == [digest]


def test_remotes_by_name(project: Project) -> None:
    with pytest.raises(UsageError, match="no remote is configured"):
        byte_transfer.push_objects(project.root)
    project.remote("staging", default=False)
    assert byte_transfer.default_remote_of(project.root) == "staging"
    project.remote("prod", default=False)
    with pytest.raises(UsageError, match="none of the remotes is the default"):
        byte_transfer.push_objects(project.root)
    with pytest.raises(UsageError, match=r"there is no remote `stagin`.*did you mean `staging`"):
        byte_transfer.push_objects(project.root, remote="stagin")


def test_a_remote_that_cannot_be_written_is_named(project: Project) -> None:
    there = project.remote("store")
    there.write_text("a file where a folder should be")
    digest = project.store.put(project.write("a.csv", "1")).digest
    with pytest.raises(StoreError, match=r"remote `store` \(.*remote store\): "):
        byte_transfer.push_objects(project.root, [digest])


def test_a_remote_of_an_unknown_kind_is_named(project: Project) -> None:
    project.dvc("remote", "add", "-d", "odd", "gs://nowhere/x")
    with pytest.raises(StoreError, match=r"remote `odd` \(gs://nowhere/x\): "):
        byte_transfer.fetch_objects(project.root, ["0" * 32])


def test_what_a_users_own_stage_does_not_store_is_no_fault(
    make_project: Callable[[str], Project],
) -> None:
    project = make_project("theirs")
    project.remote("store")
    project.write(
        "dvc.yaml",
        "stages: {a: {cmd: echo 1 > m.json, metrics: [{m.json: {cache: false}}]}}\n",
    )
    project.dvc("repro")
    byte_transfer.push_objects(project.root)
    assert pull(project.root).objects == 0
