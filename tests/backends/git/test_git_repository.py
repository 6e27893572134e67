"""Where a repository is, what it stands on, and who works in it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from towpath.backends.git import Repository
from towpath.errors import RegistryError, UserError

Git = Callable[..., str]


def test_it_is_found_from_any_folder_below(repository: Repository) -> None:
    below = repository.root / "flows" / "träining"
    below.mkdir(parents=True)
    assert Repository.find_repository(below) == repository
    assert repository.common == repository.root / ".git"


def test_a_folder_without_one_says_how_to_begin(tmp_path: Path) -> None:
    assert Repository.find_repository(tmp_path) is None
    with pytest.raises(UserError, match=r"is not in a Git repository \(type: git init\)"):
        Repository.open(tmp_path)


def test_a_broken_one_is_not_taken_for_none(repository: Repository) -> None:
    (repository.root / ".git" / "config").write_text("[core\n")
    with pytest.raises(RegistryError, match="Git does not open"):
        Repository.find_repository(repository.root)


def test_one_of_another_owner_is_opened_when_told_to(
    repository: Repository, git: Git, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")  # Git's own switch for this
    with pytest.raises(RegistryError, match=r"dubious ownership.*add safe\.directory"):
        Repository.find_repository(repository.root)
    git(repository.root, "config", "--global", "--add", "safe.directory", str(repository.root))
    assert Repository.find_repository(repository.root) == repository


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no folder"):
        Repository.find_repository(tmp_path / "nowhere")


def test_without_git_it_says_so(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UserError, match="Git is not installed"):
        repository.head()


def test_a_bare_one_is_its_own_root(origin: Path) -> None:
    found = Repository.open(origin)
    assert (found.root, found.common, found.bare) == (origin, origin, True)


def test_a_work_tree_shares_what_is_common(
    repository: Repository, tmp_path: Path, git: Git
) -> None:
    beside = tmp_path / "beside"
    git(repository.root, "worktree", "add", "-q", "-b", "other", str(beside))
    found = Repository.open(beside)
    assert (found.root, found.common) == (beside, repository.common)
    assert found.state().branch == "other"


def test_a_hook_of_another_repository_does_not_lead_astray(
    repository: Repository, origin: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_DIR", str(origin))
    monkeypatch.setenv("GIT_INDEX_FILE", str(origin / "index"))
    assert Repository.open(repository.root) == repository
    assert repository.state().changed == ()


def test_the_state_before_the_first_commit(tmp_path: Path, git: Git) -> None:
    git(tmp_path, "init", "-q", "new")
    state = Repository.open(tmp_path / "new").state()
    assert (state.commit, state.branch, state.changed) == (None, "main", ())
    assert Repository.open(tmp_path / "new").head() is None


def test_the_state_names_every_file_not_committed(repository: Repository, git: Git) -> None:
    root = repository.root
    (root / "steps.py").write_text("second = 2\n")
    (root / "räw data.csv").write_text("a\n")
    (root / "new folder").mkdir()
    (root / "new folder" / "line\nbreak").write_text("b\n")
    git(root, "mv", "steps.py", "moved.py")
    expected = ("moved.py", "new folder/line\nbreak", "räw data.csv", "steps.py")
    assert repository.state().changed == expected
    ignored = repository.state(lambda path: path.startswith("new folder/"))
    assert ignored.changed == ("moved.py", "räw data.csv", "steps.py")
    assert (ignored.commit, ignored.branch) == (repository.head(), "main")


def test_a_conflict_is_a_file_not_committed(repository: Repository, git: Git) -> None:
    root = repository.root
    git(root, "checkout", "-qb", "other")
    (root / "steps.py").write_text("other\n")
    git(root, "commit", "-qam", "other")
    git(root, "checkout", "-q", "main")
    (root / "steps.py").write_text("mine\n")
    git(root, "commit", "-qam", "mine")
    with pytest.raises(AssertionError):
        git(root, "merge", "-q", "other")
    assert repository.state().changed == ("steps.py",)


def test_a_detached_head_has_no_branch(repository: Repository, git: Git) -> None:
    git(repository.root, "checkout", "-q", "--detach")
    assert repository.state().branch is None


def test_looking_leaves_the_index_alone(repository: Repository) -> None:
    os.utime(repository.root / "steps.py", (1, 1))
    index = repository.common / "index"
    before = index.read_bytes()
    assert repository.state().changed == ()
    assert index.read_bytes() == before


def test_who_works_here(repository: Repository) -> None:
    assert str(repository.read_identity()) == "Ada Lovelace <ada@example.org>"


def test_nobody_was_named(repository: Repository, home: Path) -> None:
    (home / ".gitconfig").write_text("")
    with pytest.raises(UserError) as said:
        repository.read_identity()
    assert "git config --global user.name" in str(said.value)
    assert "git config --global user.email" in str(said.value)
    assert said.value.exit_code == 2


def test_a_shallow_clone_is_known(repository: Repository, origin: Path, git: Git) -> None:
    (repository.root / "steps.py").write_text("second = 2\n")
    git(repository.root, "commit", "-qam", "second")
    git(repository.root, "push", "-q", "origin", "main")
    git(origin.parent, "clone", "-q", "--depth", "1", f"file://{origin}", "shallow")
    assert Repository.open(origin.parent / "shallow").is_shallow()
    assert not repository.is_shallow()
