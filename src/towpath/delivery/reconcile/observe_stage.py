"""What is wanted of a stage, and what is there: read from Git, the stage's store and its target."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from towpath import registry
from towpath.backends.git import Repository, remotes
from towpath.delivery.promotion.promotion_rules import leave_version
from towpath.delivery.reconcile import deployment_record
from towpath.delivery.reconcile.reconcile_plan import ActualState, DesiredVersion
from towpath.delivery.reconcile.stage_site import StageSite
from towpath.errors import Fault, Malformed, RegistryError
from towpath.registry import ModelVersion, VersionRecord, registry_state, restore_tags, stage_tags
from towpath.registry.main_decisions import MainDecisions
from towpath.registry.ownership import Owners
from towpath.registry.stage_files import StageFile
from towpath.storage.verified_bytes import BytesState


@dataclass(frozen=True)
class ObservedStage:
    """Both sides, and the records of the wanted versions, by model.

    ``strangers`` are the models in the stage's store that belong to another project.
    """

    wanted: dict[str, DesiredVersion]
    actual: dict[str, ActualState]
    records: dict[str, VersionRecord]
    strangers: tuple[str, ...] = ()


def read_both_sides(site: StageSite) -> ObservedStage:
    """Read both sides. Every byte of the wanted versions in the stage's store is read."""
    records: dict[str, VersionRecord] = {}
    tags = stage_tags.read_current_tags(site.view.repository, site.stage)
    stored = deployment_record.deployed_models(site.store)
    desired = dict(_wanted_models(site, records))
    unwanted_models = {*stored, *tags} - {*desired}
    strangers = {model for model in unwanted_models if _is_strange(site, model)}
    unasked = {model: _unasked_model(site, model) for model in unwanted_models - strangers}
    unpublished = {entry.model for entry in _unpublished_tags(site)}
    actual = {
        model: _actual_state(
            site, model, records.get(model), tags.get(model), model not in unpublished
        )
        for model in sorted({*desired, *unasked})
    }
    desired |= {model: entry for model, entry in unasked.items() if actual[model].is_trace}
    return ObservedStage(desired, actual, records, tuple(sorted(strangers & {*stored})))


def _wanted_models(
    site: StageSite, records: dict[str, VersionRecord]
) -> Iterator[tuple[str, DesiredVersion]]:
    """What the stage files of this project's models ask for; a model that is nobody's has a fault
    instead, since no project's stores and gates may be guessed."""
    stage_files = registry.read_stage_files(site.view.repository, site.view.main)
    owners = site.view.model_owners
    for stage_file in stage_files.wanted:
        if stage_file.stage == site.stage and owners.owns_model(
            site.view.workspace.folder, stage_file.model
        ):
            yield stage_file.model, _desired_version(site, stage_file, records)
        elif stage_file.stage == site.stage and owners.project_of(stage_file.model) is None:
            fault = owners.why_nobodys(stage_file.model)
            yield (
                stage_file.model,
                DesiredVersion(stage_file.model, stage_file.version, stage_file.sha256, fault),
            )
    for fault in stage_files.faults:
        path = PurePosixPath(fault.place.file if fault.place else "")
        if path.parent.name == site.stage and not _is_strange(site, path.stem):
            yield path.stem, DesiredVersion(path.stem, None, fault=fault)


def _is_strange(site: StageSite, model: str) -> bool:
    """Whether a model is another project's."""
    view = site.view
    return is_strange(
        view.repository, view.model_owners, view.workspace.folder, view.main_decisions, model
    )


def is_strange(
    repository: Repository, owners: Owners, folder: str, decisions: MainDecisions, model: str
) -> bool:
    """Whether a model is another project's, of this repository or of one that shares the store."""
    if not owners.owns_model(folder, model):
        return owners.project_of(model) is not None
    promoted = any(promotion.model == model for promotion in decisions.log)
    return not promoted and not registry_state.read_model(repository, model).versions


def _unasked_model(site: StageSite, model: str) -> DesiredVersion:
    """What main says of a model that is in the stage and has no stage file: it was taken out by
    a change that deleted the file, or nobody ever asked for it."""
    if not site.view.model_owners.owns_model(site.view.workspace.folder, model):
        return DesiredVersion(model, None, fault=site.view.model_owners.why_nobodys(model))
    mine = [
        promotion for promotion in site.view.promotions_of(model) if promotion.stage == site.stage
    ]
    if mine and mine[-1].is_deletion:
        return DesiredVersion(model, None, deletion=mine[-1].commit)
    what = f"it is in {site.stage}, and no change of main ever asked for it there"
    return DesiredVersion(
        model, None, fault=Fault(what, hint="towpath verify says what of it is there")
    )


