"""The objects of a version: its commit, beside every branch, and the tag that will name it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

from towpath.backends.git import CommitStamp, Repository, commit_beside, make_tag_object
from towpath.errors import RegistryError
from towpath.registry import (
    main_decisions,
    registry_state,
    tag_message,
    version_changes,
    version_record,
)
from towpath.registry.registry_state import CANDIDATES, TAGS, Model, ModelVersion
from towpath.registry.version_number import next_free_number
from towpath.registry.version_record import RecordedBump, VersionRecord

KEY_DIGITS = 16


@dataclass(frozen=True)
class VersionObjects:
    """A version whose objects exist and which no ref names yet."""

    record: VersionRecord
    commit: str
    tag: str
    ref: str


def build_version_objects(
    repository: Repository,
    model: Model,
    draft: VersionRecord,
    base: str,
    files: Mapping[str, bytes],
) -> VersionObjects:
    """Make the commit and the tag of ``draft``: of a candidate where it has no number.

    The tag is later than every tag of the model, for GTO and DVC order tags by their second.
    """
    stamp = CommitStamp(repository.read_identity(), max(int(time.time()), model.last + 1))
    text = version_record.write_version_record(draft).encode()
    superseded = () if draft.version is None else (version_record.record_path(draft.model, None),)
    named = f"{draft.model}@{draft.version or 'candidate'}"
    message = tag_message.compose_tag_message(draft)
    commit = commit_beside(
        repository,
        base,
        {**files, draft.record_path: text},
        f"Register {named}",
        stamp,
        without=superseded,
    )
    return VersionObjects(
        draft, commit, make_tag_object(repository, named, commit, message, stamp), _tag_ref(draft)
    )


def number_draft(repository: Repository, model: Model, draft: VersionRecord) -> VersionRecord:
    """The record with its number, and the reason for it, from what differs to the version before.

    The version before is the latest in good standing. A number that was ever given, also where
    its tag is gone, or whose name another ref has, is passed over.
    """
    true = (
        version
        for version in model.versions_in_standing()
        if registry_state.has_record(repository, version)
    )
    before = next(true, None) or (model.versions[-1] if model.versions else None)
    why = _find_bump(repository, before, draft)
    level = "major" if why.level == "first" else why.level
    taken = model.taken | main_decisions.find_spent_numbers(repository, draft.model)
    number = next_free_number(before.version if before else None, level, taken)
    return replace(draft, version=number, bump=why)


def _find_bump(
    repository: Repository, before: ModelVersion | None, draft: VersionRecord
) -> RecordedBump:
    if before is None:
        return version_changes.derive_bump(None, draft)
    try:
        return version_changes.derive_bump(registry_state.read_record(repository, before), draft)
    except RegistryError:
        return draft.bump or RecordedBump("minor", f"{before} has no record to compare with")


def _tag_ref(draft: VersionRecord) -> str:
    if draft.version is None:
        return f"{CANDIDATES}{draft.model}/{draft.key[:KEY_DIGITS]}"
    return f"{TAGS}{draft.model}@{draft.version}"
