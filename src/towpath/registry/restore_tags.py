"""A registry's tags put right: lost ones made again, false ones set aside, and nothing lost."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator
from itertools import chain

from msgspec import Struct

from towpath.backends.git import (
    CommitStamp,
    Identity,
    Repository,
    commit_history,
    hold_lock,
    main_branch,
    make_tag_object,
    refs,
)
from towpath.errors import RegistryError, UsageError
from towpath.registry import registry_state, tag_message, version_reference
from towpath.registry import version_record as records
from towpath.registry.main_decisions import RECORDS, MainDecisions, is_registration
from towpath.registry.registry_state import TAGS, ModelVersion
from towpath.registry.version_record import VersionRecord
from towpath.registry.version_reference import TagName, VersionNumber
from towpath.registry.version_registration import LOCK, blocked_error

ASIDE = "refs/towpath/set-aside/"


class RestoredTag(Struct, frozen=True):
    """A tag put right. ``commit`` is what it stands on now, None where it was no tag of the
    registry and is gone; ``aside`` is the ref that keeps what it was before. Without either
    nothing was wrong."""

    name: str
    commit: str | None
    aside: str | None = None
    new: bool = True


def find_lost_versions(repository: Repository, main: str) -> tuple[str, ...]:
    """The versions that were promoted, and whose tags are not here: ``abalone@v1.1.0``."""
    listed = commit_history.list_paths(repository, main, f"{RECORDS}/")
    places = [path.removesuffix(".yaml").split("/")[-2:] for path in listed]
    names = [f"{model}@{number}" for model, number in places if VersionNumber.parse(number)]
    tags = set(refs.list_ref_names(repository, TAGS.rstrip("/"))) if names else set()
    return tuple(name for name in names if f"{TAGS}{name}" not in tags)


def way_to_restore(named: str) -> str:
    """How a lost tag comes back, and a false one is put aside."""
    return f"towpath restore '{named}'" if "#" in named else f"towpath restore {named}"


def restore_tag(repository: Repository, named: str) -> RestoredTag:
    """Put a tag right: a promoted version's is made again, the very object that it was; one that is
    no version's, a stage tag that was forged, or a rejection of nothing is set aside. Raises
    ``UsageError`` for what is no tag and was never promoted, and for a rejection that counts,
    ``RegistryError`` where a version's commit is not here."""
    # A version's commit must hold the record that main decided upon, byte for byte: stage tags keep
    # that commit. Nothing is lost: what a name held before is kept under another ref.
    tag_name = version_reference.parse_tag(named)
    if tag_name is None:
        hint = "write abalone@v1.0.0, or a stage tag as towpath verify shows it: 'abalone#dev#3'"
        raise UsageError(f"`{named}` is no tag of the registry", hint=hint)
    ref = f"{TAGS}{named}"
    with hold_lock(repository, LOCK):  # a run may give the lost number meanwhile
        listed = refs.list_refs(repository, ref)
        is_lost = all(tag_ref.lost for tag_ref in listed if tag_ref.name == ref)
        registry_state.restore_pruned_tags(repository)
        _refuse_rejection(repository, listed, tag_name, named)
        if tag_name.version is None or tag_name.undone:
            return _set_aside(repository, named)
        main = main_branch.main_commit(repository)
        path = records.record_path(tag_name.model, tag_name.version)
        # As it first came to main: it may have been changed there since.
        log = MainDecisions.read(repository, main, tag_name.model) if main else None
        blob = log.records.get(path) if log else None
        decided = refs.read_contents(repository, [blob])[blob] if blob else None
        model = registry_state.read_model(repository, tag_name.model)
        tagged_version = model.find_number(tag_name.version)
        if decided is None:
            return _by_itself(repository, named, tagged_version, path, is_lost)
        commit = _find_version_commit(repository, named, tag_name.model, path, decided)
        record = records.parse_version_record(decided, path)
        if tagged_version and tagged_version.commit == commit and is_true(record, tagged_version):
            return RestoredTag(named, commit, new=is_lost)
        new_tag = _find_or_make_tag(repository, record, commit)
        return _put_tag(repository, named, new_tag, commit, is_lost)


def is_true(record: VersionRecord, version: ModelVersion) -> bool:
    """Whether a version's tag repeats its record, and is dated as one can be."""
    if version.tag.time > time.time() + registry_state.TAG_AHEAD:
        return False
    summary = json.loads(tag_message.json_line(tag_message.summarise_record(record)))
    return not version.summary or version.summary == summary


def _refuse_rejection(
    repository: Repository, listed: Iterable[refs.Ref], tag_name: TagName, named: str
) -> None:
    for ref in listed:
        if ref.name == f"{TAGS}{named}" and _rejects(repository, ref, tag_name):
            what = f"`{named}` is a rejection, and stays"
            raise UsageError(what, hint="a run registers what was rejected under a new number")


def _rejects(repository: Repository, ref: refs.Ref, tag_name: TagName) -> bool:
    """Whether a tag rejects a version that was registered, by the record in its commit."""
    if tag_name.version is None or not tag_name.undone or not ref.annotated:
        return False
    path = records.record_path(tag_name.model, tag_name.version)
    content = refs.read_content(repository, ref.target, path)
    if content is None or ref.time > time.time() + registry_state.TAG_AHEAD:
        return False
    try:
        record = records.parse_version_record(content, path)
    except RegistryError:
        return False
    return (record.model, record.version) == (tag_name.model, tag_name.version)


