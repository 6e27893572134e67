"""The steps by which one change is made: who approved it, what the stage's deploy gates say, and
the rest in the order that leaves the incumbent until the last."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct, field

from towpath.config.foreign_values import format_second
from towpath.delivery.promotion.main_line_approvals import backdated_fault, decide_again
from towpath.delivery.promotion.promotion_case import sum_time_below
from towpath.delivery.reconcile import bundle as bundles
from towpath.delivery.reconcile import deployment_record, smoke_test, stage_sources
from towpath.delivery.reconcile.bundle import Bundle
from towpath.delivery.reconcile.deployment_record import (
    MOST_GATES,
    DeployedGate,
    DeploymentRecord,
    RecordedApproval,
    write_gate_trailers,
)
from towpath.delivery.reconcile.observe_stage import ObservedStage
from towpath.delivery.reconcile.open_stage import StageSite
from towpath.delivery.reconcile.reconcile_plan import DeployVersion, RemoveModel, RepairVersion
from towpath.delivery.reconcile.stage_sources import StageData
from towpath.errors import DeployError, Fault, Refused, RegistryError, UsageError
from towpath.registry import Promotion, VersionNumber, VersionRecord, registry_state, stage_tags
from towpath.registry.ownership import folder_at
from towpath.registry.version_lookup import read_incumbent
from towpath.storage.verified_bytes import BytesState

if TYPE_CHECKING:
    from towpath.config.project_declaration import Project
    from towpath.delivery.gates import GateContext, GateVerdict


class DeployGatesRefused(Refused):
    """Deploy gates of a stage said no: what ran before runs on."""


Step = Callable[[str, str], None]
"""Told the model and the step that begins now; it may raise, to stop before the step."""


class ReconcileWork(Struct, frozen=True):
    """One reconcile under its lease: what was seen, whom to tell."""

    site: StageSite
    observed: ObservedStage
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


def _require_approval(work: ReconcileWork, model: str) -> tuple[Promotion, RecordedApproval]:
    """The change of main that made the stage want what it wants of a model, and who let it in.
    Raises ``Refused`` where that is less than the stage's least level, and where the date of its
    commit cannot be."""
    site, rule = work.site, work.site.rule
    mine = [p for p in rule.log if (p.stage, p.model) == (site.stage, model)]
    if not mine:
        what = f"nothing on the main branch ever asked for {model} in {site.stage}"
        raise DeployError(what, hint="somebody else put it there: remove it by hand")
    promotion = mine[-1]
    judged = rule.judge(promotion)
    approval = judged.approval
    if judged.backdated:
        raise Refused(backdated_fault(promotion, judged.backdated, rule.log))
    if not judged.is_enough:
        requirement = f"{site.stage} asks for at least `{judged.needed}`"
        why = f": {approval.why}" if approval.why else ""
        what = f"the promotion {promotion} ({promotion.commit[:7]}) is approved as "
        hint = f"{decide_again(promotion, rule.log)}, and let it be approved"
        raise Refused(Fault(f"{what}`{approval.level}`, and {requirement}{why}", hint=hint))
    # Read anew, not from the view: the tag may have been moved since the plan was made.
    state = registry_state.read_model(site.repository, model)
    version = state.find_number(promotion.version) if promotion.version else None
    if version and (unsigned := rule.version_faults(version, promotion)):
        raise Refused(*unsigned)
    recorded = RecordedApproval(approval.level, approval.by, approval.where, approval.evidence)
    return promotion, recorded


def _require_gates(
    work: ReconcileWork, change: DeployVersion, record: VersionRecord, promotion: Promotion
) -> tuple[GateVerdict, ...]:
    """The verdicts of the stage's deploy gates, by the rules of now and by those in force before
    the promotion: a gate that either names must pass, or ``DeployGatesRefused``."""
    from towpath.delivery.gates.judge_gates import judge_stage_gates

    verdicts: list[GateVerdict] = []
    for base, project in _gate_policies(work.site, promotion):
        context = _gate_context(work, base, project, record, change.over)
        verdicts += [v for v in judge_stage_gates(context, "deploy") if v not in verdicts]
    if failed := [verdict for verdict in verdicts if not verdict.passed]:
        raise DeployGatesRefused(*map(_gate_fault, failed))
    return tuple(verdicts)


def _gate_policies(site: StageSite, promotion: Promotion) -> Iterator[tuple[str, Project]]:
    yield site.main, site.project
    if promotion.base is None:
        return
    # A promotion that takes away the gate which it would not pass is held to that gate still.
    policy = site.rule.rules.rules_at(promotion.base, site.workspace.folder).policy
    stage = policy.stages.get(site.stage) if policy else None
    if policy and stage and stage.gates != site.declared_stage.gates:
        yield promotion.base, policy


def _gate_context(
    work: ReconcileWork,
    base: str,
    project: Project,
    record: VersionRecord,
    over: VersionNumber | None,
) -> GateContext:
    from towpath.delivery import gates

    site, current_time = work.site, int(time.time())
    folder = site.workspace.folder
    if base != site.main:  # the project may have been moved since
        folder = folder_at(site.repository, base, folder, site.project.name)
    try:
        incumbent = read_incumbent(site.repository, site.main, record.model, over) if over else None
    except UsageError:  # its tag is gone: a gate that compares says that there is none
        incumbent = None
    mine = [entry for entry in site.rule.find_counted() if entry.model == record.model]
    return gates.GateContext(
        stage=site.stage,
        candidate=record,
        incumbent=incumbent,
        repository=site.repository,
        base=base,
        project=project,
        below=sum_time_below(mine, site.stage_below, record.version, current_time),
        model=lambda version: work.fetch_bundle(version).model_file,
        data=StageData(site, base, work.scratch / "data", folder),
        now=current_time,
        scratch=work.scratch,
        stage_available=True,
        kept=site.workspace.state / "code",
        folder=folder,
    )


def _gate_fault(verdict: GateVerdict) -> Fault:
    parts = [f"{verdict.value}" if verdict.value is not None else ""]
    parts += [f"bound {verdict.bound}" if verdict.bound is not None else "", verdict.detail]
    what = f"gate {verdict.gate} ({verdict.kind}) says no: {', '.join(filter(None, parts))}"
    return Fault(what, hint=verdict.source or None)


def deploy_version(work: ReconcileWork, change: DeployVersion | RepairVersion) -> str:
    """Bring a version to where it runs, or what is amiss of it in order; what it came to. Raises
    ``Refused`` where it is not approved or a gate says no, ``StoreError`` and ``DeployError`` where
    a store or the target does not take it; the incumbent then runs on."""
    # Any of these steps may have been made before, by a reconcile that was killed after it: each
    # one done twice is as good as done once, so that nothing has to be undone.
    site, model, step = work.site, change.model, work.step
    record, actual = work.observed.records[model], work.observed.actual[model]
    step(model, "approval")
    promotion, approved = _require_approval(work, model)
    if actual.bundle is not BytesState.WHOLE:
        step(model, "copy")
        origin = stage_sources.copy_to_stage(site, record)
        site.say(f"{model}: {record.artifact.name} came from {origin}")
    words, gates = "", tuple[DeployedGate, ...]()
    if change.needs_part("target"):
        words, gates = _deploy_bundle(work, change, record, promotion)
    if change.needs_part("target") or change.needs_part("record"):
        step(model, "record")
        _write_record(site, promotion, approved, record, gates)
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
) -> tuple[str, tuple[DeployedGate, ...]]:
    """What the smoke test came to, and what the gates found; none where they were not asked."""
    site, model, step = work.site, change.model, work.step
    gates: tuple[DeployedGate, ...] = ()
    if isinstance(change, DeployVersion):
        step(model, "gates")
        stored_record = deployment_record.read_stored_record(site.store, model).record
        # A rollback must not wait for gates that look at today's data, and it passed them once.
        kept = (stored_record, *stored_record.previous) if stored_record else ()
        if any((old.version, old.sha256) == (record.version, record.sha256) for old in kept):
            site.say(f"{model}: {change.version} ran here before; its gates are not asked")
        else:
            verdicts = _require_gates(work, change, record, promotion)
            for verdict in verdicts:
                site.say(f"{model}: gate {verdict.gate} passed")
            gates = tuple(
                DeployedGate(v.gate, v.kind, v.value, v.bound, v.detail)
                for v in verdicts[:MOST_GATES]
            )
    bundle = work.fetch_bundle(record)
    step(model, "prepare")
    site.target.prepare(bundle)
    step(model, "smoke")
    prepared, incumbent = site.target.prepared_bundle(bundle), _incumbent_bundle(work, change)
    declared, sample = site.declared_stage.deploy, None
    if declared and declared.sample is not None:
        data = StageData(site, site.main, work.scratch / "sample", site.workspace.folder)
        sample = data(declared.sample)
    words = smoke_test.run_smoke_test(prepared, incumbent, site.project, sample, site.own_code)
    step(model, "switch")  # all that can say no has been asked: until here the incumbent runs
    site.target.switch_version(bundle)
    running = site.target.find_running(bundle.model, bundle.record)
    if running is not None and running.version != str(bundle.version):
        what = f"{site.target.shown} was given {bundle.version} and runs {running.version}"
        raise DeployError(what, hint="look at the target; then run again")
    return words, gates


def take_out(work: ReconcileWork, change: RemoveModel) -> str:
    """End a model in a stage: at the target, then in the record and by the tag. Raises
    ``DeployError`` where the last word of main about it is not that very deletion."""
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
    _write_tag(site, None, promotion, approved)
    step(model, "done")
    return "removed"


def _incumbent_bundle(work: ReconcileWork, change: DeployVersion | RepairVersion) -> Bundle | None:
    """The version that runs, for the smoke test; None where its bytes cannot be had any more."""
    repository = work.site.repository
    if not isinstance(change, DeployVersion) or change.over is None:
        return None
    version = registry_state.read_model(repository, change.model).find_number(change.over)
    if version is None:
        return None
    try:
        record = registry_state.read_record(repository, version)
    except RegistryError:  # then there is nothing to be laid beside the new one
        return None
    if work.site.store.verify(record.artifact, record.sha256) is not BytesState.WHOLE:
        return None
    return work.fetch_bundle(record)


def _write_record(
    site: StageSite, promotion: Promotion, approved: RecordedApproval, record: VersionRecord | None,
    gates: tuple[DeployedGate, ...] = (),
) -> None:  # fmt: skip
    stored_record = deployment_record.read_stored_record(site.store, promotion.model)
    # What is repaired is not judged again.
    old = stored_record.record
    if old and not gates and record and (old.promotion, old.version) == (
        promotion.commit, record.version,
    ):  # fmt: skip
        gates = old.gates
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
        gates=gates,
    )
    deployment_record.record_deployment(site.store, stored_record, new, site.main_decisions.log)


def _write_tag(
    site: StageSite, number: VersionNumber | None, promotion: Promotion, approved: RecordedApproval
) -> None:
    """The stage tag of a version that enters, or, without a number, of the one that leaves."""
    repository, stage, model = site.repository, site.stage, promotion.model
    # Nowhere while the merge is only here: others would find a tag of a promotion unknown to them.
    remote = site.remote if site.is_shared(promotion.commit) else None
    current_tag = stage_tags.read_current_tags(repository, stage).get(model)
    if number is None:
        left = stage_tags.version_of(repository, current_tag) if current_tag else None
        if left:
            message = _stage_tag_message(f"{left} leaves {stage}", promotion, approved)
            stage_tags.write_stage_tag(repository, left, stage, message, remote, undone=True)
        return
    version = registry_state.read_model(repository, model).find_number(number)
    assert version is not None  # its record was read
    if current_tag is None or current_tag.commit != version.commit:
        message = _stage_tag_message(f"{version} enters {stage}", promotion, approved)
        message = "\n".join([message, *write_gate_trailers(_recorded_gates(site, promotion))])
        stage_tags.write_stage_tag(repository, version, stage, message, remote)
    elif remote:  # a reconcile that was killed here, or a remote that was down, left it unpushed
        waiting_tags = stage_tags.find_unpublished_tags(repository, remote, stage)
        for waiting_tag in (tag for tag in waiting_tags if tag.model == model):
            stage_tags.push_stage_tag(repository, remote, waiting_tag)


def _recorded_gates(site: StageSite, promotion: Promotion) -> tuple[DeployedGate, ...]:
    """What the gates said, from the record: a reconcile that was killed before this one may have
    asked them."""
    stored = deployment_record.read_stored_record(site.store, promotion.model).record
    return stored.gates if stored and stored.promotion == promotion.commit else ()


def _stage_tag_message(title: str, promotion: Promotion, approved: RecordedApproval) -> str:
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
