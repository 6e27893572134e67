"""Put, get, has: what is in the store is whole, and what is not whole is not in it."""

from __future__ import annotations

import hashlib
import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from store_project import Project

from towpath.backends.dvc import Store
from towpath.errors import StoreError

_PIECE = 1 << 17  # bytes that are read at a time

LARGE = b"0123456789abcdef" * (1 << 16) + b"and a little"  # more than a megabyte


@pytest.mark.parametrize("content", [b"", b"x", LARGE[:_PIECE], LARGE], ids=len)
def test_a_file_goes_in_and_comes_out(project: Project, content: bytes) -> None:
    path = project.write("data/größe 1.csv", content)
    artifact = project.store.put(path)
    assert (artifact.size, artifact.name, artifact.files) == (len(content), "größe 1.csv", None)
    assert artifact == project.store.digest(path)
    held = project.store.path(artifact.digest)
    assert held.read_bytes() == content
    assert stat.S_IMODE(held.stat().st_mode) == 0o444
    project.store.copy_to(artifact.digest, Path("out/copy.csv"))
    copy = project.root / "out/copy.csv"
    assert copy.read_bytes() == content
    assert copy.stat().st_ino != held.stat().st_ino
    assert os.access(copy, os.W_OK)
    assert sorted(path.name for path in copy.parent.iterdir()) == ["copy.csv"]
    assert not any(project.store.layout.scratch.iterdir())


def test_a_folder_goes_in_and_comes_out_in_the_place_of_another(project: Project) -> None:
    """Of large files, which threads work at, and of small ones between them, each has its own."""
    contents = {
        f"{number % 7}/{number} ü.csv": f"{number % 150}" * (100_000 if number % 9 == 0 else 1)
        for number in range(200)
    }
    for path, content in contents.items():
        project.write(f"data/{path}", content)
    artifact = project.store.put(Path("data"))
    assert (artifact.files, artifact.name) == (200, "data")
    assert project.store.members(artifact.digest) == {
        path: hashlib.md5(content.encode()).hexdigest() for path, content in contents.items()
    }
    project.write("out/old.csv", "old")
    project.store.copy_to(artifact.digest, Path("out"))
    out = project.root / "out"
    assert {
        path.relative_to(out).as_posix(): path.read_text()
        for path in out.rglob("*") if path.is_file()
    } == contents  # fmt: skip
    assert project.store.digest(Path("out")).digest == artifact.digest
    stored = list(project.store.layout.objects.rglob("??*/*"))
    assert len(stored) == len({*contents.values()}) + 1


def test_what_is_stored_is_not_written_again(project: Project) -> None:
    store = project.store
    held = store.path(store.put(project.write("a.csv", LARGE)).digest)
    before = held.stat()
    again = project.store.put(project.write("b.csv", LARGE))
    assert store.path(again.digest).stat().st_ino == before.st_ino


def _damage(path: Path, content: bytes) -> None:
    path.chmod(0o644)
    path.write_bytes(content)
    path.chmod(0o444)


def test_wrong_bytes_are_a_miss_said_once_and_mended_by_the_next_put(
    project: Project, caplog: pytest.LogCaptureFixture
) -> None:
    path = project.write("a.csv", "right")
    digest = project.store.put(path).digest
    assert project.store.has(digest)
    _damage(project.store.path(digest), b"wrong")
    assert not project.store.has(digest)
    assert not project.store.has(digest)
    assert [record.message for record in caplog.records if digest in record.message] != []
    assert len(caplog.records) == 1
    (aside,) = project.store.layout.corrupt_folder.iterdir()
    assert aside.read_bytes() == b"wrong"
    with pytest.raises(StoreError, match="are not in the store") as caught:
        project.store.copy_to(digest, Path("out.csv"))
    assert caught.value.faults[0].hint == "`towpath pull` fetches them"
    project.store.put(path)
    assert project.store.has(digest)


def test_a_put_writes_over_wrong_bytes_that_nobody_noticed(project: Project) -> None:
    for content in (b"right", LARGE):
        path = project.write("a.csv", content)
        digest = project.store.put(path).digest
        _damage(project.store.path(digest), content[::-1])
        project.store.put(path)
        assert project.store.path(digest).read_bytes() == content


def test_a_folder_with_one_wrong_or_missing_file_is_a_miss(project: Project) -> None:
    for name in "abc":
        project.write(f"data/{name}", name)
    digest = project.store.put(Path("data")).digest
    member = project.store.path(project.store.members(digest)["b"])
    _damage(member, b"B")
    assert not project.store.has(digest)
    project.store.put(Path("data"))
    assert project.store.has(digest)
    project.store.path(digest).unlink()
    assert not project.store.has(digest)
    assert project.store.missing([digest]) == [digest]


def test_a_manifest_that_points_outside_is_no_manifest(project: Project) -> None:
    content = b'[{"md5": "c81e728d9d4c2f636f067f89cc14862c", "relpath": "../../evil"}]'
    digest = project.store.objects.add_manifest(content)
    assert not project.store.has(digest)
    with pytest.raises(StoreError):
        project.store.copy_to(digest, Path("out"))


PUT = """
import sys
from pathlib import Path
from towpath.backends.dvc import Store
store = Store(Path(sys.argv[1]))
print("ready", flush=True)
for name in sys.argv[2:]:
    print(store.put(Path(name)).digest, flush=True)
"""


def _put(project: Project, *names: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PUT, os.fspath(project.root), *names],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_processes_that_put_the_same_things_do_not_meet(project: Project) -> None:
    for name in range(300):
        project.write(f"data/{name}", str(name) * 50)
    project.write("large.bin", LARGE)
    running = [_put(project, "data", "large.bin", "data") for _ in range(4)]
    answers = {process.communicate()[0] for process in running}
    assert [process.returncode for process in running] == [0] * 4
    (answer,) = answers
    assert all(project.store.has(digest) for digest in answer.split()[1:])
    assert not any(project.store.layout.scratch.iterdir())


