"""A registry's tags put right: lost ones made again, false ones set aside, and nothing lost."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass

from towpath.backends.git import (
    Identity,
    Repository,
    Stamp,
    commit_history,
    locked,
    main_branch,
    refs,
    tag,
)
from towpath.errors import RegistryError, UsageError
from towpath.registry import backup_refs, registry_state, tag_message, version_reference
from towpath.registry import version_record as records
from towpath.registry.main_decisions import RECORDS, Decisions, is_registration
from towpath.registry.registry_state import TAGS, ModelVersion
from towpath.registry.version_number import Version
from towpath.registry.version_record import Record
from towpath.registry.version_registration import LOCK, blocked

ASIDE = "refs/towpath/set-aside/"


@dataclass(frozen=True)
class Restored:
    """A tag put right. ``commit`` is what it stands on now, None where it was no tag of the
    registry and is gone; ``aside`` is the ref that keeps what it was before. Without either
    nothing was wrong."""

    name: str
    commit: str | None
    aside: str | None = None
    new: bool = True


def lost(repository: Repository, main: str) -> tuple[str, ...]:
    """The versions that were promoted, and whose tags are not here: ``abalone@v1.1.0``."""
    listed = commit_history.list_paths(repository, main, f"{RECORDS}/")
    places = [path.removesuffix(".yaml").split("/")[-2:] for path in listed]
    names = [f"{model}@{number}" for model, number in places if Version.parse(number)]
    tags = set(refs.names(repository, TAGS.rstrip("/"))) if names else set()
    return tuple(name for name in names if f"{TAGS}{name}" not in tags)


def way(named: str) -> str:
    """How a lost tag comes back, and a false one is put aside."""
    return f"towpath restore '{named}'" if "#" in named else f"towpath restore {named}"


def restore(repository: Repository, named: str) -> Restored:
    """Put a tag right: a promoted version's is made again, the very object that it was; one that
    is no version's, or a stage tag that was forged, is set aside.

    A version's commit must hold the record that main decided upon, byte for byte: stage tags keep
    that commit. Nothing is lost: what a name held before is kept under another ref. Raises
    ``UsageError`` for what is no tag and was never promoted, ``RegistryError`` where a version's
    commit is not here.
    """
    asked = version_reference.parse_tag(named)
    if asked is None:
        hint = "write abalone@v1.0.0, or a stage tag as towpath verify shows it: 'abalone#dev#3'"
        raise UsageError(f"`{named}` is no tag of the registry", hint=hint)
    ref = f"{TAGS}{named}"
    with locked(repository, LOCK):
        is_lost = all(known.lost for known in refs.listed(repository, ref) if known.name == ref)
        backup_refs.restore(repository)
        if asked.version is None or asked.undone:
            return _set_aside(repository, named)
        decided, path = _decided(repository, asked.model, asked.version)
        now = registry_state.model(repository, asked.model).at(asked.version)
        if decided is None:
            return _by_itself(repository, named, now, path, is_lost)
        commit = _commit(repository, named, asked.model, path, decided)
        record = records.read(decided.decode("utf-8", "replace"), path)
        if now and now.commit == commit and is_true(record, now):
            return Restored(named, commit, new=is_lost)
        return _put(repository, named, _made(repository, record, commit), commit, is_lost)


def is_true(record: Record, version: ModelVersion) -> bool:
    """Whether a version's tag repeats its record, and is dated as one can be."""
    if version.tag.time > time.time() + registry_state.TAG_AHEAD:
        return False
    said = json.loads(tag_message.line(tag_message.summary(record)))
    return not version.summary or version.summary == said


def _by_itself(
    repository: Repository, named: str, now: ModelVersion | None, path: str, is_lost: bool
) -> Restored:
    """A version that main never decided upon: the record in its own commit is right."""
    commit = now.commit if now else repository.commit(f"{TAGS}{named}")
    if commit is None:
        what = f"{named} was never promoted, so main has no record to make its tag from"
        raise UsageError(what, hint="towpath fetch, if the remote or another clone has the tag")
    record = _own_record(repository, commit, named, path)
    if record is None:
        return _set_aside(repository, named)
    if now and is_true(record, now):
        return Restored(named, commit, new=is_lost)
    return _put(repository, named, _made(repository, record, commit), commit, is_lost)


def _own_record(repository: Repository, commit: str, named: str, path: str) -> Record | None:
    """The record of a version in a commit that was made for it: upon the code that it names."""
    text = refs.contents(repository, [f"{commit}:{path}"]).get(f"{commit}:{path}")
    try:
        record = records.read((text or b"").decode("utf-8", "replace"), path)
    except RegistryError:
        return None
    upon = record.code.repository or record.code.commit in commit_history.parents(
        repository, commit
    )
    return record if f"{record.model}@{record.version}" == named and upon else None


