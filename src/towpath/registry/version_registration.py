"""Registering: the next version of a model, or a candidate for one, beside the work tree."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from dataclasses import dataclass

from towpath.backends.git import Repository, hold_lock, refs, remotes
from towpath.errors import RegistryError
from towpath.registry import backup_refs, ownership, registry_state, version_reference
from towpath.registry.registry_state import Model, ModelVersion
from towpath.registry.version_number import VersionNumber
from towpath.registry.version_objects import VersionObjects, build_version_objects, number_draft
from towpath.registry.version_record import VersionRecord

LOCK = "registry"
TRIES = 60
PATIENCE_WITH_REFUSAL = 5
"""How often a remote may refuse a tag whose name is free there before it is taken to mean it: one
that is being written to refuses for a moment."""


@dataclass(frozen=True)
class Registration:
    """What is to be registered.

    ``record`` has no version yet; its ``bump`` is set only where one was asked for. ``files``
    (paths from the repository's root) stand beside the record in the version's commit: dvc.yaml,
    dvc.lock, the parameters. ``base`` is that commit's parent: the code that ran, or in a shared
    registry a commit of the registry.
    """

    record: VersionRecord
    base: str
    files: Mapping[str, bytes]


@dataclass(frozen=True)
class RegisteredVersion:
    """What came of it. ``version`` is None for a candidate, which waits for its number.

    ``new`` is False where this key had been registered before; ``reason`` says why this number.
    """

    model: str
    version: VersionNumber | None
    key: str
    commit: str
    ref: str
    new: bool
    reason: str = ""

    def __str__(self) -> str:
        if self.ref.startswith(registry_state.TAGS):  # a rejection is called by its whole name
            return self.ref.removeprefix(registry_state.TAGS)
        return f"{self.model}@{self.version or self.key[: registry_state.SHOWN_KEY]}"


def register_version(repository: Repository, request: Registration) -> RegisteredVersion:
    """Register a version: numbered at once in a repository without a remote, else a candidate.

    The same key gives the version that it gave before, unless that was rejected. Raises
    ``UsageError`` for a name that no model may have, or that in a shared registry another
    repository has, ``UserError`` without a Git identity, ``RegistryError`` where Git does not
    let a ref be made.
    """
    draft = request.record
    version_reference.check_name(draft.model)
    refused = ""
    with hold_lock(repository, LOCK):
        backup_refs.restore_pruned_tags(repository)
        waits = bool(remotes.list_remotes(repository))
        for attempt in range(TRIES):
            registered_model = registry_state.read_model(repository, draft.model)
            if twins := registered_model.find_key(draft.key):
                return registered_before(twins[0])
            ownership.refuse_foreign_model(repository, registered_model, draft)
            chosen = draft if waits else number_draft(repository, registered_model, draft)
            built = build_version_objects(
                repository, registered_model, chosen, request.base, request.files
            )
            if refs.change_refs(repository, _kept_twice(built)):
                return registered_now(built)
            if built.ref == refused:
                raise blocked_error(built.ref)
            refused = built.ref
            pause_at_random(attempt)  # another tool took the number: a fetch of tags, or stock GTO
    raise crowded_error(draft.model)


def _kept_twice(built: VersionObjects) -> dict[str, str]:
    """A candidate's ref; a number's tag, and what keeps it until a remote has it."""
    names = [built.ref]
    if built.record.version:
        names.append(backup_refs.backup_of(built.ref))
    return dict.fromkeys(names, built.tag)


def registered_before(version: ModelVersion) -> RegisteredVersion:
    """A version that was there already."""
    return RegisteredVersion(
        model=version.model,
        version=version.version,
        key=version.key,
        commit=version.commit,
        ref=version.tag.name,
        new=False,
        reason=str(version.summary.get("reason", "")),
    )


def registered_now(built: VersionObjects) -> RegisteredVersion:
    """A version that was made just now."""
    record = built.record
    reason = record.bump.reason if record.bump else ""
    return RegisteredVersion(
        record.model, record.version, record.key, built.commit, built.ref, True, reason
    )


def pause_at_random(attempt: int) -> None:
    """Wait a little, at random, so that those who met do not meet again."""
    time.sleep(random.uniform(0.0, min(1.0, 0.02 * 2**attempt)))


def crowded_error(model: str) -> RegistryError:
    """Said when the number was taken from under us every time."""
    return RegistryError(f"no number for {model} after {TRIES} tries", hint="try again")


def blocked_error(ref: str) -> RegistryError:
    """Said when a name is refused again, though it was looked up anew whether it is free."""
    what = f"{ref} cannot be made: another ref is in its way"
    return RegistryError(what, hint=f"git for-each-ref '{ref}' shows which")


def find_twin(model: Model, key: str) -> ModelVersion | None:
    """The numbered version of a key in good standing."""
    return next((v for v in model.find_key(key) if v.version), None)
