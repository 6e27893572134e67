"""What is wanted of a stage, and what is there: read from Git, the stage's store and its target."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from towpath import registry
from towpath.backends.git import Repository, remotes
from towpath.delivery.promotion.rollback_target import leave_version
from towpath.delivery.reconcile import deployment_record
from towpath.delivery.reconcile.reconcile_plan import Actual, Desired
from towpath.delivery.reconcile.stage_site import Site
from towpath.errors import Fault, Malformed, RegistryError
from towpath.registry import ModelVersion, Record, registry_state, restore_tags, stage_tags
from towpath.registry.main_decisions import Decisions
from towpath.registry.ownership import Owners
from towpath.registry.stage_files import Wanted
from towpath.storage.verified_bytes import State


@dataclass(frozen=True)
class Seen:
    """Both sides, and the records of the wanted versions, by model.

    ``strangers`` are the models in the stage's store that belong to another project.
    """

    wanted: dict[str, Desired]
    actual: dict[str, Actual]
    records: dict[str, Record]
    strangers: tuple[str, ...] = ()


def look(site: Site) -> Seen:
    """Read both sides. Every byte of the wanted versions in the stage's store is read."""
    records: dict[str, Record] = {}
    tags = stage_tags.current(site.view.repository, site.stage)
    stored = deployment_record.models(site.store)
    wanted = dict(_wanted(site, records))
    known = {*stored, *tags} - {*wanted}
    strangers = {model for model in known if _is_strange(site, model)}
    unasked = {model: _unasked(site, model) for model in known - strangers}
    unpublished = {one.model for one in _unpublished(site)}
    actual = {
        model: _actual(site, model, records.get(model), tags.get(model), model not in unpublished)
        for model in sorted({*wanted, *unasked})
    }
    wanted |= {model: one for model, one in unasked.items() if actual[model].is_trace}
    return Seen(wanted, actual, records, tuple(sorted(strangers & {*stored})))


def _wanted(site: Site, records: dict[str, Record]) -> Iterator[tuple[str, Desired]]:
    """What the stage files of this project's models ask for; a model that is nobody's has a fault
    instead, since no project's stores and gates may be guessed."""
    found = registry.stages(site.view.repository, site.view.main)
    owners = site.view.owners
    for one in found.wanted:
        if one.stage == site.stage and owners.owns(site.view.workspace.folder, one.model):
            yield one.model, _desired(site, one, records)
        elif one.stage == site.stage and owners.project_of(one.model) is None:
            fault = owners.why_nobodys(one.model)
            yield one.model, Desired(one.model, one.version, one.sha256, fault)
    for fault in found.faults:
        path = PurePosixPath(fault.place.file if fault.place else "")
        if path.parent.name == site.stage and not _is_strange(site, path.stem):
            yield path.stem, Desired(path.stem, None, fault=fault)


def _is_strange(site: Site, model: str) -> bool:
    """Whether a model is another project's."""
    view = site.view
    return is_strange(view.repository, view.owners, view.workspace.folder, view.decisions, model)


def is_strange(
    repository: Repository, owners: Owners, folder: str, decisions: Decisions, model: str
) -> bool:
    """Whether a model is another project's, of this repository or of one that shares the store."""
    if not owners.owns(folder, model):
        return owners.project_of(model) is not None
    promoted = any(one.model == model for one in decisions.log)
    return not promoted and not registry_state.model(repository, model).versions


def _unasked(site: Site, model: str) -> Desired:
    """What main says of a model that is in the stage and has no stage file: it was taken out by
    a change that deleted the file, or nobody ever asked for it."""
    if not site.view.owners.owns(site.view.workspace.folder, model):
        return Desired(model, None, fault=site.view.owners.why_nobodys(model))
    mine = [one for one in site.view.promotions_of(model) if one.stage == site.stage]
    if mine and mine[-1].is_deletion:
        return Desired(model, None, deletion=mine[-1].commit)
    what = f"it is in {site.stage}, and no change of main ever asked for it there"
    return Desired(model, None, fault=Fault(what, hint="towpath verify says what of it is there"))


