"""The objects of a version: its commit, beside every branch, and the tag that will name it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

from towpath.backends.git import Repository, Stamp, commit_beside, tag
from towpath.errors import RegistryError
from towpath.registry import (
    main_decisions,
    registry_state,
    tag_message,
    version_changes,
    version_record,
)
from towpath.registry.registry_state import CANDIDATES, TAGS, Model, ModelVersion
from towpath.registry.version_number import following
from towpath.registry.version_record import Bump, Record

KEY_DIGITS = 16


@dataclass(frozen=True)
class Built:
    """A version whose objects exist and which no ref names yet."""

    record: Record
    commit: str
    tag: str
    ref: str


def build(
    repository: Repository, known: Model, draft: Record, base: str, files: Mapping[str, bytes]
) -> Built:
    """Make the commit and the tag of ``draft``: of a candidate where it has no number.

    The tag is later than every tag of the model, for GTO and DVC order tags by their second.
    """
    stamp = Stamp(repository.identity(), max(int(time.time()), known.last + 1))
    text = version_record.write(draft).encode()
    superseded = () if draft.version is None else (version_record.place(draft.model, None),)
    named = f"{draft.model}@{draft.version or 'candidate'}"
    message = tag_message.message(draft)
    commit = commit_beside(
        repository,
        base,
        {**files, draft.place: text},
        f"Register {named}",
        stamp,
        without=superseded,
    )
    return Built(draft, commit, tag(repository, named, commit, message, stamp), _ref(draft))


def numbered(repository: Repository, known: Model, draft: Record) -> Record:
    """The record with its number, and the reason for it, from what differs to the version before.

    The version before is the latest in good standing. A number that was ever given, also where
    its tag is gone, or whose name another ref has, is passed over.
    """
    true = (one for one in known.standing() if registry_state.has_record(repository, one))
    before = next(true, None) or (known.versions[-1] if known.versions else None)
    why = _bump(repository, before, draft)
    level = "major" if why.level == "first" else why.level
    taken = known.taken | main_decisions.spent(repository, draft.model)
    number = following(before.version if before else None, level, taken)
    return replace(draft, version=number, bump=why)


def _bump(repository: Repository, before: ModelVersion | None, draft: Record) -> Bump:
    if before is None:
        return version_changes.bump(None, draft)
    try:
        return version_changes.bump(registry_state.read_record(repository, before), draft)
    except RegistryError:
        return draft.bump or Bump("minor", f"{before} has no record to compare with")


def _ref(draft: Record) -> str:
    if draft.version is None:
        return f"{CANDIDATES}{draft.model}/{draft.key[:KEY_DIGITS]}"
    return f"{TAGS}{draft.model}@{draft.version}"
