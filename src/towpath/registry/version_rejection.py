"""Taking a version out of use: it stays where it is, with the reason, and its number is spent."""

from __future__ import annotations

import time

from towpath.backends.git import Repository, Stamp, locked, refs, tag
from towpath.errors import UsageError
from towpath.registry import backup_refs, registry_state, version_lookup
from towpath.registry.registry_state import TAGS, ModelVersion
from towpath.registry.version_reference import parse_tag
from towpath.registry.version_registration import LOCK, TRIES, blocked, crowded, pause


def reject(repository: Repository, reference: str, reason: str) -> ModelVersion:
    """Reject a version with a reason (GTO's deregistration: ``abalone@v1.3.0!#1``), here.

    It is pushed by ``publish``. Raises ``UsageError`` for a candidate, for a version that was
    rejected already, and without a reason.
    """
    if not reason.strip():
        raise UsageError("a rejection says why", hint="--reason 'trained on leaked labels'")
    with locked(repository, LOCK):
        backup_refs.restore(repository)
        version = version_lookup.find(repository, reference)
        if version.version is None:
            raise UsageError(f"{version} has no number yet", hint="towpath push gives it one")
        if version.rejected is not None:
            raise UsageError(f"{version} was rejected already: {version.rejected}")
        _deregister(repository, version, reason)
        return version_lookup.find(repository, f"{version.model}@{version.version}")


def _deregister(repository: Repository, version: ModelVersion, reason: str) -> None:
    who = repository.identity()
    refused = ""
    for attempt in range(TRIES):
        last = registry_state.model(repository, version.model).last
        name = f"{version}!#{_next(repository, version)}"
        stamp = Stamp(who, max(int(time.time()), last + 1))
        mark = tag(repository, name, version.commit, reason, stamp)
        ref = f"{TAGS}{name}"
        if refs.change(repository, {ref: mark, backup_refs.backup_of(ref): mark}):
            return
        if name == refused:
            raise blocked(f"{TAGS}{name}")
        refused = name
        pause(attempt)
    raise crowded(version.model)


def _next(repository: Repository, version: ModelVersion) -> int:
    """The next of the numbers by which GTO tells a model's events apart."""
    mine = (f"{TAGS}{version.model}@*", f"{TAGS}{version.model}#*")
    tags = (parse_tag(name.removeprefix(TAGS)) for name in refs.names(repository, *mine))
    return max((found.number for found in tags if found), default=0) + 1
