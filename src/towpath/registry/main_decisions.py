"""What main decided: each change of a stage file, and the records, digests and numbers it gave.

A number is given once. The record that came with a version's first promotion, and every stage
file that ever named the version, say which bytes it is: a tag that says otherwise was moved, or
stands for another model that was given a number anew, and nothing is promoted or deployed by it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from itertools import chain
from pathlib import PurePosixPath

from msgspec import Struct, field
from msgspec.structs import replace

from towpath.backends.git import Repository, commit_history, main_branch, refs
from towpath.backends.git.commit_history import MainChange, MainLine, read_changes, read_main_line
from towpath.errors import Fault, Place, RegistryError
from towpath.registry import stage_files
from towpath.registry import version_record as records
from towpath.registry.registry_state import TAGS, ModelVersion
from towpath.registry.stage_files import FOLDER, StageFile
from towpath.registry.version_reference import VersionNumber, parse_tag

SHALLOW = "git fetch --unshallow --tags (in GitHub Actions: actions/checkout with fetch-depth: 0)"
_COMMITTER = re.compile(rb"^committer .*> (\d{1,12}) [+-]\d{4}$", re.MULTILINE)


class Promotion(Struct, frozen=True):
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
        return stage_files.stage_file_path(self.stage, self.model)

    @property
    def is_deletion(self) -> bool:
        return self.version is None and self.fault is None

    def __str__(self) -> str:
        gone = "not to be understood" if self.fault else "taken out"
        what = f"{self.model}@{self.version}" if self.version else f"{self.model} ({gone})"
        return f"{what} -> {self.stage}"


def read_promotions(
    repository: Repository,
    main: str | None = None,
    model: str | None = None,
    line: MainLine | None = None,
) -> tuple[Promotion, ...]:
    """Every promotion on ``main`` (default: the main branch), oldest first. ``line`` is main's
    first-parent line where the caller has read it already. Raises ``RegistryError`` in a shallow
    clone, whose log was cut off and would give the wrong answer."""
    commit = main or main_branch.main_commit(repository)
    if commit is None:
        return ()
    if repository.is_shallow():
        raise RegistryError("a shallow clone lacks the promotions before", hint=SHALLOW)
    glob = f":(top,glob){FOLDER}/*/{model or '*'}.yaml"
    changes = list(read_changes(repository, commit, "--", glob))
    blobs = {*chain(*(change.files.values() for change in changes))} - {None}
    texts = refs.read_contents(repository, filter(None, blobs))
    parsed = (_parse_promotion(change, path, texts) for change in changes for path in change.files)
    # Once more, for a name may hold what a pathspec takes for a pattern: `*` is no model.
    mine = [promotion for promotion in parsed if promotion and model in (None, promotion.model)]
    if not mine:
        return ()
    return _place_on_main(repository, mine, line or read_main_line(repository, commit))


def _place_on_main(
    repository: Repository, promotions: list[Promotion], line: MainLine
) -> tuple[Promotion, ...]:
    """Each with the commit before it, and the earliest date at which it can have been made."""
    named = {(p.model, p.version) for p in promotions if p.version}
    names = {f"refs/tags/{m}@{version}^{{commit}}": (m, version) for m, version in named}
    tagged: dict[tuple[str, VersionNumber | None], int] = {}
    for name, content in refs.read_contents(repository, names).items():
        if committer := _COMMITTER.search(content.partition(b"\n\n")[0]):
            tagged[names[name]] = int(committer[1])
    placed = []
    for promotion in promotions:
        time = line.times[promotion.commit]
        registered_time = tagged.get((promotion.model, promotion.version), 0)
        # Whoever pushes chooses the date: main had the commit before it by then, and the version
        # was there.
        time = max(time, registered_time) if registered_time <= line.now else time
        placed.append(replace(promotion, time=time, base=line.parent(promotion.commit)))
    return tuple(placed)


def _parse_promotion(change: MainChange, path: str, texts: Mapping[str, bytes]) -> Promotion | None:
    place = stage_files.parse_stage_file_path(path)
    if place is None:
        return None
    blob = change.files[path]
    text = texts.get(blob or "", b"").decode("utf-8", "replace")
    read = stage_files.parse_stage_file(path, text) if blob else None
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


RECORDS = "registry/models"
EVIDENCE = "registry/evidence"


class MainDecisions(Struct, frozen=True, dict=True):
    """What main's first-parent line decided of a model, or of all (``model`` None)."""

    repository: Repository
    main: str
    log: tuple[Promotion, ...]
    model: str | None = None

    @classmethod
    def read(cls, repository: Repository, main: str, model: str | None = None) -> MainDecisions:
        """The decisions up to a commit of main. Raises ``RegistryError`` in a shallow clone."""
        return cls(repository, main, read_promotions(repository, main, model=model), model)

    @cached_property
    def records(self) -> Mapping[str, str]:
        """The blob of each record as it first came to main, by its path."""
        first: dict[str, str] = {}
        folder = f"{RECORDS}/{self.model}" if self.model else RECORDS
        for path, blob in _added_files(self.repository, self.main, folder):
            first.setdefault(path, blob)
        return first

    def find_contradictions(self, version: ModelVersion) -> tuple[Fault, ...]:
        """In what a version's tag is not what was decided upon under its number."""
        name, path = f"{version}", records.record_path(version.model, version.version)
        hint = f"towpath restore {version} makes its tag again as main has it"
        tagged, on_main = f"{version.commit}:{path}", f"{self.main}:{path}"
        first = self.records.get(path)
        texts = refs.read_contents(self.repository, [tagged, on_main, *([first] if first else [])])
        faults: list[Fault] = []
        if first and texts.get(first) != texts.get(tagged):
            what = f"the tag of {name} holds another record than main decided upon"
            faults.append(Fault(what, Place(path), hint))
        elif first and not is_registration(self.repository, version.commit, path):
            what = f"the tag of {name} stands on {version.commit[:7]}, which did not register it"
            faults.append(Fault(what, Place(path), hint))
        elif on_main in texts and texts[on_main] != texts.get(tagged):
            what = f"main's record of {name} was changed after it was decided upon"
            back = f"git checkout {self.find_first_commit(path)[:7]} -- ':/{path}', and commit"
            faults.append(Fault(what, Place(path), back))
        if first and not faults:  # a stage file that says otherwise is what is wrong
            return ()
        try:
            sha256 = records.parse_version_record(texts.get(tagged, b""), path).sha256
        except RegistryError:  # then its digest is none's, which contradicts every decision
            sha256 = ""
        return (*faults, *self._other_digests(version, sha256, hint))

    def _other_digests(self, version: ModelVersion, sha256: str, hint: str) -> Iterator[Fault]:
        """The stage files that ever named a version with another digest than its tag's."""
        for promotion in self.log:
            is_named = (promotion.model, promotion.version) == (version.model, version.version)
            if is_named and promotion.sha256 != sha256:
                what = f"{version} was decided upon with sha256 {str(promotion.sha256)[:12]}…"
                where = f"in {promotion.stage} ({promotion.commit[:7]})"
                words = f"{what} {where}, and its tag says {sha256[:12]}…"
                yield Fault(words, Place(promotion.path), hint)

    def find_first_commit(self, path: str) -> str:
        """The commit of main that first brought a record; empty where none did."""
        changes = read_changes(self.repository, self.main, "--diff-filter=A", "--", path)
        return next((change.commit for change in changes), "")


