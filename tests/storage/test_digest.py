"""Our digests are DVC's, for everything that both take; the rest is refused aloud."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from store_project import Project

from towpath import documents
from towpath.errors import StoreError
from tracking import track


def test_dvc_add_names_the_same_bytes(project: Project) -> None:
    project.write("empty.csv", b"")
    project.write("a b/Größe äöü.csv", "a,b\r\n1,2\r\n")
    project.write("run.sh", "#!/bin/sh\n").chmod(0o755)
    for name in ("b", "a/b", "a.b", "a-b", "A", "é", "z/ü/x", "a/.hidden", "quote'\"\\x"):
        project.write(f"folder/{name}", name)
    (project.root / "folder" / "empty" / "deeper").mkdir(parents=True)
    (project.root / "folder" / "linked").symlink_to(project.root / "empty.csv")
    (project.root / "nothing").mkdir()
    names = ["empty.csv", "a b/Größe äöü.csv", "run.sh", "folder", "nothing"]

    ours = {name: track(project.root, Path(name)).artifact for name in names}
    pointers = {
        name: documents.load_yaml(project.root / f"{name}.dvc", name)["outs"][0] for name in names
    }
    objects = {path.relative_to(project.root) for path in _objects(project)}
    assert project.dvc("status").strip() == "Data and pipelines are up to date."

    for name in names:
        (project.root / f"{name}.dvc").unlink()
    project.dvc("add", *names)
    for name in names:
        (row,) = documents.load_yaml(project.root / f"{name}.dvc", name)["outs"]
        assert {key: value for key, value in row.items() if key != "isexec"} == pointers[name]
        assert project.store.has(ours[name].digest)
    assert {path.relative_to(project.root) for path in _objects(project)} == objects


def _objects(project: Project) -> list[Path]:
    return [path for path in project.store.layout.objects.rglob("*") if path.is_file()]


IGNORED = {
    "": [],
    "*.tmp": ["a.tmp", "x/b.tmp"],
    "/data/x": ["x/b.tmp", "x/keep.csv", "x/y/z.csv"],
    "x/": ["x/b.tmp", "x/keep.csv", "x/y/z.csv"],
    "data/x/*.csv": ["x/keep.csv"],
    "**/z.csv": ["x/y/z.csv"],
    "*.csv\n!keep.csv": ["top.csv", "x/y/z.csv"],
    "# *.csv\n\n   \n.hidden": [".hidden"],
    "data/x/\n!data/x/keep.csv": ["x/b.tmp", "x/keep.csv", "x/y/z.csv"],
    "y": ["x/y/z.csv"],
    "/top.csv": [],
    "\\#odd\n[tz]*.csv": ["#odd", "top.csv", "x/y/z.csv"],
    ".towpath/": [],
}


@pytest.mark.parametrize("patterns", IGNORED)
def test_dvcignore_leaves_out_what_dvc_leaves_out(project: Project, patterns: str) -> None:
    from dvc.repo import Repo
    from dvc_data.hashfile.build import build
    from dvc_objects.fs.local import localfs

    names = [
        "a.tmp", "top.csv", ".hidden", "#odd", "x/b.tmp", "x/keep.csv", "x/y/z.csv",
        ".git/config", "sub/.dvc/config", "sub/lost.csv",
    ]  # fmt: skip
    for name in names:
        project.write(f"data/{name}", name)
    project.write(".dvcignore", patterns)

    artifact = project.store.put(project.root / "data")
    kept = set(project.store.members(artifact.digest))
    always = {".git/config", "sub/.dvc/config", "sub/lost.csv"}
    assert set(names) - kept == {*IGNORED[patterns], *always}
    repo = Repo(os.fspath(project.root))
    data = os.fspath(project.root / "data")
    *_, theirs = build(repo.cache.local, data, localfs, "md5", ignore=repo.dvcignore, dry_run=True)
    assert artifact.digest == theirs.hash_info.value


def test_a_nested_dvcignore_counts_and_one_inside_is_refused(project: Project) -> None:
    project.write("lab/raw/a.csv", "a")
    project.write("lab/raw/b.tmp", "b")
    project.write("lab/.dvcignore", "*.tmp\n")
    assert set(project.store.members(project.store.put(Path("lab/raw")).digest)) == {"a.csv"}
    project.write("lab/raw/.dvcignore", "")
    with pytest.raises(StoreError, match=r"a \.dvcignore may not stand inside"):
        project.store.digest(Path("lab/raw"))


def test_what_a_folder_cannot_hold_is_said_all_at_once(project: Project) -> None:
    project.write("data/x.csv", "x")
    (project.root / "data/elsewhere").symlink_to(project.root / ".dvc")
    (project.root / "data/broken").symlink_to("nowhere")
    os.mkfifo(project.root / "data/pipe")
    with pytest.raises(StoreError) as caught:
        project.store.put(Path("data"))
    assert sorted(str(fault).split("/data/")[1] for fault in caught.value.faults) == [
        "broken is a link to nothing",
        "elsewhere is a link to a folder, which a folder's digest leaves out",
        "pipe is neither a file nor a folder",
    ]


def test_what_is_not_there_is_named_from_the_root(project: Project) -> None:
    with pytest.raises(StoreError, match=r"^data/raw\.csv does not exist$"):
        project.store.put(Path("data/raw.csv"))


def test_a_manifest_is_dvcs_to_the_byte(project: Project) -> None:
    project.write("f/ä.csv", "1")
    project.write("f/B.csv", "2")
    digest = project.store.put(Path("f")).digest
    content = project.store.path(digest).read_bytes()
    assert json.loads(content)[0] == {"md5": "c81e728d9d4c2f636f067f89cc14862c", "relpath": "B.csv"}
    assert content.endswith(b'"relpath": "\\u00e4.csv"}]')