def _by_itself(
    repository: Repository, named: str, version: ModelVersion | None, path: str, is_lost: bool
) -> RestoredTag:
    commit = version.commit if version else repository.commit(f"{TAGS}{named}")
    if commit is None:
        what = f"{named} was never promoted, so main has no record to make its tag from"
        raise UsageError(what, hint="towpath fetch, if the remote or another clone has the tag")
    # Main never decided upon it: the record in its own commit is right, if that was made for it.
    text = refs.read_content(repository, commit, path)
    try:
        record = records.parse_version_record(text or b"", path)
    except RegistryError:  # what is no record was not made by Towpath
        return _set_aside(repository, named)
    parents = commit_history.commit_parents(repository, commit)
    # In a shared registry it stands on the registry's main: its code is in another repository.
    stands_right = record.code.repository or record.code.commit in parents
    if f"{record.model}@{record.version}" != named or not stands_right:
        return _set_aside(repository, named)
    if version and is_true(record, version):
        return RestoredTag(named, commit, new=is_lost)
    new_tag = _find_or_make_tag(repository, record, commit)
    return _put_tag(repository, named, new_tag, commit, is_lost)


def _set_aside(repository: Repository, named: str) -> RestoredTag:
    ref = f"{TAGS}{named}"
    old = refs.list_ref_objects(repository, ref).get(ref)
    if old is None:
        raise UsageError(f"there is no tag {named} here", hint="towpath fetch")
    aside = f"{ASIDE}{named}/{old[:12]}"
    refs.point_ref(repository, aside, old)
    backup = registry_state.backup_of(ref)
    refs.change_refs(repository, delete=[ref, backup])  # or the next command would bring it back
    return RestoredTag(named, None, aside)


def _find_version_commit(
    repository: Repository, named: str, model: str, path: str, decided: bytes
) -> str:
    # By stage and rejection tags, by what was set aside, and what Git has not yet thrown away.
    patterns = (f"{TAGS}{model}#*", f"{TAGS}{model}@*", f"{ASIDE}{model}*")
    targets = dict.fromkeys(ref.target for ref in refs.list_refs(repository, *patterns))
    for commit in chain(targets, _find_unreachable(repository, "commit")):
        # Later commits hold it, too, as main's copy: only the one that was made for it counts.
        if refs.read_content(repository, commit, path) == decided and is_registration(
            repository, commit, path
        ):
            return commit
    what = f"no commit here holds the record of {named} that main decided upon"
    hint = "towpath fetch; in a clone that still has the tag: towpath push"
    raise RegistryError(what, hint=hint)


def _find_unreachable(repository: Repository, kind: str) -> Iterator[str]:
    """The objects of a kind that no ref names, and that Git has not yet thrown away."""
    words = ("fsck", "--unreachable", "--no-reflogs", "--no-progress")
    for line in repository.attempt_git(*words).text.split("\n"):
        if line.startswith(f"unreachable {kind} "):
            yield line.rpartition(" ")[2]


def _find_or_make_tag(repository: Repository, record: VersionRecord, commit: str) -> str:
    """The tag's object, as it may still lie here, with its signature; else made again."""
    named = f"{record.model}@{record.version}"
    words = ("show", "-s", "--no-show-signature", "--format=%cn%x00%ce%x00%ct")
    name, mail, seconds = repository.call(*words, commit).split("\0")
    # Registering stamps commit and tag alike, so that the commit's committer and date give the same
    # object again, which other clones have: unless it was signed, which nobody can do again.
    stamp = CommitStamp(Identity(name, mail), int(seconds))
    message = tag_message.compose_tag_message(record)
    unsigned_tag = make_tag_object(repository, named, commit, message, stamp, sign=False)
    contents = refs.read_contents(repository, [unsigned_tag, *_find_unreachable(repository, "tag")])
    begin = contents[unsigned_tag] + b"-----BEGIN "
    signed = (object_ for object_, content in contents.items() if content.startswith(begin))
    return next(signed, unsigned_tag)


def _put_tag(
    repository: Repository, named: str, new_tag: str, commit: str, is_lost: bool
) -> RestoredTag:
    """Let the tag's name hold the object; what it held before is kept under another ref.
    ``is_lost`` says that the name, or the object that it holds, was not here."""
    ref = f"{TAGS}{named}"
    old = refs.list_ref_objects(repository, ref).get(ref)
    if old is None:
        if not refs.change_refs(repository, {ref: new_tag}):
            raise blocked_error(ref)
        return RestoredTag(named, commit)
    if old == new_tag:
        return RestoredTag(named, commit, new=is_lost)
    # Kept first: who is killed between the two has the object under both names, not under none.
    aside = f"{ASIDE}{named}/{old[:12]}"
    refs.point_ref(repository, aside, old)
    refs.point_ref(repository, ref, new_tag, old)
    if ref in registry_state.read_backed_up_tags(repository):
        refs.point_ref(repository, registry_state.backup_of(ref), new_tag)
    return RestoredTag(named, commit, aside)
