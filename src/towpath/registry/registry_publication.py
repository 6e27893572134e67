"""Giving candidates their numbers: each tag pushed alone; refused, it takes the next number."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from towpath.backends.git import Ref, Repository, locked, main_branch, refs, remotes
from towpath.errors import ExitCode, Fault, RegistryError, TowpathError, UsageError
from towpath.registry import backup_refs, ownership, registry_state, restore_tags, version_record
from towpath.registry.registry_state import CANDIDATES, TAGS, Model, ModelVersion
from towpath.registry.version_objects import Built, build, numbered
from towpath.registry.version_reference import TagName, parse_tag
from towpath.registry.version_registration import (
    LOCK,
    PATIENCE_WITH_REFUSAL,
    TRIES,
    Registered,
    crowded,
    made,
    pause,
    told,
    twin,
)

AT_ONCE = 200
WHO_MAY = "it waits here: ask who may push tags there, then towpath push"


@dataclass(frozen=True)
class Fetched:
    """What a fetch brought: the tags of the registry that were not here before."""

    remote: str
    tags: tuple[str, ...]


class Unpublished(RegistryError):
    """Something could not be published; ``published`` is what could, and is there now."""

    def __init__(self, done: _Publication) -> None:
        super().__init__(*done.faults)
        self.published = tuple(done.published)
        self.exit_code = done.exit_code


@dataclass
class _Publication:
    """What was published so far, and what was not, and why."""

    published: list[Registered] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    wrong: list[TowpathError] = field(default_factory=list)

    @property
    def exit_code(self) -> ExitCode:
        """That of a wrong call where nothing but that stood in the way: another's name, say."""
        mine = [fault for error in self.wrong for fault in error.faults]
        return ExitCode.WRONG if len(mine) == len(self.faults) else ExitCode.FAILED


def fetch(repository: Repository, remote: str | None = None) -> Fetched:
    """Bring the remote's tags and branches here; a plain ``git pull`` leaves out these tags.

    Raises ``RegistryError`` where the remote does not answer, or where a version here and there
    are two different ones.
    """
    source = _remote(repository, remote)
    before = set(refs.names(repository, "refs/tags"))
    everything = ("refs/tags/*:refs/tags/*", f"+refs/heads/*:refs/remotes/{source}/*")
    if not remotes.fetch(repository, source, *everything):
        _refuse_conflicts(repository, source, remotes.there(repository, source, "refs/tags/*"))
    main_branch.follow(repository, source)
    remotes.mark_fetched(repository)
    new = (name for name in refs.names(repository, "refs/tags") if name not in before)
    tags = tuple(name.removeprefix(TAGS) for name in new)
    with locked(repository, LOCK):
        if backup_refs.kept(repository):
            theirs = remotes.there(repository, source, "refs/tags/*")
            backup_refs.release(repository, theirs)
            backup_refs.restore(repository)
        _drop_settled(repository)
    return Fetched(source, tuple(tag for tag in tags if parse_tag(tag)))


def publish(repository: Repository, remote: str | None = None) -> tuple[Registered, ...]:
    """Push what the remote does not have: each candidate as a version, versions and rejections
    that were made while there was no remote; what that is.

    A candidate gets its number here, as the next that the remote does not have; one whose key
    was published by another clone meanwhile becomes that version. A tag that is none of Towpath's
    is left here, with a warning. Raises ``RegistryError`` where the remote does not answer, and
    ``Unpublished`` where some of it did not go: candidates then go on waiting.
    """
    source = _remote(repository, remote)
    done = _Publication()
    with locked(repository, LOCK):
        backup_refs.restore(repository)
        try:
            _push_numbered(repository, source, done)
            _push_candidates(repository, source, done)
        except (remotes.NotReached, remotes.NotAllowed) as refused:
            if not done.published:
                raise
            done.faults += refused.faults  # it went away half way
    if done.faults:
        raise Unpublished(done)
    return tuple(done.published)


def _push_candidates(repository: Repository, remote: str, done: _Publication) -> None:
    """Number and push each candidate; one that cannot be published keeps no other from it."""
    waiting = refs.listed(repository, CANDIDATES.rstrip("/"))
    done.faults += [_no_candidate(ref) for ref in waiting if not registry_state.is_candidate(ref)]
    for candidate in (
        one for model in registry_state.fold(waiting).values() for one in model.candidates
    ):
        try:
            done.published.append(_publish(repository, remote, candidate))
        except (remotes.NotReached, remotes.NotAllowed):
            raise
        except (RegistryError, UsageError) as refused:
            place = candidate.tag.name
            done.wrong += [refused] if isinstance(refused, UsageError) else []
            done.faults += [Fault(f"{place}: {f.what}", hint=f.hint) for f in refused.faults]


