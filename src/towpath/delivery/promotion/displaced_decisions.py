"""Decisions that main took, and that a later merge put out of its first-parent line.

Whoever pushes a merge says which of its parents comes first. Merging main into a branch of one's
own, and pushing that as main, makes one's own commits the line and what was decided meanwhile a
thing that was merged along: nobody is asked about it any more.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from towpath.backends.git import Repository, commit_history, refs
from towpath.backends.git.commit_history import MainLine, read_trailers
from towpath.backends.git.git_command import split_lines
from towpath.delivery.promotion.rulebook import PATTERNS, is_rule
from towpath.registry.stage_files import FOLDER

_FACTS = ("%H", "%P", "%s", "%b")


@dataclass(frozen=True)
class DisplacedDecision:
    """A decision (an approval, or a merge of a promotion) beside the line, and the commit of the
    line that merged it along; ``subject`` is the decision's, which anybody can have written."""

    commit: str
    subject: str
    merge: str


def find_displaced(repository: Repository, line: MainLine) -> tuple[DisplacedDecision, ...]:
    """Every decision in main's history that is not on its line, and that a merge lost: one that
    has the files as the decided side had them took no decision away."""
    beside = dict(_find_decisions(repository, line))
    lost = [
        DisplacedDecision(commit, subject, bringer)
        for commit, subject in beside.items()
        if not _is_kept(
            repository, line, commit, bringer := _find_bringing_commit(repository, line, commit)
        )
    ]
    return (*lost, *_other_beginnings(repository, line))


def _is_kept(repository: Repository, line: MainLine, commit: str, merge: str) -> bool:
    """Whether a merge has what a decision beside the line was about as the merged side had it."""
    parent = next(iter(commit_history.commit_parents(repository, commit)), None)
    if parent is None or merge == commit:
        return False
    patterns = (f":(top){FOLDER}", *PATTERNS)
    changed = commit_history.changed_files(repository, parent, commit, *patterns)
    paths = [change.path for change in changed]
    named = read_trailers(_commit_message(repository, commit)).get("rules", ())
    sides = [
        side
        for side in line.merged_parents(merge)
        if commit_history.is_ancestor(repository, commit, side)
    ]
    return all(_has_same_files(repository, merge, side, [*paths, *named]) for side in sides[:1])


def _commit_message(repository: Repository, commit: str) -> str:
    return repository.call("log", "-1", "--no-show-signature", "--format=%B", commit)


def _has_same_files(repository: Repository, one: str, other: str, paths: list[str]) -> bool:
    """Whether two commits have these files alike."""
    names = {path: (f"{one}:{path}", f"{other}:{path}") for path in paths}
    contents = refs.read_contents(repository, [name for pair in names.values() for name in pair])
    return all(contents.get(mine) == contents.get(theirs) for mine, theirs in names.values())


def _other_beginnings(repository: Repository, line: MainLine) -> Iterator[DisplacedDecision]:
    """A history that was merged along and has rules, but another first commit than the line: the
    line of one's own that was put first names its own first signers."""
    first = line.commits[0].name
    listed = split_lines(repository.call("rev-list", "--max-parents=0", line.head))
    for root in (root for root in listed if root != first):
        merge = _find_bringing_commit(repository, line, root)
        for side in line.merged_parents(merge):
            if not commit_history.is_ancestor(repository, first, side) and _has_rules(
                repository, side
            ):
                yield DisplacedDecision(side, "what main was from its first commit on", merge)


def _has_rules(repository: Repository, commit: str) -> bool:
    return any(map(is_rule, commit_history.list_paths(repository, commit)))


def _find_decisions(repository: Repository, line: MainLine) -> Iterator[tuple[str, str]]:
    """Commits beside the line that only main can have had: those that say an approval, which
    ``towpath approve`` writes upon main alone, and merges of a promotion's own commit."""
    named: set[str] = set()
    decisions = ("-E", "-i", "--grep=^(Promotion|Rules)[ \t]*:")
    for commit, _, approval, subject in _read_side_commits(repository, line, *decisions):
        named.add(commit)
        if approval:
            yield commit, subject
    if not named:
        return
    for commit, parents, approval, subject in _read_side_commits(repository, line, "--merges"):
        if parents[1] in named and not approval and not _is_update(repository, line, parents):
            yield commit, subject


def _is_update(repository: Repository, line: MainLine, parents: tuple[str, ...]) -> bool:
    """Whether a merge brought a branch up to date: it then merged main, and with it a promotion."""
    brought = repository.call("rev-list", f"{parents[0]}..{parents[1]}")
    return any(line.holds_commit(commit) for commit in split_lines(brought))


def _read_side_commits(
    repository: Repository, line: MainLine, *words: str
) -> list[tuple[str, tuple[str, ...], bool, str]]:
    """The commits of main's whole history that fit and are not on its line: name, parents, whether
    they say an approval, subject."""
    form = "%x00".join(_FACTS)
    listed = ("log", "-z", f"--format={form}", *words, line.head)
    cells = repository.recall_output(*listed, about=[line.head]).split("\0")
    rows = zip(*(cells[place :: len(_FACTS)] for place in range(len(_FACTS))), strict=False)
    return [
        (commit, tuple(parents.split()), "approval" in read_trailers(body), subject)
        for commit, parents, subject, body in rows
        if not line.holds_commit(commit)
    ]


def _find_bringing_commit(repository: Repository, line: MainLine, commit: str) -> str:
    """The first commit of the line that holds another."""
    least, most = 0, len(line.commits) - 1
    while least < most:
        middle = (least + most) // 2
        name = line.commits[middle].name
        holds = commit_history.is_ancestor(repository, commit, name)
        least, most = (least, middle) if holds else (middle + 1, most)
    return line.commits[least].name
