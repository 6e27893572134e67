"""What lies between two commits and who made it, and a branch's first-parent line."""

from __future__ import annotations

import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from typing import TypeVar

from msgspec import Struct

from towpath.backends.git import refs
from towpath.backends.git.checkouts import GITLINK
from towpath.backends.git.git_command import split_lines
from towpath.backends.git.repository import Repository
from towpath.config.foreign_values import clamp_second

PLAIN = "100644"
# The file of no bytes, as repositories of SHA-1 and those of SHA-256 call it.
EMPTY = (
    "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391",
    "473a0f4c3be8a93681a267e3b1e9a7dcda1185436fe141f7749120a303721813",
)
_WRITER = "%H%x00%ae%x00%ce%x00%B%x00"
# Git's own `%(trailers)` goes by a reader's `trailer.*` settings.
_BESIDE = re.compile(r"^co-authored-by[ \t]*:(.*(?:\n[ \t].*)*)", re.IGNORECASE | re.MULTILINE)
_MAIL = re.compile(r"<([^<>]+)>\s*$")
# Seconds by which the clocks of two honest machines may differ (the bound of RFC 4120, 5.2).
CLOCK_SKEW = 300
_FIELDS = ("%H", "%P", "%ct", "%an <%ae>", "%s", "%b")
_TRAILER = re.compile(r"[A-Za-z0-9-]+[ \t]*:|\(cherry picked from commit ")
# Main, and what would be merged into it, are asked about in turn.
_HEADS_KEPT = 3
_ALWAYS = -1  # the place of what every commit that is asked about has
_FORMAT = "".join(f"{field}%x00" for field in _FIELDS)

_Row = TypeVar("_Row")


class FileChange(Struct, frozen=True):
    """A file that two commits have differently: its blobs (if it is there), its later mode."""

    path: str
    old: str | None
    new: str | None
    mode: str

    @property
    def keeps_folder(self) -> bool:
        """Whether it only keeps an empty folder in Git, or gives that up: an empty `.gitkeep`."""
        is_empty = self.new is None or (self.new in EMPTY and self.mode == PLAIN)
        return self.path.rpartition("/")[2] == ".gitkeep" and is_empty


class CommitWriter(Struct, frozen=True):
    """Who wrote a commit and who made it, by the mails that it says: nothing proves them."""

    commit: str
    author: str
    committer: str
    message: str = ""

    @property
    def writer_mails(self) -> frozenset[str]:
        """All their mails, lower case, with co-authors': who wrote a part approves none of it."""
        beside = _BESIDE.findall(self.message.replace("\r\n", "\n"))
        named = [mail_match[1] for person in beside if (mail_match := _MAIL.search(person))]
        return frozenset(mail.lower() for mail in (self.author, self.committer, *named))


def merge_base(repository: Repository, one: str, other: str) -> str | None:
    common = repository.attempt_git("merge-base", one, other)
    return common.text.split("\n")[0] or None


def is_ancestor(repository: Repository, one: str, other: str) -> bool:
    words = ("merge-base", "--is-ancestor", one, other)
    if (answer := repository.answers.get(words)) is not None:
        return answer == "yes"
    code = repository.attempt_git(*words).code
    # Not where one of them is missing (128): it may be fetched meanwhile.
    if code < 2 and repository.is_lasting(one, other):
        repository.answers[words] = "no" if code else "yes"
    return code == 0


def changed_files(
    repository: Repository, old: str, new: str, *paths: str
) -> tuple[FileChange, ...]:
    # `.gitmodules` may say that a submodule is not looked at: that file is the branch's own.
    listing = repository.recall_output(
        "diff-tree", "-r", "-z", "--raw", "--no-renames", "--no-abbrev", "--ignore-submodules=none",
        old, new, "--", *paths, about=[old, new],
    )  # fmt: skip
    words = [word for word in listing.split("\0") if word]
    rows = zip(words[::2], words[1::2], strict=True)
    return tuple(_parse_change(raw.lstrip(":").split(" "), path) for raw, path in rows)


def list_paths(repository: Repository, commit: str, *folders: str) -> list[str]:
    words = ("ls-tree", "-r", "-z", "--name-only", "--full-tree", commit, "--", *folders)
    return [path for path in repository.recall_output(*words, about=[commit]).split("\0") if path]


