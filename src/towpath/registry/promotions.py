"""Every change of a stage file that reached the main branch: the promotions, and their merges."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from towpath.errors import Fault, RegistryError
from towpath.git import Repository, mainline, refs
from towpath.registry import wanted
from towpath.registry.versions import Version
from towpath.registry.wanted import FOLDER, Wanted

SHALLOW = "git fetch --unshallow --tags (in GitHub Actions: actions/checkout with fetch-depth: 0)"
_FIELDS = ("%H", "%P", "%ct", "%an <%ae>", "%s", "%(trailers:only,unfold)")
_FORMAT = "".join(f"{one}%x00" for one in _FIELDS)


@dataclass(frozen=True)
class Promotion:
    """One change of one stage file on the main branch's first-parent line.

    ``version`` is None where the model was taken out of the stage, and where the file cannot be
    understood: ``fault`` then says why. ``commit`` is the commit on main; ``head`` the promotion's
    own last commit where main merged it, None where it came by a squash, a rebase, or by hand.
    ``time`` is seconds since 1970. ``trailers`` are the commit message's (``Approved-by``,
    ``Promotion``, ...), by lower-case key.
    """

    stage: str
    model: str
    version: Version | None
    sha256: str | None
    replaces: Version | None
    commit: str
    head: str | None
    time: int
    author: str
    subject: str
    trailers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    fault: Fault | None = None

    @property
    def path(self) -> str:
        """The stage file, from the repository's root."""
        return wanted.path(self.stage, self.model)

    def __str__(self) -> str:
        gone = "not to be understood" if self.fault else "taken out"
        what = f"{self.model}@{self.version}" if self.version else f"{self.model} ({gone})"
        return f"{what} -> {self.stage}"


@dataclass(frozen=True)
class _Change:
    """A stage file as one commit left it: its path, and its blob (None where it was deleted)."""

    path: str
    blob: str | None


def promotions(
    repository: Repository,
    main: str | None = None,
    stage: str | None = None,
    model: str | None = None,
) -> tuple[Promotion, ...]:
    """Every promotion on ``main`` (default: the main branch), oldest first.

    One call of Git reads the log, one the files. Raises ``RegistryError`` in a shallow clone,
    whose log was cut off and would give the wrong answer.
    """
    commit = main or mainline.main(repository)
    if commit is None:
        return ()
    if repository.is_shallow():
        raise RegistryError("a shallow clone lacks the promotions before", hint=SHALLOW)
    found = list(_log(repository, commit, f":(glob){FOLDER}/{stage or '*'}/{model or '*'}.yaml"))
    blobs = {change.blob for _, changes in found for change in changes if change.blob}
    texts = refs.contents(repository, blobs)
    made = (_promotion(head, change, texts) for head, changes in found for change in changes)
    return tuple(
        one
        for one in made
        if one and (stage or one.stage) == one.stage and (model or one.model) == one.model
    )


def _log(
    repository: Repository, commit: str, pathspec: str
) -> Iterator[tuple[list[str], list[_Change]]]:
    """The commits that touched what ``pathspec`` covers: their fields, and the files they left."""
    told = repository.call(
        "log",
        "--first-parent",
        "--diff-merges=first-parent",
        "--reverse",
        "--root",
        "--raw",
        "--no-abbrev",
        "--no-renames",
        "--no-show-signature",
        "--no-mailmap",
        "-z",
        f"--format={_FORMAT}",
        commit,
        "--",
        pathspec,
    )
    words = told.split("\0")
    at = 0
    while at + len(_FIELDS) < len(words):
        head, at = words[at : at + len(_FIELDS)], at + len(_FIELDS) + 1
        changes = []
        while at + 1 < len(words) and words[at].lstrip("\n").startswith(":"):
            changes.append(_change(words[at], words[at + 1]))
            at += 2
        yield head, changes


def _change(raw: str, path: str) -> _Change:
    _, _, _, blob, status = raw.split(" ")
    return _Change(path, None if status == "D" else blob)


def _promotion(head: list[str], change: _Change, texts: Mapping[str, bytes]) -> Promotion | None:
    place = wanted.place(change.path)
    if place is None:
        return None
    commit, parents, time, author, subject, trailers = head
    read = _read(change, texts)
    file = read if isinstance(read, Wanted) else None
    return Promotion(
        stage=place[0],
        model=place[1],
        version=file.version if file else None,
        sha256=file.sha256 if file else None,
        replaces=file.replaces if file else None,
        commit=commit,
        head=parents.split()[1] if " " in parents else None,
        time=int(time),
        author=author,
        subject=subject,
        trailers=parse_trailers(trailers),
        fault=read if isinstance(read, Fault) else None,
    )


def _read(change: _Change, texts: Mapping[str, bytes]) -> Wanted | Fault | None:
    if change.blob is None:
        return None
    return wanted.read(change.path, texts.get(change.blob, b"").decode("utf-8", "replace"))


def parse_trailers(text: str) -> dict[str, tuple[str, ...]]:
    """``Key: value`` lines, by lower-case key, in their order."""
    found: defaultdict[str, tuple[str, ...]] = defaultdict(tuple)
    for line in text.split("\n"):
        key, colon, value = line.partition(":")
        if colon:
            found[key.strip().lower()] += (value.strip(),)
    return dict(found)
