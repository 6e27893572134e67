"""Are the bytes there, and are they what was approved? And what do the stages themselves say?"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from towpath.audit.approvals import Approvals, ask_rule
from towpath.audit.audit_finding import AuditFinding, UncheckedPart, make_finding
from towpath.audit.checks import main_line_check
from towpath.audit.ledger import AuditLedger
from towpath.backends.git import remotes
from towpath.delivery.promotion.stored_bytes import way_back, way_to_replace
from towpath.delivery.reconcile import deployment_record
from towpath.delivery.reconcile.observe_stage import is_strange
from towpath.delivery.reconcile.targets.folder_target import FolderTarget
from towpath.errors import Malformed, TowpathError
from towpath.registry import VersionNumber, VersionRecord, shared_registry
from towpath.storage.stage_store import StageStore
from towpath.storage.verified_bytes import BytesState, find_altered, verify_bytes

if TYPE_CHECKING:
    from towpath.backends.dvc import Store
    from towpath.config.project_declaration import StageDeclaration
    from towpath.workspace import Workspace


def check_stores(
    workspace: Workspace, ledger: AuditLedger, approvals: Approvals
) -> Iterator[AuditFinding | UncheckedPart]:
    """The project's store and those of the stages, as far as this identity is let in."""
    code = workspace.repository if workspace.shared_registry else None
    address = shared_registry.name_code_repository(code) if code else None
    try:
        yield from check_project_store(ledger, workspace.store, workspace.root, address)
    except TowpathError as silent:
        yield UncheckedPart("artifact", "the project's store", silent.faults[0].what)
    # None as well where it is not known which is in force: no store is opened by what main says.
    rule = approvals.rule
    project = ask_rule(lambda: rule.rules_now().policy if not rule.unasked_faults() else None, None)
    if project is None:
        what = "it is not known that the rules which name them were agreed to"
        yield UncheckedPart("artifact", "the stores of the stages", what)
        return
    for name in project.stages:
        if ledger.stage not in (None, name):
            continue  # its keys may not be in this environment, and nobody asked about it
        try:
            store = StageStore.open(project, name, os.environ, workspace.main_folder)
        except TowpathError as closed:
            # Whoever has no keys of a stage that main asks nothing of lacks nothing by that.
            if any(promotion.stage == name for promotion in ledger.promotions):
                yield UncheckedPart("artifact", f"the store of {name}", closed.faults[0].what)
            continue
        # A stage may remember promotions of which main, rewritten, holds none.
        yield from main_line_check.check_remembered_main(approvals, store)
        yield from check_stage_store(ledger, store)
        declared = project.stages[name]
        yield from check_target_folder(ledger, declared, store, workspace.main_folder)


def check_project_store(
    ledger: AuditLedger, store: Store, root: Path, origin: str | None
) -> Iterator[AuditFinding | UncheckedPart]:
    """The project's store: no version's bytes altered, and none missing that is wanted by a stage
    or may still be promoted. ``origin`` is the address of this project's code, in a registry that
    several projects share."""
    missing: list[tuple[str, VersionRecord]] = []
    for name, record, need in _own_versions(ledger, origin):
        for part, kept in _kept_parts(name, record):
            state = verify_bytes(store.source, kept.artifact, kept.sha256)
            if state is BytesState.ALTERED:
                yield _explain_altered(part, kept, store, root)
            elif state is BytesState.MISSING and need is not None:
                missing.append((f"{part}{need}", kept))
    yield from _look_on_remote(root, missing)


def _own_versions(
    ledger: AuditLedger, origin: str | None
) -> Iterator[tuple[str, VersionRecord, str | None]]:
    """Each version that this project made, and in words who needs its bytes: None for nobody."""
    wanted_keys = {(entry.model, entry.version) for entry in ledger.wanted_versions()}
    # What was promoted and replaced is in its stages' stores.
    promoted = {(entry.model, entry.version) for entry in ledger.promotions}
    for version, record in ledger.read_records():
        address = record.code.repository
        is_own = not address or (origin and remotes.is_same_repository(origin, address))
        if not ledger.is_ours(version.model) or not is_own:
            continue  # another project made it, and has its bytes
        key, need = (version.model, version.version), None
        if key in wanted_keys:
            need = ", which a stage wants,"
        elif key not in promoted and version.rejected is None:
            need = ""
        yield str(version), record, need


def _kept_parts(name: str, record: VersionRecord) -> Iterator[tuple[str, VersionRecord]]:
    """A version's model and each file beside it, by what it is called, as a record of it alone."""
    for part, (artifact, sha256) in record.kept_bytes.items():
        called = f"`{part}` beside {name}" if part else name
        yield called, replace(record, artifact=artifact, sha256=sha256)


def _explain_altered(name: str, record: VersionRecord, store: Store, root: Path) -> AuditFinding:
    what = f"the bytes of {name} in the project's store were altered"
    wrong = find_altered(store.source, record.artifact) or [record.artifact.digest]
    paths = [store.path(digest) for digest in wrong]
    return make_finding("artifact", what, str(paths[0]), way_to_replace(root, *paths))


