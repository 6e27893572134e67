"""Decisions that main took, and that a later merge put out of its first-parent line.

Whoever pushes a merge says which of its parents comes first. Merging main into a branch of one's
own, and pushing that as main, makes one's own commits the line and what was decided meanwhile a
thing that was merged along: nobody is asked about it any more.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from towpath.git import Repository
from towpath.git.command import lines
from towpath.registry.main_line import MainLine, read_trailers

_FACTS = ("%H", "%P", "%s", "%b")


@dataclass(frozen=True)
class Displaced:
    """A decision (an approval, or a merge of a promotion) beside the line, and the commit of the
    line that merged it along; ``subject`` is the decision's, which anybody can have written."""

    commit: str
    subject: str
    merge: str


def find_displaced(repository: Repository, line: MainLine) -> tuple[Displaced, ...]:
    """Every decision in main's history that is not on its line."""
    beside = dict(_decisions(repository, line))
    if not beside:
        return ()
    return tuple(
        Displaced(commit, subject, _bringer(repository, line, commit))
        for commit, subject in beside.items()
    )


def _decisions(repository: Repository, line: MainLine) -> Iterator[tuple[str, str]]:
    """Commits beside the line that only main can have had: those that say an approval, which
    ``towpath approve`` writes upon main alone, and merges of a promotion's own commit."""
    named: set[str] = set()
    decisions = ("-E", "-i", "--grep=^(Promotion|Rules): ")
    for commit, _, approval, subject in _log(repository, line, *decisions):
        named.add(commit)
        if approval:
            yield commit, subject
    if not named:
        return
    for commit, parents, approval, subject in _log(repository, line, "--merges"):
        if parents[1] in named and not approval and not _is_update(repository, line, parents):
            yield commit, subject


def _is_update(repository: Repository, line: MainLine, parents: tuple[str, ...]) -> bool:
    """Whether a merge brought a branch up to date: it then merged main, and with it a promotion."""
    brought = repository.call("rev-list", f"{parents[0]}..{parents[1]}")
    return any(line.holds(commit) for commit in lines(brought))


def _log(
    repository: Repository, line: MainLine, *words: str
) -> list[tuple[str, tuple[str, ...], bool, str]]:
    """The commits of main's whole history that fit and are not on its line: name, parents, whether
    they say an approval, subject."""
    form = "%x00".join(_FACTS)
    cells = repository.call("log", "-z", f"--format={form}", *words, line.head).split("\0")
    rows = zip(*(cells[place :: len(_FACTS)] for place in range(len(_FACTS))), strict=False)
    return [
        (commit, tuple(parents.split()), "approval" in read_trailers(body), subject)
        for commit, parents, subject, body in rows
        if not line.holds(commit)
    ]


def _bringer(repository: Repository, line: MainLine, commit: str) -> str:
    """The first commit of the line that holds another."""
    least, most = 0, len(line.commits) - 1
    while least < most:
        middle = (least + most) // 2
        name = line.commits[middle].name
        holds = repository.attempt("merge-base", "--is-ancestor", commit, name).code == 0
        least, most = (least, middle) if holds else (middle + 1, most)
    return line.commits[least].name
