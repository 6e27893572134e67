"""Giving candidates their numbers: each tag pushed alone; refused, it takes the next number."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from towpath.errors import Fault, RegistryError, UsageError
from towpath.git import Repository, locked, mainline, refs, remotes
from towpath.registry import ownership, reading, record
from towpath.registry.building import Built, build, numbered
from towpath.registry.reading import CANDIDATES, TAGS, Model, ModelVersion
from towpath.registry.references import parse_tag
from towpath.registry.registering import LOCK, TRIES, Registered, crowded, made, pause, told, twin

PATIENCE_WITH_REFUSAL = 5
AT_ONCE = 200
WHO_MAY = "it waits here: ask who may push tags there, then towpath push"


@dataclass(frozen=True)
class Fetched:
    """What a fetch brought: the tags of the registry that were not here before."""

    remote: str
    tags: tuple[str, ...]


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
    mainline.follow(repository, source)
    remotes.mark_fetched(repository)
    new = (name for name in refs.names(repository, "refs/tags") if name not in before)
    tags = tuple(name.removeprefix(TAGS) for name in new)
    with locked(repository, LOCK):
        _drop_settled(repository)
    return Fetched(source, tuple(tag for tag in tags if parse_tag(tag)))


def publish(repository: Repository, remote: str | None = None) -> tuple[Registered, ...]:
    """Push what the remote does not have: each candidate as a version, and rejections.

    A candidate gets its number here, as the next that the remote does not have; one whose key
    was published by another clone meanwhile becomes that version. Raises ``RegistryError`` where
    the remote does not answer or refuses for good: candidates then go on waiting.
    """
    source = _remote(repository, remote)
    with locked(repository, LOCK):
        _push_numbered(repository, source)
        waiting = [one for model in _waiting(repository) for one in model.candidates]
        return tuple(_publish(repository, source, one) for one in waiting)


def _publish(repository: Repository, remote: str, candidate: ModelVersion) -> Registered:
    """Give one candidate its number on the remote."""
    draft = reading.read_record(repository, candidate)
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
    return reading.model(repository, model)


def _is_taken(repository: Repository, remote: str, built: Built) -> bool:
    """Whether a push was refused because another took the number first."""
    return built.ref in remotes.there(repository, remote, built.ref)


def _settle(repository: Repository, candidate: ModelVersion, tag: Mapping[str, str]) -> None:
    """Keep the tag and forget the candidate, together."""
    if not refs.change(repository, tag, delete=[candidate.tag.name]):
        refs.change(repository, delete=[candidate.tag.name])  # a fetch beside us brought the tag


def _files(repository: Repository, candidate: ModelVersion) -> dict[str, bytes]:
    """What the candidate's commit adds to its parent, but for the record, which gets its number."""
    own = record.place(candidate.model, None)
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


def _push_numbered(repository: Repository, remote: str) -> None:
    """Push versions and rejections that were made while there was no remote, or none to reach."""
    for attempt in range(PATIENCE_WITH_REFUSAL):
        theirs = remotes.there(repository, remote, "refs/tags/*")
        _refuse_conflicts(repository, remote, theirs)
        mine = {ref: tag for ref, tag in _registry_tags(repository).items() if ref not in theirs}
        refused = _push_all(repository, remote, mine)
        if not refused:
            return
        pause(attempt)
    raise RegistryError(*(_refusal(remote, ref, words) for ref, words in refused.items()))


def _push_all(repository: Repository, remote: str, tags: Mapping[str, str]) -> dict[str, str]:
    refused: dict[str, str] = {}
    names = sorted(tags)
    for start in range(0, len(names), AT_ONCE):
        some = {ref: tags[ref] for ref in names[start : start + AT_ONCE]}
        refused |= remotes.push(repository, remote, some)
    return refused


def _refusal(remote: str, ref: str, words: str) -> Fault:
    return Fault(f"{remote} refused {ref.removeprefix(TAGS)}: {words}", hint=WHO_MAY)


def _registry_tags(repository: Repository) -> dict[str, str]:
    """The tags of versions and rejections; those of stages are for reconcile to push."""
    found = refs.objects(repository, "refs/tags")
    names = {ref: parse_tag(ref.removeprefix(TAGS)) for ref in found}
    return {ref: found[ref] for ref, tag in names.items() if tag and tag.version}


def _refuse_conflicts(repository: Repository, remote: str, theirs: Mapping[str, str]) -> None:
    """Raise where a version here and there are two; of two rejections of it, theirs stays."""
    mine = _registry_tags(repository)
    clashes = [ref for ref, tag in mine.items() if theirs.get(ref, tag) != tag]
    rejections = [ref for ref in clashes if "!" in ref]
    if len(rejections) < len(clashes):
        different = (ref for ref in clashes if ref not in rejections)
        raise RegistryError(*(_clash(remote, ref) for ref in different))
    if rejections:
        refs.change(repository, delete=rejections)
        remotes.fetch(repository, remote, *(f"{ref}:{ref}" for ref in rejections))


def _clash(remote: str, ref: str) -> Fault:
    name = ref.removeprefix(TAGS)
    return Fault(
        f"{name} here and on {remote} are two different versions",
        hint=(
            f"towpath restore {name}, where it was promoted: main says which is right; else "
            f"git update-ref refs/towpath/set-aside/{name}/mine refs/tags/{name}, git tag -d "
            f"'{name}', towpath fetch, and run again: yours gets the next number"
        ),
    )


def _waiting(repository: Repository) -> Iterable[Model]:
    found = reading.fold(refs.listed(repository, CANDIDATES.rstrip("/")))
    return found.values()


def _drop_settled(repository: Repository) -> None:
    """Forget candidates whose key was published by another clone."""
    for name in [model.name for model in _waiting(repository)]:
        known = reading.model(repository, name)
        for candidate in known.candidates:
            if twin(known, candidate.key):
                _settle(repository, candidate, {})


def _remote(repository: Repository, name: str | None) -> str:
    chosen = remotes.chosen(repository, name)
    if chosen is None:
        raise UsageError("this repository has no remote", hint="git remote add origin <url>")
    return chosen
