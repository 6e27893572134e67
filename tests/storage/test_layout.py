"""Where the store is, as DVC's own configuration says it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from store_project import Project

from towpath.backends.dvc import Store, initialise_store
from towpath.backends.dvc.dvc_config import locate_store
from towpath.backends.dvc.tracked_files import find_tracked, restore_tracked, survey_pointers
from towpath.errors import StoreError
from tracking import track


def test_initialise_makes_what_dvc_init_makes(project: Project, tmp_path: Path) -> None:
    other = Project(tmp_path / "other")
    other.root.mkdir()
    other.git("init", "-q")
    other.dvc("init", "-q")
    assert _words(other, ".dvc/.gitignore") == _words(project, ".dvc/.gitignore")
    assert _words(other, ".dvc/config") <= _words(project, ".dvc/config")
    assert "no data or pipelines tracked" in project.dvc("status")
    assert project.dvc("config", "core.analytics").strip() == "false"
    assert project.dvc("config", "core.check_update").strip() == "false"
    project.store.put(project.write("a", "a"))
    project.git("add", ".dvc", ".dvcignore")
    assert project.git("diff", "--cached", "--name-only").split() == [
        ".dvc/.gitignore", ".dvc/config", ".dvcignore",
    ]  # fmt: skip


def _words(project: Project, name: str) -> set[str]:
    return set((project.root / name).read_text().split())


def test_initialise_leaves_what_is_there(project: Project) -> None:
    (project.root / ".dvc/config").write_text("[core]\n    remote = mine\n")
    (project.root / "sub").mkdir()
    assert (
        initialise_store(project.root).home_folder
        == initialise_store(project.root / "sub").home_folder
        == project.root
    )
    assert "mine" in (project.root / ".dvc/config").read_text()


def test_a_project_without_a_store_says_so(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with pytest.raises(StoreError, match=r"no store.*`towpath init` makes one"):
        store.put_bytes(b"", "a")


@pytest.mark.parametrize(
    ("words", "where"),
    [
        (["cache.dir", "../elsewhere"], "elsewhere"),
        (["--local", "cache.dir", "/{tmp}/a b"], "a b"),
        (["--global", "cache.dir", "/{tmp}/shared"], "shared"),
        (["--local", "cache.dir", "~/cache # one"], "cache # one"),
    ],
)
def test_the_cache_is_where_dvc_has_it(
    project: Project, tmp_path: Path, words: list[str], where: str
) -> None:
    project.dvc("config", *(word.replace("/{tmp}", str(tmp_path)) for word in words))
    assert locate_store(project.root).cache == tmp_path / where
    assert Path(project.dvc("cache", "dir").strip()) == tmp_path / where
    track(project.root, project.write("a.csv", "1"))
    assert project.dvc("status").strip() == "Data and pipelines are up to date."
    assert len(list((tmp_path / where / "files/md5").glob("??/*"))) == 1


def test_the_nearer_file_of_configuration_wins(project: Project, tmp_path: Path) -> None:
    project.dvc("config", "cache.dir", str(tmp_path / "one"))
    project.dvc("config", "--local", "cache.dir", str(tmp_path / "two"))
    project.dvc("config", "--global", "cache.dir", str(tmp_path / "three"))
    assert locate_store(project.root).cache == tmp_path / "two"


def test_a_shared_cache_is_writable_by_the_group(project: Project) -> None:
    project.dvc("config", "cache.shared", "group")
    digest = project.store.put(project.write("a.csv", "1")).digest
    assert project.store.path(digest).parent.stat().st_mode & 0o7777 == 0o2775


def test_a_strict_umask_does_not_hide_objects_from_dvc(project: Project) -> None:
    before = os.umask(0o077)
    try:
        digest = project.store.put(project.write("a.csv", "1")).digest
    finally:
        os.umask(before)
    assert project.store.path(digest).stat().st_mode & 0o777 == 0o444


def test_a_project_below_the_repository_uses_the_repositorys_store(
    make_project: Callable[[str], Project],
) -> None:
    repository = make_project("mono repo")
    project = Project(repository.root / "teams/shells")
    project.write("towpath.yaml", "name: shells\n")
    track(project.root, project.write("data/raw.csv", "1"))
    assert locate_store(project.root).home_folder == repository.root
    assert (project.root / ".towpath/state/digests.sqlite").exists()
    assert repository.dvc("status").strip() == "Data and pipelines are up to date."


def test_tracked_data_is_named_restored_and_never_overruled(project: Project) -> None:
    root = project.root
    path = project.write("data/raw.csv", "1\n")
    artifact = track(root, path).artifact
    project.write("data/lab/b.csv", "2\n")
    folder = track(root, Path("data/lab")).artifact
    assert find_tracked(root, Path("data/raw.csv")) == artifact
    assert find_tracked(root, Path("data/lab")) == folder
    inside = find_tracked(root, Path("data/lab/b.csv"))
    assert inside is not None
    assert inside.digest == project.store.digest(Path("data/lab/b.csv")).digest
    assert find_tracked(root, Path("data/none.csv")) is None
    pointers = survey_pointers(root).pointers
    assert [pointer.path for pointer in pointers] == [root / "data/lab", path]

    path.unlink()
    restore_tracked(root, path, artifact)
    assert path.read_text() == "1\n"
    path.write_text("2\n")
    assert project.store.digest(path).digest != artifact.digest

    path.unlink()
    project.store.path(artifact.digest).unlink()
    with pytest.raises(StoreError) as caught:
        restore_tracked(root, path, artifact)
    assert str(caught.value) == (
        "data/raw.csv is tracked by DVC, and its bytes are not here (`towpath pull` fetches them)"
    )


def test_what_people_wrote_in_a_pointer_is_not_judged(project: Project) -> None:
    artifact = track(project.root, project.write("data/raw.csv", "1\n")).artifact
    pointer = project.root / "data/raw.csv.dvc"
    pointer.write_text(f"{pointer.read_text()}meta: {{good: yes, seen: 010}}\n")
    assert find_tracked(project.root, Path("data/raw.csv")) == artifact
    assert project.dvc("status").strip() == "Data and pipelines are up to date."


@pytest.mark.parametrize(
    "text", ["outs: [\n", "", "outs: 1\n", "outs:\n- hash: md5\n  md5: x\n", "- a\n"]
)
def test_a_torn_pointer_is_named(project: Project, text: str) -> None:
    project.write("data/raw.csv.dvc", text)
    with pytest.raises(StoreError, match=r"^data/raw\.csv\.dvc(:\d+)?: .*(no pointer|`outs`)"):
        find_tracked(project.root, Path("data/raw.csv"))


def test_the_hot_path_loads_neither_dvc_nor_anything_heavy(project: Project) -> None:
    project.write("data/a.csv", "1")
    code = (
        "import sys\nbefore = set(sys.modules)\n"
        "from pathlib import Path\nfrom towpath.backends.dvc import Store\n"
        "store = Store(Path(sys.argv[1]))\nmade = store.put(Path('data'))\n"
        "assert store.has(made.digest) and store.entry('0' * 64) is None\n"
        "print({name.partition('.')[0] for name in set(sys.modules) - before})\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, os.fspath(project.root)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    loaded = set(eval(done.stdout))
    heavy = {
        "dvc",
        "dvc_data",
        "dvc_objects",
        "ruamel",
        "pathspec",
        "pydantic",
        "prefect",
        "pandas",
    }
    assert loaded & heavy == set()
