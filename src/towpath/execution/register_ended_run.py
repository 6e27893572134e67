"""Registering what a finished run made, without running anything: `towpath register RUN`."""

from __future__ import annotations

import contextlib
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from towpath.errors import Refused, StoreError, UsageError, UserError
from towpath.execution import run_folders
from towpath.execution.run_record import ExecutionState, RecordedRun, Recorder, StepRun, utc_now
from towpath.execution.version_commit import RegistrationDraft, read_draft, register_draft
from towpath.planning.step_decisions import tells_choice
from towpath.registry import RegisteredVersion, registry_state
from towpath.storage.verified_bytes import sha256_of
from towpath.workspace import PROJECT_FILE, Workspace

AGAIN = "commit, and run again: every step is reused"


class RegisteredRun(Struct, frozen=True):
    """What came of it: the run, and the versions that were made of it."""

    run: str
    versions: tuple[RegisteredVersion, ...]


def register_ended_run(workspace: Workspace, word: str) -> RegisteredRun:
    """Register the models of the run that ``word`` names: ``last``, its name, or a part of it.

    Nothing is run, and the work tree is not looked at: what counts is what was committed when the
    run began. Raises UsageError for a run that is not there, that has not ended well or has
    registered already, or that was made of what was not committed; Refused where its conditions
    left the model out; StoreError where its bytes are gone.
    """
    run = _find_run(workspace, word)
    _require_end(run)
    steps = [step for step in run.steps.values() if step.kind == "register_model"]
    if not steps:
        raise UsageError(f"pipeline `{run.pipeline}` registers no model, so run {run.id} made none")
    if run.registered_versions:
        raise _registered_before(run, run.registered_versions[0])
    drafts = [draft for step in steps if (draft := _read_draft(workspace, run, step))]
    if not drafts:
        raise _left_out(run, steps[0])
    for draft in drafts:
        _verify_draft(workspace, run, draft)
    versions = tuple(_register_draft(workspace, draft) for draft in drafts)
    with contextlib.closing(Recorder(workspace.runs / run.id)) as recorder:
        recorder("registered", versions=[str(version) for version in versions])
    return RegisteredRun(run.id, versions)


def _find_run(workspace: Workspace, word: str) -> RecordedRun:
    # Of a monorepo's projects each has runs of its own, and the name of a run is one word.
    try:
        return run_folders.find_run(workspace.runs, word)
    except UsageError:
        if folder := _other_project(workspace, word):
            hint = f"towpath -C {folder} register {word}"
            what = f"run {word} is of another project, in {folder}"
            raise UsageError(what, hint=hint) from None
        raise


def _other_project(workspace: Workspace, word: str) -> Path | None:
    repository = workspace.repository
    if repository is None or repository.bare or "/" in word:
        return None
    listed = repository.call("ls-files", "-z", "--", f":(glob)**/{PROJECT_FILE}").split("\0")
    folders = (repository.root / file for file in listed if file)
    projects = (f.parent for f in folders if (f.parent / ".towpath" / "runs" / word).is_dir())
    return next(projects, None)


def _require_end(run: RecordedRun) -> None:
    if not run.state.has_ended:
        hint = f"wait for its end: towpath logs {run.id}"
        raise UsageError(f"run {run.id} still runs", hint=hint)
    if run.state is not ExecutionState.DONE:
        why = run.error[0] if run.error else f"towpath logs {run.id}"
        steps = [step for step in run.steps.values() if step.kind == "register_model"]
        if left_out := next((step for step in steps if tells_choice(step.reason)), None):
            raise Refused(f"run {run.id} registers nothing: {left_out.reason}", hint=why)
        error = Refused if run.state is ExecutionState.REFUSED else UsageError
        what = f"run {run.id} {run.state.in_words}: nothing of it is registered"
        raise error(what, hint=why)


def _read_draft(workspace: Workspace, run: RecordedRun, step: StepRun) -> RegistrationDraft | None:
    draft = read_draft(workspace.runs / run.id / step.name)
    if draft is not None and draft.record.run != run.id:
        what = f"what run {run.id} keeps to be registered is of run {draft.record.run}"
        raise StoreError(what, hint=AGAIN)
    return draft


def _left_out(run: RecordedRun, step: StepRun) -> UserError | Refused:
    """Why a run that ended well kept nothing that could be registered."""
    if tells_choice(step.reason):
        return Refused(f"run {run.id} registers nothing: {step.reason}", hint="a gate said no")
    reason = step.reason or f"`{step.name}` {step.state.in_words}"
    return UsageError(f"run {run.id} cannot be registered: {reason}", hint=AGAIN)


def _registered_before(run: RecordedRun, version: str) -> UsageError:
    what = f"run {run.id} is registered already: {version}"
    return UsageError(what, hint=f"towpath show {version}")


def _verify_draft(workspace: Workspace, run: RecordedRun, draft: RegistrationDraft) -> None:
    """Hold a draft against this project: its commit, its folder, its bytes, its key."""
    record, repository = draft.record, workspace.repository
    if repository is None:
        raise UsageError("there is no Git repository here, so no registry", hint="git init")
    folder = workspace.folder if not workspace.shared_registry else ""
    is_here = record.path.startswith(f"{folder}/" if folder else "")
    if repository.commit(record.code.commit) is None or not is_here:
        where = f"{record.path} at {record.code.commit[:7]}"
        raise UsageError(
            f"run {run.id} is of another project: it made {where}, which is not of this one",
            hint="register it there",
        )
    twins = registry_state.read_model(workspace.registry, record.model).find_key(record.key)
    if twins:
        raise _registered_before(run, str(twins[0]))
    for part, (artifact, sha256) in record.kept_bytes.items():
        name = part or record.model
        if not workspace.store.has(artifact.digest):
            what = f"the bytes that run {run.id} made of {name} are not in the store"
            raise StoreError(what, hint="towpath pull, or run again")
        if sha256_of(workspace.store.source, artifact) != sha256:
            what = f"the bytes of {name} in the store are not those that run {run.id} made"
            raise StoreError(what, hint="run again with --force, and ask who made them so")


def _register_draft(workspace: Workspace, draft: RegistrationDraft) -> RegisteredVersion:
    assert workspace.repository is not None
    who = str(workspace.repository.read_identity())
    record = replace(draft.record, author=who, time=utc_now())
    version = register_draft(workspace, replace(draft, record=record))
    if not version.new:  # by another call, in this very moment
        raise UsageError(f"{version} was registered already", hint=f"towpath show {version}")
    return version
