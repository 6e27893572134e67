"""What is wanted of a stage, and what is there: read from Git, the stage's store and its target."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath

from msgspec import Struct
from msgspec.structs import replace

from towpath import registry
from towpath.backends.git import Repository, remotes
from towpath.delivery.promotion.promotion_case import leave_version
from towpath.delivery.reconcile import deployment_record
from towpath.delivery.reconcile.open_stage import StageSite
from towpath.delivery.reconcile.reconcile_plan import ActualState, DesiredVersion
from towpath.errors import Fault, Malformed, RegistryError
from towpath.registry import ModelVersion, VersionRecord, registry_state, restore_tags, stage_tags
from towpath.registry.main_decisions import MainDecisions
from towpath.registry.ownership import Owners
from towpath.registry.stage_files import StageFile
from towpath.storage.verified_bytes import BytesState


class ObservedStage(Struct, frozen=True):
    """Both sides, and the records of the wanted versions, by model. ``strangers`` are the models in
    the stage's store that belong to another project."""

    wanted: dict[str, DesiredVersion]
    actual: dict[str, ActualState]
    records: dict[str, VersionRecord]
    strangers: tuple[str, ...] = ()


def read_both_sides(site: StageSite) -> ObservedStage:
    """Read both sides. Every byte of the wanted versions in the stage's store is read."""
    records: dict[str, VersionRecord] = {}
    tags = stage_tags.read_current_tags(site.repository, site.stage)
    stored = deployment_record.deployed_models(site.store)
    desired = dict(_wanted_models(site, records))
    unwanted_models = {*stored, *tags} - {*desired}
    strangers = {model for model in unwanted_models if _is_strange(site, model)}
    unasked = {model: _unasked_model(site, model) for model in unwanted_models - strangers}
    unpublished = {entry.model for entry in _unpublished_tags(site)}
    actual = {
        name: _actual_state(site, name, records.get(name), tags.get(name), name not in unpublished)
        for name in sorted({*desired, *unasked})
    }
    desired |= {model: entry for model, entry in unasked.items() if actual[model].is_trace}
    return ObservedStage(desired, actual, records, tuple(sorted(strangers & {*stored})))


def _wanted_models(
    site: StageSite, records: dict[str, VersionRecord]
) -> Iterator[tuple[str, DesiredVersion]]:
    stage_files = registry.read_stage_files(site.repository, site.main)
    owners, folder = site.model_owners, site.workspace.folder
    for stage_file in stage_files.wanted:
        model = stage_file.model
        if stage_file.stage != site.stage:
            continue
        if owners.owns_model(folder, model):
            yield model, _desired_version(site, stage_file, records)
        elif owners.project_of(model) is None:
            # Nobody's: no project's stores and gates may be guessed for it.
            fault = owners.why_nobodys(model)
            yield model, DesiredVersion(model, stage_file.version, stage_file.sha256, fault)
    for fault in stage_files.faults:
        path = PurePosixPath(fault.place.file if fault.place else "")
        if path.parent.name == site.stage and not _is_strange(site, path.stem):
            yield path.stem, DesiredVersion(path.stem, None, fault=fault)


def _is_strange(site: StageSite, model: str) -> bool:
    owners, decisions = site.model_owners, site.main_decisions
    return is_strange(site.repository, owners, site.workspace.folder, decisions, model)


def is_strange(
    repository: Repository, owners: Owners, folder: str, decisions: MainDecisions, model: str
) -> bool:
    """Whether a model is another project's, of this repository or of one that shares the store."""
    if not owners.owns_model(folder, model):
        return owners.project_of(model) is not None
    # Where main says of no model whose it is, every name is this project's. What it never promoted
    # nor registered came from another repository that uses the same store.
    promoted = any(promotion.model == model for promotion in decisions.log)
    return not promoted and not registry_state.read_model(repository, model).versions


def _unasked_model(site: StageSite, model: str) -> DesiredVersion:
    if not site.model_owners.owns_model(site.workspace.folder, model):
        return DesiredVersion(model, None, fault=site.model_owners.why_nobodys(model))
    log = site.main_decisions.log
    mine = [entry for entry in log if (entry.stage, entry.model) == (site.stage, model)]
    if mine and mine[-1].is_deletion:
        return DesiredVersion(model, None, deletion=mine[-1].commit)
    what = f"it is in {site.stage}, and no change of main ever asked for it there"
    fault = Fault(what, hint="towpath verify says what of it is there")
    return DesiredVersion(model, None, fault=fault)


