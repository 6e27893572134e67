"""Branches: where they stand, and how one is moved without surprise."""

from __future__ import annotations

from pathlib import Path

from towpath.backends.git import commit_history, refs
from towpath.backends.git.git_command import split_lines
from towpath.backends.git.repository import Repository
from towpath.errors import RegistryError


def branch_commit(repository: Repository, branch: str) -> str | None:
    return refs.list_ref_objects(repository, f"refs/heads/{branch}").get(f"refs/heads/{branch}")


def read_head_dates(repository: Repository, prefix: str, remote: str | None) -> dict[str, str]:
    """When the heads of branches were committed, ISO 8601, by their names: of those that are here,
    and of the remote's as they were last fetched; what is here counts. Raises ``RegistryError``
    where one of these commits is damaged."""
    dates: dict[str, str] = {}
    for folder in (*([f"refs/remotes/{remote}/"] if remote else []), "refs/heads/"):
        listed = repository.call(
            "for-each-ref", "--format=%(refname)%00%(committerdate:iso-strict)",
            f"{folder}{prefix}*",
        )  # fmt: skip
        rows = (line.split("\0") for line in split_lines(listed))
        dates |= {name.removeprefix(folder): date for name, date in rows}
    return dates


def advance_branch(repository: Repository, branch: str, commit: str) -> None:
    """Move a branch forward, with the files of a work tree that has it checked out. A
    RegistryError, and nothing has moved, if one of them was changed, or it is not behind
    ``commit``."""
    # Files there that were changed and that ``commit`` does not touch stay as they are.
    old = branch_commit(repository, branch)
    if old is not None and not commit_history.is_ancestor(repository, old, commit):
        raise RegistryError(f"{branch} moved meanwhile", hint="run it again")
    folder = _work_tree(repository, branch)
    ref = f"refs/heads/{branch}"
    if folder is None or old is None:
        refs.point_ref(repository, ref, commit, old or "0" * len(commit))
        return
    tree = Repository(folder, repository.common)
    _lay_out(tree, branch, old, commit)
    moved = tree.attempt_git("update-ref", "-m", "towpath: fast-forward", ref, commit, old)
    if moved.code:  # it moved meanwhile, or a hook of the user's refuses
        tree.attempt_git("read-tree", "-m", "-u", commit, old)
        what = f"{branch} in {folder} cannot be moved forward: {moved.last_complaint}"
        raise RegistryError(what, hint=moved.way_past_lock)


def _lay_out(tree: Repository, branch: str, old: str, commit: str) -> None:
    """Bring a work tree and its index from one commit to a later one."""
    # ``git merge --ff-only`` does the same, but obeys what a person set for their own merges
    # (``branch.main.mergeOptions``, ``pull.twohead``, ``merge.verifySignatures``), and may then
    # squash, or make a merge commit that nobody judged.
    tree.attempt_git("update-index", "-q", "--refresh")  # a file that was only touched is no change
    read_tree = tree.attempt_git("read-tree", "-m", "-u", old, commit)
    if read_tree.code == 0:
        return
    touched = {change.path for change in commit_history.changed_files(tree, old, commit)}
    if files := [path for path in tree.state().changed if path in touched]:
        what = f"{tree.root}: {', '.join(files)} would be overwritten, and is not committed"
        raise RegistryError(what, hint="commit or stash them")
    what = f"{branch} in {tree.root} cannot be moved forward: {read_tree.last_complaint}"
    hint = read_tree.way_past_lock or "commit or stash what is changed there"
    raise RegistryError(what, hint=hint)


def put_branch(repository: Repository, branch: str, commit: str) -> None:
    """Make a branch, or point one at another commit; it must not be checked out."""
    _refuse_checked_out(repository, branch)
    refs.point_ref(repository, f"refs/heads/{branch}", commit)


def drop_branch(repository: Repository, branch: str) -> None:
    """Delete a branch, merged or not; one that is not there is well."""
    _refuse_checked_out(repository, branch)
    refs.change_refs(repository, delete=[f"refs/heads/{branch}"])


def _refuse_checked_out(repository: Repository, branch: str) -> None:
    if tree := _work_tree(repository, branch):
        hint = f"git -C '{tree}' switch main"
        raise RegistryError(f"{branch} is checked out in {tree}", hint=hint)


def _work_tree(repository: Repository, branch: str) -> Path | None:
    listed = repository.call("worktree", "list", "--porcelain")
    for entry in listed.split("\n\n"):
        entry_lines = split_lines(entry)
        if f"branch refs/heads/{branch}" in entry_lines and "bare" not in entry_lines:
            return Path(entry_lines[0].removeprefix("worktree "))
    return None