def _set_aside(repository: Repository, named: str) -> Restored:
    """Keep what a name holds under another ref, and take the name away."""
    ref = f"{TAGS}{named}"
    old = refs.objects(repository, ref).get(ref)
    if old is None:
        raise UsageError(f"there is no tag {named} here", hint="towpath fetch")
    aside = f"{ASIDE}{named}/{old[:12]}"
    refs.point(repository, aside, old)
    backup = backup_refs.backup_of(ref)
    refs.change(repository, delete=[ref, backup])  # or the next command would bring it back
    return Restored(named, None, aside)


def _decided(repository: Repository, model: str, number: Version) -> tuple[bytes | None, str]:
    """The record of a version as it first came to main, and its path."""
    main = main_branch.main(repository)
    path = records.place(model, number)
    blob = Decisions.read(repository, main, model).records.get(path) if main else None
    return (refs.contents(repository, [blob])[blob] if blob else None), path


def _commit(repository: Repository, named: str, model: str, path: str, decided: bytes) -> str:
    """The commit that was made for the version, and holds the very record: later ones hold it,
    too, as main's copy."""
    for commit in _candidates(repository, model):
        if _holds(repository, commit, path, decided) and is_registration(repository, commit, path):
            return commit
    what = f"no commit here holds the record of {named} that main decided upon"
    hint = "towpath fetch; in a clone that still has the tag: towpath push"
    raise RegistryError(what, hint=hint)


def _candidates(repository: Repository, model: str) -> Iterator[str]:
    """Where a version's commit may still be named: by stage and rejection tags, by what was set
    aside, and by what Git has not yet thrown away."""
    patterns = (f"{TAGS}{model}#*", f"{TAGS}{model}@*", f"{ASIDE}{model}*")
    yield from dict.fromkeys(ref.target for ref in refs.listed(repository, *patterns))
    told = repository.attempt("fsck", "--unreachable", "--no-reflogs", "--no-progress").text
    for line in told.split("\n"):
        if line.startswith("unreachable commit "):
            yield line.rpartition(" ")[2]


def _holds(repository: Repository, commit: str, path: str, decided: bytes) -> bool:
    name = f"{commit}:{path}"
    return refs.contents(repository, [name]).get(name) == decided


def _made(repository: Repository, record: Record, commit: str) -> str:
    """The tag's object, as it may still lie here, with its signature; else made again.

    Registering stamps commit and tag alike, so that the commit's committer and date give the same
    object again, which other clones have: unless it was signed, which nobody can do again.
    """
    named = f"{record.model}@{record.version}"
    told = repository.call(
        "show", "-s", "--no-show-signature", "--format=%cn%x00%ce%x00%ct", commit
    )
    name, mail, seconds = told.split("\0")
    stamp = Stamp(Identity(name, mail), int(seconds))
    made = tag(repository, named, commit, tag_message.message(record), stamp, sign=False)
    return _signed(repository, made) or made


def _signed(repository: Repository, made: str) -> str | None:
    """The same tag with its signature, where Git has not yet thrown it away."""
    told = repository.attempt("fsck", "--unreachable", "--no-reflogs", "--no-progress").text
    rows = (line.rpartition(" ") for line in told.split("\n"))
    objects = [object_ for what, _, object_ in rows if what == "unreachable tag"]
    found = refs.contents(repository, [made, *objects])
    text = found.pop(made)
    begin = text + b"-----BEGIN "
    return next((object_ for object_, other in found.items() if other.startswith(begin)), None)


def _put(repository: Repository, named: str, made: str, commit: str, is_lost: bool) -> Restored:
    """Let the tag's name hold the object; what it held before is kept under another ref.
    ``is_lost`` says that the name, or the object that it holds, was not here."""
    ref = f"{TAGS}{named}"
    old = refs.objects(repository, ref).get(ref)
    if old is None:
        if not refs.change(repository, {ref: made}):
            raise blocked(ref)
        return Restored(named, commit)
    if old == made:
        return Restored(named, commit, new=is_lost)
    aside = f"{ASIDE}{named}/{old[:12]}"
    refs.point(repository, aside, old)
    refs.point(repository, ref, made, old)
    if ref in backup_refs.kept(repository):
        refs.point(repository, backup_refs.backup_of(ref), made)
    return Restored(named, commit, aside)
