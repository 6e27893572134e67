"""The main branch's first-parent line: what it held, one commit after the other, and since when.

Whoever pushes to main chooses which commit comes first and what date it has. So a date counts from
its first parent's at the earliest, and a merge that puts another commit into first place is seen
by what it brings: changes that main had decided upon already.
"""

from __future__ import annotations

import re
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from towpath.backends.git import Repository, commit_history
from towpath.backends.git.commit_history import Commit
from towpath.backends.git.submodules import GITLINK
from towpath.config.foreign_values import clamp_second

CLOCK_SKEW = 300
"""Seconds by which the clocks of two honest machines may differ (the bound of RFC 4120, 5.2)."""


@dataclass(frozen=True)
class Backdated:
    """A commit whose date lies before its first parent's, or ahead of now."""

    commit: str
    time: int
    parent_time: int

    @property
    def is_ahead(self) -> bool:
        """Whether the date has not come yet."""
        return self.time > self.parent_time


@dataclass(frozen=True)
class MainLine:
    """The commits of main, oldest first, as ``head`` has them at ``now`` (seconds since 1970)."""

    head: str
    commits: tuple[Commit, ...]
    now: int

    @cached_property
    def commit_places(self) -> Mapping[str, int]:
        """The place of each commit on the line, 0 for the oldest."""
        return {commit.name: place for place, commit in enumerate(self.commits)}

    @cached_property
    def times(self) -> Mapping[str, int]:
        """When main had each commit at the earliest: no date counts that lies before the one
        before it, and none that has not come yet, which would move all that come after it."""
        counted: dict[str, int] = {}
        latest = 0
        for commit in self.commits:
            if commit.time <= self.now + CLOCK_SKEW:
                latest = max(latest, commit.time)
            counted[commit.name] = latest
        return counted

    def holds_commit(self, commit: str) -> bool:
        """Whether main was ever at a commit."""
        return commit in self.commit_places

    def parent(self, commit: str) -> str | None:
        """The commit that main was at before; None of the first."""
        place = self.commit_places.get(commit, 0)
        return self.commits[place - 1].name if place else None

    def merged_parents(self, commit: str) -> tuple[str, ...]:
        """The further parents of a commit of the line: what it merged."""
        return self.commits[self.commit_places[commit]].parents[1:]

    def backdated(self, commits: Iterable[str]) -> tuple[Backdated, ...]:
        """Those of ``commits`` whose date cannot be, by more than clocks differ."""
        impossible: list[Backdated] = []
        for name in commits:
            commit, parent = self.commits[self.commit_places[name]], self.parent(name)
            before = self.times[parent] if parent else 0
            if commit.time < before - CLOCK_SKEW:
                impossible.append(Backdated(name, commit.time, before))
            elif commit.time > self.now + CLOCK_SKEW:
                impossible.append(Backdated(name, commit.time, self.now))
        return tuple(impossible)


def read_main_line(repository: Repository, head: str, now: int | None = None) -> MainLine:
    """The line that ends at ``head``."""
    moment = int(time.time()) if now is None else now
    return MainLine(head, commit_history.first_parent_line(repository, head), moment)


@dataclass(frozen=True)
class MainChange:
    """A commit of main's first-parent line and what it made of the files that were asked about.

    ``files`` are blobs by path, None where the file was taken away; a submodule in a file's place
    has no blob, and a name that is none. ``time`` is the commit's own
    claim. ``trailers`` are the commit message's, by lower-case key.
    """

    commit: str
    parents: tuple[str, ...]
    time: int
    author: str
    subject: str
    trailers: Mapping[str, tuple[str, ...]]
    files: Mapping[str, str | None]


_FIELDS = ("%H", "%P", "%ct", "%an <%ae>", "%s", "%b")
_TRAILER = re.compile(r"[A-Za-z0-9-]+[ \t]*:|\(cherry picked from commit ")
_FORMAT = "".join(f"{field}%x00" for field in _FIELDS)


def read_changes(repository: Repository, head: str, *words: str) -> Iterator[MainChange]:
    """The commits of the line that fit, oldest first: ``words`` are what ``git log`` is given
    further, such as ``--`` and pathspecs."""
    listed = repository.recall_output(
        "log", "--first-parent", "--diff-merges=first-parent", "--reverse", "--root", "--raw",
        "--no-abbrev", "--no-renames", "--no-show-signature", "--no-mailmap", "-z",
        "--ignore-submodules=none",
        f"--format={_FORMAT}", head, *words, about=[head],
    )  # fmt: skip
    cells = listed.split("\0")
    position = 0
    while position + len(_FIELDS) < len(cells):
        fields, position = cells[position : position + len(_FIELDS)], position + len(_FIELDS) + 1
        files: dict[str, str | None] = {}
        while position + 1 < len(cells) and cells[position].lstrip("\n").startswith(":"):
            _, mode, _, blob, status = cells[position].lstrip("\n").split(" ")
            # A submodule's commit may lie in this repository: what it says is no file's content.
            blob = f"submodule:{blob}" if mode == GITLINK else blob
            files[cells[position + 1]] = None if status == "D" else blob
            position += 2
        name, parents, time_, author, subject, body = fields
        yield MainChange(
            name.lstrip("\n"), tuple(parents.split()), clamp_second(time_), author, subject,
            read_trailers(body), files,
        )  # fmt: skip


def read_trailers(body: str) -> dict[str, tuple[str, ...]]:
    """The trailers at the end of a message, by lower-case key; none where it ends in prose.

    Git's own ``%(trailers)`` goes by a reader's ``trailer.*`` settings: two people would read two
    approvals in one merge.
    """
    paragraph = body.replace("\r\n", "\n").rstrip().rpartition("\n\n")[2]
    rows = re.sub(r"\n[ \t]+", " ", paragraph).split("\n")
    return parse_trailers("\n".join(rows)) if all(map(_TRAILER.match, rows)) else {}


def parse_trailers(text: str) -> dict[str, tuple[str, ...]]:
    """``Key: value`` lines, by lower-case key, in their order."""
    values: defaultdict[str, tuple[str, ...]] = defaultdict(tuple)
    for line in text.split("\n"):
        key, colon, value = line.partition(":")
        if colon:
            values[key.strip().lower()] += (value.strip(),)
    return dict(values)
