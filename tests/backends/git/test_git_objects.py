"""Commits, tags and refs that are made beside everything a person has in hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from towpath.backends.git import CommitStamp, Repository, commit_beside, make_tag_object, refs
from towpath.errors import RegistryError

Git = Callable[..., str]
FILES = {"registry/models/ä b.yaml": b"model: x\r\n", "steps.py": b"\0binary\n\n", "empty": b""}


def made(
    repository: Repository, files: Mapping[str, bytes] = FILES, time: int = 1_700_000_000
) -> str:
    head = repository.head()
    assert head
    return commit_beside(
        repository, head, files, "Made", CommitStamp(repository.read_identity(), time)
    )


def test_a_commit_beside_touches_nothing_of_the_user(repository: Repository, git: Git) -> None:
    root = repository.root
    (root / "steps.py").write_text("not committed\n")
    (root / "staged").write_text("staged\n")
    git(root, "add", "staged")
    before = (git(root, "status", "--porcelain=v2", "--branch"), git(root, "for-each-ref"))
    index = (repository.common / "index").read_bytes()
    commit = made(repository)
    assert before == (git(root, "status", "--porcelain=v2", "--branch"), git(root, "for-each-ref"))
    assert (repository.common / "index").read_bytes() == index
    assert git(root, "rev-parse", f"{commit}^") == repository.head()


def test_a_commit_holds_the_bytes_as_given(repository: Repository, git: Git) -> None:
    git(repository.root, "config", "core.autocrlf", "true")
    commit = made(repository)
    found = refs.read_contents(repository, [f"{commit}:{path}" for path in FILES])
    assert found == {f"{commit}:{path}": content for path, content in FILES.items()}
    assert git(repository.root, "fsck", "--strict") == f"dangling commit {commit}"


def test_a_commit_can_leave_files_out(repository: Repository, git: Git) -> None:
    first = made(repository)
    stamp = CommitStamp(repository.read_identity(), 1_700_000_001)
    second = commit_beside(repository, first, {}, "Less", stamp, without=("empty", "never there"))
    names = git(repository.root, "ls-tree", "-rz", "--name-only", second).strip("\0").split("\0")
    assert names == ["registry/models/ä b.yaml", "steps.py"]


def test_the_same_commit_twice_is_one(repository: Repository) -> None:
    assert made(repository) == made(repository)
    assert made(repository) != made(repository, time=1_700_000_001)


def test_hooks_of_a_person_do_not_run(repository: Repository) -> None:
    hook = repository.common / "hooks" / "pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    assert made(repository)


def test_a_tag_is_an_object_before_it_is_a_name(repository: Repository) -> None:
    commit = made(repository)
    stamp = CommitStamp(repository.read_identity(), 1_700_000_007)
    object_ = make_tag_object(repository, "abalone@v1.0.0", commit, "Title\n\nbödy: {}\n", stamp)
    assert refs.list_refs(repository, "refs/tags") == ()
    assert refs.change_refs(repository, {"refs/tags/abalone@v1.0.0": object_})
    (found,) = refs.list_refs(repository, "refs/tags")
    assert (found.name, found.object, found.target) == ("refs/tags/abalone@v1.0.0", object_, commit)
    assert (found.tagger, found.time, found.annotated) == ("Ada Lovelace", 1_700_000_007, True)
    assert found.message == "Title\n\nbödy: {}\n"


def test_refs_change_all_together_or_not_at_all(repository: Repository) -> None:
    head, commit = repository.head() or "", made(repository)
    assert refs.change_refs(repository, {"refs/tags/one": head})
    assert not refs.change_refs(repository, {"refs/tags/two": commit, "refs/tags/one": commit})
    assert refs.list_ref_objects(repository, "refs/tags") == {"refs/tags/one": head}
    assert refs.change_refs(
        repository, {"refs/tags/two": commit}, delete=["refs/tags/one", "refs/tags/no"]
    )
    assert refs.list_ref_objects(repository, "refs/tags") == {"refs/tags/two": commit}


def test_a_ref_that_cannot_be_is_an_error(repository: Repository) -> None:
    with pytest.raises(RegistryError, match="git update-ref"):
        refs.change_refs(repository, {"refs/tags/a..b": repository.head() or ""})


def test_light_tags_and_branches_are_listed_as_such(repository: Repository, git: Git) -> None:
    git(repository.root, "tag", "light")
    (found,) = refs.list_refs(repository, "refs/tags")
    assert (found.annotated, found.target, found.time) == (False, repository.head(), 0)


def test_what_is_not_there_is_left_out(repository: Repository) -> None:
    asked = ["HEAD:no such file", "HEAD:steps.py", "none:at all"]
    assert refs.read_contents(repository, asked) == {"HEAD:steps.py": b"first = 1\n"}
    assert refs.read_contents(repository, []) == {}
