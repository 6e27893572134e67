"""Every change of a stage file that reached the main branch: the promotions, and their merges."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from towpath.backends.git import Repository, main_branch, refs
from towpath.errors import Fault, RegistryError
from towpath.registry import stage_files
from towpath.registry.main_line import MainChange, MainLine, read_changes, read_main_line
from towpath.registry.stage_files import FOLDER, StageFile
from towpath.registry.version_number import VersionNumber

SHALLOW = "git fetch --unshallow --tags (in GitHub Actions: actions/checkout with fetch-depth: 0)"
_COMMITTER = re.compile(rb"^committer .*> (\d{1,12}) [+-]\d{4}$", re.MULTILINE)


@dataclass(frozen=True)
class Promotion:
    """One change of one stage file on the main branch's first-parent line.

    ``version`` is None where the model was taken out of the stage, and where the file cannot be
    understood: ``fault`` then says why. ``commit`` is the commit on main; ``head`` the promotion's
    own last commit where main merged it, None where it came by a squash, a rebase, or by hand.
    ``time`` is since when main wanted it, in seconds since 1970: the commit's date, and that of
    the commit before it or of the version where those are later. ``claimed`` is the date
    that the commit says. ``base`` is the commit that main was at before, None of the first one.
    ``trailers`` are the commit message's (``Approved-by``, ``Promotion``, ...), by lower-case key.
    """

    stage: str
    model: str
    version: VersionNumber | None
    sha256: str | None
    replaces: VersionNumber | None
    commit: str
    head: str | None
    time: int
    author: str
    subject: str
    trailers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    fault: Fault | None = None
    base: str | None = None
    claimed: int = 0

    @property
    def path(self) -> str:
        """The stage file, from the repository's root."""
        return stage_files.stage_file_path(self.stage, self.model)

    @property
    def is_deletion(self) -> bool:
        """Whether it deleted the stage file: the model leaves the stage."""
        return self.version is None and self.fault is None

    def __str__(self) -> str:
        gone = "not to be understood" if self.fault else "taken out"
        what = f"{self.model}@{self.version}" if self.version else f"{self.model} ({gone})"
        return f"{what} -> {self.stage}"


def read_promotions(
    repository: Repository,
    main: str | None = None,
    stage: str | None = None,
    model: str | None = None,
    line: MainLine | None = None,
) -> tuple[Promotion, ...]:
    """Every promotion on ``main`` (default: the main branch), oldest first.

    ``line`` is main's first-parent line where the caller has read it already. Raises
    ``RegistryError`` in a shallow clone, whose log was cut off and would give the wrong answer.
    """
    commit = main or main_branch.main_commit(repository)
    if commit is None:
        return ()
    if repository.is_shallow():
        raise RegistryError("a shallow clone lacks the promotions before", hint=SHALLOW)
    pathspec = f":(top,glob){FOLDER}/{stage or '*'}/{model or '*'}.yaml"
    changes = list(read_changes(repository, commit, "--", pathspec))
    texts = refs.read_contents(
        repository, {blob for change in changes for blob in change.files.values() if blob}
    )
    parsed = (_parse_promotion(change, path, texts) for change in changes for path in change.files)
    mine = [
        promotion
        for promotion in parsed
        if promotion
        and (stage or promotion.stage) == promotion.stage
        and (model or promotion.model) == promotion.model
    ]
    return (
        _place_on_main(repository, mine, line or read_main_line(repository, commit)) if mine else ()
    )


def _place_on_main(
    repository: Repository, promotions: list[Promotion], line: MainLine
) -> tuple[Promotion, ...]:
    """Each with the commit before it, and with the earliest date at which it can have been made:
    main had the commit before it by then, and the version was there."""
    tagged = _commit_times(repository, {(p.model, p.version) for p in promotions if p.version})
    placed = []
    for promotion in promotions:
        time = line.times[promotion.commit]
        registered_time = tagged.get((promotion.model, promotion.version), 0)
        time = max(time, registered_time) if registered_time <= line.now else time
        placed.append(replace(promotion, time=time, base=line.parent(promotion.commit)))
    return tuple(placed)


def _commit_times(
    repository: Repository, versions: set[tuple[str, VersionNumber | None]]
) -> dict[tuple[str, VersionNumber | None], int]:
    """When these versions were made, by their commits; those alone are opened."""
    names = {f"refs/tags/{m}@{version}^{{commit}}": (m, version) for m, version in versions}
    contents = refs.read_contents(repository, names)
    heads = {names[name]: content.partition(b"\n\n")[0] for name, content in contents.items()}
    dated = {version: _COMMITTER.search(head) for version, head in heads.items()}
    return {version: int(committer[1]) for version, committer in dated.items() if committer}


def _parse_promotion(change: MainChange, path: str, texts: Mapping[str, bytes]) -> Promotion | None:
    place = stage_files.parse_stage_file_path(path)
    if place is None:
        return None
    read = _read_stage_blob(path, change.files[path], texts)
    file = read if isinstance(read, StageFile) else None
    return Promotion(
        stage=place[0],
        model=place[1],
        version=file.version if file else None,
        sha256=file.sha256 if file else None,
        replaces=file.replaces if file else None,
        commit=change.commit,
        head=change.parents[1] if len(change.parents) > 1 else None,
        time=change.time,
        author=change.author,
        subject=change.subject,
        trailers=change.trailers,
        fault=read if isinstance(read, Fault) else None,
        claimed=change.time,
    )


def _read_stage_blob(
    path: str, blob: str | None, texts: Mapping[str, bytes]
) -> StageFile | Fault | None:
    if blob is None:
        return None
    return stage_files.parse_stage_file(path, texts.get(blob, b"").decode("utf-8", "replace"))
