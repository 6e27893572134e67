"""Taking a version out of use: it stays where it is, with the reason, and its number is spent."""

from __future__ import annotations

import time

from towpath.backends.git import CommitStamp, Repository, hold_lock, make_tag_object, refs
from towpath.errors import UsageError
from towpath.registry import backup_refs, registry_state, version_lookup
from towpath.registry.registry_state import TAGS, ModelVersion
from towpath.registry.version_reference import parse_tag
from towpath.registry.version_registration import (
    LOCK,
    TRIES,
    blocked_error,
    crowded_error,
    pause_at_random,
)


def reject_version(repository: Repository, reference: str, reason: str) -> ModelVersion:
    """Reject a version with a reason (GTO's deregistration: ``abalone@v1.3.0!#1``), here.

    It is pushed by ``publish_registry``. Raises ``UsageError`` for a candidate, for a version that
    was rejected already, and without a reason.
    """
    if not reason.strip():
        raise UsageError("a rejection says why", hint="--reason 'trained on leaked labels'")
    with hold_lock(repository, LOCK):
        backup_refs.restore_pruned_tags(repository)
        version = version_lookup.find_version(repository, reference)
        if version.version is None:
            raise UsageError(f"{version} has no number yet", hint="towpath push gives it one")
        if version.rejected is not None:
            raise UsageError(f"{version} was rejected already: {version.rejected}")
        _write_rejection_tag(repository, version, reason)
        return version_lookup.find_version(repository, f"{version.model}@{version.version}")


def _write_rejection_tag(repository: Repository, version: ModelVersion, reason: str) -> None:
    who = repository.read_identity()
    refused = ""
    for attempt in range(TRIES):
        last = registry_state.read_model(repository, version.model).last
        name = f"{version}!#{_next_event_number(repository, version)}"
        stamp = CommitStamp(who, max(int(time.time()), last + 1))
        mark = make_tag_object(repository, name, version.commit, reason, stamp)
        ref = f"{TAGS}{name}"
        if refs.change_refs(repository, {ref: mark, backup_refs.backup_of(ref): mark}):
            return
        if name == refused:
            raise blocked_error(f"{TAGS}{name}")
        refused = name
        pause_at_random(attempt)
    raise crowded_error(version.model)


def _next_event_number(repository: Repository, version: ModelVersion) -> int:
    """The next of the numbers by which GTO tells a model's events apart."""
    mine = (f"{TAGS}{version.model}@*", f"{TAGS}{version.model}#*")
    tags = (parse_tag(name.removeprefix(TAGS)) for name in refs.list_ref_names(repository, *mine))
    return max((tag_name.number for tag_name in tags if tag_name), default=0) + 1
