"""What passes between a repository and a real bare one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from towpath.backends.git import Repository, main_branch, refs, remotes
from towpath.errors import RegistryError, UsageError

Git = Callable[..., str]


def test_a_name_is_pushed_once(repository: Repository, origin: Path, git: Git) -> None:
    head = repository.head() or ""
    assert remotes.push_new_refs(repository, "origin", {"refs/tags/one": head}) == {}
    (repository.root / "steps.py").write_text("second = 2\n")
    git(repository.root, "commit", "-qam", "second")
    newer = repository.head() or ""
    refused = remotes.push_new_refs(
        repository, "origin", {"refs/tags/one": newer, "refs/tags/two": newer}
    )
    assert list(refused) == ["refs/tags/one"]
    assert "stale" in refused["refs/tags/one"] or "exists" in refused["refs/tags/one"]
    assert git(origin, "rev-parse", "one^{commit}") == head
    assert git(origin, "rev-parse", "two^{commit}") == newer


def test_a_refusal_gives_the_remotes_words(repository: Repository, origin: Path) -> None:
    hook = origin / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho 'error: GH013: tags are protected' >&2\nexit 1\n")
    hook.chmod(0o755)
    refused = remotes.push_new_refs(
        repository, "origin", {"refs/tags/one": repository.head() or ""}
    )
    assert "hook declined" in refused["refs/tags/one"]
    assert "tags are protected" in refused["refs/tags/one"]


def test_a_remote_that_is_gone_is_no_refusal(repository: Repository, origin: Path) -> None:
    origin.rename(origin.with_name("elsewhere"))
    for call in (
        lambda: remotes.push_new_refs(
            repository, "origin", {"refs/tags/one": repository.head() or ""}
        ),
        lambda: remotes.fetch_refs(repository, "origin", "refs/tags/*:refs/tags/*"),
        lambda: remotes.list_remote_refs(repository, "origin"),
    ):
        with pytest.raises(RegistryError, match="origin cannot be reached: "):
            call()


def test_fetching_keeps_what_was_not_pushed(repository: Repository, origin: Path, git: Git) -> None:
    git(repository.root, "config", "fetch.prune", "true")
    git(repository.root, "config", "fetch.pruneTags", "true")
    git(repository.root, "tag", "mine")
    git(origin, "tag", "theirs", "main")
    assert remotes.fetch_refs(repository, "origin", "refs/tags/*:refs/tags/*")
    assert refs.list_ref_names(repository, "refs/tags") == ("refs/tags/mine", "refs/tags/theirs")
    assert not (repository.common / "FETCH_HEAD").exists() or (
        "theirs" not in (repository.common / "FETCH_HEAD").read_text()
    )


def test_a_tag_that_differs_is_left_alone(repository: Repository, origin: Path, git: Git) -> None:
    git(origin, "tag", "both", "main")
    git(origin, "tag", "theirs", "main")
    git(repository.root, "commit", "-q", "--allow-empty", "-m", "second")
    git(repository.root, "tag", "both")
    assert not remotes.fetch_refs(repository, "origin", "refs/tags/*:refs/tags/*")
    assert git(repository.root, "rev-parse", "both") == repository.head()
    assert "refs/tags/theirs" in refs.list_ref_names(repository, "refs/tags")


def test_which_remote_is_meant(repository: Repository, origin: Path, git: Git) -> None:
    assert remotes.choose_remote(repository) == "origin"
    git(repository.root, "remote", "add", "backup", str(origin))
    assert remotes.choose_remote(repository) == "origin"
    git(repository.root, "config", "branch.main.remote", "backup")
    assert remotes.choose_remote(repository) == "backup"
    with pytest.raises(UsageError, match=r"no remote `orign` \(did you mean `origin`\?\)"):
        remotes.choose_remote(repository, "orign")


def test_how_old_the_view_is(repository: Repository, origin: Path, git: Git) -> None:
    assert remotes.tags_age(repository) is None
    git(origin.parent, "clone", "-q", str(origin), "clone")
    clone = Repository.open(origin.parent / "clone")
    age = remotes.tags_age(clone)
    assert age is not None and 0 <= age < 60
    remotes.mark_fetched(repository)
    age = remotes.tags_age(repository)
    assert age is not None and 0 <= age < 60


def test_a_clone_without_tags_is_known(repository: Repository, origin: Path, git: Git) -> None:
    git(origin, "tag", "theirs", "main")
    git(origin.parent, "clone", "-q", "--no-tags", str(origin), "clone")
    clone = Repository.open(origin.parent / "clone")
    assert remotes.is_tagless(clone)
    remotes.fetch_refs(clone, "origin", "refs/tags/*:refs/tags/*")
    remotes.mark_fetched(clone)
    assert not remotes.is_tagless(clone)
    assert not remotes.is_tagless(repository)


@pytest.mark.usefixtures("origin")
def test_the_main_branch_is_the_one_that_holds_the_other(repository: Repository, git: Git) -> None:
    root, first = repository.root, repository.head()
    assert main_branch.main_commit(repository) == first
    git(root, "commit", "-q", "--allow-empty", "-m", "merged here")
    ahead = repository.head()
    git(root, "checkout", "-qb", "work")
    git(root, "commit", "-q", "--allow-empty", "-m", "work")
    assert main_branch.main_commit(repository) == ahead
    git(root, "push", "-q", "origin", "work:main")
    assert main_branch.main_commit(repository) == repository.head()


@pytest.mark.usefixtures("origin")
def test_parted_main_branches_follow_the_remote(repository: Repository, git: Git) -> None:
    root = repository.root
    git(root, "commit", "-q", "--allow-empty", "-m", "merged there")
    there = repository.head()
    git(root, "push", "-q", "origin", "main")
    git(root, "reset", "-q", "--hard", "HEAD^")
    git(root, "commit", "-q", "--allow-empty", "-m", "merged here")
    assert main_branch.main_commit(repository) == there


def test_no_commit_no_main(tmp_path: Path, git: Git) -> None:
    git(tmp_path, "init", "-q", "new")
    assert main_branch.main_commit(Repository.open(tmp_path / "new")) is None