def _unpublished_tags(site: StageSite) -> tuple[stage_tags.StageTag, ...]:
    """The stage's tags that the remote lacks, and that may be there by now: those that follow
    from a merge which is only here wait for that to be pushed."""
    remote, view = site.view.remote, site.view
    if not remote:
        return ()
    last = {
        entry.model: entry.commit for entry in view.main_decisions.log if entry.stage == site.stage
    }
    waiting = stage_tags.find_unpublished_tags(view.repository, remote, site.stage)
    return tuple(
        entry for entry in waiting if entry.model not in last or view.is_shared(last[entry.model])
    )


def _desired_version(
    site: StageSite, stage_file: StageFile, records: dict[str, VersionRecord]
) -> DesiredVersion:
    version = site.view.model(stage_file.model).find_number(stage_file.version)
    if version is None:
        name = f"{stage_file.model}@{stage_file.version}"
        what = f"the main branch wants {name}, which this clone does not have"
        was_asked = site.view.remote or remotes.choose_remote(site.view.repository) is None
        hint = (
            restore_tags.way_to_restore(name)
            if was_asked
            else registry_state.way_to_have(site.view.repository, name)
        )
        return DesiredVersion(
            stage_file.model, stage_file.version, stage_file.sha256, Fault(what, hint=hint)
        )
    try:
        record = registry_state.read_record(site.view.repository, version)
    except RegistryError as damaged:  # which keeps no other model from being reconciled
        fault = Fault(
            damaged.faults[0].what,
            damaged.faults[0].place,
            restore_tags.way_to_restore(str(version)),
        )
        return DesiredVersion(stage_file.model, stage_file.version, stage_file.sha256, fault)
    if record.sha256 != stage_file.sha256:
        what = (
            f"the stage file asks for sha256 {stage_file.sha256[:12]}…, "
            f"and the record of {version} says {record.sha256[:12]}…"
        )
        hint = f"it was edited by hand: towpath promote {version} --to {site.stage}"
        fault = Fault(what, hint=hint)
        return DesiredVersion(stage_file.model, stage_file.version, stage_file.sha256, fault)
    if faults := site.view.main_decisions.find_contradictions(version):
        return DesiredVersion(stage_file.model, stage_file.version, stage_file.sha256, faults[0])
    if unsigned := _unsigned_fault(site, version):
        return DesiredVersion(stage_file.model, stage_file.version, stage_file.sha256, unsigned)
    records[stage_file.model] = record
    if version.rejected is None:
        return DesiredVersion(stage_file.model, stage_file.version, stage_file.sha256)
    way = leave_version(
        site.view.model(stage_file.model), stage_file.stage, site.view.main_decisions.log
    )
    return DesiredVersion(
        stage_file.model, stage_file.version, stage_file.sha256, rejected=version.rejected, way=way
    )


def _follows_main(site: StageSite, record: deployment_record.DeploymentRecord) -> bool:
    """Whether a record says what main does; a shallow clone lacks what main said, and acts not."""
    view = site.view
    return view.repository.is_shallow() or deployment_record.is_sound(
        record, site.stage, view.main_decisions.log
    )


def _unsigned_fault(site: StageSite, version: ModelVersion) -> Fault | None:
    """Why a version's tag does not count. It is asked once more before anything is changed, by the
    rules that are in force; a shallow clone does not know them."""
    if site.project.policy.versions != "signed" or site.view.repository.is_shallow():
        return None
    return next(iter(site.rule.version_faults(version)), None)


def _actual_state(
    site: StageSite,
    model: str,
    record: VersionRecord | None,
    tag: stage_tags.StageTag | None,
    published: bool,
) -> ActualState:
    bundle = site.store.verify(record.artifact, record.sha256) if record else BytesState.MISSING
    version = stage_tags.version_among(site.view.model(tag.model), tag) if tag else None
    stored_record, fault = None, None
    try:
        stored_record = deployment_record.read_stored_record(site.store, model).record
    except Malformed as damaged:
        fault = damaged.faults[0]
    return ActualState(
        bundle=bundle,
        deployed=stored_record if stored_record and stored_record.version else None,
        followed=stored_record is None or _follows_main(site, stored_record),
        running=site.target.find_running(model, record),
        tagged=version.version if version else None,
        published=published,
        target=site.target.shown,
        fault=fault,
    )
