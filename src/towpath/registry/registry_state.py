"""What the registry holds: the fold of its tags and candidates, read in one call of Git."""

from __future__ import annotations

import re
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import cached_property
from operator import attrgetter
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from towpath.backends.git import Ref, Repository, commit_history, main_branch, refs, remotes
from towpath.errors import Fault, RegistryError, UsageError, did_you_mean
from towpath.plain_data import group_by_key
from towpath.registry import tag_message
from towpath.registry import version_record as records
from towpath.registry.version_record import VersionRecord
from towpath.registry.version_reference import NAME, TagName, VersionNumber, parse_tag

TAGS = "refs/tags/"
CANDIDATES = "refs/towpath/candidates/"
# A second ref for every tag that no remote has yet: `fetch.pruneTags` lets a plain `git fetch`
# delete each tag that the remote does not have, and a version that was numbered before there was
# a remote would be gone, its number free again. What lies outside refs/tags is left alone.
KEPT = "refs/towpath/versions/"
SHOWN_KEY = 8
_CANDIDATE = re.compile(rf"{NAME}/[0-9a-f]+")
# Seconds by which a tag may be dated ahead: a machine whose clock stands in another time zone's
# time is honest still, and its tags only order versions, they approve nothing (docs/trust.md). One
# dated later was dated by a hand: if later tags rose above it, one would date all that follow.
TAG_AHEAD = 86_400.0


def backup_of(tag: str) -> str:
    return KEPT + tag.removeprefix(TAGS)


def read_backed_up_tags(repository: Repository, *patterns: str) -> dict[str, str]:
    """The tags (``refs/tags/...``) that are not known to be on a remote, with their objects."""
    backups = refs.list_ref_objects(repository, *(patterns or (KEPT.rstrip("/"),)))
    return {_tag_of_backup(name): object_ for name, object_ in backups.items()}


def find_pruned_tags(repository: Repository, present: Iterable[Ref], *patterns: str) -> list[Ref]:
    """Tags that were pruned, as if they were in ``refs/tags``; ``present`` are those that are."""
    # Without a remote nothing prunes: who deleted such a tag meant to.
    if not remotes.list_remotes(repository):
        return []
    kept_tags = read_backed_up_tags(repository, *patterns)
    missing = kept_tags.keys() - {ref.name for ref in present} if kept_tags else ()
    if not missing:
        return []
    backups = refs.list_refs(repository, KEPT.rstrip("/"))
    named = (ref._replace(name=_tag_of_backup(ref.name)) for ref in backups)
    return [ref for ref in named if ref.name in missing]


def restore_pruned_tags(repository: Repository) -> tuple[str, ...]:
    """Make the tags again that were pruned; which those are. Called under the registry's lock,
    before anything is numbered or published."""
    kept_tags = read_backed_up_tags(repository)
    if not kept_tags:
        return ()
    present = set(refs.list_ref_names(repository, TAGS.rstrip("/")))
    missing = {name: object_ for name, object_ in kept_tags.items() if name not in present}
    # Without a remote a tag that is gone was taken away: its second ref goes after it.
    if missing and not remotes.list_remotes(repository):
        refs.change_refs(repository, delete=[backup_of(name) for name in missing])
        return ()
    restored = (n for n, object_ in missing.items() if refs.change_refs(repository, {n: object_}))
    return tuple(name.removeprefix(TAGS) for name in restored)


def release_backups(repository: Repository, published: Collection[str]) -> None:
    """Drop the second refs of tags that a remote has; another's under that name counts, too."""
    released = [backup_of(tag) for tag in read_backed_up_tags(repository) if tag in published]
    if released:
        refs.change_refs(repository, delete=released)


def only_here(repository: Repository) -> tuple[str, ...]:
    """The versions and rejections that no remote is known to have; none where there is no remote
    that could."""
    if not remotes.list_remotes(repository):
        return ()
    return tuple(sorted(tag.removeprefix(TAGS) for tag in read_backed_up_tags(repository)))


def _tag_of_backup(backup: str) -> str:
    return TAGS + backup.removeprefix(KEPT)


