"""What every audit reads: the promotions on the main branch, which change took one back by hand,
and the registry's tags."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING

from msgspec import Struct

from towpath import registry
from towpath.backends.git import Repository, main_branch, refs, remotes
from towpath.backends.git.commit_history import parse_trailers
from towpath.backends.git.git_command import split_lines
from towpath.delivery.promotion.promotion_approval import promotion_paths
from towpath.delivery.promotion.promotion_case import refuse_unknown_stage
from towpath.errors import RegistryError, TowpathError
from towpath.plain_data import group_by_key
from towpath.registry import (
    Model,
    ModelVersion,
    Promotion,
    StageFile,
    VersionNumber,
    VersionRecord,
    policy_at_commit,
    registry_state,
    stage_tags,
)
from towpath.registry import version_record as records
from towpath.registry.main_decisions import MainDecisions, is_registration, record_paths
from towpath.registry.ownership import Owners, read_owners, show_project_folder
from towpath.registry.stage_tags import StageTag

if TYPE_CHECKING:
    from towpath.config.project_declaration import Project
    from towpath.workspace import Workspace


TOUCHED = {"A": "added", "D": "deleted"}


class AuditLedger(Struct, frozen=True, dict=True):
    """A registry as one audit sees it.

    ``main`` is the commit whose log is read, ``folder`` the project's from the Git root,
    ``model`` and ``stage`` those that are asked about (None: all).
    """

    repository: Repository
    main: str
    folder: str = ""
    model: str | None = None
    stage: str | None = None

    def is_meant(self, stage: str) -> bool:
        return self.stage in (None, stage)

    @cached_property
    def promotions(self) -> tuple[Promotion, ...]:
        return tuple(promotion for promotion in self.log if self.is_meant(promotion.stage))

    @cached_property
    def log(self) -> tuple[Promotion, ...]:
        """The same of every stage."""
        promotions = registry.read_promotions(self.repository, self.main, model=self.model)
        return tuple(promotion for promotion in promotions if self.is_ours(promotion.model))

    @cached_property
    def models(self) -> Mapping[str, Model]:
        if self.model is None:
            return registry_state.read_models(self.repository, pruned=False)
        return {self.model: registry_state.read_model(self.repository, self.model, pruned=False)}

    @cached_property
    def stage_tags(self) -> tuple[StageTag, ...]:
        tags = stage_tags.read_stage_tags(self.repository, self.model)
        mine = (tag for tag in tags if self.is_ours(tag.model))
        return tuple(tag for tag in mine if self.is_meant(tag.stage))

    @cached_property
    def project(self) -> Project:
        """The policy on the main branch now; where it is gone or cannot be read, which is a
        finding, the last that could."""
        try:
            return policy_at_commit.read_project_at(self.repository, self.main, self.folder)
        except TowpathError:  # what is wrong with it now is a finding of the ownership check
            before = policy_at_commit.read_last_sound(self.repository, self.main, self.folder)
            if before is None:
                raise
            return before

    def is_ours(self, model: str) -> bool:
        """Whether a model is of this project, where a repository holds several: each has stages
        and a policy of its own."""
        owners = self.model_owners  # what is nobody's is everybody's to look at
        return owners.owns_model(self.folder, model) or owners.project_of(model) is None

    def find_version(self, model: str, number: VersionNumber | None) -> ModelVersion | None:
        """A version by its number; None where no tag says it."""
        return self.models[model].find_number(number) if number and model in self.models else None

    @cached_property
    def model_owners(self) -> Owners:
        return read_owners(self.repository, self.main)

    @cached_property
    def main_decisions(self) -> MainDecisions:
        return MainDecisions.read(self.repository, self.main, self.model)

    def decided_record(self, path: str) -> bytes | None:
        """A record as it first came to main; None where none did."""
        blob = self.main_decisions.records.get(path)
        return self._decided_texts.get(blob) if blob else None

    # All in one call of Git, and once for all the checks.
    @cached_property
    def _decided_texts(self) -> Mapping[str, bytes]:
        return refs.read_contents(self.repository, set(self.main_decisions.records.values()))

    def is_confirmed(self, promotion: Promotion) -> bool:
        """Whether the very next change of the stage file asks for the same version again, with
        evidence: what came by a hand was looked at afterwards, and let in."""
        # Without evidence it would confirm nothing: another hand could write the same once more.
        after = self.next_change(promotion)
        if after is None or after.version is None or not self.brings_evidence(after):
            return False
        return (after.version, after.sha256) == (promotion.version, promotion.sha256)

    def find_reverted(self, promotion: Promotion) -> Promotion | None:
        """The change that this one took back by hand: it left the stage file as that had found
        it, and brought no evidence."""
        undone = self.previous_change(promotion)
        if undone is None or self.brings_evidence(promotion):
            return None
        earlier = self.previous_change(undone)
        same = (earlier.version, earlier.sha256, earlier.replaces) if earlier else (None,) * 3
        return undone if same == (promotion.version, promotion.sha256, promotion.replaces) else None

    def brings_evidence(self, promotion: Promotion) -> bool:
        page = self._find_evidence(promotion, promotion.commit)
        if promotion.base is None:
            return page is not None
        # What lay there before vouches for nothing: it came with an earlier promotion.
        return page not in (None, self._find_evidence(promotion, promotion.base))

    def next_change(self, promotion: Promotion) -> Promotion | None:
        return self._neighbours[promotion.commit, promotion.path][1]

    def previous_change(self, promotion: Promotion) -> Promotion | None:
        return self._neighbours[promotion.commit, promotion.path][0]

    @cached_property
    def _neighbours(self) -> Mapping[tuple[str, str], tuple[Promotion | None, Promotion | None]]:
        """The change of the same stage file before each, and the one after it."""
        return {
            (promotion.commit, promotion.path): (before, after)
            for mine in self.promotions_by_stage.values()
            for before, promotion, after in zip(
                [None, *mine], mine, [*mine[1:], None], strict=False
            )
        }

    def promotions_of(self, stage: str, model: str) -> Sequence[Promotion]:
        return self.promotions_by_stage.get((stage, model), ())

    @cached_property
    def promotions_by_stage(self) -> Mapping[tuple[str, str], list[Promotion]]:
        return group_by_key(((entry.stage, entry.model), entry) for entry in self.log)

    def find_tags(self, promotion: Promotion) -> Sequence[StageTag]:
        return self._tags_by_promotion.get((promotion.commit, promotion.path), ())

    @cached_property
    def _tags_by_promotion(self) -> Mapping[tuple[str, str], list[StageTag]]:
        pairs = ((entry, tag) for tag, entry in self._paired_tags if entry)
        return group_by_key(((entry.commit, entry.path), tag) for entry, tag in pairs)

    @property
    def stray_tags(self) -> Sequence[StageTag]:
        """The stage tags that follow from no promotion."""
        return [tag for tag, promotion in self._paired_tags if promotion is None]

    def version_on(self, model: str, commit: str) -> VersionNumber | None:
        return self._numbers_by_commit.get((model, commit))

    @cached_property
    def _numbers_by_commit(self) -> Mapping[tuple[str, str], VersionNumber | None]:
        every = (v for model in self.models.values() for v in reversed(model.versions))
        return {(version.model, version.commit): version.version for version in every}

    def evidence_path(self, promotion: Promotion) -> str:
        # Of a model taken out it is about the version that left.
        about = promotion if promotion.version else self.previous_change(promotion)
        version = about.version if about else None
        return promotion_paths(promotion.stage, promotion.model, version)[2]

    def has_evidence(self, promotion: Promotion) -> bool:
        return self._find_evidence(promotion, promotion.commit) is not None

    def read_evidence_ahead(self, promotions: Iterable[Promotion]) -> None:
        """Look in one pass for the evidence of many, and for what lay in its place before."""
        # Each call starts a Git, and an old registry has thousands of promotions.
        names = {
            f"{commit}:{self.evidence_path(promotion)}"
            for promotion in promotions
            for commit in (promotion.commit, promotion.base)
            if commit
        } - self._evidence_blobs.keys()
        blobs = refs.find_objects(self.repository, names)
        self._evidence_blobs.update({name: blobs.get(name) for name in names})

    def _find_evidence(self, promotion: Promotion, commit: str) -> str | None:
        """The blob of a promotion's evidence, as a commit has it."""
        name = f"{commit}:{self.evidence_path(promotion)}"
        if name not in self._evidence_blobs:
            self.read_evidence_ahead([*self.promotions, promotion])
        return self._evidence_blobs[name]

    @cached_property
    def _evidence_blobs(self) -> dict[str, str | None]:
        return {}

    def wanted_versions(self, stage: str | None = None) -> Sequence[StageFile]:
        """What the stages should run, by the stage files on main."""
        return [
            wanted
            for wanted in registry.read_stage_files(self.repository, self.main).wanted
            if self.model in (None, wanted.model)
            and stage in (None, wanted.stage)
            and self.is_ours(wanted.model)
        ]

    def find_record(self, model: str, version: VersionNumber | None) -> VersionRecord | None:
        """A version's record; None where it has none that can be read."""
        tagged = self.find_version(model, version)
        try:
            return registry_state.read_record(self.repository, tagged) if tagged else None
        except RegistryError:  # the check of records says so
            return None

    def lost_on(self, model: str, commit: str) -> str | None:
        """The promoted version whose record a commit holds, and whose tag stands elsewhere or is
        gone."""
        for path in record_paths(self.repository, commit, model):
            number = VersionNumber.parse(path.removesuffix(".yaml").rpartition("/")[2])
            tagged = self.find_version(model, number)
            if number is None or (tagged is not None and tagged.commit == commit):
                continue
            held = self.files_at([(commit, path)]).get((commit, path))
            # Only main's own record, brought by a commit that registers: anybody can tag a commit
            # that has the file of another version in it.
            if held == self.decided_record(path) and is_registration(self.repository, commit, path):
                return f"{model}@{number}"
        return None

    def read_records(self) -> Iterator[tuple[ModelVersion, VersionRecord]]:
        versions = [version for model in self.models.values() for version in model.versions]
        paths = [records.record_path(version.model, version.version) for version in versions]
        names = [f"{v.commit}:{path}" for v, path in zip(versions, paths, strict=True)]
        texts = refs.read_contents(self.repository, names)
        for version, name in zip(versions, names, strict=True):
            with suppress(RegistryError):  # the check of records says so
                yield version, records.parse_version_record(texts.get(name, b""), name)

    def read_files(self, paths: Iterable[str]) -> dict[str, bytes]:
        """The files on main now, by path; what is not there is left out."""
        contents = self.files_at((self.main, path) for path in paths)
        return {path: content for (_, path), content in contents.items()}

    def files_at(self, places: Iterable[tuple[str, str]]) -> dict[tuple[str, str], bytes]:
        """The same of any commit, by commit and path."""
        names = {f"{commit}:{path}": (commit, path) for commit, path in places}
        contents = refs.read_contents(self.repository, names)
        return {names[name]: content for name, content in contents.items()}

    def find_touches(self, *folders: str) -> Iterator[tuple[str, str, str, str]]:
        """Every change of files under these folders on main's first-parent line, newest first:
        the path, the commit, its author, and what is done to the file."""
        # By the first parent: what a merge changed of main's own line, whatever the merged branch
        # did. Without renames, since a record that is moved is one that is gone; and without what a
        # user's settings of Git would add to the lines.
        log_text = self.repository.call(
            "log", "--first-parent", "--diff-merges=first-parent", "--root", "--no-renames",
            "--ignore-submodules=none", "--no-mailmap", "--no-show-signature", "--name-status",
            "-z", "--format=%x01%H%x02%an <%ae>", self.main, "--", *folders,
        )  # fmt: skip
        for entry in log_text.split("\1")[1:]:
            head, _, rest = entry.partition("\0")
            commit, _, author = head.partition("\2")
            words = [word.strip("\n") for word in rest.split("\0") if word.strip("\n")]
            for status, path in zip(words[::2], words[1::2], strict=True):
                yield path, commit, author, TOUCHED.get(status, "changed")

    @cached_property
    def tag_names(self) -> Mapping[str, str]:
        words = ("for-each-ref", "--format=%(refname)%00%(tag)")
        result = self.repository.attempt_git(*words, "refs/tags")
        if result.code:  # a tag's object is lost, which is said of that tag alone
            tags = refs.list_refs(self.repository, "refs/tags")
            result = self.repository.attempt_git(
                *words, *(tag.name for tag in tags if not tag.lost)
            )
        pairs = (line.split("\0") for line in split_lines(result.text))
        return {name: tag for name, tag in pairs if tag}

    def read_parents(self, commits: Iterable[str]) -> dict[str, tuple[str, ...]]:
        """The parents of commits, in one call."""
        # On stdin: ten thousand commits are more than a command line takes.
        commit_list = "".join(f"{commit}\n" for commit in commits).encode()
        words = ("rev-list", "--no-walk", "--parents", "--ignore-missing", "--stdin")
        # A lost commit is said of its version.
        listing = self.repository.call(*words, stdin=commit_list)
        rows = (line.split() for line in split_lines(listing))
        return {commit: tuple(parents) for commit, *parents in rows}

    @cached_property
    def _paired_tags(self) -> Sequence[tuple[StageTag, Promotion | None]]:
        """Each tag, oldest first, with the last promotion before it that asked for its version."""
        # Tags follow promotions in order: one that goes back behind its predecessor's was not
        # written by reconcile, and has none. Two may follow one, where the first was mended.
        pairs: list[tuple[StageTag, Promotion | None]] = []
        reached: dict[tuple[str, str], int] = {}
        for tag in self.stage_tags:
            key = tag.stage, tag.model
            version = None if tag.undone else self.version_on(tag.model, tag.commit)
            promotions = self.promotions_of(*key)
            named = parse_trailers(tag.tag.message).get("promotion")
            fitting = (
                place
                for place in reversed(range(reached.get(key, 0), len(promotions)))
                if promotions[place].time <= tag.tag.time
                and promotions[place].version == version
                and promotions[place].fault is None
                and (named is None or promotions[place].commit in named)
            )
            place = next(fitting, None) if version or tag.undone else None
            if place is not None:
                reached[key] = place
            pairs.append((tag, None if place is None else promotions[place]))
        return pairs


