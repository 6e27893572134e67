"""Whether a change may be made: who approved it, and what the stage's deploy gates say."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from towpath.errors import Fault, Refused
from towpath.promotion.approval_rule import again, backdated_fault
from towpath.promotion.case import time_in
from towpath.reconcile.data import StageData
from towpath.reconcile.deployed import Approved
from towpath.reconcile.site import Site
from towpath.registry import Promotion, Record, Version, policy, reading

if TYPE_CHECKING:
    from towpath.gates import Verdict
    from towpath.spec.project import Project


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
            raise Refused(backdated_fault(promotion, judged.backdated))
        if not judged.is_enough:
            asked = f"{self.site.stage} asks for at least `{judged.needed}`"
            why = f": {found.why}" if found.why else ""
            what = f"the promotion {promotion} ({promotion.commit[:7]}) is approved as "
            hint = again(promotion)
            raise Refused(Fault(f"{what}`{found.level}`, and {asked}{why}", hint=hint))
        return Approved(found.level, found.by, found.where, found.evidence)

    def base(self, promotion: Promotion) -> str:
        """The commit whose policy judges a promotion.

        That is the main branch's head; but of a merge that changed more than the registry it is
        the commit before it, for no candidate may bring the policy that judges it.
        """
        repository = self.site.view.repository
        before = repository.commit(f"{promotion.commit}^1")
        if before is None:
            return self.site.view.main
        changed = (
            "diff",
            "--quiet",
            before,
            promotion.commit,
            "--",
            ":(top)",
            ":(top,exclude)registry",
        )
        return before if repository.attempt(*changed).code else self.site.view.main

    def gated(
        self,
        record: Record,
        incumbent: Version | None,
        promotion: Promotion,
        bring: Callable[[Record], Path],
    ) -> tuple[Verdict, ...]:
        """The verdicts of the stage's deploy gates. Raises ``GatesRefused`` with those that
        say no."""
        from towpath import gates

        base = self.base(promotion)
        view, now = self.site.view, int(time.time())
        context = gates.Context(
            stage=self.site.stage,
            candidate=record,
            incumbent=self._record(record.model, incumbent),
            repository=view.repository,
            base=base,
            project=self._project(base),
            lower_since=self._lower_since(record, now),
            model=bring,
            data=StageData(self.site, base, self.scratch / "data"),
            now=now,
            scratch=self.scratch,
            stage_available=True,
            folder=view.workspace.folder,
        )
        verdicts = gates.judge(context, "deploy")
        failed = [verdict for verdict in verdicts if not verdict.passed]
        if failed:
            raise GatesRefused(*(_fault(verdict) for verdict in failed))
        return verdicts

    def _project(self, base: str) -> Project:
        view = self.site.view
        if base == view.main:
            return view.project
        return policy.at(view.repository, base, view.workspace.folder)

    def _record(self, model: str, version: Version | None) -> Record | None:
        """The record of the version that runs; None where there is none in this clone."""
        known = reading.model(self.site.view.repository, model)
        found = known.at(version) if version else None
        return reading.read_record(self.site.view.repository, found) if found else None

    def _lower_since(self, record: Record, now: int) -> int | None:
        below, version = self.site.below, record.version
        if below is None or version is None:
            return None
        mine = tuple(one for one in self.log if one.model == record.model)
        spent = time_in(mine, below, version, now)
        return None if spent is None else now - spent


def _fault(verdict: Verdict) -> Fault:
    said = [f"{verdict.value}" if verdict.value is not None else ""]
    said += [f"bound {verdict.bound}" if verdict.bound is not None else "", verdict.detail]
    told = ", ".join(word for word in said if word)
    return Fault(
        f"gate {verdict.gate} ({verdict.kind}) says no: {told}", hint=verdict.source or None
    )