def commit_parents(repository: Repository, commit: str) -> tuple[str, ...]:
    # Without a call of Git where the commit was read already.
    if repository.is_lasting(commit) and (content := repository.contents.get(commit)):
        lines = content.partition(b"\n\n")[0].decode("utf-8", "replace").split("\n")
        heads = (line.partition(" ") for line in lines)
        return tuple(parent for key, _, parent in heads if key == "parent")
    words = ("rev-list", "-1", "--parents", commit)
    return tuple(repository.recall_output(*words, about=[commit]).split()[1:])


def find_substitutes(repository: Repository) -> tuple[str, ...]:
    """The objects that this clone shows others in place of (``git replace``, grafts)."""
    # Towpath does not obey them, since they are no part of what was pushed, signed and merged;
    # stock Git, GTO and DVC do.
    place = "refs/replace/"
    replaced = [name.removeprefix(place) for name in refs.list_ref_names(repository, place)]
    grafts = repository.common / "info" / "grafts"
    if grafts.is_file():
        text = grafts.read_text(encoding="utf-8", errors="replace")
        replaced += [row.split(" ")[0] for row in split_lines(text) if not row.startswith("#")]
    return tuple(dict.fromkeys(replaced))


def way_to_undo(repository: Repository, replaced: str) -> str:
    """How an object that is shown in another's place goes away, and is kept under another ref."""
    if refs.list_ref_names(repository, f"refs/replace/{replaced}"):
        aside = f"git update-ref refs/towpath/set-aside/replace/{replaced} refs/replace/{replaced}"
        return f"{aside}; then git replace -d {replaced}"
    return f"take the line of {replaced} out of .git/info/grafts"


def _parse_change(fields: list[str], path: str) -> FileChange:
    _, mode, old, new, status = fields
    return FileChange(path, None if status == "A" else old, None if status == "D" else new, mode)


class Commit(Struct, frozen=True):
    """A commit: its parents in order; its date (since 1970), which whoever made it could choose."""

    name: str
    parents: tuple[str, ...]
    time: int


def first_parent_line(repository: Repository, head: str) -> tuple[Commit, ...]:
    """The commits that a branch was at, oldest first: ``head`` and its first parents."""
    words = ("--first-parent", "--no-show-signature", "--format=%H %ct %P", "--reverse")

    def read_commits(bounds: Sequence[str]) -> Iterator[Commit]:
        rows = (line.split(" ") for line in split_lines(repository.call("log", *words, *bounds)))
        for name, date, *parents in rows:
            yield Commit(name, tuple(filter(None, parents)), clamp_second(date))

    return recall_line(repository, head, words, read_commits)


def recall_line(
    repository: Repository,
    head: str,
    question: tuple[str, ...],
    read: Callable[[Sequence[str]], Iterable[_Row]],
) -> tuple[_Row, ...]:
    """What ``read`` tells of the commits up to ``head``, or of those that Git's words for it bound.
    Where it was asked up to a commit of the same first-parent line, those after that one alone are
    read: the answer has to be what both parts say, one behind the other."""
    if not repository.is_lasting(head):
        return tuple(read([head]))
    kept: tuple[tuple[str, tuple[_Row, ...]], ...] = repository.known_lines.get(question, ())
    rows = dict(kept).get(head)
    if rows is None:
        before, earlier = kept[-1] if kept else ("", ())
        is_longer = bool(before) and _goes_on(repository, before, head)
        rows = (*earlier, *read([head, f"^{before}"])) if is_longer else tuple(read([head]))
    others = [pair for pair in kept if pair[0] != head]
    # In one assignment, for a server's threads ask at once.
    repository.known_lines[question] = (*others[1 - _HEADS_KEPT :], (head, rows))
    return rows


def _goes_on(repository: Repository, before: str, head: str) -> bool:
    """Whether ``before`` is on the first-parent line of ``head``."""
    # The oldest commit of the line that it does not hold has it as its first parent, or it is
    # beside the line: that was forced elsewhere, or a merge put another parent first.
    words = ("rev-list", "--first-parent", "--parents", head, f"^{before}")
    if words not in repository.answers:
        newer = repository.attempt_git(*words)
        if newer.code:  # what was forced away may be gone
            return False
        repository.answers[words] = newer.text
    oldest = split_lines(repository.answers[words])[-1:]
    return any(row.split(" ")[1:2] == [before] for row in oldest)


