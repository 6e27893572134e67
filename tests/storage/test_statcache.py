"""The stat cache may forget; it may never say that bytes are what they no longer are."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest
from store_project import Project

from towpath.backends.dvc import dvc_cache
from towpath.backends.dvc.dvc_cache import FileBelow
from towpath.storage import objects
from towpath.storage.objects import FileStamp, StatCache


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are really read."""
    names: list[str] = []
    true_read = dvc_cache._hash_settled

    def noticed(file: FileBelow) -> tuple[FileStamp, str]:
        names.append(Path(file.path).name)
        return true_read(file)

    monkeypatch.setattr(dvc_cache, "_hash_settled", noticed)
    return names


def _aged(path: Path, seconds: float = 10) -> Path:
    os.utime(path, (time.time() - seconds,) * 2)
    return path


def test_a_settled_file_is_read_once(project: Project, read: list[str]) -> None:
    path = _aged(project.write("a.csv", "1"))
    first = project.store.digest(path)
    assert project.store.digest(path) == first
    assert read == ["a.csv"]
    path.write_text("22")
    assert project.store.digest(path).size == 2
    assert read == ["a.csv", "a.csv"]


def test_a_file_written_twice_in_one_tick_is_read_again(project: Project, read: list[str]) -> None:
    path = project.write("a.csv", "1")
    for content in "12345678" * 20:
        path.write_text(content)
        before = project.store.digest(path)
        path.write_text("9")
        assert project.store.digest(path) != before
    assert len(read) == 320


def test_bytes_behind_the_same_time_and_size_are_seen(project: Project, read: list[str]) -> None:
    """`cp -p`, `rsync -t`, an unpacked archive: only the inode's own change time gives it away."""
    path = project.write("a.csv", "1")
    moment = time.time() - 1000
    os.utime(path, (moment, moment))
    first = project.store.digest(path)
    path.write_text("2")
    os.utime(path, (moment, moment))
    assert project.store.digest(path) != first
    assert read == ["a.csv"] * 2


def test_another_file_moved_to_the_path_is_seen(project: Project) -> None:
    path, other = (_aged(project.write(name, name)) for name in ("a", "b"))
    first = project.store.digest(path)
    os.utime(other, ns=(path.stat().st_mtime_ns,) * 2)
    other.replace(path)
    assert project.store.digest(path) != first


def test_nothing_holds_from_before_a_restart(
    project: Project, read: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _aged(project.write("a.csv", "1"))
    digest = project.store.put(path).digest
    held = project.store.path(digest)
    monkeypatch.setattr(objects, "_read_boot_id", lambda: "another boot")
    project.store.digest(path)
    assert read == ["a.csv"]
    before = held.stat()
    held.chmod(0o644)
    held.write_bytes(b"2")  # as a disk that lost power may have it, with the inode as it was
    held.chmod(0o444)
    os.utime(held, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert not project.store.has(digest)


@pytest.mark.parametrize("torn", [b"", b"garbage" * 1000, b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_torn_cache_is_begun_again(project: Project, read: list[str], torn: bytes) -> None:
    path = _aged(project.write("a.csv", "1"))
    first = project.store.digest(path)
    state = project.store.layout.state / "digests.sqlite"
    for suffix in ("-wal", "-shm"):
        state.with_name(state.name + suffix).unlink(missing_ok=True)
    state.write_bytes(torn)
    assert project.store.digest(path) == first
    assert project.store.digest(path) == first
    assert read == ["a.csv"] * 2


def test_a_project_without_room_for_state_goes_without(project: Project) -> None:
    project.write(".towpath", "in the way")
    path = _aged(project.write("a.csv", "1"))
    assert project.store.put(path) == project.store.digest(path)
    assert project.store.has(project.store.digest(path).digest)


def test_threads_share_one_cache(tmp_path: Path) -> None:
    cache = StatCache(tmp_path / "digests.sqlite")
    stamp = FileStamp(1, 1_000_000_001, 1, 1)
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for turn in range(50):
                cache.save_digests([(f"/{number}/{turn}", stamp, f"{turn:032}")], time.time_ns())
                path = f"/{number}/{turn}"
                assert cache.get_many({path: stamp}) == {path: f"{turn:032}"}
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    other = StatCache(tmp_path / "digests.sqlite")
    assert len(other.get_many({f"/{n}/{t}": stamp for n in range(8) for t in range(50)})) == 400


def test_a_forked_process_opens_its_own(project: Project) -> None:
    store = project.store
    path = _aged(project.write("a.csv", "1"))
    first = store.digest(path)
    child = os.fork()
    if child == 0:
        os._exit(0 if store.digest(path) == first else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert store.digest(path) == first
