"""The steps by which one change is made, in the order that leaves the incumbent until the last."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from towpath.config.artifact import Artifact
from towpath.delivery.reconcile import bundle as bundles
from towpath.delivery.reconcile import bundle_sources, deployment_record, smoke_test
from towpath.delivery.reconcile.bundle import Bundle
from towpath.delivery.reconcile.deploy_permission import Judge
from towpath.delivery.reconcile.deployment_record import Approved, Deployed
from towpath.delivery.reconcile.observe_stage import Seen
from towpath.delivery.reconcile.stage_changes import Deploy, Remove, Repair
from towpath.delivery.reconcile.stage_site import Site
from towpath.errors import DeployError, RegistryError
from towpath.registry import Promotion, Record, Version, registry_state, stage_tags
from towpath.storage.verified_bytes import State

Step = Callable[[str, str], None]
"""Told the model and the step that begins now; it may raise, to stop before the step."""


@dataclass(frozen=True)
class Work:
    """One reconcile under its lease: what was seen, who judges, whom to tell."""

    site: Site
    seen: Seen
    judge: Judge
    scratch: Path
    step: Step
    bundles: dict[str, Bundle] = field(default_factory=dict)

    def bundle(self, record: Record) -> Bundle:
        """A version's bundle, fetched from the stage's store once, verified."""
        name = f"{record.model}@{record.version}"
        if name not in self.bundles:
            folder = self.scratch / "bundles" / record.model / str(record.version)
            self.bundles[name] = bundles.build(self.site.store, record, folder)
        return self.bundles[name]

    def model(self, record: Record) -> Path:
        """A version's verified bytes on disk."""
        return self.bundle(record).file


def put(work: Work, change: Deploy | Repair) -> str:
    """Bring a version to where it runs, or what is amiss of it in order; what it came to.

    Each step may have been made before, by a reconcile that was cut short: it is then as good as
    made. Raises ``Refused`` where it is not approved or a gate says no, ``StoreError`` and
    ``DeployError`` where a store or the target does not take it; the incumbent then runs on.
    """
    site, model, step = work.site, change.model, work.step
    record, actual = work.seen.records[model], work.seen.actual[model]
    step(model, "approval")
    promotion, approved = _allowed(work, model)
    if actual.bundle is not State.WHOLE:
        step(model, "copy")
        site.say(f"{model}: {record.artifact.name} came from {bundle_sources.bring(site, record)}")
    words = _deploy(work, change, record, promotion) if change.needs("target") else ""
    if change.needs("target") or change.needs("record"):
        step(model, "record")
        _record(site, promotion, approved, record)
    if change.needs("tag"):
        step(model, "tag")
        _tag(site, model, change.version, promotion, approved)
    step(model, "done")
    return words


def _deploy(work: Work, change: Deploy | Repair, record: Record, promotion: Promotion) -> str:
    """Gates, then the target: prepared, tried beside the incumbent, switched, and asked."""
    site, model, step = work.site, change.model, work.step
    if isinstance(change, Deploy):
        step(model, "gates")
        _gate(work, change, record, promotion)
    bundle = work.bundle(record)
    step(model, "prepare")
    site.target.prepare(bundle)
    step(model, "smoke")
    tried = smoke_test.test(
        site.target.smoke(bundle), _beside(work, change), site.project, _sample(work), site.own_code
    )
    step(model, "switch")
    site.target.switch(bundle)
    _confirm(site, bundle)
    return tried.words


def take_out(work: Work, change: Remove) -> str:
    """End a model in a stage: at the target, then in the record and by the tag.

    Raises ``DeployError`` where the last word of main about it is not that very deletion.
    """
    site, model, step = work.site, change.model, work.step
    step(model, "approval")
    promotion, approved = _allowed(work, model)
    if not promotion.is_deletion or promotion.commit != change.deletion:
        what = f"no change of main took {model} out of {site.stage}: {promotion} is its last word"
        raise DeployError(what, hint=f"towpath demote {model} --stage {site.stage}")
    step(model, "switch")
    site.target.remove(model)
    step(model, "record")
    _record(site, promotion, approved, None)
    step(model, "tag")
    _untag(site, model, promotion, approved)
    step(model, "done")
    return "removed"


