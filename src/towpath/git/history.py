"""What lies between two commits: the files that differ, and who made the change."""

from __future__ import annotations

from dataclasses import dataclass

from towpath.git.command import lines
from towpath.git.repository import Repository

PLAIN = "100644"
_PEOPLE = "%an%x00%ae%n%cn%x00%ce"


@dataclass(frozen=True)
class Change:
    """A file that two commits have differently: its blobs (None where it is not there), its mode
    in the later one."""

    path: str
    old: str | None
    new: str | None
    mode: str


def merge_base(repository: Repository, one: str, other: str) -> str | None:
    """The last commit that two have in common; None where they have none."""
    found = repository.attempt("merge-base", one, other)
    return found.text.split("\n")[0] or None


def is_ancestor(repository: Repository, one: str, other: str) -> bool:
    """Whether ``other`` holds ``one``."""
    return repository.attempt("merge-base", "--is-ancestor", one, other).code == 0


def changes(repository: Repository, old: str, new: str, *paths: str) -> tuple[Change, ...]:
    """The files in which two commits differ, by their path from the root."""
    told = repository.call(
        "diff-tree", "-r", "-z", "--raw", "--no-renames", "--no-abbrev", old, new, "--", *paths
    )
    words = [word for word in told.split("\0") if word]
    rows = zip(words[::2], words[1::2], strict=True)
    return tuple(_change(raw.lstrip(":").split(" "), path) for raw, path in rows)


def authors(repository: Repository, old: str, new: str) -> tuple[tuple[str, str], ...]:
    """Name and mail of everybody who wrote or made a commit that ``new`` has and ``old`` lacks."""
    told = repository.call(
        "log", "--no-mailmap", "--no-show-signature", f"--format={_PEOPLE}", new, f"^{old}"
    )
    pairs = (line.partition("\0") for line in lines(told))
    return tuple(dict.fromkeys((name, mail) for name, _, mail in pairs))


def parents(repository: Repository, commit: str) -> tuple[str, ...]:
    """The parents of a commit, the first one first."""
    return tuple(repository.call("rev-list", "-1", "--parents", commit).split()[1:])


def _change(fields: list[str], path: str) -> Change:
    _, mode, old, new, status = fields
    return Change(path, None if status == "A" else old, None if status == "D" else new, mode)