def _added_files(repository: Repository, main: str, folder: str) -> Iterator[tuple[str, str]]:
    """The files that ever came under a folder on main's first-parent line, oldest first."""
    for change in read_changes(repository, main, "--diff-filter=A", "--", folder):
        yield from ((path, blob) for path, blob in change.files.items() if blob)


def find_spent_numbers(repository: Repository, model: str) -> frozenset[VersionNumber]:
    """The numbers of a model that were given once, though their tags may be gone."""
    # Main's records, stage files and evidence name them, and stage tags stand on their commits.
    main = main_branch.seen_main_commit(repository)
    paths = list(_tagged_records(repository, model))
    numbers: set[VersionNumber | None] = set()
    if main:
        for folder in (f"{RECORDS}/{model}", f"{EVIDENCE}/{model}"):
            paths += (path for path, _ in _added_files(repository, main, folder))
    names = (PurePosixPath(path).name.removesuffix(".yaml").partition("-")[0] for path in paths)
    numbers.update(map(VersionNumber.parse, names))
    if main and not repository.is_shallow():
        for promotion in read_promotions(repository, main, model=model):
            numbers |= {promotion.version, promotion.replaces}
    return frozenset(filter(None, numbers))


def _tagged_records(repository: Repository, model: str) -> Iterator[str]:
    """The records at the commits that stage tags stand on, and no version's tag does."""
    tags = [ref for ref in refs.list_refs(repository, f"{TAGS}{model}#*") if ref.annotated]
    staged = {ref.target for ref in tags if parse_tag(ref.name.removeprefix(TAGS))}
    tagged = {ref.target for ref in refs.list_refs(repository, f"{TAGS}{model}@*")}
    for commit in staged - tagged:
        yield from record_paths(repository, commit, model)


def is_registration(repository: Repository, commit: str, path: str) -> bool:
    """Whether a commit is the one that was made for a version: it adds the record at ``path``, and
    no stage file or evidence, as the commit of a promotion does."""
    try:
        changed = commit_history.changed_files(repository, f"{commit}^1", commit)
    except RegistryError:  # it has no parent
        return False
    decides = (f"{EVIDENCE}/", f"{stage_files.FOLDER}/")
    adds = any(change.path == path and change.old is None for change in changed)
    return adds and not any(change.path.startswith(decides) for change in changed)


def record_paths(repository: Repository, commit: str, model: str) -> list[str]:
    """The records of a model that a commit holds, by their path; none where it is not here."""
    words = ("ls-tree", "-z", "--name-only", "--full-tree", commit, f"{RECORDS}/{model}/")
    listed = repository.attempt_git(*words)
    return [path for path in listed.text.split("\0") if path.endswith(".yaml")]
