"""Are the bytes there, and are they what was approved? And what do the stages themselves say?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from towpath.audit.audit_finding import Finding, Unchecked, finding
from towpath.audit.ledger import Ledger
from towpath.backends.git import clones
from towpath.delivery.promotion.stored_bytes import way_back, way_to_replace
from towpath.delivery.reconcile.deployment_record import (
    Deployed,
    find_contradiction,
    models,
    stored,
)
from towpath.delivery.reconcile.observe_stage import is_strange
from towpath.delivery.reconcile.targets.folder_target import Files
from towpath.errors import Malformed, TowpathError
from towpath.registry import Record, Version
from towpath.storage.stage_store import StageStore
from towpath.storage.verified_bytes import State, find_altered, verify

if TYPE_CHECKING:
    from towpath.backends.dvc import Store
    from towpath.config.project_declaration import Stage


def project(
    ledger: Ledger, store: Store, root: Path, origin: str | None
) -> Iterator[Finding | Unchecked]:
    """The project's store: no version's bytes altered, and none missing that is wanted by a stage
    or may still be promoted. What was promoted and replaced is in its stages' stores.

    ``origin`` is the address of this project's code: in a shared registry the bytes of what other
    projects made are not here.
    """
    wanted = {(one.model, one.version) for one in ledger.wanted()}
    promoted = {(one.model, one.version) for one in ledger.promotions if one.version}
    missing: list[tuple[str, Record]] = []
    for version, record in ledger.records():
        key, name = (version.model, version.version), str(version)
        if not _is_from(origin, record) or not ledger.is_ours(version.model):
            continue
        state = verify(store.source, record.artifact, record.sha256)
        if state is State.ALTERED:
            what = f"the bytes of {name} in the project's store were altered"
            paths = _altered(store, record)
            yield finding("artifact", what, str(paths[0]), way_to_replace(root, *paths))
        elif state is State.MISSING and key in wanted:
            missing.append((f"{name}, which a stage wants,", record))
        elif state is State.MISSING and key not in promoted and version.rejected is None:
            missing.append((name, record))
    yield from _elsewhere(root, missing) if missing else ()


def _altered(store: Store, record: Record) -> list[Path]:
    """The objects of a version whose bytes are not those of their names: of a folder each file."""
    wrong = find_altered(store.source, record.artifact)
    return [store.path(digest) for digest in wrong or [record.artifact.digest]]


def _is_from(origin: str | None, record: Record) -> bool:
    there = record.code.repository
    return there is None or (origin is not None and clones.same(origin, there))


def _elsewhere(root: Path, missing: Sequence[tuple[str, Record]]) -> Iterator[Finding | Unchecked]:
    """What is not here may be on the store's remote, which is asked once."""
    from towpath.backends.dvc import byte_transfer

    if (there := byte_transfer.default(root)) is None:
        for name, record in missing:
            what = f"the bytes of {name} are not in the project's store"
            yield finding("artifact", what, record.artifact.digest, way_back(record))
        return
    try:
        gone = set(
            byte_transfer.missing(root, [record.artifact.digest for _, record in missing], there)
        )
    except TowpathError as silent:
        names = ", ".join(name for name, _ in missing)
        yield Unchecked("artifact", f"{names} on {there}", silent.faults[0].what)
        return
    for name, record in missing:
        if record.artifact.digest in gone:
            what = f"the bytes of {name} are neither in the project's store nor on {there}"
            hint = f"towpath push where they are; else {way_back(record)}"
            yield finding("artifact", what, record.artifact.digest, hint)


def stage(ledger: Ledger, store: StageStore) -> Iterator[Finding | Unchecked]:
    """A stage's own store: the bytes of what it should run, and its deployment records."""
    try:
        for one in ledger.wanted(store.name):
            yield from _bytes(ledger, store, one.model, one.version)
        for model in models(store):
            if ledger.model not in (None, model):
                continue
            if is_strange(ledger.repository, ledger.owners, ledger.folder, ledger.decisions, model):
                yield from _stranger(ledger, store, model)
            else:
                yield from _deployed(ledger, store, model)
    except TowpathError as silent:
        yield Unchecked("artifact", store.shown, silent.faults[0].what)


def _bytes(
    ledger: Ledger, store: StageStore, model: str, version: Version | None
) -> Iterator[Finding]:
    record = ledger.record(model, version)
    entered = any(
        ledger.tags(one) for one in ledger.of(store.name, model) if one.version == version
    )
    if record is None:
        return
    state = store.verify(record.artifact, record.sha256)
    name, hint = f"{model}@{version}", f"towpath reconcile {store.name} --apply"
    if state is State.ALTERED:
        what = f"the bytes of {name} in {store.shown} were altered"
        yield finding("artifact", what, record.artifact.digest, hint)
    elif state is State.MISSING and entered:
        what = f"the bytes of {name}, which entered {store.name}, are not in {store.shown}"
        yield finding("artifact", what, record.artifact.digest, hint)


def _stranger(ledger: Ledger, store: StageStore, model: str) -> Iterator[Unchecked]:
    """What another repository keeps in the same store can only be looked at from there."""
    if ledger.owners.owns(ledger.folder, model):
        yield Unchecked("deployment", f"{model} in {store.shown}", "no model of this registry")


def target(ledger: Ledger, stage: Stage, store: StageStore, home: Path) -> Iterator[Finding]:
    """The folder that a stage's versions run from, where it is on this machine: each is what its
    record in Git says. Other targets are asked by ``reconcile --check``, with the stage's keys."""
    declared = stage.deploy
    if declared is None or declared.to != "files" or not (home / declared.path).is_dir():
        return
    files = Files(home / declared.path, declared.path, store.name)
    for one in ledger.wanted(store.name):
        record = ledger.record(one.model, one.version)
        running = files.current(one.model, record)
        if record is None or running is None or running.version != str(one.version):
            continue  # not there yet: reconcile's to bring
        if not running.whole:
            what = f"{one.model}@{one.version} in {files.shown} is not what its record says"
            hint = f"find out who wrote there; then towpath reconcile {store.name} --apply"
            yield finding("deployment", what, f"{declared.path}/{one.model}/current", hint)


def _deployed(ledger: Ledger, store: StageStore, model: str) -> Iterator[Finding]:
    try:
        found = stored(store, model).record
    except Malformed as damaged:
        fault = damaged.faults[0]
        place = f"towpath/deployed/{model}.json in {store.shown}"
        yield finding("deployment", fault.what, place, fault.hint or "")
        return
    for one in (found, *found.previous) if found else ():
        yield from _follows(ledger, store, one)


def _follows(ledger: Ledger, store: StageStore, one: Deployed) -> Iterator[Finding]:
    """What a deployment record says followed from a promotion, of these bytes."""
    log = ledger.of(store.name, one.model)
    if (wrong := find_contradiction(one, store.name, log)) is None:
        return
    place = f"towpath/deployed/{one.model}.json in {store.shown}"
    if log:
        way = f"towpath reconcile {store.name} --apply writes what is right, and keeps a copy"
        yield finding("deployment", wrong, place, f"find out who wrote it; then {way}")
    else:  # main never asked for it there, so reconcile has nothing to write
        path = f"towpath/deployed/{one.model}.json"
        hint = f"find out who wrote it, and move {path} out of {store.backend.shown}"
        yield finding("deployment", wrong, place, hint)