def _no_candidate(ref: Ref) -> Fault:
    what = f"{ref.name} holds no candidate of Towpath, and was not published"
    return Fault(what, hint=f"git update-ref -d '{ref.name}' takes it away")


def _publish(repository: Repository, remote: str, candidate: ModelVersion) -> Registered:
    """Give one candidate its number on the remote."""
    draft = registry_state.read_record(repository, candidate)
    if (draft.model, draft.version) != (candidate.model, None):
        raise RegistryError(f"its record is that of {draft.model}@{draft.version or 'a candidate'}")
    refused, last = 0, ""
    for attempt in range(TRIES):
        known = _current(repository, remote, candidate.model)
        if there := twin(known, candidate.key):
            _settle(repository, candidate, {})
            return told(there)
        ownership.check(repository, known, draft)
        chosen = numbered(repository, known, draft)
        built = build(
            repository, known, chosen, f"{candidate.commit}^", _files(repository, candidate)
        )
        words = remotes.push(repository, remote, {built.ref: built.tag})
        if not words:
            _settle(repository, candidate, {built.ref: built.tag})
            return made(built)
        # The same name again is no race: what took it was fetched, and it would be passed over.
        raced = built.ref != last and _is_taken(repository, remote, built)
        refused, last = 0 if raced else refused + 1, built.ref
        if refused > PATIENCE_WITH_REFUSAL:
            raise RegistryError(_refusal(remote, built.ref, words[built.ref]))
        pause(attempt)
    raise crowded(candidate.model)


def _current(repository: Repository, remote: str, model: str) -> Model:
    """A model as the remote knows it now."""
    mine = (f"refs/tags/{model}@*", f"refs/tags/{model}#*")
    if not remotes.fetch(repository, remote, *(f"{pattern}:{pattern}" for pattern in mine)):
        _refuse_conflicts(repository, remote, remotes.there(repository, remote, *mine))
    return registry_state.model(repository, model)


def _is_taken(repository: Repository, remote: str, built: Built) -> bool:
    """Whether a push was refused because another took the number first."""
    return built.ref in remotes.there(repository, remote, built.ref)


def _settle(repository: Repository, candidate: ModelVersion, tag: Mapping[str, str]) -> None:
    """Keep the tag and forget the candidate, together."""
    if not refs.change(repository, tag, delete=[candidate.tag.name]):
        refs.change(repository, delete=[candidate.tag.name])  # a fetch beside us brought the tag


def _files(repository: Repository, candidate: ModelVersion) -> dict[str, bytes]:
    """What the candidate's commit adds to its parent, but for the record, which gets its number."""
    own = version_record.place(candidate.model, None)
    listed = repository.call(
        "diff-tree",
        "-r",
        "-z",
        "--no-renames",
        "--name-only",
        f"{candidate.commit}^",
        candidate.commit,
    )
    names = {
        f"{candidate.commit}:{path}": path for path in listed.split("\0") if path and path != own
    }
    return {names[name]: content for name, content in refs.contents(repository, names).items()}


def _push_numbered(repository: Repository, remote: str, done: _Publication) -> None:
    """Push versions and rejections that were made while there was no remote, or none to reach."""
    refused: dict[str, str] = {}
    clashes: list[Fault] = []
    for attempt in range(PATIENCE_WITH_REFUSAL):
        theirs = remotes.there(repository, remote, "refs/tags/*")
        backup_refs.release(repository, theirs)
        clashes = _conflicts(repository, remote, theirs)
        mine = _unpublished(repository, theirs, warn=not attempt)
        refused = _push_tags(repository, remote, mine, done)
        if not refused:
            break
        pause(attempt)
    done.faults += clashes
    done.faults += [_refusal(remote, ref, words) for ref, words in refused.items()]


def _unpublished(
    repository: Repository, theirs: Mapping[str, str], warn: bool
) -> list[tuple[Ref, TagName]]:
    """The tags of versions and rejections that the remote does not have, and that Towpath made.

    Anybody can make a tag of that name by hand: published, it would be that version for everybody
    and for ever.
    """
    names = [name for name in _registry_tags(repository) if name not in theirs]
    if not names:
        return []
    found = [
        (ref, parse_tag(ref.name.removeprefix(TAGS))) for ref in refs.listed(repository, *names)
    ]
    whole = [(ref, tag) for ref, tag in found if tag]
    places = [f"{ref.target}:{version_record.place(tag.model, tag.version)}" for ref, tag in whole]
    records = refs.contents(repository, places)
    sound = []
    for (ref, tag), place in zip(whole, places, strict=True):
        if wrong := _fault_of(ref, tag, records.get(place), place):
            if warn:
                logging.getLogger("towpath.registry").warning("%s", wrong)
        else:
            sound.append((ref, tag))
    return sound


