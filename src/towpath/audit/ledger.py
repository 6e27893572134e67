"""What every audit reads: the promotions on the main branch, and the registry's tags."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from towpath import registry
from towpath.audit import tag_pairs
from towpath.backends.git import Repository, main_branch, refs, remotes
from towpath.backends.git.git_command import lines
from towpath.delivery.promotion.promotion_case import paths, refuse_unknown_stage
from towpath.errors import RegistryError, TowpathError
from towpath.registry import (
    Model,
    ModelVersion,
    Promotion,
    Record,
    Version,
    Wanted,
    policy_at_commit,
    registry_state,
    stage_tags,
)
from towpath.registry import version_record as records
from towpath.registry.main_decisions import Decisions, is_registration, record_paths
from towpath.registry.ownership import Owners, read_owners, shown
from towpath.registry.stage_tags import Assigned

if TYPE_CHECKING:
    from towpath.config.project_declaration import Project
    from towpath.workspace import Workspace


TOUCHED = {"A": "added", "D": "deleted"}


@dataclass(frozen=True)
class Touch:
    """A file that a commit on main's first-parent line changed; ``what`` is done to it."""

    path: str
    commit: str
    author: str
    what: str


@dataclass(frozen=True)
class Ledger:
    """A registry as one audit sees it.

    ``main`` is the commit whose log is read, ``folder`` the project's from the Git root,
    ``model`` and ``stage`` those that are asked about (None: all).
    """

    repository: Repository
    main: str
    folder: str = ""
    model: str | None = None
    stage: str | None = None

    def only(self, stage: str) -> Ledger:
        """The same for one stage."""
        return replace(self, stage=stage)

    def is_meant(self, stage: str) -> bool:
        """Whether a stage is asked about."""
        return self.stage in (None, stage)

    @cached_property
    def promotions(self) -> tuple[Promotion, ...]:
        """Every change of a stage file that is asked about, oldest first."""
        return tuple(one for one in self.log if self.is_meant(one.stage))

    @cached_property
    def log(self) -> tuple[Promotion, ...]:
        """The same of every stage."""
        found = registry.promotions(self.repository, self.main, model=self.model)
        return tuple(one for one in found if self.is_ours(one.model))

    @cached_property
    def models(self) -> Mapping[str, Model]:
        """The models by name."""
        if self.model is None:
            return registry_state.tagged_models(self.repository)
        return {self.model: registry_state.tagged_model(self.repository, self.model)}

    @cached_property
    def assigned(self) -> tuple[Assigned, ...]:
        """Every stage tag that is one, oldest first."""
        found = stage_tags.history(self.repository, self.model)
        mine = (one for one in found if self.is_ours(one.model))
        return tuple(one for one in mine if self.is_meant(one.stage))

    @cached_property
    def project(self) -> Project:
        """The policy on the main branch now; where it is gone or cannot be read, which is a
        finding, the last that could."""
        try:
            return policy_at_commit.at(self.repository, self.main, self.folder)
        except TowpathError:
            before = policy_at_commit.read_last_sound(self.repository, self.main, self.folder)
            if before is None:
                raise
            return before

    def is_ours(self, model: str) -> bool:
        """Whether a model is of this project, where a repository holds several: each has stages
        and a policy of its own. What is nobody's is everybody's to look at."""
        return self.owners.owns(self.folder, model) or self.owners.project_of(model) is None

    @cached_property
    def owners(self) -> Owners:
        """Whose each model is, by main."""
        return read_owners(self.repository, self.main)

    @cached_property
    def decisions(self) -> Decisions:
        """The records and digests that main decided upon, of every model."""
        return Decisions.read(self.repository, self.main, self.model)

    def decided(self, path: str) -> bytes | None:
        """A record as it first came to main; None where none did."""
        return self._decided.get(path)

    @cached_property
    def _decided(self) -> Mapping[str, bytes]:
        blobs = self.decisions.records
        texts = refs.contents(self.repository, set(blobs.values()))
        return {path: texts[blob] for path, blob in blobs.items() if blob in texts}

    def brought(self, path: str) -> str:
        """The commit of main that first brought a record, short."""
        return self.decisions.came(path)[:7]

    def is_confirmed(self, promotion: Promotion) -> bool:
        """Whether the very next change of the stage file asks for the same version again, with
        evidence: what came by a hand was looked at afterwards, and let in."""
        after = self.next(promotion)
        if after is None or after.version is None or not self.brings_evidence(after):
            return False
        return (after.version, after.sha256) == (promotion.version, promotion.sha256)

    def reverts(self, promotion: Promotion) -> Promotion | None:
        """The change that this one took back by hand: it left the stage file as that had found
        it, and brought no evidence."""
        mine = list(self.of(promotion.stage, promotion.model))
        place = mine.index(promotion)
        if place == 0 or self.brings_evidence(promotion):
            return None
        found = mine[place - 2] if place > 1 else None
        same = (found.version, found.sha256, found.replaces) if found else (None, None, None)
        now = (promotion.version, promotion.sha256, promotion.replaces)
        return mine[place - 1] if same == now else None

    def brings_evidence(self, promotion: Promotion) -> bool:
        """Whether a promotion's own commit wrote its evidence."""
        path, commit = self.evidence(promotion), promotion.commit
        before = self.base(commit)
        held = self.files_at([(commit, path), (before, path)])
        if before == commit:
            return (commit, path) in held
        return held.get((commit, path)) not in (None, held.get((before, path)))

    def next(self, promotion: Promotion) -> Promotion | None:
        """The next change of the same stage file."""
        mine = list(self.of(promotion.stage, promotion.model))
        place = mine.index(promotion)
        return mine[place + 1] if mine[place + 1 :] else None

    def of(self, stage: str, model: str) -> Sequence[Promotion]:
        """The promotions of a model in a stage, oldest first."""
        return self._promotions.get((stage, model), ())

    @cached_property
    def _promotions(self) -> Mapping[tuple[str, str], list[Promotion]]:
        found: defaultdict[tuple[str, str], list[Promotion]] = defaultdict(list)
        for one in self.log:
            found[one.stage, one.model].append(one)
        return found

    def tags(self, promotion: Promotion) -> Sequence[Assigned]:
        """The stage tags that follow from a promotion, oldest first."""
        return self._tags.get((promotion.commit, promotion.path), ())

    @property
    def strays(self) -> Sequence[Assigned]:
        """The stage tags that follow from no promotion."""
        return [tag for tag, promotion in self._paired if promotion is None]

    def version_on(self, model: str, commit: str) -> Version | None:
        """The number of the version that stands on a commit."""
        versions = self.models[model].versions if model in self.models else ()
        return next((one.version for one in versions if one.commit == commit), None)

    def number(self, promotion: Promotion) -> Version | None:
        """The version that a promotion is about: of a model taken out, the one that left."""
        if promotion.version:
            return promotion.version
        mine = self.of(promotion.stage, promotion.model)
        place = mine.index(promotion)
        return mine[place - 1].version if place else None

    def evidence(self, promotion: Promotion) -> str:
        """Where a promotion's evidence lies, from the repository's root."""
        return paths(promotion.stage, promotion.model, self.number(promotion))[2]

    def has_evidence(self, promotion: Promotion) -> bool:
        """Whether a promotion came with its evidence."""
        return (promotion.commit, self.evidence(promotion)) in self._came

    @cached_property
    def _came(self) -> Mapping[tuple[str, str], bytes]:
        return self.files_at({(one.commit, self.evidence(one)) for one in self.promotions})

    def wanted(self, stage: str | None = None) -> Sequence[Wanted]:
        """What the stages should run, by the stage files on main."""
        found = registry.stages(self.repository, self.main).wanted
        mine = (one for one in found if self.model in (None, one.model) and self.is_ours(one.model))
        return [one for one in mine if stage in (None, one.stage)]

    def record(self, model: str, version: Version | None) -> Record | None:
        """A version's record; None where it has none that can be read."""
        found = self.models[model].at(version) if version and model in self.models else None
        try:
            return registry_state.read_record(self.repository, found) if found else None
        except RegistryError:
            return None

    def lost_on(self, model: str, commit: str) -> str | None:
        """The promoted version whose record a commit holds, and whose tag stands elsewhere or is
        gone."""
        known = self.models.get(model)
        for path in record_paths(self.repository, commit, model):
            number = Version.parse(path.removesuffix(".yaml").rpartition("/")[2])
            tagged = known.at(number) if known and number else None
            if number is None or (tagged is not None and tagged.commit == commit):
                continue
            held = self.files_at([(commit, path)]).get((commit, path))
            if held == self.decided(path) and is_registration(self.repository, commit, path):
                return f"{model}@{number}"
        return None

    def records(self) -> Iterator[tuple[ModelVersion, Record]]:
        """Every numbered version with its record, as far as it can be read."""
        versions = [one for model in self.models.values() for one in model.versions]
        names = [f"{one.commit}:{records.place(one.model, one.version)}" for one in versions]
        texts = refs.contents(self.repository, names)
        for one, name in zip(versions, names, strict=True):
            try:
                yield one, records.read(texts.get(name, b"").decode("utf-8", "replace"), name)
            except RegistryError:
                continue  # another check says so

    def files(self, paths: Iterable[str]) -> dict[str, bytes]:
        """The files on main now, by path; what is not there is left out."""
        found = self.files_at((self.main, path) for path in paths)
        return {path: content for (_, path), content in found.items()}

    def files_at(self, places: Iterable[tuple[str, str]]) -> dict[tuple[str, str], bytes]:
        """The same of any commit, by commit and path."""
        names = {f"{commit}:{path}": (commit, path) for commit, path in places}
        return {names[name]: file for name, file in refs.contents(self.repository, names).items()}

    def touches(self, *folders: str) -> Iterator[Touch]:
        """Every change of files under these folders on main's first-parent line, newest first."""
        told = self.repository.call(
            "log", "--first-parent", "--diff-merges=first-parent", "--root", "--no-renames",
            "--ignore-submodules=none", "--no-mailmap", "--no-show-signature", "--name-status",
            "-z", "--format=%x01%H%x02%an <%ae>", self.main, "--", *folders,
        )  # fmt: skip
        for entry in told.split("\1")[1:]:
            head, _, rest = entry.partition("\0")
            commit, _, author = head.partition("\2")
            words = [word.strip("\n") for word in rest.split("\0") if word.strip("\n")]
            for status, path in zip(words[::2], words[1::2], strict=True):
                yield Touch(path, commit, author, TOUCHED.get(status, "changed"))

    @cached_property
    def tag_names(self) -> Mapping[str, str]:
        """The name that each annotated tag's own object says, by its ref."""
        words = ("for-each-ref", "--format=%(refname)%00%(tag)")
        done = self.repository.attempt(*words, "refs/tags")
        if done.code:  # a tag's object is lost, which is said of that tag alone
            sound = [ref.name for ref in refs.listed(self.repository, "refs/tags") if not ref.lost]
            done = self.repository.attempt(*words, *sound)
        told = done.text
        pairs = (line.split("\0") for line in lines(told))
        return {name: tag for name, tag in pairs if tag}

    def base(self, commit: str) -> str:
        """The commit on main before a promotion's; of the very first one, itself."""
        return next(iter(self._parents.get(commit, ())), commit)

    @cached_property
    def _parents(self) -> Mapping[str, tuple[str, ...]]:
        return self.parents({one.commit for one in self.log})

    def parents(self, commits: Iterable[str]) -> dict[str, tuple[str, ...]]:
        """The parents of commits, in one call."""
        asked = "".join(f"{commit}\n" for commit in commits).encode()
        words = ("rev-list", "--no-walk", "--parents", "--ignore-missing", "--stdin")
        told = self.repository.call(*words, stdin=asked)  # a lost commit is said of its version
        rows = (line.split() for line in lines(told))
        return {commit: tuple(parents) for commit, *parents in rows}

    @cached_property
    def _tags(self) -> Mapping[tuple[str, str], Sequence[Assigned]]:
        found: defaultdict[tuple[str, str], list[Assigned]] = defaultdict(list)
        for tag, one in self._paired:
            if one:
                found[one.commit, one.path].append(tag)
        return found

    @cached_property
    def _paired(self) -> Sequence[tuple[Assigned, Promotion | None]]:
        return tuple(tag_pairs.pairs(self.assigned, self.of, self.version_on))