class ModelVersion(Struct, frozen=True, dict=True):
    """A version, or a candidate for one, as its tag tells it.

    ``version`` is None for a candidate; ``rejected`` is the reason, None for a version in good
    standing, and ``rejected_by`` the name of who gave it.
    """

    model: str
    version: VersionNumber | None
    tag: Ref
    rejected: str | None = None
    rejected_by: str = ""

    @property
    def commit(self) -> str:
        return self.tag.target

    @property
    def time(self) -> int:
        return self.tag.time

    @cached_property
    def summary(self) -> Mapping[str, Any]:
        """The facts in the tag's message (docs/registry.md); empty where another tool tagged."""
        return tag_message.parse_summary(self.tag.message)

    @property
    def key(self) -> str:
        """The key of the step that registered it; empty where another tool tagged."""
        return str(self.summary.get("key", ""))

    @property
    def metrics(self) -> Mapping[str, float]:
        metrics: Mapping[str, float] = self.summary.get("metrics", {})
        return metrics

    @property
    def short_name(self) -> str:
        """What stands behind the `@`: the number, of a candidate the begin of its key."""
        return str(self.version or self.key[:SHOWN_KEY])

    def __str__(self) -> str:
        return f"{self.model}@{self.short_name}"


class Model(Struct, frozen=True, dict=True):
    """A model: its versions by number, its candidates by age, its last tag's date.

    ``taken`` are the numbers that a version cannot have: those that were given, and those whose
    name some other ref has, a lightweight tag say. ``lost`` are the tags of versions and of their
    rejections whose objects are not in this clone, or are broken.
    """

    name: str
    versions: tuple[ModelVersion, ...] = ()
    candidates: tuple[ModelVersion, ...] = ()
    # Without a date that has not come yet: whoever pushes a tag chooses its date, and every later
    # tag would have to be later still.
    last: int = 0
    taken: frozenset[VersionNumber] = frozenset()
    lost: tuple[str, ...] = ()

    @property
    def latest(self) -> ModelVersion | None:
        """The highest version that Towpath registered and nobody rejected."""
        # A tag that a hand made under a version's name is none, however high its number.
        return next(self.versions_in_standing(), None)

    @property
    def newest_first(self) -> tuple[ModelVersion, ...]:
        """Candidates, which wait for a number, then the versions from the highest down."""
        return (*self.candidates, *reversed(self.versions))

    def versions_in_standing(self) -> Iterator[ModelVersion]:
        return (v for v in reversed(self.versions) if v.rejected is None and v.key)

    def find_number(self, number: VersionNumber) -> ModelVersion | None:
        return self._versions_by_number.get(number)

    @cached_property
    def _versions_by_number(self) -> Mapping[VersionNumber | None, ModelVersion]:
        return {version.version: version for version in reversed(self.versions)}

    def find_before(self, version: ModelVersion) -> ModelVersion | None:
        """The last that is not rejected and has a smaller number; of a candidate, the last at
        all."""
        number = version.version
        earlier = (
            other
            for other in reversed(self.versions)
            if other.rejected is None
            and other.version
            and (number is None or other.version < number)
        )
        return next(earlier, None)

    def find_key(self, key: str) -> tuple[ModelVersion, ...]:
        """What was registered under a key, or its first digits, and not rejected."""
        alive = (v for v in (*self.versions, *self.candidates) if v.rejected is None)
        return tuple(v for v in alive if v.key.startswith(key))


def read_models(repository: Repository, pruned: bool = True) -> Mapping[str, Model]:
    """Every model, by name; a version whose tag was ``pruned`` is read from its second ref, but
    for an audit, which looks at the tags alone."""
    listed = refs.list_refs(repository, TAGS.rstrip("/"), CANDIDATES.rstrip("/"))
    tags = [*listed, *(find_pruned_tags(repository, listed) if pruned else ())]
    return fold_tags(tags, repository.known_folds)


def read_model(repository: Repository, name: str, pruned: bool = True) -> Model:
    """One model; without a version where the name is not known yet. ``pruned`` as above."""
    places = (f"{TAGS}{name}@*", f"{TAGS}{name}@*/**", f"{TAGS}{name}#*", f"{CANDIDATES}{name}/*")
    listed = refs.list_refs(repository, *places)
    backups = (f"{KEPT}{name}@*", f"{KEPT}{name}@*/**")
    kept = find_pruned_tags(repository, listed, *backups) if pruned else ()
    return fold_tags([*listed, *kept], repository.known_folds).get(name, Model(name))