def changes_against(
    repository: Repository, parents: Mapping[str, str]
) -> dict[str, tuple[FileChange, ...]]:
    """The files in which each commit (the key) differs from one parent of it, in one call."""
    if not parents:
        return {}
    pairs = "".join(f"{commit} {parent}\n" for commit, parent in parents.items())
    listed = repository.call(
        "diff-tree", "--stdin", "-r", "-z", "--raw", "--no-renames", "--no-abbrev", "--always",
        "--ignore-submodules=none",
        stdin=pairs.encode(),
    )  # fmt: skip
    changed: dict[str, tuple[FileChange, ...]] = {}
    commit = ""
    fields = iter(field for field in listed.split("\0") if field.strip("\n"))
    for field in fields:
        if field.startswith(":"):
            changed[commit] += (_parse_change(field.lstrip(":").split(" "), next(fields)),)
        else:
            commit = field.strip("\n").split(" ")[0]
            changed[commit] = ()
    return changed


def file_writers(
    repository: Repository, old: str, new: str, paths: Iterable[str]
) -> tuple[CommitWriter, ...]:
    """Who wrote ``paths`` in the commits that ``new`` has and ``old`` lacks."""
    # A merge that takes the files as one of its parents has them (a branch brought up to date)
    # wrote nothing of them.
    listed = repository.recall_output(*_writer_words(old, new, paths), about=[old, new])
    return tuple(CommitWriter(*cells) for cells in _writer_rows(listed))


def _writer_rows(listed: str) -> Iterator[list[str]]:
    cells = [cell.removeprefix("\n") for cell in listed.split("\0")]
    return (cells[start : start + 4] for start in range(0, len(cells) - 4, 4))


class WriterQuestion(Struct, frozen=True):
    """What ``file_writers`` will be asked: who wrote ``paths`` between two commits."""

    old: str
    new: str
    paths: tuple[str, ...]


def read_writers_ahead(
    repository: Repository, line: MainLine, since: str | None, questions: Sequence[WriterQuestion]
) -> None:
    """Read what ``file_writers`` will answer to many questions in three calls of Git, not in one
    each. Each ``old`` is a commit of the line, none before ``since``; where what came since is no
    plain row of commits, Git is asked as before."""
    if not questions or not repository.is_lasting(line.head):
        return
    rows = _read_parents(repository, line.head, since)
    parents, places = dict(rows), _place_merged_commits(line, dict(rows))
    chains = {q: _find_chain(q, line, parents, places) for q in questions}
    bases = {name: parents[name][0] for chain in chains.values() for name in chain or ()}
    changes = changes_against(repository, bases)
    writing = {
        question: [name for name in chain if _touches(changes.get(name, ()), question.paths)]
        for question, chain in chains.items()
        if chain is not None
    }
    _keep_writers(repository, writing)


def _keep_writers(repository: Repository, writing: Mapping[WriterQuestion, Sequence[str]]) -> None:
    """Keep the answers of the questions whose commits can be read."""
    cells = _read_writer_cells(repository, {name for names in writing.values() for name in names})
    for question, names in writing.items():
        words = _writer_words(question.old, question.new, question.paths)
        if all(name in cells for name in names):
            repository.answers.setdefault(words, "\n".join(cells[name] for name in names))


def _read_parents(
    repository: Repository, head: str, since: str | None
) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """The commits of a branch, but for those that it had at ``since``, with their parents."""
    without = [f"^{since}"] if since else []

    def read_rows(bounds: Sequence[str]) -> Iterator[tuple[str, tuple[str, ...]]]:
        for row in split_lines(repository.call("rev-list", "--parents", *bounds, *without)):
            name, *parents = row.split(" ")
            yield name, tuple(parents)

    return recall_line(repository, head, ("parents", *without), read_rows)


