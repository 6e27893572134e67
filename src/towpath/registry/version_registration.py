"""Registering a version beside the work tree, and taking one out of use again."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping

from msgspec import Struct
from msgspec.structs import replace

from towpath.backends.git import (
    CommitStamp,
    Identity,
    Repository,
    WorkTreeState,
    checkouts,
    commit_beside,
    hold_lock,
    make_tag_object,
    refs,
    remotes,
    signatures,
)
from towpath.errors import Fault, RegistryError, UsageError, UserError
from towpath.registry import (
    main_decisions,
    ownership,
    registry_state,
    tag_message,
    version_comparison,
    version_lookup,
    version_record,
    version_reference,
)
from towpath.registry.registry_state import CANDIDATES, TAGS, Model, ModelVersion
from towpath.registry.version_record import RecordedBump, VersionRecord
from towpath.registry.version_reference import VersionNumber, next_free_number

MOST_NAMED = 5
WHOLE = "git fetch --unshallow --tags (in GitHub Actions: actions/checkout with fetch-depth: 0)"


class ReadyToRegister(Struct, frozen=True):
    """A run may register: upon this commit, in this name. ``branch`` is None on a detached head."""

    commit: str
    branch: str | None
    identity: Identity


class RegistrationSkipped(Struct, frozen=True):
    """A run goes on and registers nothing; ``reason`` is for one line, ``faults`` say all."""

    reason: str
    faults: tuple[Fault, ...]

    def __str__(self) -> str:
        return f"skipped: {self.reason}"


def judge_readiness(
    repository: Repository | None, written: Callable[[str], bool] | None = None
) -> ReadyToRegister | RegistrationSkipped:
    """Whether what a run makes can be registered, judged by what is committed now. ``written``
    tells, by its path from the repository's root, a file that a run itself writes. A detached head
    is well: versions stand beside the branches."""
    if repository is None:
        faults = [Fault("no Git repository", hint="git init, and commit")]
    else:
        state = repository.state(written)
        faults = list(_readiness_faults(repository, state))
        try:
            identity = repository.read_identity()
        except UserError as unknown:
            faults += unknown.faults
        else:
            if state.commit and not faults:
                return ReadyToRegister(state.commit, state.branch, identity)
    return RegistrationSkipped("; ".join(fault.what for fault in faults), tuple(faults))


def _readiness_faults(repository: Repository, state: WorkTreeState) -> Iterator[Fault]:
    if state.commit is None:
        yield Fault("nothing is committed yet", hint="git add . && git commit")
    elif state.changed:
        count, more = len(state.changed), len(state.changed) - MOST_NAMED
        what = "1 file not committed" if count == 1 else f"{count} files not committed"
        # A path of Git's need not be UTF-8.
        shown = [p.encode("utf-8", "backslashreplace").decode() for p in state.changed[:MOST_NAMED]]
        hint = ", ".join([*shown, *([f"and {more} more"] if more > 0 else [])])
        yield Fault(what, hint=hint)
    for path, why in state.submodules.items():
        hint = f"{checkouts.SET_UP}; or commit in {path}, and then git add {path}"
        yield Fault(f"the submodule {path} is not as it is committed: {why}", hint=hint)
    if repository.is_shallow():
        yield Fault("a shallow clone lacks the versions before", hint=WHOLE)


KEY_DIGITS = 16


class VersionObjects(Struct, frozen=True):
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
    """Make the commit and the tag of ``draft``: of a candidate where it has no number."""
    # Later than every tag of the model: GTO and DVC order tags by their second.
    stamp = CommitStamp(repository.read_identity(), max(int(time.time()), model.last + 1))
    text = version_record.write_version_record(draft).encode()
    superseded = () if draft.version is None else (version_record.record_path(draft.model, None),)
    named = f"{draft.model}@{draft.version or 'candidate'}"
    message = tag_message.compose_tag_message(draft)
    whole = {**files, draft.record_path: text}
    signs = signatures.read_signing_settings(repository)
    commit = commit_beside(
        repository, base, whole, f"Register {named}", stamp, without=superseded, sign=signs.commits
    )
    tag = make_tag_object(repository, named, commit, message, stamp, signs.tags)
    # A candidate stands outside of refs/tags: no `git push --tags` may carry it away unnumbered.
    waiting = f"{CANDIDATES}{draft.model}/{draft.key[:KEY_DIGITS]}"
    return VersionObjects(draft, commit, tag, f"{TAGS}{named}" if draft.version else waiting)


def number_draft(repository: Repository, model: Model, draft: VersionRecord) -> VersionRecord:
    """The record with its number, and the reason for it, from what differs to the version
    before."""
    # The version before is the latest in good standing. A number that was ever given, also where
    # its tag is gone, or whose name another ref has, is passed over.
    standing = model.versions_in_standing()
    # A tag may be forged, or its commit lost: the next lower one with a record is compared with.
    whole = (version for version in standing if registry_state.has_record(repository, version))
    before = next(whole, None) or (model.versions[-1] if model.versions else None)
    try:
        record = registry_state.read_record(repository, before) if before else None
        why = version_comparison.derive_bump(record, draft)
    except RegistryError:  # a damaged record must not keep the next version from its number
        why = draft.bump or RecordedBump("minor", f"{before} has no record to compare with")
    level = "major" if why.level == "first" else why.level
    taken = model.taken | main_decisions.find_spent_numbers(repository, draft.model)
    number = next_free_number(before.version if before else None, level, taken)
    return replace(draft, version=number, bump=why)


LOCK = "registry"
# Twenty clones that publish at once take up to twenty numbers from under each other.
TRIES = 60
# How often a remote may refuse a tag whose name is free there before it is taken to mean it: one
# that is being written to refuses for a moment.
PATIENCE_WITH_REFUSAL = 5


class Registration(Struct, frozen=True):
    """What is to be registered.

    ``record`` has no version yet; its ``bump`` is set only where one was asked for. ``files``
    (paths from the repository's root) stand beside the record in the version's commit: dvc.yaml,
    dvc.lock, the parameters. ``base`` is that commit's parent: the code that ran, or in a shared
    registry a commit of the registry.
    """

    record: VersionRecord
    base: str
    files: Mapping[str, bytes]


class RegisteredVersion(Struct, frozen=True):
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
    Raises ``UsageError`` for a name that no model may have, or that in a shared registry another
    repository has, ``UserError`` without a Git identity, ``RegistryError`` where Git does not let a
    ref be made."""
    # The same key gives the version that it gave before, unless that was rejected.
    draft = request.record
    version_reference.check_name(draft.model)
    refused = ""
    with hold_lock(repository, LOCK):  # two runs of one clone would give one number twice
        registry_state.restore_pruned_tags(repository)
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
            names = [built.ref]
            if built.record.version:
                # Under a second name, too: `fetch.pruneTags` may take the tag away again.
                names.append(registry_state.backup_of(built.ref))
            if refs.change_refs(repository, dict.fromkeys(names, built.tag)):
                return registered_now(built)
            if built.ref == refused:
                raise blocked_error(built.ref)
            refused = built.ref
            pause_at_random(attempt)  # another tool took the number: a fetch of tags, or stock GTO
    raise crowded_error(draft.model)


def registered_before(version: ModelVersion, new: bool = False) -> RegisteredVersion:
    """A version that was here already; ``new`` is one that the remote did not have."""
    reason = "" if new else str(version.summary.get("reason", ""))
    named = (version.model, version.version, version.key)
    return RegisteredVersion(*named, version.commit, version.tag.name, new, reason)


def registered_now(built: VersionObjects) -> RegisteredVersion:
    record = built.record
    reason = record.bump.reason if record.bump else ""
    named = (record.model, record.version, record.key)
    return RegisteredVersion(*named, built.commit, built.ref, True, reason)


def pause_at_random(attempt: int) -> None:
    # At random, so that those who met do not meet again.
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


def reject_version(repository: Repository, reference: str, reason: str) -> ModelVersion:
    """Reject a version with a reason (GTO's deregistration: ``abalone@v1.3.0!#1``), here. It is
    pushed by ``publish_registry``. Raises ``UsageError`` for a candidate, for a version that was
    rejected already, and without a reason."""
    if not reason.strip():
        raise UsageError("a rejection says why", hint="--reason 'trained on leaked labels'")
    refused = ""
    with hold_lock(repository, LOCK):  # a run here may number meanwhile
        registry_state.restore_pruned_tags(repository)
        version = version_lookup.find_version(repository, reference)
        if version.version is None:
            raise UsageError(f"{version} has no number yet", hint="towpath push gives it one")
        if version.rejected is not None:
            raise UsageError(f"{version} was rejected already: {version.rejected}")
        who = repository.read_identity()
        for attempt in range(TRIES):
            last = registry_state.read_model(repository, version.model).last
            name = f"{version}!#{registry_state.next_event_number(repository, version.model)}"
            stamp = CommitStamp(who, max(int(time.time()), last + 1))
            mark = make_tag_object(repository, name, version.commit, reason, stamp)
            ref = f"{TAGS}{name}"
            if refs.change_refs(repository, {ref: mark, registry_state.backup_of(ref): mark}):
                return version_lookup.find_version(repository, str(version))
            if name == refused:
                raise blocked_error(ref)
            refused = name
            pause_at_random(attempt)
    raise crowded_error(version.model)