def open_ledger(
    workspace: Workspace, model: str | None = None, main: str | None = None
) -> AuditLedger:
    """The registry of a project, for one model or for all, as a commit of main has it (default:
    the newest).

    Raises ``UsageError`` for a model that is not there, ``RegistryError`` where there is no main
    branch, and in a clone that lacks the registry's tags or its history.
    """
    repository = workspace.registry
    if remotes.is_tagless(repository):
        raise RegistryError("this clone was made without tags", hint="towpath fetch")
    main = main or main_branch.main_commit(repository)
    if main is None:
        raise RegistryError("nothing is committed yet, so there is no history")
    ledger = AuditLedger(repository, main, workspace.folder, model)
    if ledger.model_owners.projects and workspace.folder not in ledger.model_owners.projects:
        own, *others = map(show_project_folder, (workspace.folder, *ledger.model_owners.projects))
        folders = ", ".join(f"`{folder}`" for folder in others)
        what = f"main holds no project in `{own}`, and has {folders}"
        raise RegistryError(what, hint="work in one of those, or merge what brings this one")
    # A model without tags that was promoted once is one all the same: its tags may be lost.
    if model is not None and not ledger.promotions:
        registry.known_model(repository, model)
    return ledger


def refuse_stage_that_never_was(ledger: AuditLedger, stage: str) -> None:
    """Raise ``UsageError`` with the near name for a stage that neither is nor ever was."""
    past_stages = (promotion.stage for promotion in ledger.promotions)
    refuse_unknown_stage(stage, [*ledger.project.stages, *past_stages])
