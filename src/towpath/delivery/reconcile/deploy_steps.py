"""The steps by which one change is made, in the order that leaves the incumbent until the last."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from towpath.config.foreign_values import format_second
from towpath.delivery.reconcile import bundle as bundles
from towpath.delivery.reconcile import deployment_record, smoke_test, stage_data
from towpath.delivery.reconcile.bundle import Bundle
from towpath.delivery.reconcile.deploy_permission import DeployJudge
from towpath.delivery.reconcile.deployment_record import DeploymentRecord, RecordedApproval
from towpath.delivery.reconcile.observe_stage import ObservedStage
from towpath.delivery.reconcile.reconcile_plan import DeployVersion, RemoveModel, RepairVersion
from towpath.delivery.reconcile.stage_site import StageSite
from towpath.errors import DeployError, RegistryError
from towpath.registry import Promotion, VersionNumber, VersionRecord, registry_state, stage_tags
from towpath.storage.verified_bytes import BytesState

Step = Callable[[str, str], None]
"""Told the model and the step that begins now; it may raise, to stop before the step."""


@dataclass(frozen=True)
class ReconcileWork:
    """One reconcile under its lease: what was seen, who judges, whom to tell."""

    site: StageSite
    observed: ObservedStage
    judge: DeployJudge
    scratch: Path
    step: Step
    bundles: dict[str, Bundle] = field(default_factory=dict)

    def fetch_bundle(self, record: VersionRecord) -> Bundle:
        """A version's bundle, fetched from the stage's store once, verified."""
        name = f"{record.model}@{record.version}"
        if name not in self.bundles:
            folder = self.scratch / "bundles" / record.model / str(record.version)
            self.bundles[name] = bundles.build_bundle(self.site.store, record, folder)
        return self.bundles[name]

    def model(self, record: VersionRecord) -> Path:
        return self.fetch_bundle(record).model_file


def deploy_version(work: ReconcileWork, change: DeployVersion | RepairVersion) -> str:
    """Bring a version to where it runs, or what is amiss of it in order; what it came to.

    Raises ``Refused`` where it is not approved or a gate says no, ``StoreError`` and
    ``DeployError`` where a store or the target does not take it; the incumbent then runs on.
    """
    # Any of these steps may have been made before, by a reconcile that was killed after it: each
    # one done twice is as good as done once, so that nothing has to be undone.
    site, model, step = work.site, change.model, work.step
    record, actual = work.observed.records[model], work.observed.actual[model]
    step(model, "approval")
    promotion, approved = _require_approval(work, model)
    if actual.bundle is not BytesState.WHOLE:
        step(model, "copy")
        origin = stage_data.copy_to_stage(site, record)
        site.say(f"{model}: {record.artifact.name} came from {origin}")
    words = _deploy_bundle(work, change, record, promotion) if change.needs_part("target") else ""
    if change.needs_part("target") or change.needs_part("record"):
        step(model, "record")
        _write_record(site, promotion, approved, record)
    if change.needs_part("tag"):
        step(model, "tag")
        _write_tag(site, change.version, promotion, approved)
    step(model, "done")
    return words


def _deploy_bundle(
    work: ReconcileWork,
    change: DeployVersion | RepairVersion,
    record: VersionRecord,
    promotion: Promotion,
) -> str:
    site, model, step = work.site, change.model, work.step
    if isinstance(change, DeployVersion):
        step(model, "gates")
        _ask_gates(work, change, record, promotion)
    bundle = work.fetch_bundle(record)
    step(model, "prepare")
    site.target.prepare(bundle)
    step(model, "smoke")
    prepared, incumbent = site.target.prepared_bundle(bundle), _incumbent_bundle(work, change)
    words = smoke_test.run_smoke_test(
        prepared, incumbent, site.project, _sample_file(work), site.own_code
    )
    step(model, "switch")  # all that can say no has been asked: until here the incumbent runs
    site.target.switch_version(bundle)
    _confirm_running(site, bundle)
    return words


def take_out(work: ReconcileWork, change: RemoveModel) -> str:
    """End a model in a stage: at the target, then in the record and by the tag.

    Raises ``DeployError`` where the last word of main about it is not that very deletion.
    """
    site, model, step = work.site, change.model, work.step
    step(model, "approval")
    promotion, approved = _require_approval(work, model)
    if not promotion.is_deletion or promotion.commit != change.deletion:
        what = f"no change of main took {model} out of {site.stage}: {promotion} is its last word"
        raise DeployError(what, hint=f"towpath demote {model} --stage {site.stage}")
    step(model, "switch")
    site.target.remove_model(model)
    step(model, "record")
    _write_record(site, promotion, approved, None)
    step(model, "tag")
    _write_removal_tag(site, promotion, approved)
    step(model, "done")
    return "removed"


def _require_approval(work: ReconcileWork, model: str) -> tuple[Promotion, RecordedApproval]:
    promotion = work.judge.find_promotion(model)
    if promotion is None:
        what = f"nothing on the main branch ever asked for {model} in {work.site.stage}"
        raise DeployError(what, hint="somebody else put it there: remove it by hand")
    return promotion, work.judge.require_approval(promotion)


def _ask_gates(
    work: ReconcileWork, change: DeployVersion, record: VersionRecord, promotion: Promotion
) -> None:
    stored_record = deployment_record.read_stored_record(work.site.store, change.model).record
    # A rollback must not wait for gates that look at today's data, and it passed them once.
    if stored_record and stored_record.has_run_before(record.version, record.sha256):
        work.site.say(f"{change.model}: {change.version} ran here before; its gates are not asked")
        return
    for verdict in work.judge.require_gates(record, change.over, promotion, work.model):
        work.site.say(f"{change.model}: gate {verdict.gate} passed")


def _incumbent_bundle(work: ReconcileWork, change: DeployVersion | RepairVersion) -> Bundle | None:
    """The version that runs, for the smoke test; None where its bytes cannot be had any more."""
    over = change.over if isinstance(change, DeployVersion) else None
    if over is None:
        return None
    repository = work.site.view.repository
    version = registry_state.read_model(repository, change.model).find_number(over)
    if version is None:
        return None
    try:
        record = registry_state.read_record(repository, version)
    except RegistryError:  # then there is nothing to be laid beside the new one
        return None
    if work.site.store.verify(record.artifact, record.sha256) is not BytesState.WHOLE:
        return None
    return work.fetch_bundle(record)


def _sample_file(work: ReconcileWork) -> Path | None:
    declared, view = work.site.declared_stage.deploy, work.site.view
    if declared is None or declared.sample is None:
        return None
    scratch = work.scratch / "sample"
    data = stage_data.StageData(work.site, view.main, scratch, view.workspace.folder)
    return data(declared.sample)


def _confirm_running(site: StageSite, bundle: Bundle) -> None:
    running = site.target.find_running(bundle.model, bundle.record)
    if running is not None and running.version != str(bundle.version):
        what = f"{site.target.shown} was given {bundle.version} and runs {running.version}"
        raise DeployError(what, hint="look at the target; then run again")


def _write_record(
    site: StageSite, promotion: Promotion, approved: RecordedApproval, record: VersionRecord | None
) -> None:
    stored_record = deployment_record.read_stored_record(site.store, promotion.model)
    new = DeploymentRecord(
        model=promotion.model,
        stage=site.stage,
        version=record.version if record else None,
        sha256=record.sha256 if record else None,
        md5=record.artifact.digest if record else None,
        promotion=promotion.commit,
        approval=approved,
        time=format_second(time.time()),
        target=site.target.shown,
    )
    log = site.view.main_decisions.log
    deployment_record.record_deployment(site.store, stored_record, new, log)


def _write_tag(
    site: StageSite, number: VersionNumber, promotion: Promotion, approved: RecordedApproval
) -> None:
    repository, remote = site.view.repository, _tag_remote(site, promotion)
    model = promotion.model
    current_tag = stage_tags.read_current_tags(repository, site.stage).get(model)
    version = registry_state.read_model(repository, model).find_number(number)
    assert version is not None  # its record was read
    if current_tag is None or current_tag.commit != version.commit:
        message = _stage_tag_message(f"{version} enters {site.stage}", promotion, approved)
        stage_tags.write_stage_tag(repository, version, site.stage, message, remote)
    elif remote:  # a reconcile that was killed here, or a remote that was down, left it unpushed
        for waiting_tag in stage_tags.find_unpublished_tags(repository, remote, site.stage):
            if waiting_tag.model == model:
                stage_tags.push_stage_tag(repository, remote, waiting_tag)


def _tag_remote(site: StageSite, promotion: Promotion) -> str | None:
    # Nowhere while the merge is only here: others would find a tag of a promotion unknown to them.
    return site.view.remote if site.view.is_shared(promotion.commit) else None


def _write_removal_tag(site: StageSite, promotion: Promotion, approved: RecordedApproval) -> None:
    repository, remote = site.view.repository, _tag_remote(site, promotion)
    current_tag = stage_tags.read_current_tags(repository, site.stage).get(promotion.model)
    version = stage_tags.version_of(repository, current_tag) if current_tag else None
    if version:
        message = _stage_tag_message(f"{version} leaves {site.stage}", promotion, approved)
        stage_tags.write_stage_tag(repository, version, site.stage, message, remote, undone=True)


def _stage_tag_message(title: str, promotion: Promotion, approved: RecordedApproval) -> str:
    """A stage tag's message: who let it in, at which level, and by which change of main."""
    facts = {
        "Promotion": promotion.commit,
        "Approval": approved.level,
        "Approved-by": ", ".join(approved.by),
        "Where": approved.where,
        "Evidence": approved.evidence,
    }
    # In one line each: a name with a line break in it would else write a trailer of its own.
    lines = [f"{key}: {' '.join(value.split())}" for key, value in facts.items() if value]
    return "\n".join([title, "", *lines])
