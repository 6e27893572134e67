"""Giving candidates their numbers: each tag pushed alone; refused, it takes the next number."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from msgspec import Struct, field

from towpath.backends.git import (
    Ref,
    Repository,
    commit_history,
    hold_lock,
    main_branch,
    refs,
    remotes,
)
from towpath.errors import ExitCode, Fault, RegistryError, TowpathError, UsageError
from towpath.registry import ownership, registry_state, restore_tags, version_record
from towpath.registry.registry_state import CANDIDATES, TAGS, ModelVersion
from towpath.registry.version_reference import TagName, parse_tag
from towpath.registry.version_registration import (
    LOCK,
    PATIENCE_WITH_REFUSAL,
    TRIES,
    RegisteredVersion,
    build_version_objects,
    crowded_error,
    find_twin,
    number_draft,
    pause_at_random,
    registered_before,
    registered_now,
)

# Refs of one push: their names are arguments of Git's, of which a system takes so many bytes.
AT_ONCE = 200
WHO_MAY = "it waits here: ask who may push tags there, then towpath push"


class UnpublishedTags(RegistryError):
    """Something could not be published; ``published`` is what could, and is there now."""

    def __init__(self, publication: _Publication) -> None:
        super().__init__(*publication.faults)
        self.published = tuple(publication.published)
        self.exit_code = publication.exit_code


class _Publication(Struct):
    published: list[RegisteredVersion] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    wrong: list[TowpathError] = field(default_factory=list)

    @property
    def exit_code(self) -> ExitCode:
        """That of a wrong call where nothing but that stood in the way: another's name, say."""
        mine = [fault for error in self.wrong for fault in error.faults]
        return ExitCode.WRONG if len(mine) == len(self.faults) else ExitCode.FAILED


def fetch_registry(repository: Repository, remote: str | None = None) -> tuple[str, ...]:
    """Bring the remote's tags and branches here; a plain ``git pull`` leaves out these tags. The
    tags of the registry that were not here before. Raises ``RegistryError`` where the remote does
    not answer, or where a version here and there are two different ones."""
    source = _choose_remote(repository, remote)
    before = set(refs.list_ref_names(repository, "refs/tags"))
    everything = ("refs/tags/*:refs/tags/*", f"+refs/heads/*:refs/remotes/{source}/*")
    if not remotes.fetch_refs(repository, source, *everything):
        _refuse_conflicts(repository, source, "refs/tags/*")
    main_branch.follow_remote_head(repository, source)
    remotes.mark_fetched(repository)
    new = (name for name in refs.list_ref_names(repository, "refs/tags") if name not in before)
    tags = [name.removeprefix(TAGS) for name in new]
    with hold_lock(repository, LOCK):  # a run here numbers by these tags
        if registry_state.read_backed_up_tags(repository):
            theirs = remotes.list_remote_refs(repository, source, "refs/tags/*")
            registry_state.release_backups(repository, theirs)
            registry_state.restore_pruned_tags(repository)
        for name in registry_state.fold_tags(refs.list_refs(repository, CANDIDATES.rstrip("/"))):
            local_model = registry_state.read_model(repository, name)
            for candidate in local_model.candidates:
                if find_twin(local_model, candidate.key):
                    _settle_candidate(repository, candidate, {})
    return tuple(tag for tag in tags if parse_tag(tag))


def publish_registry(repository: Repository) -> tuple[RegisteredVersion, ...]:
    """Push what the remote does not have: each candidate as a version, versions and rejections that
    were made while there was no remote; what that is. Raises ``RegistryError`` where the remote
    does not answer, and ``UnpublishedTags`` where some of it did not go: candidates then go on
    waiting."""
    # A candidate gets its number here, as the next that the remote does not have; one whose key was
    # published by another clone meanwhile becomes that version. A tag that is none of Towpath's is
    # left here, with a warning.
    source = _choose_remote(repository, None)
    publication = _Publication()
    with hold_lock(repository, LOCK):  # two pushes would number one candidate
        registry_state.restore_pruned_tags(repository)
        try:
            _push_numbered(repository, source, publication)
            _push_candidates(repository, source, publication)
        except (remotes.NotReached, remotes.NotAllowed) as refused:
            if not publication.published:
                raise
            publication.faults += refused.faults  # it went away half way
    if publication.faults:
        raise UnpublishedTags(publication)
    return tuple(publication.published)


