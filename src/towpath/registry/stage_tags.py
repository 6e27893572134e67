"""Stage tags ``abalone#prod#7``: what each stage runs, mirrored for stock GTO and DVC.

They are never the truth, which is the stage files on the main branch. A tag stands on the
version's own commit, since GTO and DVC take its data from there; of two tags the later one by
its tagger's date counts, so that dates rise strictly, in seconds, in the whole repository.
"""

from __future__ import annotations

import time

from msgspec import Struct

from towpath.backends.git import (
    CommitStamp,
    Ref,
    Repository,
    hold_lock,
    make_tag_object,
    refs,
    remotes,
)
from towpath.errors import Fault, RegistryError
from towpath.registry import registry_state, version_registration
from towpath.registry.registry_state import TAGS, Model, ModelVersion
from towpath.registry.version_reference import parse_tag


class StageTag(Struct, frozen=True):
    """A stage tag: a version entered a stage, or (``undone``) left it."""

    model: str
    stage: str
    tag: Ref
    undone: bool
    number: int

    @property
    def commit(self) -> str:
        return self.tag.target


def read_stage_tags(
    repository: Repository, model: str | None = None, stage: str | None = None
) -> tuple[StageTag, ...]:
    """Every stage tag (of a model, of a stage), oldest first."""
    pattern = f"{TAGS}{model or '*'}#{stage or ''}*"
    mine = []
    for ref in refs.list_refs(repository, pattern):
        name = parse_tag(ref.name.removeprefix(TAGS))
        # A lightweight tag holds a name and says nothing: it has no date to be ordered by.
        if ref.annotated and name and name.stage and stage in (None, name.stage):
            mine.append(StageTag(name.model, name.stage, ref, name.undone, name.number))
    return tuple(sorted(mine, key=lambda stage_tag: (stage_tag.tag.time, stage_tag.tag.name)))


def read_current_tags(repository: Repository, stage: str) -> dict[str, StageTag]:
    """The newest tag of each model in a stage; those that left it are left out, and so are tags
    whose date has not come yet."""
    latest_allowed = time.time() + registry_state.TAG_AHEAD
    listed = read_stage_tags(repository, stage=stage)
    newest = {tag.model: tag for tag in listed if tag.tag.time <= latest_allowed}
    return {model: stage_tag for model, stage_tag in newest.items() if not stage_tag.undone}


def write_stage_tag(
    repository: Repository,
    version: ModelVersion,
    stage: str,
    message: str,
    remote: str | None = None,
    *,
    undone: bool = False,
) -> StageTag:
    """Write the tag that a version entered a stage, or left it; pushed alone where ``remote``.
    Raises ``RegistryError`` where the remote refuses for good."""
    # The tag reaches the remote before it is kept here; where another took its number, it takes the
    # next.
    refused = 0
    # Another stage may be reconciled in this clone.
    with hold_lock(repository, version_registration.LOCK):
        # Or a number of theirs would be free for this tag.
        registry_state.restore_pruned_tags(repository)
        for attempt in range(version_registration.TRIES):
            if remote:
                # Of a name that both have, the remote's stays there: verify looks at it.
                patterns = (f"{TAGS}{version.model}{mark}*" for mark in "@#")
                remotes.fetch_refs(repository, remote, *(f"{p}:{p}" for p in patterns))
            name, tag_object = _make_tag_object(repository, version, stage, message, undone)
            tags = {name: tag_object}
            refusals = remotes.push_new_refs(repository, remote, tags) if remote else {}
            if not refusals and refs.change_refs(repository, tags):
                own_tags = read_stage_tags(repository, version.model)
                return next(own for own in own_tags if own.tag.name == name)
            if refusals and name not in remotes.list_remote_refs(repository, str(remote), name):
                refused += 1
            if refused > version_registration.PATIENCE_WITH_REFUSAL:
                raise RegistryError(_push_refusal(str(remote), name, refusals[name]))
            version_registration.pause_at_random(attempt)
        raise version_registration.crowded_error(version.model)


def find_unpublished_tags(repository: Repository, remote: str, stage: str) -> tuple[StageTag, ...]:
    """The tags of a stage that are here and not on the remote, or others there; oldest first."""
    theirs = remotes.list_remote_refs(repository, remote, f"{TAGS}*#{stage}*")
    mine = read_stage_tags(repository, stage=stage)
    return tuple(own for own in mine if theirs.get(own.tag.name) != own.tag.object)


def push_stage_tag(repository: Repository, remote: str, stage_tag: StageTag) -> StageTag:
    """Push a tag that was written while the remote was out of reach."""
    # Where another took its number meanwhile, it is written anew with the next.
    name = stage_tag.tag.name
    refusals = remotes.push_new_refs(repository, remote, {name: stage_tag.tag.object})
    if not refusals:
        return stage_tag
    remote_object = remotes.list_remote_refs(repository, remote, name).get(name)
    if remote_object == stage_tag.tag.object:  # another pushed the very tag meanwhile
        return stage_tag
    version = version_of(repository, stage_tag)
    if remote_object is None or version is None:
        raise RegistryError(_push_refusal(remote, name, refusals[name]))
    refs.change_refs(repository, delete=[name])
    message = stage_tag.tag.message
    return write_stage_tag(
        repository, version, stage_tag.stage, message, remote, undone=stage_tag.undone
    )


def _make_tag_object(
    repository: Repository, version: ModelVersion, stage: str, message: str, undone: bool
) -> tuple[str, str]:
    number = registry_state.next_event_number(repository, version.model)
    name = f"{version.model}#{stage}{'!' if undone else ''}#{number}"
    dates = (ref.time for ref in refs.list_refs(repository, "refs/tags"))
    # GTO and DVC go by the second, and of two tags in one second nobody knows which is later.
    moment = max(int(time.time()), registry_state.latest_date(dates) + 1)
    stamp = CommitStamp(repository.read_identity(), moment)
    return f"{TAGS}{name}", make_tag_object(repository, name, version.commit, message, stamp)


def _push_refusal(remote: str, ref: str, words: str) -> Fault:
    hint = "ask who may push tags there, then run again: nothing else is left to do"
    return Fault(f"{remote} refused {ref.removeprefix(TAGS)}: {words}", hint=hint)


def version_of(repository: Repository, stage_tag: StageTag) -> ModelVersion | None:
    """The version on whose commit a tag stands; None for a tag that stands elsewhere."""
    return version_among(registry_state.read_model(repository, stage_tag.model), stage_tag)


def version_among(model: Model, stage_tag: StageTag) -> ModelVersion | None:
    """The same, of a model that was read already."""
    return next((version for version in model.versions if version.commit == stage_tag.commit), None)