def _allowed(work: Work, model: str) -> tuple[Promotion, Approved]:
    promotion = work.judge.promotion(model)
    if promotion is None:
        what = f"nothing on the main branch ever asked for {model} in {work.site.stage}"
        raise DeployError(what, hint="somebody else put it there: remove it by hand")
    return promotion, work.judge.approved(promotion)


def _gate(work: Work, change: Deploy, record: Record, promotion: Promotion) -> None:
    known = deployment_record.stored(work.site.store, change.model).record
    if known and known.before(record.version, record.sha256):
        work.site.say(f"{change.model}: {change.version} ran here before; its gates are not asked")
        return
    for verdict in work.judge.gated(record, change.over, promotion, work.model):
        work.site.say(f"{change.model}: gate {verdict.gate} passed")


def _beside(work: Work, change: Deploy | Repair) -> Bundle | None:
    """The version that runs, for the smoke test; None where its bytes cannot be had any more."""
    over = change.over if isinstance(change, Deploy) else None
    version = (
        registry_state.model(work.site.view.repository, change.model).at(over) if over else None
    )
    if version is None:
        return None
    try:
        record = registry_state.read_record(work.site.view.repository, version)
    except RegistryError:  # then there is nothing to be laid beside the new one
        return None
    if work.site.store.verify(record.artifact, record.sha256) is not State.WHOLE:
        return None
    return work.bundle(record)


def _sample(work: Work) -> Path | None:
    declared = work.site.declared.deploy
    if declared is None or declared.sample is None:
        return None
    from towpath.delivery.reconcile.stage_data import StageData

    view = work.site.view
    data = StageData(work.site, view.main, work.scratch / "sample", view.workspace.folder)
    return data(declared.sample)


def _confirm(site: Site, bundle: Bundle) -> None:
    """Ask the target what runs now, where it can tell."""
    running = site.target.current(bundle.model, bundle.record)
    if running is not None and running.version != str(bundle.version):
        what = f"{site.target.shown} was given {bundle.version} and runs {running.version}"
        raise DeployError(what, hint="look at the target; then run again")


def _record(site: Site, promotion: Promotion, approved: Approved, record: Record | None) -> None:
    known = deployment_record.stored(site.store, promotion.model)
    artifact: Artifact | None = record.artifact if record else None
    new = Deployed(
        model=promotion.model,
        stage=site.stage,
        version=record.version if record else None,
        sha256=record.sha256 if record else None,
        md5=artifact.digest if artifact else None,
        promotion=promotion.commit,
        approval=approved,
        time=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        target=site.target.shown,
    )
    deployment_record.record(site.store, known, new, site.view.decisions.log)


def _tag(site: Site, model: str, number: Version, promotion: Promotion, approved: Approved) -> None:
    repository, remote = site.view.repository, _remote(site, promotion)
    now = stage_tags.current(repository, site.stage).get(model)
    version = registry_state.model(repository, model).at(number)
    assert version is not None  # its record was read
    if now is None or now.commit != version.commit:
        message = _message(f"{version} enters {site.stage}", promotion, approved)
        stage_tags.assign(repository, version, site.stage, message, remote)
    elif remote:
        for one in stage_tags.unpublished(repository, remote, site.stage):
            if one.model == model:
                stage_tags.publish(repository, remote, one)


def _remote(site: Site, promotion: Promotion) -> str | None:
    """Where a stage tag is pushed to: nowhere while the merge that it follows from is only here,
    for others would find a tag of a promotion that they do not know."""
    return site.view.remote if site.view.is_shared(promotion.commit) else None


def _untag(site: Site, model: str, promotion: Promotion, approved: Approved) -> None:
    repository, remote = site.view.repository, _remote(site, promotion)
    now = stage_tags.current(repository, site.stage).get(model)
    version = stage_tags.version_of(repository, now) if now else None
    if version:
        message = _message(f"{version} leaves {site.stage}", promotion, approved)
        stage_tags.assign(repository, version, site.stage, message, remote, undone=True)


def _message(title: str, promotion: Promotion, approved: Approved) -> str:
    """A stage tag's message: who let it in, at which level, and by which change of main."""
    facts = {
        "Promotion": promotion.commit,
        "Approval": approved.level,
        "Approved-by": ", ".join(approved.by),
        "Where": approved.where,
        "Evidence": approved.evidence,
    }
    lines = [f"{key}: {_line(value)}" for key, value in facts.items() if value]
    return "\n".join([title, "", *lines])


def _line(text: str) -> str:
    return " ".join(text.split())