def _place_merged_commits(line: MainLine, parents: Mapping[str, tuple[str, ...]]) -> dict[str, int]:
    """By the place of which commit of the line each commit came to it."""
    places = dict(line.commit_places)
    for place, commit in enumerate(line.commits):
        waiting = [*commit.parents[1:]]
        while waiting:
            name = waiting.pop()
            if name in parents and name not in places:
                places[name] = place
                waiting += parents[name]
    return places


def _find_chain(
    question: WriterQuestion,
    line: MainLine,
    parents: Mapping[str, tuple[str, ...]],
    places: Mapping[str, int],
) -> tuple[str, ...] | None:
    """What ``new`` has and ``old`` lacks, from the newest on; None where a merge is among it, or
    ``new`` is none of main's."""
    before, chain, name = line.commit_places[question.old], [], question.new
    if name not in parents:
        return None
    while places.get(name, _ALWAYS) > before:
        if len(parents.get(name, ())) != 1:
            return None
        chain.append(name)
        [name] = parents[name]
    return tuple(chain)


def _touches(changes: Iterable[FileChange], paths: Sequence[str]) -> bool:
    # Where a folder was put in the place of a file, what lies in it is a change of that.
    return any(
        change.path == path or change.path.startswith(f"{path}/")
        for change in changes
        for path in paths
    )


def _read_writer_cells(repository: Repository, commits: Iterable[str]) -> dict[str, str]:
    names = "".join(f"{name}\n" for name in commits).encode()
    if not names:
        return {}
    listed = repository.call(
        "log", "--no-walk=unsorted", "--stdin", "--no-mailmap", "--no-show-signature",
        f"--format={_WRITER}", stdin=names,
    )  # fmt: skip
    return {row[0]: "".join(f"{cell}\0" for cell in row) for row in _writer_rows(listed)}


def _writer_words(old: str, new: str, paths: Iterable[str]) -> tuple[str, ...]:
    return (
        "log", "--no-mailmap", "--no-show-signature", f"--format={_WRITER}",
        new, f"^{old}", "--", *(f":(top,literal){path}" for path in paths),
    )  # fmt: skip


class Backdated(Struct, frozen=True):
    """A commit whose date lies before its first parent's, or ahead of now."""

    commit: str
    time: int
    parent_time: int

    @property
    def is_ahead(self) -> bool:
        return self.time > self.parent_time


class MainLine(Struct, frozen=True, dict=True):
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
        return commit in self.commit_places

    def parent(self, commit: str) -> str | None:
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


def read_main_line(repository: Repository, head: str) -> MainLine:
    return MainLine(head, first_parent_line(repository, head), int(time.time()))


class MainChange(Struct, frozen=True):
    """A commit of main's first-parent line and what it made of the files that were asked about.
    ``files`` are blobs by path, None where the file was taken away; a submodule in a file's place
    has no blob, and a name that is none. ``time`` is the commit's own claim. ``trailers`` are the
    commit message's, by lower-case key."""

    commit: str
    parents: tuple[str, ...]
    time: int
    author: str
    subject: str
    trailers: Mapping[str, tuple[str, ...]]
    files: Mapping[str, str | None]


def read_changes(repository: Repository, head: str, *words: str) -> Iterator[MainChange]:
    """The commits of the line that fit, oldest first; ``words`` go to ``git log``."""
    if "-1" in words:  # of the commits together, not of each
        yield from _read_changes(repository, [head], words)
    else:
        read = partial(_read_changes, repository, words=words)
        yield from recall_line(repository, head, ("changes", *words), read)


def _read_changes(
    repository: Repository, bounds: Sequence[str], words: tuple[str, ...]
) -> Iterator[MainChange]:
    question = (
        "log", "--first-parent", "--diff-merges=first-parent", "--reverse", "--root", "--raw",
        "--no-abbrev", "--no-renames", "--no-show-signature", "--no-mailmap", "-z",
        "--ignore-submodules=none", f"--format={_FORMAT}", *bounds, *words,
    )  # fmt: skip
    ask = partial(repository.recall_output, about=bounds) if "-1" in words else repository.call
    cells = ask(*question).split("\0")
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
    """The trailers at the end of a message, by lower-case key; none where it ends in prose."""
    # Git's own ``%(trailers)`` goes by a reader's ``trailer.*`` settings: two people would read two
    # approvals in one merge.
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