def known_model(repository: Repository, name: str) -> Model:
    """One model; ``UsageError`` with the near name where there is none of that name."""
    named_model = read_model(repository, name)
    if named_model.versions or named_model.candidates:
        return named_model
    if named_model.lost:
        raise RegistryError(*list_lost_tags(repository, [named_model]))
    raise _unknown_model(repository, name)


def list_lost_tags(repository: Repository, models: Iterable[Model]) -> tuple[Fault, ...]:
    """What a catalogue of these models lacks: the tags that cannot be read, each with how it comes
    back."""
    return tuple(
        Fault(
            f"the tag {tag} cannot be read: its object is not in this clone, or is broken",
            hint=_way_to_read(repository, tag),
        )
        for model in models
        for tag in model.lost
    )


def _way_to_read(repository: Repository, tag: str) -> str:
    name = parse_tag(tag)
    if name and name.undone:  # `restore` makes versions again, no rejections
        return f"git tag -d '{tag}'; towpath fetch; else towpath reject it again"
    return way_to_have(repository, tag)


def _unknown_model(repository: Repository, name: str) -> UsageError:
    missing = remotes.explain_missing_tags(repository)
    if not missing:  # a clone that was made without tags has lost nothing
        _refuse_lost(repository, name)
    listed = refs.list_ref_names(repository, TAGS.rstrip("/"))
    tags = (parse_tag(ref.removeprefix(TAGS)) for ref in listed)
    names = sorted({tag.model for tag in tags if tag})
    hint = did_you_mean(name, names) or (f"there is {', '.join(names[:9])}" if names else None)
    if hint is None and (missing or remotes.list_remotes(repository)):
        why = missing or "none is known in this clone"
        hint = f"{why}; `towpath fetch` brings the registry's tags"
    return UsageError(f"there is no model `{name}`", hint=hint or "none was registered yet")


def _refuse_lost(repository: Repository, name: str) -> None:
    """Raise ``RegistryError`` where main has records of a model, and no tag of it can be read."""
    main = main_branch.seen_main_commit(repository)
    if main is None or not re.fullmatch(NAME, name):
        return
    # Else the number would be free again, and a second version would come to it.
    folder = f"registry/models/{name}/"
    paths = commit_history.list_paths(repository, main, folder)
    numbers = [path.removeprefix(folder).removesuffix(".yaml") for path in paths]
    if lost := [f"{name}@{number}" for number in numbers if VersionNumber.parse(number)]:
        what = f"main has decided upon {', '.join(lost[:5])}, and no tag of `{name}` is here"
        raise RegistryError(what, hint=way_to_have(repository, lost[-1]))


def way_to_have(repository: Repository, named: str) -> str:
    """How a version comes to be here that main has decided upon."""
    restoring = f"towpath restore {named} makes its tag again"
    return f"towpath fetch; else {restoring}" if remotes.list_remotes(repository) else restoring


def has_record(repository: Repository, version: ModelVersion) -> bool:
    path = records.record_path(version.model, version.version)
    return refs.read_content(repository, version.commit, path) is not None


def read_record(repository: Repository, version: ModelVersion) -> VersionRecord:
    """The record in a version's commit; ``RegistryError`` where it is missing or damaged."""
    place = records.record_path(version.model, version.version)
    content = refs.read_content(repository, version.commit, place)
    if content is None:
        way = way_to_have(repository, str(version))
        hint = f"its tag was not made by Towpath, or this clone lacks its commit: {way}"
        raise RegistryError(f"{version} has no record {place}", hint=hint)
    record = records.parse_version_record(content, f"{version}:{place}")
    # Anybody may move a tag, or make one of another version's commit.
    if (record.model, record.version) != (version.model, version.version):
        named = f"{record.model}@{record.version or record.key[:8]}"
        what = f"{version}:{place} is the record of {named}"
        raise RegistryError(what, hint="its tag was moved or copied: towpath verify")
    return record


