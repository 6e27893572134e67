"""One Git that stays gives the bytes that a new one would, whatever happens to it meanwhile."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from git_fixtures import Git
from towpath.backends.git import Repository, object_reader, refs
from towpath.errors import RegistryError
from towpath.sandbox import process_tree


@pytest.fixture
def many(repository: Repository, git: Git) -> dict[str, bytes]:
    """Small files, whose names no pipe has to hold at once, and one of three megabytes, committed:
    their bytes by name."""
    files = {f"files/{number}": b"%d\n\n" % number for number in range(240)}
    files["files/120"] = bytes(range(256)) * 12_000
    (repository.root / "files").mkdir()
    for path, content in files.items():
        (repository.root / path).write_bytes(content)
    git(repository.root, "add", ".")
    git(repository.root, "commit", "-qm", "many")
    return {f"{repository.head()}:{path}": content for path, content in files.items()}


def running(repository: Repository) -> list[int]:
    """The processes of Git that wait here for a question about this repository."""
    own = process_tree.find_children(os.getpid())
    words = {child: Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0") for child in own}
    return [child for child, said in words.items() if os.fsencode(repository.root) in said]


def test_many_are_answered_by_one_process(repository: Repository, many: dict[str, bytes]) -> None:
    for name in list(many)[:20]:
        assert refs.read_contents(repository, [name]) == {name: many[name]}
    (only,) = running(repository)
    asked = [*many, "HEAD:nothing of that name", *many]
    assert refs.read_contents(repository, asked) == many
    assert running(repository) == [only]


def test_threads_ask_at_once(repository: Repository, many: dict[str, bytes]) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda name: refs.read_contents(repository, [name]), many))
    assert found == [{name: content} for name, content in many.items()]
    assert len(running(repository)) == 1


def test_a_path_of_two_lines_gives_no_other_file_s_bytes(repository: Repository, git: Git) -> None:
    """Anybody may commit such a path in a pull request."""
    root = repository.root
    files = {
        "a": b"a", "b": b"b", "x\nHEAD:b": b"evil", "end\r": b"with", "end": b"without",
        "mid\rdle": b"m",
    }  # fmt: skip
    for path, content in files.items():
        (root / path).write_bytes(content)
    git(root, "add", ".")
    git(root, "commit", "-qm", "odd")
    asked = {f"HEAD:{path}": content for path, content in files.items()}
    long = "x" * 140_000 + "\ny"  # longer than a word of a command may be
    entry = f"100644 blob {git(root, 'rev-parse', 'HEAD:a')}\t{long}\0".encode()
    words = ["git", "-C", str(root), "mktree", "-z"]
    made = subprocess.run(words, input=entry, capture_output=True, check=True)
    tree = made.stdout.decode().strip()
    deep = git(root, "commit-tree", tree, "-m", "long")
    asked[f"{deep}:{long}"] = b"a"
    lost = ["HEAD:x\nHEAD:a", "HEAD:a\nHEAD:b", "HEAD:a\0b", "HEAD:b\r"]
    assert refs.read_contents(repository, [*lost, *asked]) == asked
    blobs = {name: git(root, "rev-parse", name) for name in asked if len(name) < 1000}
    blobs[f"{deep}:{long}"] = blobs["HEAD:a"]
    assert refs.find_objects(repository, [*lost, *asked]) == blobs


def test_a_quiet_file_of_two_lines_is_looked_at(repository: Repository, git: Git) -> None:
    """`update-index --skip-worktree` makes Git silent about a change."""
    names = ("plain", "two\nlines", "end\r", '"quoted')
    for name in names:
        (repository.root / name).write_text("first")
    git(repository.root, "add", ".")
    git(repository.root, "commit", "-qm", "quiet")
    git(repository.root, "update-index", "--skip-worktree", *names)
    assert repository.state().changed == ()
    (repository.root / "two\nlines").write_text("second")
    assert repository.state().changed == ("two\nlines",)


def test_what_was_made_meanwhile_is_seen(repository: Repository, git: Git) -> None:
    assert refs.read_content(repository, "HEAD", "later") is None
    (repository.root / "later").write_text("now")
    git(repository.root, "add", ".")
    git(repository.root, "commit", "-qm", "later")
    assert refs.read_content(repository, "HEAD", "later") == b"now"
    before = str(repository.head())
    git(repository.root, "commit", "-q", "--amend", "-m", "packed")
    git(repository.root, "repack", "-adq")
    git(repository.root, "pack-refs", "--all", "--prune")
    names = [f"{before}:later", f"{repository.head()}:later"]
    assert refs.read_contents(repository, names) == dict.fromkeys(names, b"now")
    assert len(running(repository)) == 1


def test_a_folder_that_was_put_in_its_place_is_read(repository: Repository, git: Git) -> None:
    """Somebody deletes a clone and makes it anew, while Studio runs."""
    (repository.root / "which").write_text("old")
    git(repository.root, "add", ".")
    git(repository.root, "commit", "-qm", "old")
    assert refs.read_content(repository, "HEAD", "which") == b"old"
    shutil.rmtree(repository.root)
    git(repository.root.parent, "init", "-q", "-b", "main", str(repository.root))
    (repository.root / "which").write_text("new")
    git(repository.root, "add", ".")
    git(repository.root, "commit", "-qm", "new")
    assert refs.read_content(repository, "HEAD", "which") == b"new"


def test_one_that_was_ended_is_begun_anew(repository: Repository, many: dict[str, bytes]) -> None:
    first, second, *_ = many
    refs.read_contents(repository, [first])
    (process,) = running(repository)
    os.kill(process, signal.SIGKILL)
    assert refs.read_contents(repository, [second]) == {second: many[second]}


def test_a_broken_object_is_told_and_the_rest_is_read(
    repository: Repository, many: dict[str, bytes], git: Git
) -> None:
    broken, whole = (name for name in many if name.endswith(("/120", "/121")))
    blob = git(repository.root, "rev-parse", broken)
    place = repository.common / "objects" / blob[:2] / blob[2:]
    place.chmod(0o644)
    place.write_bytes(place.read_bytes()[:-20])
    for _ in range(2):
        with pytest.raises(RegistryError, match=f"git cat-file: .*{blob}"):
            refs.read_contents(repository, [broken, whole])
    assert refs.read_contents(repository, [whole]) == {whole: many[whole]}


def test_interrupted_twice_it_gives_no_other_s_answer(
    repository: Repository, many: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once in the midst of an answer, and once as the process is about to be ended for that."""
    first, second, *_ = many

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(object_reader, "_read_answer", interrupt)
        patch.setattr(subprocess.Popen, "kill", interrupt)
        with pytest.raises(KeyboardInterrupt):
            refs.read_contents(repository, [first])
    assert refs.read_contents(repository, [second]) == {second: many[second]}


