"""Submodules, each pinned to a commit by a gitlink; and a commit laid out with all of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from towpath.backends.git.git_command import AS_COMMITTED
from towpath.backends.git.repository import Repository
from towpath.errors import RegistryError, UsageError
from towpath.scratch import scratch_folder

GITLINK = "160000"
SET_UP = "git submodule update --init --recursive"


@dataclass(frozen=True)
class Submodule:
    """One by its path from the top of the outermost repository, and the commit that is pinned.

    ``folder`` is where this work tree has it; ``repository`` None where it was not set up there.
    """

    path: str
    commit: str
    folder: Path
    repository: Repository | None


def pinned_submodules(
    repository: Repository, commit: str | None = None, below: str = ""
) -> list[Submodule]:
    """The submodules that a commit pins, or without one the index; without those in them."""
    if commit is None:
        listed = repository.call("ls-files", "-s", "-z")
    else:
        listed = repository.call("ls-tree", "-r", "-z", "--full-tree", commit)
    rows = (row.split("\t", 1) for row in listed.split("\0") if row.startswith(GITLINK))
    return [
        _find_submodule(repository, below, path, fields.split(" ")[1 if commit is None else 2])
        for fields, path in rows
    ]


def absent_submodules(repository: Repository, below: str = "") -> Iterator[str]:
    """The paths of those that were not set up in a work tree, nested ones included."""
    for submodule in pinned_submodules(repository, below=below):
        if submodule.repository is None:
            yield submodule.path
        else:
            yield from absent_submodules(submodule.repository, f"{submodule.path}/")


def lay_out(repository: Repository, commit: str, folder: Path) -> None:
    """Put the files of every submodule, as ``commit`` pins it, into a folder with the rest of it.

    Nested ones too. Raises ``RegistryError`` where one is not set up in this clone, or its remote
    has the pinned commit no more.
    """
    for submodule in pinned_submodules(repository, commit):
        place = folder / submodule.path
        source = submodule.repository
        if source is None:
            what = f"the submodule {submodule.path} is not set up in this clone"
            raise RegistryError(what, hint=SET_UP)
        _bring_commit(source, submodule)
        _write_tree(source, submodule.commit, place)
        lay_out(source, submodule.commit, place)


def _find_submodule(repository: Repository, below: str, path: str, commit: str) -> Submodule:
    folder = repository.root / path
    own = Repository.find_repository(folder) if (folder / ".git").exists() else None
    return Submodule(f"{below}{path}", commit, folder, own)


def _bring_commit(source: Repository, submodule: Submodule) -> None:
    """Have the pinned commit here, from the submodule's own remote where it is not."""
    if source.commit(submodule.commit) is None:
        source.attempt_git("fetch", "--quiet", "--no-tags", "origin", submodule.commit, alone=True)
    if source.commit(submodule.commit) is None:
        what = f"the submodule {submodule.path} has no commit {submodule.commit} here"
        raise RegistryError(what, hint=f"git -C '{source.root}' fetch, with its whole history")


def _write_tree(source: Repository, commit: str, folder: Path) -> None:
    with scratch_folder() as scratch:
        env = {"GIT_INDEX_FILE": str(Path(scratch, "index"))}
        source.call("read-tree", commit, env=env)
        source.call(*AS_COMMITTED, "checkout-index", "-aqf", f"--prefix={folder}/", env=env)


@contextmanager
def laid_out(repository: Repository, commit: str, keep: Path | None = None) -> Iterator[Path]:
    """The files of ``commit``, and of its submodules, in a scratch folder, gone afterwards.

    ``keep`` names a folder that is not there yet, and stays. Raises ``RegistryError`` where this
    clone does not have the commit, or one that it pins.
    """
    if repository.commit(commit) is None:
        hint = "git fetch the repository of the code, with its whole history"
        raise RegistryError(f"this clone does not have the commit {commit}", hint=hint)
    if keep is not None:
        if keep.exists() and (not keep.is_dir() or any(keep.iterdir())):
            raise UsageError(f"{keep} is there already", hint="name a folder that is not")
        yield _add_work_tree(repository, commit, keep.absolute())
        return
    with scratch_folder() as scratch:
        folder = Path(scratch).resolve() / "tree"
        try:
            yield _add_work_tree(repository, commit, folder)
        finally:
            repository.attempt_git("worktree", "remove", "--force", "--force", str(folder))


def _add_work_tree(repository: Repository, commit: str, folder: Path) -> Path:
    repository.call(*AS_COMMITTED, "worktree", "add", "-q", "--detach", str(folder), commit)
    lay_out(repository, commit, folder)
    return folder