def next_event_number(repository: Repository, model: str) -> int:
    """The next of the numbers by which GTO tells a model's events apart."""
    names = refs.list_ref_names(repository, f"{TAGS}{model}@*", f"{TAGS}{model}#*")
    tags = (parse_tag(name.removeprefix(TAGS)) for name in names)
    return max((tag_name.number for tag_name in tags if tag_name), default=0) + 1


def fold_tags(
    tags: Iterable[Ref], folded: dict[str, tuple[tuple[Ref, ...], Model]] | None = None
) -> dict[str, Model]:
    """The present state, as the tags and candidates add up to it; ``folded`` are models as they
    were folded before, with the refs that each was folded of, and become those of now."""
    named = ((_model_of_ref(ref), ref) for ref in tags)
    refs_by_model = group_by_key((name, ref) for name, ref in named if name)
    folded = {} if folded is None else folded
    models: dict[str, Model] = {}
    for name in sorted(refs_by_model):
        mine = tuple(refs_by_model[name])
        before, model = folded.get(name, ((), Model(name)))
        if before != mine:
            model = _fold_model(name, mine)
            # What is dated ahead counts from its day on.
            if all(ref.time <= model.last for ref in mine):
                folded[name] = mine, model
        models[name] = model
    return models


def _model_of_ref(ref: Ref) -> str | None:
    if ref.name.startswith(CANDIDATES):
        name = ref.name.removeprefix(CANDIDATES).partition("/")[0]
        return name if is_candidate(ref) else None
    tag = parse_tag(ref.name.removeprefix(TAGS).partition("/")[0])
    return tag.model if tag else None


def _fold_model(name: str, tags: Iterable[Ref]) -> Model:
    draft = _Draft()
    for ref in tags:
        if ref.name.startswith(CANDIDATES):
            draft.times.append(ref.time)
            draft.candidates.append(ModelVersion(name, None, ref))
        elif tag := parse_tag(ref.name.removeprefix(TAGS).partition("/")[0]):
            draft.add_tag(tag, ref)
    return draft.finish_model(name)


def is_candidate(ref: Ref) -> bool:
    place = _CANDIDATE.fullmatch(ref.name.removeprefix(CANDIDATES))
    return bool(place and ref.annotated and f"\n{tag_message.MARK}" in ref.message)


class _Draft(Struct, frozen=True):
    """A model while its tags are being read, which come in no useful order."""

    versions: list[ModelVersion] = field(default_factory=list)
    candidates: list[ModelVersion] = field(default_factory=list)
    rejected: dict[VersionNumber, Ref] = field(default_factory=dict)
    taken: set[VersionNumber] = field(default_factory=set)
    times: list[int] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)

    def add_tag(self, tag: TagName, ref: Ref) -> None:
        if tag.version:
            self.taken.add(tag.version)
            if ref.lost and "/" not in ref.name.removeprefix(TAGS):
                self.lost.append(ref.name.removeprefix(TAGS))
        if not ref.annotated or "/" in ref.name.removeprefix(TAGS):
            return  # it holds the name and says nothing
        self.times.append(ref.time)
        if tag.version and tag.undone:
            self.rejected[tag.version] = ref
        elif tag.version:
            self.versions.append(ModelVersion(tag.model, tag.version, ref))

    def finish_model(self, name: str) -> Model:
        versions = []
        for version in self.versions:
            mark = self.rejected.get(version.version) if version.version else None
            if mark:
                why = mark.message.strip()
                version = replace(version, rejected=why, rejected_by=mark.tagger)
            versions.append(version)
        versions.sort(key=attrgetter("version"))
        candidates = sorted(self.candidates, key=lambda v: (v.time, v.tag.name))
        last, taken = latest_date(self.times), frozenset(self.taken)
        return Model(name, tuple(versions), tuple(candidates), last, taken, tuple(self.lost))


def latest_date(times: Iterable[int]) -> int:
    """The latest of these dates that has come, by any clock; 0 where none has."""
    latest_allowed = time.time() + TAG_AHEAD
    return max((moment for moment in times if moment <= latest_allowed), default=0)