def _unpublished(site: Site) -> tuple[stage_tags.Assigned, ...]:
    """The stage's tags that the remote lacks, and that may be there by now: those that follow
    from a merge which is only here wait for that to be pushed."""
    remote, view = site.view.remote, site.view
    if not remote:
        return ()
    last = {one.model: one.commit for one in view.decisions.log if one.stage == site.stage}
    waiting = stage_tags.unpublished(view.repository, remote, site.stage)
    return tuple(one for one in waiting if one.model not in last or view.is_shared(last[one.model]))


def _desired(site: Site, one: Wanted, records: dict[str, Record]) -> Desired:
    version = site.view.model(one.model).at(one.version)
    if version is None:
        name = f"{one.model}@{one.version}"
        what = f"the main branch wants {name}, which this clone does not have"
        was_asked = site.view.remote or remotes.chosen(site.view.repository) is None
        hint = (
            restore_tags.way(name)
            if was_asked
            else registry_state.way_to_have(site.view.repository, name)
        )
        return Desired(one.model, one.version, one.sha256, Fault(what, hint=hint))
    try:
        record = registry_state.read_record(site.view.repository, version)
    except RegistryError as damaged:  # which keeps no other model from being reconciled
        fault = Fault(
            damaged.faults[0].what, damaged.faults[0].place, restore_tags.way(str(version))
        )
        return Desired(one.model, one.version, one.sha256, fault)
    if record.sha256 != one.sha256:
        what = (
            f"the stage file asks for sha256 {one.sha256[:12]}…, "
            f"and the record of {version} says {record.sha256[:12]}…"
        )
        hint = f"it was edited by hand: towpath promote {version} --to {site.stage}"
        fault = Fault(what, hint=hint)
        return Desired(one.model, one.version, one.sha256, fault)
    if faults := site.view.decisions.contradictions(version):
        return Desired(one.model, one.version, one.sha256, faults[0])
    if unsigned := _unsigned(site, version):
        return Desired(one.model, one.version, one.sha256, unsigned)
    records[one.model] = record
    if version.rejected is None:
        return Desired(one.model, one.version, one.sha256)
    way = leave_version(site.view.model(one.model), one.stage, site.view.decisions.log)
    return Desired(one.model, one.version, one.sha256, rejected=version.rejected, way=way)


def _follows(site: Site, record: deployment_record.Deployed) -> bool:
    """Whether a record says what main does; a shallow clone lacks what main said, and acts not."""
    view = site.view
    return view.repository.is_shallow() or deployment_record.is_sound(
        record, site.stage, view.decisions.log
    )


def _unsigned(site: Site, version: ModelVersion) -> Fault | None:
    """Why a version's tag does not count. It is asked once more before anything is changed, by the
    rules that are in force; a shallow clone does not know them."""
    if site.project.policy.versions != "signed" or site.view.repository.is_shallow():
        return None
    return next(iter(site.rule.version_faults(version)), None)


def _actual(
    site: Site,
    model: str,
    record: Record | None,
    tag: stage_tags.Assigned | None,
    published: bool,
) -> Actual:
    bundle = site.store.verify(record.artifact, record.sha256) if record else State.MISSING
    version = stage_tags.version_among(site.view.model(tag.model), tag) if tag else None
    known, fault = None, None
    try:
        known = deployment_record.stored(site.store, model).record
    except Malformed as damaged:
        fault = damaged.faults[0]
    return Actual(
        bundle=bundle,
        deployed=known if known and known.version else None,
        followed=known is None or _follows(site, known),
        running=site.target.current(model, record),
        tagged=version.version if version else None,
        published=published,
        target=site.target.shown,
        fault=fault,
    )
