"""What is wanted of a stage, and what is there: read from Git, the stage's store and its target."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath

from towpath import registry
from towpath.errors import Fault
from towpath.reconcile import deployed
from towpath.reconcile.planning import Actual, Desired
from towpath.reconcile.site import Site
from towpath.registry import Record, reading, staging
from towpath.registry.wanted import Wanted
from towpath.store.verified import State


@dataclass(frozen=True)
class Seen:
    """Both sides, and the records of the wanted versions, by model."""

    wanted: dict[str, Desired]
    actual: dict[str, Actual]
    records: dict[str, Record]


def look(site: Site) -> Seen:
    """Read both sides. Every byte of the wanted versions in the stage's store is read."""
    records: dict[str, Record] = {}
    wanted = dict(_wanted(site, records))
    tags = _tags(site)
    remote = site.view.remote
    waiting = staging.unpublished(site.view.repository, remote, site.stage) if remote else ()
    unpublished = {one.model for one in waiting}
    models = {*wanted, *deployed.models(site.store), *tags}
    actual = {
        model: _actual(site, model, records.get(model), tags.get(model), model not in unpublished)
        for model in sorted(models)
    }
    return Seen(wanted, actual, records)


def _wanted(site: Site, records: dict[str, Record]) -> dict[str, Desired]:
    found = registry.stages(site.view.repository, site.view.main)
    mine = [one for one in found.wanted if one.stage == site.stage]
    desired = {one.model: _desired(site, one, records) for one in mine}
    for fault in found.faults:
        path = PurePosixPath(fault.place.file if fault.place else "")
        if path.parent.name == site.stage:
            desired[path.stem] = Desired(path.stem, None, fault=fault)
    return {model: one for model, one in desired.items() if _is_ours(site, records.get(model))}


def _tags(site: Site) -> dict[str, staging.Assigned]:
    """The stage's tags, of the models of this project."""
    found = staging.current(site.view.repository, site.stage)
    if not site.view.workspace.folder:
        return found
    return {model: tag for model, tag in found.items() if _is_ours(site, _tagged(site, tag))}


def _tagged(site: Site, tag: staging.Assigned) -> Record | None:
    version = staging.version_of(site.view.repository, tag)
    return reading.read_record(site.view.repository, version) if version else None


def _is_ours(site: Site, record: Record | None) -> bool:
    """Whether a model is of this project, where a repository holds several."""
    folder = site.view.workspace.folder
    return not folder or record is None or record.path.startswith(f"{folder}/")


def _desired(site: Site, one: Wanted, records: dict[str, Record]) -> Desired:
    version = reading.model(site.view.repository, one.model).at(one.version)
    if version is None:
        what = f"the main branch wants {one.model}@{one.version}, which this clone does not have"
        return Desired(one.model, one.version, one.sha256, Fault(what, hint="towpath fetch"))
    record = reading.read_record(site.view.repository, version)
    if record.sha256 != one.sha256:
        what = (
            f"the stage file asks for sha256 {one.sha256[:12]}…, "
            f"and the record of {version} says {record.sha256[:12]}…"
        )
        fault = Fault(what, hint="it was edited by hand: promote the version again")
        return Desired(one.model, one.version, one.sha256, fault)
    records[one.model] = record
    return Desired(one.model, one.version, one.sha256, rejected=version.rejected)


def _actual(
    site: Site,
    model: str,
    record: Record | None,
    tag: staging.Assigned | None,
    published: bool,
) -> Actual:
    bundle = site.store.verify(record.artifact, record.sha256) if record else State.MISSING
    version = staging.version_of(site.view.repository, tag) if tag else None
    known = deployed.deployed(site.store, model)
    return Actual(
        bundle=bundle,
        deployed=known,
        running=site.target.current(model, record),
        tagged=version.version if version else None,
        published=published,
        target=site.target.shown,
    )