def _unpublished_tags(site: StageSite) -> tuple[stage_tags.StageTag, ...]:
    if not site.remote:
        return ()
    log = site.main_decisions.log
    last = {entry.model: entry.commit for entry in log if entry.stage == site.stage}
    waiting = stage_tags.find_unpublished_tags(site.repository, site.remote, site.stage)
    # A tag that follows from a merge which is only here waits for that to be pushed.
    return tuple(tag for tag in waiting if tag.model not in last or site.is_shared(last[tag.model]))


def _desired_version(
    site: StageSite, stage_file: StageFile, records: dict[str, VersionRecord]
) -> DesiredVersion:
    model = site.find_model(stage_file.model)
    desired = DesiredVersion(stage_file.model, stage_file.version, stage_file.sha256)
    version = model.find_number(stage_file.version)
    if version is None:
        name = f"{model.name}@{stage_file.version}"
        # Where the remote was asked, or there is none, nobody has the tag any more.
        is_lost = bool(site.remote) or remotes.choose_remote(site.repository) is None
        way = restore_tags.way_to_restore(name)
        hint = way if is_lost else registry_state.way_to_have(site.repository, name)
        what = f"the main branch wants {name}, which this clone does not have"
        return replace(desired, fault=Fault(what, hint=hint))
    try:
        record = registry_state.read_record(site.repository, version)
    except RegistryError as damaged:  # which keeps no other model from being reconciled
        hint = restore_tags.way_to_restore(str(version))
        return replace(desired, fault=replace(damaged.faults[0], hint=hint))
    if fault := _find_fault(site, stage_file, version, record):
        return replace(desired, fault=fault)
    records[stage_file.model] = record
    if version.rejected is None:
        return desired
    way = leave_version(model, stage_file.stage, site.main_decisions.log)
    return replace(desired, rejected=version.rejected, way=way)


def _find_fault(
    site: StageSite, stage_file: StageFile, version: ModelVersion, record: VersionRecord
) -> Fault | None:
    if record.sha256 != stage_file.sha256:
        recorded = f"the record of {version} says {record.sha256[:12]}…"
        what = f"the stage file asks for sha256 {stage_file.sha256[:12]}…, and {recorded}"
        hint = f"it was edited by hand: towpath promote {version} --to {site.stage}"
        return Fault(what, hint=hint)
    if faults := site.main_decisions.find_contradictions(version):
        return faults[0]
    # A shallow clone does not know the rules in force. They are asked once more, as a part of
    # approval, before anything is changed.
    if site.project.policy.versions != "signed" or site.repository.is_shallow():
        return None
    return next(iter(site.rule.version_faults(version)), None)


def _actual_state(
    site: StageSite,
    model: str,
    record: VersionRecord | None,
    tag: stage_tags.StageTag | None,
    published: bool,
) -> ActualState:
    # What the stage's store has of a version and of what stands beside it: the worst of it.
    kept = record.kept_bytes.values() if record else ()
    states = {site.store.verify(*pair) for pair in kept} or {BytesState.MISSING}
    worst = (BytesState.ALTERED, BytesState.MISSING, BytesState.WHOLE)
    version = stage_tags.version_among(site.find_model(tag.model), tag) if tag else None
    stored_record, fault = None, None
    try:
        stored_record = deployment_record.read_stored_record(site.store, model).record
    except Malformed as damaged:
        fault = damaged.faults[0]
    return ActualState(
        bundle=next(state for state in worst if state in states),
        deployed=stored_record if stored_record and stored_record.version else None,
        # A shallow clone lacks what main said, and acts upon nothing.
        followed=stored_record is None
        or site.repository.is_shallow()
        or deployment_record.is_sound(stored_record, site.stage, site.main_decisions.log),
        running=site.target.find_running(model, record),
        tagged=version.version if version else None,
        published=published,
        target=site.target.shown,
        fault=fault,
    )
