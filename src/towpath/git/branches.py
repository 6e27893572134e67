"""Branches moved without surprise: what has them checked out moves along, or nothing does."""

from __future__ import annotations

from pathlib import Path

from towpath.errors import RegistryError
from towpath.git import refs
from towpath.git.command import lines
from towpath.git.repository import Repository


def commit_of(repository: Repository, branch: str) -> str | None:
    """The commit that a local branch is at; None where there is no such branch."""
    return refs.objects(repository, f"refs/heads/{branch}").get(f"refs/heads/{branch}")


def advance(repository: Repository, branch: str, commit: str) -> None:
    """Move a branch forward to ``commit``; a work tree that has it checked out gets the files.

    Files there that were changed and that ``commit`` does not touch stay as they are. Raises
    ``RegistryError`` where it touches one of them, or where the branch is not behind ``commit``;
    then nothing has moved.
    """
    tree = _work_tree(repository, branch)
    if tree is not None:
        done = Repository(tree, repository.common).attempt("merge", "--ff-only", "-q", commit)
        if done.code:
            raise RegistryError(*_in_the_way(tree, branch, done.err), hint="commit or stash them")
        return
    old = commit_of(repository, branch)
    if old is not None and repository.attempt("merge-base", "--is-ancestor", old, commit).code:
        raise RegistryError(f"{branch} moved meanwhile", hint="run it again")
    nothing = "0" * len(commit)
    repository.call("update-ref", f"refs/heads/{branch}", commit, old or nothing)


def put(repository: Repository, branch: str, commit: str) -> None:
    """Make a branch, or point one at another commit; it must not be checked out."""
    tree = _work_tree(repository, branch)
    if tree is not None:
        raise RegistryError(
            f"{branch} is checked out in {tree}", hint=f"git -C '{tree}' switch main"
        )
    repository.call("update-ref", f"refs/heads/{branch}", commit)


def drop(repository: Repository, branch: str) -> None:
    """Delete a branch, merged or not; one that is not there is well."""
    tree = _work_tree(repository, branch)
    if tree is not None:
        raise RegistryError(
            f"{branch} is checked out in {tree}", hint=f"git -C '{tree}' switch main"
        )
    refs.change(repository, delete=[f"refs/heads/{branch}"])


def _work_tree(repository: Repository, branch: str) -> Path | None:
    """The work tree that has a branch checked out."""
    listed = repository.call("worktree", "list", "--porcelain")
    for entry in listed.split("\n\n"):
        said = lines(entry)
        if f"branch refs/heads/{branch}" in said and "bare" not in said:
            return Path(said[0].removeprefix("worktree "))
    return None


def _in_the_way(tree: Path, branch: str, err: str) -> list[str]:
    files = [line.strip() for line in lines(err) if line.startswith("\t")]
    if files:
        return [f"{tree}: {', '.join(files)} would be overwritten, and is not committed"]
    return [f"{branch} in {tree} cannot be moved forward: {lines(err.strip())[-1]}"]
