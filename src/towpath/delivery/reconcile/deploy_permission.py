"""Whether a change may be made: who approved it, and what the stage's deploy gates say."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from towpath.delivery.promotion.approval_rule import backdated_fault, decide_again
from towpath.delivery.promotion.promotion_case import time_in
from towpath.delivery.reconcile.deployment_record import Approved
from towpath.delivery.reconcile.stage_data import StageData
from towpath.delivery.reconcile.stage_site import Site
from towpath.errors import Fault, Refused, UsageError
from towpath.registry import Promotion, Record, Version, registry_state
from towpath.registry.ownership import folder_at
from towpath.registry.version_lookup import read_incumbent

if TYPE_CHECKING:
    from towpath.config.project_declaration import Project
    from towpath.delivery.gates import Context, Verdict


class GatesRefused(Refused):
    """Deploy gates of a stage said no: what ran before runs on."""


@dataclass(frozen=True)
class Judge:
    """What is known of the promotions of a stage; ``scratch`` is a folder for gates."""

    site: Site
    scratch: Path

    @property
    def log(self) -> tuple[Promotion, ...]:
        """Every promotion of every stage, oldest first."""
        return self.site.rule.log

    def promotion(self, model: str) -> Promotion | None:
        """The change of the main branch that made the stage want what it wants of a model."""
        mine = [p for p in self.log if (p.stage, p.model) == (self.site.stage, model)]
        return mine[-1] if mine else None

    def approved(self, promotion: Promotion) -> Approved:
        """Who let it in. Raises ``Refused`` where that is less than the stage's least level, and
        where the date of its commit cannot be."""
        judged = self.site.rule.judge(promotion)
        found = judged.approval
        if judged.backdated:
            raise Refused(backdated_fault(promotion, judged.backdated, self.log))
        if not judged.is_enough:
            asked = f"{self.site.stage} asks for at least `{judged.needed}`"
            why = f": {found.why}" if found.why else ""
            what = f"the promotion {promotion} ({promotion.commit[:7]}) is approved as "
            hint = f"{decide_again(promotion, self.log)}, and let it be approved"
            raise Refused(Fault(f"{what}`{found.level}`, and {asked}{why}", hint=hint))
        if unsigned := self._unsigned(promotion):
            raise Refused(*unsigned)
        return Approved(found.level, found.by, found.where, found.evidence)

    def _unsigned(self, promotion: Promotion) -> tuple[Fault, ...]:
        """Why the version's tag does not count, where the policy wants each signed."""
        known = registry_state.model(self.site.view.repository, promotion.model)
        version = known.at(promotion.version) if promotion.version else None
        return self.site.rule.version_faults(version, promotion) if version else ()

    def gated(
        self,
        record: Record,
        incumbent: Version | None,
        promotion: Promotion,
        bring: Callable[[Record], Path],
    ) -> tuple[Verdict, ...]:
        """The verdicts of the stage's deploy gates, by the rules of now and by those in force
        before the promotion: a gate that either names must pass.

        Raises ``GatesRefused`` with those that say no.
        """
        from towpath.delivery import gates

        verdicts: list[Verdict] = []
        for base, project in self._policies(promotion):
            context = self._context(base, project, record, incumbent, bring)
            verdicts += [v for v in gates.judge(context, "deploy") if v not in verdicts]
        failed = [verdict for verdict in verdicts if not verdict.passed]
        if failed:
            raise GatesRefused(*(_fault(verdict) for verdict in failed))
        return tuple(verdicts)

    def _policies(self, promotion: Promotion) -> Iterator[tuple[str, Project]]:
        """The commits whose gates count, and what they declare: two where the stage's differ."""
        view = self.site.view
        yield view.main, view.project
        if promotion.base is None:
            return
        rules = self.site.rule.rules.rules_at(promotion.base, view.workspace.folder)
        stage = rules.policy.stages.get(self.site.stage) if rules.policy else None
        if rules.policy and stage and stage.gates != self.site.declared.gates:
            yield promotion.base, rules.policy

    def _context(
        self,
        base: str,
        project: Project,
        record: Record,
        incumbent: Version | None,
        bring: Callable[[Record], Path],
    ) -> Context:
        from towpath.delivery import gates

        view, now = self.site.view, int(time.time())
        folder = view.workspace.folder
        if base != view.main:  # the project may have been moved since
            folder = folder_at(view.repository, base, folder)
        return gates.Context(
            stage=self.site.stage,
            candidate=record,
            incumbent=self._record(record.model, incumbent),
            repository=view.repository,
            base=base,
            project=project,
            lower_since=self._lower_since(record, now),
            model=bring,
            data=StageData(self.site, base, self.scratch / "data", folder),
            now=now,
            scratch=self.scratch,
            stage_available=True,
            kept=view.workspace.state / "code",
            folder=folder,
        )

    def _record(self, model: str, version: Version | None) -> Record | None:
        """The record of the version that runs; None where there is none in this clone."""
        view = self.site.view
        try:
            return read_incumbent(view.repository, view.main, model, version) if version else None
        except UsageError:
            return None

    def _lower_since(self, record: Record, now: int) -> int | None:
        below, version = self.site.below, record.version
        if below is None or version is None:
            return None
        counted = self.site.rule.counted()
        mine = tuple(one for one in counted if one.model == record.model)
        spent = time_in(mine, below, version, now)
        return None if spent is None else now - spent


def _fault(verdict: Verdict) -> Fault:
    said = [f"{verdict.value}" if verdict.value is not None else ""]
    said += [f"bound {verdict.bound}" if verdict.bound is not None else "", verdict.detail]
    told = ", ".join(word for word in said if word)
    return Fault(
        f"gate {verdict.gate} ({verdict.kind}) says no: {told}", hint=verdict.source or None
    )
