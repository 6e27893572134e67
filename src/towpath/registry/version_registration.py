"""Registering: the next version of a model, or a candidate for one, beside the work tree."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from dataclasses import dataclass

from towpath.backends.git import Repository, locked, refs, remotes
from towpath.errors import RegistryError
from towpath.registry import backup_refs, ownership, registry_state, version_reference
from towpath.registry.registry_state import Model, ModelVersion
from towpath.registry.version_number import Version
from towpath.registry.version_objects import Built, build, numbered
from towpath.registry.version_record import Record

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

    record: Record
    base: str
    files: Mapping[str, bytes]


@dataclass(frozen=True)
class Registered:
    """What came of it. ``version`` is None for a candidate, which waits for its number.

    ``new`` is False where this key had been registered before; ``reason`` says why this number.
    """

    model: str
    version: Version | None
    key: str
    commit: str
    ref: str
    new: bool
    reason: str = ""

    def __str__(self) -> str:
        if self.ref.startswith(registry_state.TAGS):  # a rejection is called by its whole name
            return self.ref.removeprefix(registry_state.TAGS)
        return f"{self.model}@{self.version or self.key[: registry_state.SHOWN_KEY]}"


def register(repository: Repository, request: Registration) -> Registered:
    """Register a version: numbered at once in a repository without a remote, else a candidate.

    The same key gives the version that it gave before, unless that was rejected. Raises
    ``UsageError`` for a name that no model may have, or that in a shared registry another
    repository has, ``UserError`` without a Git identity, ``RegistryError`` where Git does not
    let a ref be made.
    """
    draft = request.record
    version_reference.check_name(draft.model)
    refused = ""
    with locked(repository, LOCK):
        backup_refs.restore(repository)
        waits = bool(remotes.remotes(repository))
        for attempt in range(TRIES):
            known = registry_state.model(repository, draft.model)
            if twins := known.keyed(draft.key):
                return told(twins[0])
            ownership.check(repository, known, draft)
            chosen = draft if waits else numbered(repository, known, draft)
            built = build(repository, known, chosen, request.base, request.files)
            if refs.change(repository, _kept_twice(built)):
                return made(built)
            if built.ref == refused:
                raise blocked(built.ref)
            refused = built.ref
            pause(attempt)  # another tool took the number: a fetch of tags, or stock GTO
    raise crowded(draft.model)


def _kept_twice(built: Built) -> dict[str, str]:
    """A candidate's ref; a number's tag, and what keeps it until a remote has it."""
    names = [built.ref]
    if built.record.version:
        names.append(backup_refs.backup_of(built.ref))
    return dict.fromkeys(names, built.tag)


def told(version: ModelVersion) -> Registered:
    """A version that was there already."""
    return Registered(
        model=version.model,
        version=version.version,
        key=version.key,
        commit=version.commit,
        ref=version.tag.name,
        new=False,
        reason=str(version.summary.get("reason", "")),
    )


def made(built: Built) -> Registered:
    """A version that was made just now."""
    record = built.record
    reason = record.bump.reason if record.bump else ""
    return Registered(
        record.model, record.version, record.key, built.commit, built.ref, True, reason
    )


def pause(attempt: int) -> None:
    """Wait a little, at random, so that those who met do not meet again."""
    time.sleep(random.uniform(0.0, min(1.0, 0.02 * 2**attempt)))


def crowded(model: str) -> RegistryError:
    """Said when the number was taken from under us every time."""
    return RegistryError(f"no number for {model} after {TRIES} tries", hint="try again")


def blocked(ref: str) -> RegistryError:
    """Said when a name is refused again, though it was looked up anew whether it is free."""
    what = f"{ref} cannot be made: another ref is in its way"
    return RegistryError(what, hint=f"git for-each-ref '{ref}' shows which")


def twin(known: Model, key: str) -> ModelVersion | None:
    """The numbered version of a key in good standing."""
    return next((v for v in known.keyed(key) if v.version), None)
