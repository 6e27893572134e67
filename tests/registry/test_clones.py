"""Many at once: nothing lost, nothing twice; killed at any point, whole afterwards."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from command_line import run_python
from towpath import registry
from towpath.backends.git import Repository, refs
from towpath.registry import RegisteredVersion

Git = Callable[..., str]
Clone = Callable[..., Repository]
Register = Callable[..., RegisteredVersion]

CLONES = 5  # each imports for half a second, and is counted upon whoever was before it
ONE = """
import hashlib, sys
from pathlib import Path
from towpath import registry
from towpath.backends.git import Repository
from towpath.registry import RecordedCode, Registration, VersionRecord
from towpath.config.artifact import Artifact
repository = Repository.open(Path(sys.argv[1]))
head = repository.head()
record = VersionRecord(
    model="abalone", key=hashlib.sha256(sys.argv[2].encode()).hexdigest(),
    artifact=Artifact("5f" * 16, 1, "model.skops"), path="model.skops", sha256="ab" * 32,
    kind="skops", code=RecordedCode(head), parameters={"who": sys.argv[2]},
)
done = registry.register_version(repository, Registration(record, head, {"dvc.yaml": b"a: 1\\n"}))
if sys.argv[3:] == ["publish"]:
    (done,) = registry.publish_registry(repository)