def _look_on_remote(
    root: Path, missing: Sequence[tuple[str, VersionRecord]]
) -> Iterator[AuditFinding | UncheckedPart]:
    if not missing:
        return
    # Asked once for all of them, and only where there is something to ask: DVC imports slowly.
    from towpath.backends.dvc import byte_transfer

    if (remote_name := byte_transfer.default_remote_of(root)) is None:
        for name, record in missing:
            what = f"the bytes of {name} are not in the project's store"
            yield make_finding("artifact", what, record.artifact.digest, way_back(record))
        return
    try:
        digests = [record.artifact.digest for _, record in missing]
        gone = set(byte_transfer.missing_on_remote(root, digests, remote_name))
    except TowpathError as silent:
        names = ", ".join(name for name, _ in missing)
        yield UncheckedPart("artifact", f"{names} on {remote_name}", silent.faults[0].what)
        return
    for name, record in missing:
        if record.artifact.digest in gone:
            what = f"the bytes of {name} are neither in the project's store nor on {remote_name}"
            hint = f"towpath push where they are; else {way_back(record)}"
            yield make_finding("artifact", what, record.artifact.digest, hint)


def check_stage_store(
    ledger: AuditLedger, store: StageStore
) -> Iterator[AuditFinding | UncheckedPart]:
    """A stage's own store: the bytes of what it should run, and its deployment records."""
    try:
        for stage_file in ledger.wanted_versions(store.name):
            yield from _check_bytes(ledger, store, stage_file.model, stage_file.version)
        for model in deployment_record.deployed_models(store):
            if ledger.model not in (None, model):
                continue
            owners, decisions = ledger.model_owners, ledger.main_decisions
            if not is_strange(ledger.repository, owners, ledger.folder, decisions, model):
                yield from _check_deployments(ledger, store, model)
            # What another repository keeps in the same store can only be looked at from there.
            elif owners.owns_model(ledger.folder, model):
                why = "no model of this registry"
                yield UncheckedPart("deployment", f"{model} in {store.shown}", why)
    except TowpathError as silent:
        yield UncheckedPart("artifact", store.shown, silent.faults[0].what)


def _check_bytes(
    ledger: AuditLedger, store: StageStore, model: str, version: VersionNumber | None
) -> Iterator[AuditFinding]:
    record = ledger.find_record(model, version)
    if record is None:
        return
    # Before reconcile has brought it there, it is no wonder that it is not.
    log = ledger.promotions_of(store.name, model)
    entered = any(ledger.find_tags(promotion) for promotion in log if promotion.version == version)
    hint = f"towpath reconcile {store.name} --apply"
    for name, kept in _kept_parts(f"{model}@{version}", record):
        state = store.verify(kept.artifact, kept.sha256)
        if state is BytesState.ALTERED:
            what = f"the bytes of {name} in {store.shown} were altered"
            yield make_finding("artifact", what, kept.artifact.digest, hint)
        elif state is BytesState.MISSING and entered:
            what = f"the bytes of {name}, which entered {store.name}, are not in {store.shown}"
            yield make_finding("artifact", what, kept.artifact.digest, hint)


def check_target_folder(
    ledger: AuditLedger, stage: StageDeclaration, store: StageStore, home: Path
) -> Iterator[AuditFinding]:
    """The folder that a stage's versions run from, where it is on this machine: each is what its
    record in Git says. Other targets are asked by ``reconcile --check``, with the stage's keys."""
    declared = stage.deploy
    if declared is None or declared.to != "files" or not (home / declared.path).is_dir():
        return
    files = FolderTarget(home / declared.path, declared.path, store.name)
    for stage_file in ledger.wanted_versions(store.name):
        record = ledger.find_record(stage_file.model, stage_file.version)
        running = files.find_running(stage_file.model, record)
        if record is None or running is None or running.version != str(stage_file.version):
            continue  # not there yet: reconcile's to bring
        if not running.whole:
            name = f"{stage_file.model}@{stage_file.version}"
            what = f"{name} in {files.shown} is not what its record says"
            hint = f"find out who wrote there; then towpath reconcile {store.name} --apply"
            place = f"{declared.path}/{stage_file.model}/current"
            yield make_finding("deployment", what, place, hint)


def _check_deployments(
    ledger: AuditLedger, store: StageStore, model: str
) -> Iterator[AuditFinding]:
    path = f"towpath/deployed/{model}.json"
    place = f"{path} in {store.shown}"
    # The record's own words may be a stranger's: whoever has the stage's keys can write there.
    try:
        deployment = deployment_record.read_stored_record(store, model).record
    except Malformed as damaged:
        fault = damaged.faults[0]
        yield make_finding("deployment", fault.what, place, fault.hint or "")
        return
    log = ledger.promotions_of(store.name, model)
    way = f"then towpath reconcile {store.name} --apply writes what is right, and keeps a copy"
    hint = f"find out who wrote it; {way}"
    if not log:  # main never asked for it there, so reconcile has nothing to write
        hint = f"find out who wrote it, and move {path} out of {store.backend.shown}"
    for kept_record in (deployment, *deployment.previous) if deployment else ():
        if wrong := deployment_record.find_contradiction(kept_record, store.name, log):
            yield make_finding("deployment", wrong, place, hint)