def test_a_clone_that_was_deepened_is_read_to_its_new_depth(
    repository: Repository, tmp_path: Path, git: Git
) -> None:
    for word in ("1", "2", "3"):
        (repository.root / "a").write_text(word)
        git(repository.root, "add", ".")
        git(repository.root, "commit", "-qm", word)
    origin, folder = f"file://{repository.root}", tmp_path / "shallow"
    git(tmp_path, "clone", "-q", "--depth=2", origin, str(folder))
    clone = Repository.open(folder)
    assert refs.read_content(clone, "HEAD^1", "a") == b"2"
    assert refs.read_content(clone, "HEAD^1^1", "a") is None
    git(folder, "fetch", "-q", "--unshallow")
    assert refs.read_content(clone, "HEAD^1^1", "a") == b"1"


def test_a_fork_while_a_thread_reads_goes_on(
    repository: Repository, many: dict[str, bytes]
) -> None:
    name = next(iter(many))
    with repository.object_reader._lock:  # as another thread would hold it
        child = os.fork()
        if child == 0:
            os._exit(0 if refs.read_contents(repository, [name]) == {name: many[name]} else 1)
        deadline = time.monotonic() + 20
        while not (ended := os.waitpid(child, os.WNOHANG))[0]:
            if time.monotonic() > deadline:
                os.kill(child, signal.SIGKILL)
            time.sleep(0.02)
    assert os.waitstatus_to_exitcode(ended[1]) == 0


def test_a_fork_does_not_read_its_parent_s_answers(
    repository: Repository, many: dict[str, bytes]
) -> None:
    names = list(many)
    refs.read_contents(repository, names[:1])
    child = os.fork()
    if child == 0:
        right = all(refs.read_contents(repository, [n]) == {n: many[n]} for n in names[1:120])
        os._exit(0 if right else 1)
    for name in names[120:]:
        assert refs.read_contents(repository, [name]) == {name: many[name]}
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_it_ends_with_its_repository_and_with_its_process(
    repository: Repository, many: dict[str, bytes]
) -> None:
    again = Repository.open(repository.root)
    refs.read_contents(again, many)
    assert running(again)
    del again
    assert running(repository) == []
    program = (
        "import sys; from pathlib import Path; from towpath.backends.git import Repository, refs\n"
        "repository = Repository.open(Path(sys.argv[1]))\n"
        "refs.read_content(repository, 'HEAD', 'files/1')\n"
        "print(repository.object_reader._process.pid)\n"
    )
    words = [sys.executable, "-W", "error", "-c", program, str(repository.root)]
    ended = subprocess.run(words, capture_output=True, text=True, check=True)
    assert ended.stderr == ""
    assert not Path(f"/proc/{ended.stdout.strip()}").exists()