print(done)
"""


def start(root: Path, key: str, *more: str, **around: str) -> subprocess.Popen[str]:
    call = [sys.executable, "-c", ONE, str(root), key, *more]
    pipe = subprocess.PIPE
    return subprocess.Popen(call, stdout=pipe, stderr=pipe, text=True, env={**os.environ, **around})


def ended(processes: list[subprocess.Popen[str]]) -> list[str]:
    said = [process.communicate() for process in processes]
    assert [err for _, err in said if err] == []
    return sorted(out.strip() for out, _ in said)


def minors(count: int) -> list[str]:
    return sorted(f"abalone@v1.{number}.0" for number in range(count))


def test_many_clones_publish_at_once(origin: Path, clone: Clone, git: Git) -> None:
    clones = [clone(f"clone{number}") for number in range(CLONES)]
    running = [start(one.root, one.root.name, "publish") for one in clones]
    assert ended(running) == minors(CLONES)
    there = registry.known_model(Repository.open(origin), "abalone")
    assert sorted(map(str, there.versions)) == minors(CLONES)
    assert len({one.key for one in there.versions}) == CLONES
    assert len({one.commit for one in there.versions}) == CLONES
    for version in there.versions:
        assert registry.read_record(Repository.open(origin), version).version == version.version
    assert all(refs.list_ref_names(one, "refs/towpath/candidates") == () for one in clones)
    assert git(origin, "fsck", "--strict", "--no-dangling") == ""


def test_twins_in_many_clones_are_one_version(origin: Path, clone: Clone) -> None:
    running = [start(clone(f"clone{n}").root, "the same", "publish") for n in range(4)]
    assert ended(running) == ["abalone@v1.0.0"] * 4
    assert len(registry.known_model(Repository.open(origin), "abalone").versions) == 1


def test_many_processes_in_one_repository(repository: Repository) -> None:
    keys = ["a", "b", "c", "d", "a", "b"]
    said = ended([start(repository.root, key) for key in keys])
    assert sorted(set(said)) == minors(4)
    assert len(registry.known_model(repository, "abalone").versions) == 4


def test_another_takes_the_number_meanwhile(clone: Clone, register: Register) -> None:
    """Between the look at the remote and the push, by a hook that runs just then."""
    ada, bob = clone("ada"), clone("bob")
    register(ada)
    register(bob, "bob", parameters={})
    hook = bob.common / "hooks" / "pre-push"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!{sys.executable}\n{PUBLISH_ONCE.format(ada=ada.root)}")
    hook.chmod(0o755)
    (second,) = registry.publish_registry(bob)
    assert str(second) == "abalone@v1.1.0"
    assert [str(one) for one in registry.known_model(bob, "abalone").versions] == [
        "abalone@v1.0.0",
        "abalone@v1.1.0",
    ]


PUBLISH_ONCE = """
from pathlib import Path
from towpath import registry
from towpath.backends.git import Repository
registry.publish_registry(Repository.open(Path("{ada}")))
"""

SHIM = """#!/bin/sh
# Counts the calls of Git, notes them, and kills the caller before the one that is due.
read -r count < "$COUNT"
count=$((count + 1))
echo $count > "$COUNT"
echo "$*" | head -1 >> "$COUNT.calls"
if [ $count = "$DUE" ]; then kill -9 $PPID; exit 137; fi
exec "$REAL" "$@"
"""


@pytest.fixture
def shim(tmp_path: Path) -> Callable[[int], dict[str, str]]:
    """An environment in which the process that calls Git is killed before a given call."""
    folder = tmp_path / "shim"
    folder.mkdir()
    (folder / "git").write_text(SHIM)
    (folder / "git").chmod(0o755)
    count = folder / "count"

    def killing(due: int) -> dict[str, str]:
        count.write_text("0\n")
        paths = f"{folder}{os.pathsep}{os.environ['PATH']}"
        real = shutil.which("git") or "git"
        return {"PATH": paths, "REAL": real, "COUNT": str(count), "DUE": str(due)}

    return killing


#: Calls of Git after which nothing is other than before, so that to be killed after one is to be
#: killed before it: they read, or write objects that no ref names.
TRACELESS = {
    "cat-file", "config", "for-each-ref", "ls-remote", "ls-tree", "merge-base", "remote",
    "rev-list", "rev-parse", "show-ref", "var", "commit-tree", "hash-object", "mktag", "write-tree",
}  # fmt: skip


def test_killed_before_any_call_of_git(
    clone: Clone, git: Git, register: Register, shim: Callable[[int], dict[str, str]]
) -> None:
    """What was begun is whole, and the next call completes it: one version each, none twice."""
    ada = clone("ada")
    register(ada)
    registry.publish_registry(ada)
    around = shim(0)
    whole = run_python(ada.root, ONE, str(ada.root), "whole", "publish", **around)
    assert whole.returncode == 0, whole.stderr
    calls = Path(around["COUNT"] + ".calls").read_text().splitlines()
    traces = [number for number, call in enumerate(calls, 1) if not TRACELESS & {*call.split()}]
    assert len(calls) > 20
    assert {"push", "update-ref"} <= {word for call in calls for word in call.split()}
    for count, due in enumerate([1, *(number + 1 for number in traces)], 3):
        key = f"key {due}"
        killed = run_python(ada.root, ONE, str(ada.root), key, "publish", **shim(due))
        assert killed.returncode == (-signal.SIGKILL if due <= len(calls) else 0)
        register(ada, key, parameters={"who": key})
        registry.publish_registry(ada)
        versions = registry.known_model(ada, "abalone").versions
        assert len(versions) == len({one.key for one in versions}) == count
        assert registry.get_version(ada, "abalone@latest").record.parameters == {"who": key}
    assert git(ada.root, "fsck", "--strict", "--no-dangling") == ""
    assert refs.list_ref_names(ada, "refs/towpath/candidates") == ()


FULL = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
"""


def test_a_full_disk_is_said_and_nothing_is_half_there(
    repository: Repository, git: Git, register: Register
) -> None:
    register(repository)
    call = [sys.executable, "-c", FULL + ONE, str(repository.root), "second"]
    done = subprocess.run(call, capture_output=True, text=True)
    assert "towpath.errors.RegistryError" in done.stderr.splitlines()[-1]
    assert git(repository.root, "fsck", "--strict", "--no-dangling") == ""
    assert [str(one) for one in registry.known_model(repository, "abalone").versions] == [
        "abalone@v1.0.0"
    ]
    assert str(register(repository, "second", parameters={})) == "abalone@v1.1.0"