def _push_candidates(repository: Repository, remote: str, publication: _Publication) -> None:
    """Number and push each candidate; one that cannot be published keeps no other from it."""
    waiting = refs.list_refs(repository, CANDIDATES.rstrip("/"))
    for ref in waiting:
        if not registry_state.is_candidate(ref):
            what = f"{ref.name} holds no candidate of Towpath, and was not published"
            hint = f"git update-ref -d '{ref.name}' takes it away"
            publication.faults.append(Fault(what, hint=hint))
    models = registry_state.fold_tags(waiting).values()
    for candidate in (candidate for model in models for candidate in model.candidates):
        try:
            publication.published.append(_publish_candidate(repository, remote, candidate))
        except (remotes.NotReached, remotes.NotAllowed):
            raise  # of every candidate after it the same would be said
        except (RegistryError, UsageError) as refused:
            place = candidate.tag.name
            publication.wrong += [refused] if isinstance(refused, UsageError) else []
            publication.faults += [Fault(f"{place}: {f.what}", hint=f.hint) for f in refused.faults]


def _publish_candidate(
    repository: Repository, remote: str, candidate: ModelVersion
) -> RegisteredVersion:
    draft = registry_state.read_record(repository, candidate)
    if (draft.model, draft.version) != (candidate.model, None):
        raise RegistryError(f"its record is that of {draft.model}@{draft.version or 'a candidate'}")
    refused, last = 0, ""
    for attempt in range(TRIES):
        mine = (f"refs/tags/{candidate.model}@*", f"refs/tags/{candidate.model}#*")
        if not remotes.fetch_refs(
            repository, remote, *(f"{refspec}:{refspec}" for refspec in mine)
        ):
            _refuse_conflicts(repository, remote, *mine)
        remote_model = registry_state.read_model(repository, candidate.model)
        if published_twin := find_twin(remote_model, candidate.key):
            _settle_candidate(repository, candidate, {})
            return registered_before(published_twin)
        ownership.refuse_foreign_model(repository, remote_model, draft)
        chosen = number_draft(repository, remote_model, draft)
        files = _candidate_files(repository, candidate)
        built = build_version_objects(
            repository, remote_model, chosen, f"{candidate.commit}^", files
        )
        words = remotes.push_new_refs(repository, remote, {built.ref: built.tag})
        if not words:
            _settle_candidate(repository, candidate, {built.ref: built.tag})
            return registered_now(built)
        # The same name again is no race: what took it was fetched, and it would be passed over.
        is_taken = built.ref in remotes.list_remote_refs(repository, remote, built.ref)
        raced = built.ref != last and is_taken
        refused, last = 0 if raced else refused + 1, built.ref
        if refused > PATIENCE_WITH_REFUSAL:
            raise RegistryError(_push_refusal(remote, built.ref, words[built.ref]))
        pause_at_random(attempt)
    raise crowded_error(candidate.model)


def _settle_candidate(
    repository: Repository, candidate: ModelVersion, tag: Mapping[str, str]
) -> None:
    if not refs.change_refs(repository, tag, delete=[candidate.tag.name]):
        # A fetch beside us brought the tag: keep that, and forget the candidate all the same.
        refs.change_refs(repository, delete=[candidate.tag.name])


def _candidate_files(repository: Repository, candidate: ModelVersion) -> dict[str, bytes]:
    """What the candidate's commit adds to its parent, but for the record, which gets its number."""
    own = version_record.record_path(candidate.model, None)
    changed = commit_history.changed_files(repository, f"{candidate.commit}^", candidate.commit)
    names = {f"{candidate.commit}:{c.path}": c.path for c in changed if c.path != own}
    return {names[name]: content for name, content in refs.read_contents(repository, names).items()}


def _push_numbered(repository: Repository, remote: str, publication: _Publication) -> None:
    """Push versions and rejections that were made while there was no remote, or none to reach."""
    refused: dict[str, str] = {}
    clashes: list[Fault] = []
    for attempt in range(PATIENCE_WITH_REFUSAL):
        # Looked up at each try: another clone may publish between two of ours.
        theirs = remotes.list_remote_refs(repository, remote, "refs/tags/*")
        registry_state.release_backups(repository, theirs)
        clashes = _find_conflicts(repository, remote, theirs)
        mine = _unpublished_tags(repository, theirs, warn=not attempt)
        refused = _push_tags(repository, remote, mine, publication)
        if not refused:
            break
        pause_at_random(attempt)
    publication.faults += clashes
    publication.faults += [_push_refusal(remote, ref, words) for ref, words in refused.items()]


