"""Stage tags ``abalone#prod#7``: what each stage runs, mirrored for stock GTO and DVC.

They are never the truth, which is the stage files on the main branch. A tag stands on the
version's own commit, since GTO and DVC take its data from there; of two tags the later one by
its tagger's date counts, so that dates rise strictly, in seconds, in the whole repository.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from towpath.backends.git import Ref, Repository, Stamp, locked, refs, remotes, tag
from towpath.backends.git.git_command import lines
from towpath.config.foreign_values import clamp_second
from towpath.errors import Fault, RegistryError
from towpath.registry import backup_refs, registry_state
from towpath.registry.registry_state import TAGS, Model, ModelVersion
from towpath.registry.version_reference import TagName, parse_tag
from towpath.registry.version_registration import LOCK, PATIENCE_WITH_REFUSAL, TRIES, crowded, pause


@dataclass(frozen=True)
class Assigned:
    """A stage tag: a version entered a stage, or (``undone``) left it."""

    model: str
    stage: str
    tag: Ref
    undone: bool
    number: int

    @property
    def commit(self) -> str:
        """The version's commit."""
        return self.tag.target


def history(
    repository: Repository, model: str | None = None, stage: str | None = None
) -> tuple[Assigned, ...]:
    """Every stage tag (of a model, of a stage), oldest first."""
    pattern = f"{TAGS}{model or '*'}#{stage or ''}*"
    found = (_assigned(ref) for ref in refs.listed(repository, pattern) if ref.annotated)
    mine = (one for one in found if one and stage in (None, one.stage))
    return tuple(sorted(mine, key=lambda one: (one.tag.time, one.tag.name)))


def current(repository: Repository, stage: str) -> dict[str, Assigned]:
    """The newest tag of each model in a stage; those that left it are left out, and so are tags
    whose date has not come yet."""
    now = time.time() + registry_state.TAG_AHEAD
    mine = (one for one in history(repository, stage=stage) if one.tag.time <= now)
    newest = {one.model: one for one in mine}
    return {model: one for model, one in newest.items() if not one.undone}


def assign(
    repository: Repository,
    version: ModelVersion,
    stage: str,
    message: str,
    remote: str | None = None,
    *,
    undone: bool = False,
) -> Assigned:
    """Write the tag that a version entered a stage, or left it; pushed alone where ``remote``.

    The tag reaches the remote before it is kept here; where another took its number, it takes
    the next. Raises ``RegistryError`` where the remote refuses for good.
    """
    refused = 0
    with locked(repository, LOCK):
        backup_refs.restore(repository)  # or a number of theirs would be free for this tag
        for attempt in range(TRIES):
            if remote:
                _fetch(repository, remote, version.model)
            name, made = _made(repository, version, stage, message, undone)
            said = remotes.push(repository, remote, {name: made}) if remote else {}
            if not said and refs.change(repository, {name: made}):
                return next(
                    one for one in history(repository, version.model) if one.tag.name == name
                )
            if said and name not in remotes.there(repository, str(remote), name):
                refused += 1
            if refused > PATIENCE_WITH_REFUSAL:
                raise RegistryError(_refusal(str(remote), name, said[name]))
            pause(attempt)
        raise crowded(version.model)


def unpublished(repository: Repository, remote: str, stage: str) -> tuple[Assigned, ...]:
    """The tags of a stage that are here and not on the remote, or others there; oldest first."""
    theirs = remotes.there(repository, remote, f"{TAGS}*#{stage}*")
    mine = history(repository, stage=stage)
    return tuple(one for one in mine if theirs.get(one.tag.name) != one.tag.object)


def publish(repository: Repository, remote: str, one: Assigned) -> Assigned:
    """Push a tag that was written while the remote was out of reach.

    Where another took its number meanwhile, it is written anew with the next.
    """
    name = one.tag.name
    said = remotes.push(repository, remote, {name: one.tag.object})
    there = remotes.there(repository, remote, name).get(name) if said else one.tag.object
    if there == one.tag.object:
        return one
    version = version_of(repository, one)
    if there is None or version is None:
        raise RegistryError(_refusal(remote, name, said[name]))
    refs.change(repository, delete=[name])
    message = one.tag.message
    return assign(repository, version, one.stage, message, remote, undone=one.undone)


def next_number(repository: Repository, model: str) -> int:
    """The next of the numbers by which GTO tells a model's events apart."""
    mine = (f"{TAGS}{model}@*", f"{TAGS}{model}#*")
    return max((found.number for found in _names(repository, *mine)), default=0) + 1


def _names(repository: Repository, *patterns: str) -> Iterator[TagName]:
    for ref in refs.names(repository, *patterns):
        if found := parse_tag(ref.removeprefix(TAGS)):
            yield found


def _made(
    repository: Repository, version: ModelVersion, stage: str, message: str, undone: bool
) -> tuple[str, str]:
    """The tag's name and its object, which no ref holds yet."""
    mark = "!" if undone else ""
    name = f"{version.model}#{stage}{mark}#{next_number(repository, version.model)}"
    stamp = Stamp(repository.identity(), max(int(time.time()), _newest(repository) + 1))
    return f"{TAGS}{name}", tag(repository, name, version.commit, message, stamp)


def _newest(repository: Repository) -> int:
    """The latest date of any annotated tag that can be true, in seconds since 1970."""
    told = repository.attempt("for-each-ref", "--format=%(taggerdate:unix)", "refs/tags")
    if told.code:  # a tag's object is lost: the others' dates are read apart
        return registry_state.latest_date(ref.time for ref in refs.listed(repository, "refs/tags"))
    return registry_state.latest_date(clamp_second(line) for line in lines(told.text))


def _fetch(repository: Repository, remote: str, model: str) -> None:
    """Bring a model's tags here; of a name that both have, the remote's stays there."""
    patterns = (f"{TAGS}{model}@*", f"{TAGS}{model}#*")
    remotes.fetch(repository, remote, *(f"{pattern}:{pattern}" for pattern in patterns))


def _assigned(ref: Ref) -> Assigned | None:
    found = parse_tag(ref.name.removeprefix(TAGS))
    if found is None or found.stage is None:
        return None
    return Assigned(found.model, found.stage, ref, found.undone, found.number)


def _refusal(remote: str, ref: str, words: str) -> Fault:
    hint = "ask who may push tags there, then run again: nothing else is left to do"
    return Fault(f"{remote} refused {ref.removeprefix(TAGS)}: {words}", hint=hint)


def version_of(repository: Repository, one: Assigned) -> ModelVersion | None:
    """The version on whose commit a tag stands; None for a tag that stands elsewhere."""
    return version_among(registry_state.model(repository, one.model), one)


def version_among(model: Model, one: Assigned) -> ModelVersion | None:
    """The same, of a model that was read already."""
    return next((version for version in model.versions if version.commit == one.commit), None)
