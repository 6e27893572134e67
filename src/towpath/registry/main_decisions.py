"""What main decided upon, whatever became of the tags since: records, digests, spent numbers.

A number is given once. The record that came with a version's first promotion, and every stage
file that ever named the version, say which bytes it is: a tag that says otherwise was moved, or
stands for another model that was given a number anew, and nothing is promoted or deployed by it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath

from towpath.backends.git import Repository, commit_history, main_branch, refs
from towpath.errors import Fault, Place, RegistryError
from towpath.registry import stage_files
from towpath.registry import version_record as records
from towpath.registry.promotion_log import Promotion, read_promotions
from towpath.registry.registry_state import TAGS, ModelVersion
from towpath.registry.version_number import VersionNumber
from towpath.registry.version_reference import parse_tag

RECORDS = "registry/models"
EVIDENCE = "registry/evidence"


@dataclass(frozen=True)
class MainDecisions:
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
        mine = version.commit and _recorded_sha256(texts.get(tagged), path)
        for promotion in self.log:
            if (promotion.model, promotion.version) == (
                version.model,
                version.version,
            ) and promotion.sha256 != mine:
                what = f"{name} was decided upon with sha256 {str(promotion.sha256)[:12]}…"
                words = (
                    f"{what} in {promotion.stage} ({promotion.commit[:7]}), and its tag "
                    f"says {mine[:12]}…"
                )
                faults.append(Fault(words, Place(promotion.path), hint))
        return tuple(faults)

    def find_first_commit(self, path: str) -> str:
        """The commit of main that first brought a record; empty where none did."""
        listing = self.repository.call(
            "log", "--first-parent", "--diff-merges=first-parent", "--reverse", "--diff-filter=A",
            "--no-renames", "--no-show-signature", "--format=%H", self.main, "--", path,
        )  # fmt: skip
        return listing.split("\n")[0]


def _recorded_sha256(text: bytes | None, path: str) -> str:
    """The digest in a record; empty where there is none that can be read."""
    try:
        return records.parse_version_record((text or b"").decode("utf-8", "replace"), path).sha256
    except RegistryError:
        return ""


def _added_files(repository: Repository, main: str, folder: str) -> Iterator[tuple[str, str]]:
    """The files that ever came under a folder on main's first-parent line, oldest first."""
    listing = repository.recall_output(
        "log", "--first-parent", "--diff-merges=first-parent", "--reverse", "--root", "--raw",
        "--no-abbrev", "--no-renames", "--no-show-signature", "--diff-filter=A", "-z", "--format=",
        main, "--", folder, about=[main],
    )  # fmt: skip
    words = [word.lstrip("\n") for word in listing.split("\0") if word.strip("\n")]
    for raw, path in zip(words[::2], words[1::2], strict=True):
        yield path, raw.split(" ")[3]


def find_spent_numbers(repository: Repository, model: str) -> frozenset[VersionNumber]:
    """The numbers of a model that were given once, though their tags may be gone.

    Main's records, stage files and evidence name them, and stage tags stand on their commits.
    """
    main = main_branch.seen_main_commit(repository)
    by_main = set(_on_main(repository, main, model)) if main else set()
    return frozenset(by_main | set(_under_stage_tags(repository, model)))


def _on_main(repository: Repository, main: str, model: str) -> Iterator[VersionNumber]:
    for folder in (f"{RECORDS}/{model}", f"{EVIDENCE}/{model}"):
        for path, _ in _added_files(repository, main, folder):
            name = PurePosixPath(path).name.removesuffix(".yaml").partition("-")[0]
            if number := VersionNumber.parse(name):
                yield number
    if not repository.is_shallow():
        for promotion in read_promotions(repository, main, model=model):
            yield from (number for number in (promotion.version, promotion.replaces) if number)


def _under_stage_tags(repository: Repository, model: str) -> Iterator[VersionNumber]:
    tags = [ref for ref in refs.list_refs(repository, f"{TAGS}{model}#*") if ref.annotated]
    staged = {ref.target for ref in tags if parse_tag(ref.name.removeprefix(TAGS))}
    tagged = {ref.target for ref in refs.list_refs(repository, f"{TAGS}{model}@*")}
    for commit in sorted(staged - tagged):
        for path in record_paths(repository, commit, model):
            if number := VersionNumber.parse(PurePosixPath(path).stem):
                yield number


def is_registration(repository: Repository, commit: str, path: str) -> bool:
    """Whether a commit is the one that was made for a version: it adds the record at ``path``, and
    no stage file or evidence, as the commit of a promotion does."""
    try:
        changed = commit_history.changed_files(repository, f"{commit}^1", commit)
    except RegistryError:  # it has no parent
        return False
    decides = (f"{EVIDENCE}/", f"{stage_files.FOLDER}/")
    return any(change.path == path and change.old is None for change in changed) and not any(
        change.path.startswith(decides) for change in changed
    )


def record_paths(repository: Repository, commit: str, model: str) -> list[str]:
    """The records of a model that a commit holds, by their path; none where it is not here."""
    listed = repository.attempt_git(
        "ls-tree", "-z", "--name-only", "--full-tree", commit, f"{RECORDS}/{model}/"
    )
    return [path for path in listed.text.split("\0") if path.endswith(".yaml")]