def _unpublished_tags(
    repository: Repository, theirs: Mapping[str, str], warn: bool
) -> list[tuple[Ref, TagName]]:
    """The tags of versions and rejections that the remote does not have, and that Towpath made."""
    names = [name for name in _registry_tags(repository) if name not in theirs]
    if not names:
        return []
    listed = refs.list_refs(repository, *names)
    whole = [(ref, tag) for ref in listed if (tag := parse_tag(ref.name.removeprefix(TAGS)))]
    record_path = version_record.record_path
    places = [f"{ref.target}:{record_path(tag.model, tag.version)}" for ref, tag in whole]
    # Anybody can make a tag of that name by hand: published, it would be that version for everybody
    # and for ever.
    records = refs.read_contents(repository, places)
    sound = []
    for (ref, tag), place in zip(whole, places, strict=True):
        if wrong := _fault_of(ref, tag, records.get(place), place):
            if warn:
                logging.getLogger("towpath.registry").warning("%s", wrong)
        else:
            sound.append((ref, tag))
    return sound


def _fault_of(ref: Ref, tag: TagName, content: bytes | None, place: str) -> str | None:
    name = ref.name.removeprefix(TAGS)
    why = "its commit holds no record"
    if not ref.annotated:
        why = "it is a lightweight tag, which is no version"
    elif content is not None:
        try:
            read = version_record.parse_version_record(content, place)
        except RegistryError as damaged:
            why = f"its record is damaged: {damaged.faults[0].what}"
        else:
            if (read.model, read.version) == (tag.model, tag.version):
                return None
            why = f"its record is that of {read.model}@{read.version}"
    aside = f"{restore_tags.way_to_restore(name)} sets it aside"
    return (
        f"{name} was not pushed: {why} (git push REMOTE '{name}' pushes it all the same; {aside})"
    )


def _push_tags(
    repository: Repository, remote: str, tags: list[tuple[Ref, TagName]], publication: _Publication
) -> dict[str, str]:
    """Push tags, so many at once; those that were refused, with the remote's words."""
    refused: dict[str, str] = {}
    for start in range(0, len(tags), AT_ONCE):
        some = tags[start : start + AT_ONCE]
        objects = {ref.name: ref.object for ref, _ in some}
        refused |= remotes.push_new_refs(repository, remote, objects)
        gone = [(ref, tag) for ref, tag in some if ref.name not in refused]
        registry_state.release_backups(repository, [ref.name for ref, _ in gone])
        publication.published += [
            registered_before(ModelVersion(tag.model, tag.version, ref), new=True)
            for ref, tag in gone
        ]
    return refused


def _push_refusal(remote: str, ref: str, words: str) -> Fault:
    return Fault(f"{remote} refused {ref.removeprefix(TAGS)}: {words}", hint=WHO_MAY)


def _registry_tags(repository: Repository) -> dict[str, str]:
    """The tags of versions and rejections; those of stages are for reconcile to push."""
    objects = refs.list_ref_objects(repository, "refs/tags")
    names = {ref: parse_tag(ref.removeprefix(TAGS)) for ref in objects}
    return {ref: objects[ref] for ref, tag in names.items() if tag and tag.version}


def _refuse_conflicts(repository: Repository, remote: str, *patterns: str) -> None:
    theirs = remotes.list_remote_refs(repository, remote, *patterns)
    if clashes := _find_conflicts(repository, remote, theirs):
        raise RegistryError(*clashes)


def _find_conflicts(repository: Repository, remote: str, theirs: Mapping[str, str]) -> list[Fault]:
    mine = _registry_tags(repository)
    clashes = [ref for ref, tag in mine.items() if theirs.get(ref, tag) != tag]
    # Of two rejections of one version theirs stays: both say the same, and the number is spent.
    rejections = [ref for ref in clashes if "!" in ref]
    if rejections and len(rejections) == len(clashes):
        refs.change_refs(repository, delete=rejections)
        remotes.fetch_refs(repository, remote, *(f"{ref}:{ref}" for ref in rejections))
    faults = []
    for ref in (clash for clash in clashes if clash not in rejections):
        name = ref.removeprefix(TAGS)
        hint = (
            f"towpath restore {name}, where it was promoted: main says which is right; else "
            f"git update-ref '{restore_tags.ASIDE}{name}/{mine[ref][:12]}' '{ref}' && "
            f"git fetch {remote} '+{ref}:{ref}' keeps yours aside; run again, and yours gets the "
            "next number"
        )
        what = f"{name} here and on {remote} are two different versions"
        faults.append(Fault(what, hint=hint))
    return faults


def _choose_remote(repository: Repository, name: str | None) -> str:
    chosen = remotes.choose_remote(repository, name)
    if chosen is None:
        raise UsageError("this repository has no remote", hint="git remote add origin <url>")
    return chosen