def open_ledger(workspace: Workspace, model: str | None = None, main: str | None = None) -> Ledger:
    """The registry of a project, for one model or for all, as a commit of main has it (default:
    the newest).

    Raises ``UsageError`` for a model that is not there, ``RegistryError`` where there is no main
    branch, and in a clone that lacks the registry's tags or its history.
    """
    repository = workspace.registry
    if remotes.is_tagless(repository):
        raise RegistryError("this clone was made without tags", hint="towpath fetch")
    main = main or main_branch.main(repository)
    if main is None:
        raise RegistryError("nothing is committed yet, so there is no history")
    ledger = Ledger(repository, main, workspace.folder, model)
    if ledger.owners.projects and workspace.folder not in ledger.owners.projects:
        known = ", ".join(f"`{shown(folder)}`" for folder in ledger.owners.projects)
        what = f"main holds no project in `{shown(workspace.folder)}`, and has {known}"
        raise RegistryError(what, hint="work in one of those, or merge what brings this one")
    if model is not None and not ledger.promotions:
        registry.known_model(repository, model)
    return ledger


def refuse_stage_that_never_was(ledger: Ledger, stage: str) -> None:
    """Raise ``UsageError`` with the near name for a stage that neither is nor ever was."""
    refuse_unknown_stage(
        stage, [*ledger.project.stages, *(promotion.stage for promotion in ledger.promotions)]
    )