def _fault_of(ref: Ref, tag: TagName, content: bytes | None, place: str) -> str | None:
    """Why a tag is none that Towpath made; None where it is one."""
    name = ref.name.removeprefix(TAGS)
    why = None
    if not ref.annotated:
        why = "it is a lightweight tag, which is no version"
    elif content is None:
        why = "its commit holds no record"
    else:
        try:
            read = version_record.read(content.decode("utf-8", "replace"), place)
        except RegistryError as damaged:
            why = f"its record is damaged: {damaged.faults[0].what}"
        else:
            if (read.model, read.version) != (tag.model, tag.version):
                why = f"its record is that of {read.model}@{read.version}"
    shown = (
        f"git push REMOTE '{name}' pushes it all the same; {restore_tags.way(name)} sets it aside"
    )
    return f"{name} was not pushed: {why} ({shown})" if why else None


def _told(ref: Ref, tag: TagName) -> Registered:
    """A version or a rejection that was numbered before, and is published now."""
    version = ModelVersion(tag.model, tag.version, ref)
    return Registered(tag.model, tag.version, version.key, ref.target, ref.name, new=True)


def _push_tags(
    repository: Repository, remote: str, tags: list[tuple[Ref, TagName]], done: _Publication
) -> dict[str, str]:
    """Push tags, so many at once; those that were refused, with the remote's words."""
    refused: dict[str, str] = {}
    for start in range(0, len(tags), AT_ONCE):
        some = tags[start : start + AT_ONCE]
        refused |= remotes.push(repository, remote, {ref.name: ref.object for ref, _ in some})
        gone = [(ref, tag) for ref, tag in some if ref.name not in refused]
        backup_refs.release(repository, [ref.name for ref, _ in gone])
        done.published += [_told(ref, tag) for ref, tag in gone]
    return refused


def _refusal(remote: str, ref: str, words: str) -> Fault:
    return Fault(f"{remote} refused {ref.removeprefix(TAGS)}: {words}", hint=WHO_MAY)


def _registry_tags(repository: Repository) -> dict[str, str]:
    """The tags of versions and rejections; those of stages are for reconcile to push."""
    found = refs.objects(repository, "refs/tags")
    names = {ref: parse_tag(ref.removeprefix(TAGS)) for ref in found}
    return {ref: found[ref] for ref, tag in names.items() if tag and tag.version}


def _refuse_conflicts(repository: Repository, remote: str, theirs: Mapping[str, str]) -> None:
    """Raise where a version here and there are two."""
    if clashes := _conflicts(repository, remote, theirs):
        raise RegistryError(*clashes)


def _conflicts(repository: Repository, remote: str, theirs: Mapping[str, str]) -> list[Fault]:
    """Where a version here and there are two; of two rejections of it, theirs stays."""
    mine = _registry_tags(repository)
    clashes = [ref for ref, tag in mine.items() if theirs.get(ref, tag) != tag]
    rejections = [ref for ref in clashes if "!" in ref]
    if rejections and len(rejections) == len(clashes):
        refs.change(repository, delete=rejections)
        remotes.fetch(repository, remote, *(f"{ref}:{ref}" for ref in rejections))
    return [_clash(remote, ref, mine[ref]) for ref in clashes if ref not in rejections]


def _clash(remote: str, ref: str, mine: str) -> Fault:
    name = ref.removeprefix(TAGS)
    aside = f"{restore_tags.ASIDE}{name}/{mine[:12]}"
    return Fault(
        f"{name} here and on {remote} are two different versions",
        hint=(
            f"towpath restore {name}, where it was promoted: main says which is right; else "
            f"git update-ref '{aside}' 'refs/tags/{name}' && "
            f"git fetch {remote} '+refs/tags/{name}:refs/tags/{name}' keeps yours aside; run "
            "again, and yours gets the next number"
        ),
    )


def _waiting(repository: Repository) -> Iterable[Model]:
    found = registry_state.fold(refs.listed(repository, CANDIDATES.rstrip("/")))
    return found.values()


def _drop_settled(repository: Repository) -> None:
    """Forget candidates whose key was published by another clone."""
    for name in [model.name for model in _waiting(repository)]:
        known = registry_state.model(repository, name)
        for candidate in known.candidates:
            if twin(known, candidate.key):
                _settle(repository, candidate, {})


def _remote(repository: Repository, name: str | None) -> str:
    chosen = remotes.chosen(repository, name)
    if chosen is None:
        raise UsageError("this repository has no remote", hint="git remote add origin <url>")
    return chosen
