"""A stage's store in a folder, as DVC lays out a remote: conditional writes, verified copies."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from reconcile_project import Project
from towpath.config.artifact import Artifact
from towpath.errors import StoreError, UserError
from towpath.storage.stage_store import StageStore
from towpath.storage.storage_backend import object_path
from towpath.storage.verified_bytes import BytesState, UnsoundBytes


@pytest.fixture
def store(project: Project) -> StageStore:
    """The store of dev."""
    return project.store("dev")


def test_small_files_are_written_on_a_condition(store: StageStore) -> None:
    assert store.read("towpath/x.json") is None
    assert store.names("towpath") == []
    first = store.write("towpath/x.json", b"0", None)
    assert store.write("towpath/x.json", b"1", None) is None
    with ThreadPoolExecutor(8) as pool:
        marks = list(
            pool.map(lambda n: store.write("towpath/x.json", b"%d" % n, first), range(1, 21))
        )
    assert len([mark for mark in marks if mark]) == 1
    assert store.names("towpath") == ["x.json"]


def test_what_is_copied_is_read_by_stock_dvc(project: Project, tmp_path: Path) -> None:
    project.write("data/a.txt", "a")
    project.write("data/b/c.txt", "c" * 5000)
    made = project.workspace.store.put(Path("data"))
    store = project.store("dev")
    assert store.verify(made) is BytesState.MISSING
    with pytest.raises(UnsoundBytes, match="holds other bytes than its record says"):
        store.copy_from(project.workspace.store.source, made, "ab" * 32)
    assert not (project.root / ".towpath/stages/dev/files").exists()
    sha256 = _sha256(project.root / "data")
    store.copy_from(project.workspace.store.source, made, sha256)
    assert store.verify(made, sha256) is BytesState.WHOLE
    assert store.verify(made, "ab" * 32) is BytesState.ALTERED
    folder = store.fetch_bytes(made, tmp_path / "out", sha256)
    assert (folder / "b/c.txt").read_text() == "c" * 5000

    project.write("data.dvc", f"outs:\n- md5: {made.digest}\n  hash: md5\n  path: data\n")
    project.tool("dvc", "remote", "add", "-d", "dev", str(project.root / ".towpath/stages/dev"))
    other = project.root.parent / "clone"
    project.commit("data")
    project.git("clone", "-q", str(project.root), str(other))
    Project(other).tool("dvc", "pull", "data.dvc")
    assert (other / "data/a.txt").read_text() == "a"


def test_a_manifest_that_leads_out_of_its_folder_is_refused(
    project: Project, tmp_path: Path
) -> None:
    store = project.store("dev")
    member = hashlib.md5(b"x").hexdigest()
    manifest = b'[{"md5": "%s", "relpath": "../../evil"}]' % member.encode()
    digest = hashlib.md5(manifest).hexdigest() + ".dir"
    for name, content in ((member, b"x"), (digest, manifest)):
        place = project.root / ".towpath/stages/dev" / object_path(name)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
    with pytest.raises(StoreError):
        store.fetch_bytes(Artifact(digest, 1, "net"), tmp_path / "in/out")
    assert not (tmp_path / "evil").exists()


def test_an_url_that_is_neither_a_folder_nor_s3(project: Project) -> None:
    project.write("towpath.yaml", "name: a\nstages: {dev: {store: gs://bucket}}\n")
    with pytest.raises(UserError, match="gs://bucket is neither a folder nor an S3 URL"):
        project.store("dev")


def _sha256(folder: Path) -> str:
    lines = sorted(
        f"{hashlib.sha256(p.read_bytes()).hexdigest()}  {p.relative_to(folder).as_posix()}\n"
        for p in folder.rglob("*")
        if p.is_file()
    )
    return hashlib.sha256("".join(lines).encode()).hexdigest()
