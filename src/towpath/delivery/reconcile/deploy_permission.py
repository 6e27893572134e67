"""Whether a change may be made: who approved it, and what the stage's deploy gates say."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from towpath.delivery.promotion.main_line_approvals import backdated_fault, decide_again
from towpath.delivery.promotion.promotion_case import measure_time_in_stage
from towpath.delivery.reconcile.deployment_record import RecordedApproval
from towpath.delivery.reconcile.stage_data import StageData
from towpath.delivery.reconcile.stage_site import StageSite
from towpath.errors import Fault, Refused, UsageError
from towpath.registry import Promotion, VersionNumber, VersionRecord, registry_state
from towpath.registry.ownership import folder_at
from towpath.registry.version_lookup import read_incumbent

if TYPE_CHECKING:
    from towpath.config.project_declaration import Project
    from towpath.delivery.gates import GateContext, GateVerdict


class DeployGatesRefused(Refused):
    """Deploy gates of a stage said no: what ran before runs on."""


@dataclass(frozen=True)
class DeployJudge:
    """What is known of the promotions of a stage; ``scratch`` is a folder for gates."""

    site: StageSite
    scratch: Path

    def find_promotion(self, model: str) -> Promotion | None:
        """The change of the main branch that made the stage want what it wants of a model."""
        mine = [p for p in self.site.rule.log if (p.stage, p.model) == (self.site.stage, model)]
        return mine[-1] if mine else None

    def require_approval(self, promotion: Promotion) -> RecordedApproval:
        """Who let it in. Raises ``Refused`` where that is less than the stage's least level, and
        where the date of its commit cannot be."""
        judged, log = self.site.rule.judge(promotion), self.site.rule.log
        approval = judged.approval
        if judged.backdated:
            raise Refused(backdated_fault(promotion, judged.backdated, log))
        if not judged.is_enough:
            requirement = f"{self.site.stage} asks for at least `{judged.needed}`"
            why = f": {approval.why}" if approval.why else ""
            what = f"the promotion {promotion} ({promotion.commit[:7]}) is approved as "
            hint = f"{decide_again(promotion, log)}, and let it be approved"
            raise Refused(Fault(f"{what}`{approval.level}`, and {requirement}{why}", hint=hint))
        # Read anew, not from the view: the tag may have been moved since the plan was made.
        model = registry_state.read_model(self.site.view.repository, promotion.model)
        version = model.find_number(promotion.version) if promotion.version else None
        if version and (unsigned := self.site.rule.version_faults(version, promotion)):
            raise Refused(*unsigned)
        return RecordedApproval(approval.level, approval.by, approval.where, approval.evidence)

    def require_gates(
        self,
        record: VersionRecord,
        incumbent: VersionNumber | None,
        promotion: Promotion,
        bring: Callable[[VersionRecord], Path],
    ) -> tuple[GateVerdict, ...]:
        """The verdicts of the stage's deploy gates, by the rules of now and by those in force
        before the promotion: a gate that either names must pass.

        Raises ``DeployGatesRefused`` with those that say no.
        """
        from towpath.delivery import gates

        verdicts: list[GateVerdict] = []
        for base, project in self._gate_policies(promotion):
            context = self._gate_context(base, project, record, incumbent, bring)
            verdicts += [v for v in gates.judge_stage_gates(context, "deploy") if v not in verdicts]
        failed = [verdict for verdict in verdicts if not verdict.passed]
        if failed:
            raise DeployGatesRefused(*(_gate_fault(verdict) for verdict in failed))
        return tuple(verdicts)

    def _gate_policies(self, promotion: Promotion) -> Iterator[tuple[str, Project]]:
        view = self.site.view
        yield view.main, view.project
        if promotion.base is None:
            return
        # A promotion that takes away the gate which it would not pass is held to that gate still.
        rules = self.site.rule.rules.rules_at(promotion.base, view.workspace.folder)
        stage = rules.policy.stages.get(self.site.stage) if rules.policy else None
        if rules.policy and stage and stage.gates != self.site.declared_stage.gates:
            yield promotion.base, rules.policy

    def _gate_context(
        self,
        base: str,
        project: Project,
        record: VersionRecord,
        incumbent: VersionNumber | None,
        bring: Callable[[VersionRecord], Path],
    ) -> GateContext:
        from towpath.delivery import gates

        view, current_time = self.site.view, int(time.time())
        folder = view.workspace.folder
        if base != view.main:  # the project may have been moved since
            folder = folder_at(view.repository, base, folder)
        return gates.GateContext(
            stage=self.site.stage,
            candidate=record,
            incumbent=self._incumbent_record(record.model, incumbent),
            repository=view.repository,
            base=base,
            project=project,
            lower_since=self._lower_since(record, current_time),
            model=bring,
            data=StageData(self.site, base, self.scratch / "data", folder),
            now=current_time,
            scratch=self.scratch,
            stage_available=True,
            kept=view.workspace.state / "code",
            folder=folder,
        )

    def _incumbent_record(self, model: str, version: VersionNumber | None) -> VersionRecord | None:
        view = self.site.view
        try:
            return read_incumbent(view.repository, view.main, model, version) if version else None
        except UsageError:  # its tag is gone: a gate that compares says that there is none
            return None

    def _lower_since(self, record: VersionRecord, now: int) -> int | None:
        below, version = self.site.stage_below, record.version
        if below is None or version is None:
            return None
        counted = self.site.rule.find_counted()
        mine = tuple(promotion for promotion in counted if promotion.model == record.model)
        spent = measure_time_in_stage(mine, below, version, now)
        return None if spent is None else now - spent


def _gate_fault(verdict: GateVerdict) -> Fault:
    parts = [f"{verdict.value}" if verdict.value is not None else ""]
    parts += [f"bound {verdict.bound}" if verdict.bound is not None else "", verdict.detail]
    what = f"gate {verdict.gate} ({verdict.kind}) says no: {', '.join(filter(None, parts))}"
    return Fault(what, hint=verdict.source or None)
