"""Merges in a bare repository, as a forge makes them: merge, squash and rebase."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

GITHUB = ("GitHub", "noreply@github.com")


class Conflict(Exception):
    """The branches do not merge."""


def git(repository: Path, *words: str, env: dict[str, str] | None = None) -> str:
    """What Git prints in a repository; CalledProcessError where it fails."""
    whole = {**os.environ, **(env or {})}
    done = subprocess.run(
        ["git", "-C", str(repository), *words], check=True, capture_output=True, env=whole
    )
    return done.stdout.decode().strip()


def resolve(repository: Path, name: str) -> str | None:
    """The commit of a name, or None."""
    try:
        return git(repository, "rev-parse", "-q", "--verify", f"{name}^{{commit}}")
    except subprocess.CalledProcessError:
        return None


def between(repository: Path, base: str, head: str) -> list[str]:
    """The commits of head that base has not, the newest first."""
    return git(repository, "rev-list", head, f"^{base}").split()


def merges_cleanly(repository: Path, base: str, head: str) -> bool:
    """Whether two commits merge without a conflict."""
    try:
        _tree(repository, base, head)
    except Conflict:
        return False
    return True


def merge(repository: Path, base: str, head: str, message: str, author: tuple[str, str]) -> str:
    """A merge commit of head into base."""
    return _commit(repository, _tree(repository, base, head), [base, head], message, author)


def squash(repository: Path, base: str, head: str, message: str, author: tuple[str, str]) -> str:
    """One commit upon base with all that head brings."""
    return _commit(repository, _tree(repository, base, head), [base], message, author)


def rebase(repository: Path, base: str, head: str) -> str:
    """The commits of head made again upon base."""
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        git(repository, "worktree", "add", "--quiet", "--detach", str(tree), head)
        committer = {"GIT_COMMITTER_NAME": GITHUB[0], "GIT_COMMITTER_EMAIL": GITHUB[1]}
        try:
            git(tree, "rebase", "--quiet", "--no-ff", base, env=committer)
            return git(tree, "rev-parse", "HEAD")
        except subprocess.CalledProcessError as error:
            raise Conflict(error.stderr.decode()) from error
        finally:
            git(repository, "worktree", "remove", "--force", str(tree))


def _tree(repository: Path, base: str, head: str) -> str:
    try:
        return git(repository, "merge-tree", "--write-tree", base, head).splitlines()[0]
    except subprocess.CalledProcessError as error:
        raise Conflict(error.stdout.decode()) from error


def _commit(
    repository: Path, tree: str, parents: list[str], message: str, author: tuple[str, str]
) -> str:
    env = {
        "GIT_AUTHOR_NAME": author[0],
        "GIT_AUTHOR_EMAIL": author[1],
        "GIT_COMMITTER_NAME": GITHUB[0],
        "GIT_COMMITTER_EMAIL": GITHUB[1],
    }
    flags = [word for parent in parents for word in ("-p", parent)]
    return git(repository, "commit-tree", tree, *flags, "-m", message, env=env)
