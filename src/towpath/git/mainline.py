"""The main branch: what it was decided upon, as far as this clone knows."""

from __future__ import annotations

from towpath.git import refs, remotes
from towpath.git.repository import Repository

NAMES = ("main", "master")


def name(repository: Repository) -> str:
    """What the main branch is called, here or on the remote; ``main`` where there is none yet."""
    remote = remotes.chosen(repository)
    there = [f"refs/remotes/{remote}/{one}" for one in NAMES] if remote else []
    known = refs.objects(repository, *there, *(f"refs/heads/{one}" for one in NAMES))
    called = [ref.rpartition("/")[2] for ref in known]
    return next((one for one in NAMES if one in called), NAMES[0])


def remote_main(repository: Repository) -> str | None:
    """The remote's main branch, as it was when it was last fetched; None without one."""
    remote = remotes.chosen(repository)
    if remote is None:
        return None
    there = [f"refs/remotes/{remote}/{one}" for one in ("HEAD", *NAMES)]
    known = refs.objects(repository, *there)
    return next((known[one] for one in there if one in known), None)


def main(repository: Repository) -> str | None:
    """The commit of the main branch; None before the first commit.

    Of the branch here and the remote's, the one that holds the other; where they parted, the
    remote's. Without a main branch it is the head.
    """
    remote = remotes.chosen(repository)
    there = [f"refs/remotes/{remote}/{name}" for name in ("HEAD", *NAMES)] if remote else []
    here = [f"refs/heads/{name}" for name in NAMES]
    known = refs.objects(repository, *there, *here)
    far = next((known[name] for name in there if name in known), None)
    near = next((known[name] for name in here if name in known), None)
    if near is None or far is None or near == far:
        return far or near or repository.head()
    ahead = repository.attempt("merge-base", "--is-ancestor", far, near)
    return near if ahead.code == 0 else far
