"""A commit laid out in a folder of its own, beside the work tree and every branch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from towpath.errors import RegistryError, UsageError
from towpath.git import submodules
from towpath.git.command import AS_COMMITTED
from towpath.git.repository import Repository
from towpath.scratch import scratch_folder


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
        yield _add(repository, commit, keep.absolute())
        return
    with scratch_folder() as scratch:
        folder = Path(scratch).resolve() / "tree"
        try:
            yield _add(repository, commit, folder)
        finally:
            repository.attempt("worktree", "remove", "--force", "--force", str(folder))


def _add(repository: Repository, commit: str, folder: Path) -> Path:
    repository.call(*AS_COMMITTED, "worktree", "add", "-q", "--detach", str(folder), commit)
    submodules.lay_out(repository, commit, folder)
    return folder