def test_a_put_that_is_killed_leaves_the_store_whole(project: Project) -> None:
    for name in range(3000):
        project.write(f"data/{name}", str(name) * 20)
    objects = project.store.layout.objects
    for limit in (1, 40, 400):
        process = _put(project, "data")
        while sum(1 for _ in objects.rglob("*")) < limit and process.poll() is None:
            time.sleep(0.001)
        process.kill()
        process.communicate()
    there = [path for path in objects.rglob("??*/*") if path.is_file()]
    digests = [path.parent.name + path.name for path in there]
    assert digests
    assert project.store.objects.find_unverified(digests) == []
    digest = project.store.put(Path("data")).digest
    assert project.store.has(digest)


def test_what_a_killed_put_left_is_swept_after_a_day(project: Project) -> None:
    scratch = project.store.layout.scratch
    scratch.mkdir(parents=True)
    (scratch / "old").write_bytes(b"x")
    (scratch / "new").write_bytes(b"x")
    os.utime(scratch / "old", (time.time() - 90_000,) * 2)
    project.store.put(project.write("a", "a"))
    assert [path.name for path in scratch.iterdir()] == ["new"]


FULL = """
import resource, signal, sys
from pathlib import Path
from towpath.errors import StoreError
from towpath.backends.dvc import Store
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 19, 1 << 19))
try:
    Store(Path(sys.argv[1])).put(Path("large.bin"))
except StoreError as error:
    print(error)
"""


def test_a_file_that_does_not_fit_is_said_and_leaves_nothing(project: Project) -> None:
    project.write("large.bin", LARGE)
    done = subprocess.run(
        [sys.executable, "-c", FULL, os.fspath(project.root)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.startswith(
        "large.bin could not be stored: the file is larger than the limit"
    )
    layout = project.store.layout
    assert not any(path.is_file() for path in layout.cache.rglob("*"))


SMALL_DISK = """
set -e
mount -t tmpfs -o size=1m none "$1/.dvc/cache"
"$2" - "$1" <<'END'
import sys
from pathlib import Path
from towpath.errors import StoreError
from towpath.backends.dvc import Store
store = Store(Path(sys.argv[1]))
kept = store.put(Path("small.csv")).digest
for name in ("large.bin", "data"):
    try:
        store.put(Path(name))
    except StoreError as error:
        print(error)
again = Store(Path(sys.argv[1]))
print(again.has(kept), list(again.layout.scratch.iterdir()), again.missing([
    path.parent.name + path.name for path in again.layout.objects.rglob("??*/*") if path.is_file()
]))
END
"""


def test_a_full_disk_is_said_and_leaves_nothing_half_written(project: Project) -> None:
    unshare = ["unshare", "--mount", "--map-root-user"]
    if subprocess.run([*unshare, "true"], capture_output=True).returncode:
        pytest.skip("this machine lets nobody mount")
    project.write("small.csv", "1\n")
    project.write("large.bin", LARGE * 2)
    for name in range(400):
        project.write(f"data/{name}", str(name) * 2000)
    project.store.layout.cache.mkdir()
    done = subprocess.run(
        [*unshare, "sh", "-c", SMALL_DISK, "sh", os.fspath(project.root), sys.executable],
        capture_output=True, text=True,
    )  # fmt: skip
    large, folder, state = done.stdout.splitlines() or [done.stderr]
    assert large.startswith("large.bin could not be stored: the disk is full (nothing half-written")
    assert folder.startswith("data could not be stored: the disk is full")
    assert state == "True [] []"


def test_a_store_that_may_only_be_read_serves_and_says_why_it_does_not_take(
    project: Project,
) -> None:
    project.write("b.csv", "b")
    written = (project.write("a.csv", "a"), project.write("large.bin", LARGE))
    digests = [project.store.put(path).digest for path in written]
    cache = project.store.layout.cache
    folders = [cache, *(path for path in cache.rglob("*") if path.is_dir())]
    for folder in folders:
        folder.chmod(0o555)
    try:
        answers = _as_nobody(project.root)
    finally:
        for folder in folders:
            folder.chmod(0o755)
    assert answers[:2] == [f"{digest} True" for digest in digests]
    assert answers[2].startswith("b.csv could not be stored in ")
    assert "it may not be written (give yourself write access" in answers[2]


def _as_nobody(root: Path) -> list[str]:
    """What a store answers to a user who may not write; root may always, so it becomes nobody."""
    read, write = os.pipe()
    opened = [folder for folder in (root, *root.parents) if folder.owner() == Path.home().owner()]
    modes = {folder: folder.stat().st_mode for folder in opened}
    for folder, mode in modes.items():
        folder.chmod(mode | 0o555)
    child = os.fork()
    if child == 0:
        try:
            if os.geteuid() == 0:
                os.seteuid(65534)
            os.write(write, "\n".join(_answers(Store(root))).encode())
        finally:
            os._exit(0)
    os.close(write)
    os.waitpid(child, 0)
    for folder, mode in modes.items():
        folder.chmod(mode)
    with os.fdopen(read) as said:
        return said.read().splitlines()


def _answers(store: Store) -> list[str]:
    answers = []
    for name in ("a.csv", "large.bin", "b.csv"):
        try:
            digest = store.put(Path(name)).digest
            answers.append(f"{digest} {store.has(digest)}")
        except StoreError as error:
            answers.append(str(error))
        except BaseException as error:
            answers.append(repr(error))
    return answers
